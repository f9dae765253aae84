//! `purchase_made`: a contact paid, for a product, an amount, in a currency.

use super::fields::{Fields, conflicting, empty};
use super::{Reason, Reference, ReferenceKind};
use crate::fault::Fault;
use crate::json::Json;
use crate::money::{Amount, Currency};

/// Which purchase is wanted; all given conditions must hold on the same one. Without any condition:
/// any purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PurchaseRule {
    any: bool,
    /// Sorted; empty: any product.
    products: Vec<String>,
    min: Option<Amount>,
    max: Option<Amount>,
    currency: Option<Currency>,
}

impl PurchaseRule {
    pub(super) fn parse(criteria: &Json) -> Result<Self, Fault> {
        const SPECIFIC: [&str; 5] = ["product_id", "product_ids", "min_amount", "max_amount", "currency"];
        let known = [&SPECIFIC[..], &["any_purchase"]].concat();
        let fields = Fields::of(criteria, &known)?;
        let any = fields.flag("any_purchase")?;
        let specific = SPECIFIC.into_iter().find(|key| fields.value(key).is_some());
        match specific {
            Some(key) if any => return Err(conflicting(key, "conflicts with any_purchase: true")),
            None if !any => return Err(empty()),
            _ => {}
        }
        let rule = PurchaseRule {
            any,
            products: fields.ids("product_id", "product_ids")?,
            min: fields.amount("min_amount")?,
            max: fields.amount("max_amount")?,
            currency: fields.currency("currency")?,
        };
        rule.check_amounts()?;
        if let Some(currency) = rule.currency {
            rule.check_currency(currency)?;
        }
        Ok(rule)
    }

    fn check_amounts(&self) -> Result<(), Fault> {
        if self.min.is_some_and(|min| min < Amount::ZERO) {
            return Err(Fault::at("min_amount", "invalid_value", "must not be negative"));
        }
        if self.max.is_some_and(|max| !max.is_positive()) {
            return Err(Fault::at("max_amount", "invalid_value", "must be greater than zero"));
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) if min > max => {
                Err(conflicting("max_amount", "max_amount must not be less than min_amount"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the amounts fit the minor unit of a currency, as far as that is known.
    pub(super) fn check_currency(&self, currency: Currency) -> Result<(), Fault> {
        let Some(digits) = currency.fraction_digits() else {
            return Ok(());
        };
        for (key, amount) in [("min_amount", self.min), ("max_amount", self.max)] {
            if amount.is_some_and(|amount| amount.fraction_digits() > digits) {
                let message = format!("has more than the {digits} fraction digits of {currency}");
                return Err(Fault::at(key, "invalid_value", message));
            }
        }
        Ok(())
    }

    pub(super) fn currency(&self) -> Option<Currency> {
        self.currency
    }

    pub(super) fn canonical(&self) -> Vec<(&'static str, Json)> {
        let mut members = Vec::new();
        if self.any {
            members.push(("any_purchase", Json::Bool(true)));
        }
        if !self.products.is_empty() {
            let ids = self.products.iter().map(|id| Json::from(id.as_str())).collect();
            members.push(("product_ids", Json::Array(ids)));
        }
        for (key, amount) in [("min_amount", self.min), ("max_amount", self.max)] {
            if let Some(amount) = amount {
                members.push((key, Json::Number(amount.canonical().into())));
            }
        }
        if let Some(currency) = self.currency {
            members.push(("currency", Json::from(currency.as_str())));
        }
        members
    }

    pub(super) fn references(&self) -> Vec<Reference> {
        let product = |id: &String| Reference { kind: ReferenceKind::Product, id: id.clone() };
        self.products.iter().map(product).collect()
    }

    pub(super) fn compile(&self, tenant_currency: Currency) -> PurchaseMatcher {
        let bound = self.min.is_some() || self.max.is_some() || self.currency.is_some();
        PurchaseMatcher {
            products: self.products.clone().into(),
            min: self.min,
            max: self.max,
            currency: bound.then(|| self.currency.unwrap_or(tenant_currency)),
            tenant_currency,
        }
    }
}

/// A purchase rule ready to be held against events.
#[derive(Debug, Clone)]
pub(super) struct PurchaseMatcher {
    /// Sorted; empty: any product.
    products: Box<[String]>,
    min: Option<Amount>,
    max: Option<Amount>,
    /// The currency the amounts are in; `None` when there is nothing to compare.
    currency: Option<Currency>,
    tenant_currency: Currency,
}

/// The amount of a payment, if it has one that can be held exactly.
pub(super) fn amount_of(properties: &Json) -> Result<Amount, Reason> {
    let value = properties.present("amount").ok_or(Reason::AmountMissing)?;
    let text = value.number_text().or(value.as_str()).ok_or(Reason::AmountInvalid)?;
    Amount::parse(text).map_err(|_| Reason::AmountInvalid)
}

impl PurchaseMatcher {
    pub(super) fn verdict(&self, properties: &Json) -> Result<(), Reason> {
        let amount = amount_of(properties)?;
        if !amount.is_positive() {
            return Err(Reason::AmountNotPositive);
        }
        if !self.products.is_empty() {
            let product = properties.get("product_id").and_then(Json::as_str).ok_or(Reason::ProductDiffers)?;
            if self.products.binary_search_by(|known| known.as_str().cmp(product)).is_err() {
                return Err(Reason::ProductDiffers);
            }
        }
        if self.currency.is_some_and(|wanted| self.paid_in(properties) != Some(wanted)) {
            return Err(Reason::CurrencyMismatch);
        }
        if self.min.is_some_and(|min| amount < min) {
            return Err(Reason::AmountBelowMin);
        }
        if self.max.is_some_and(|max| amount > max) {
            return Err(Reason::AmountAboveMax);
        }
        Ok(())
    }

    /// The currency of a payment, the tenant's when it names none; `None` when it names no currency.
    fn paid_in(&self, properties: &Json) -> Option<Currency> {
        match properties.present("currency") {
            None => Some(self.tenant_currency),
            Some(value) => Currency::parse(value.as_str()?.trim()).ok(),
        }
    }

    pub(super) fn products(&self) -> &[String] {
        &self.products
    }

    pub(super) fn min(&self) -> Amount {
        self.min.unwrap_or(Amount::ZERO)
    }
}
