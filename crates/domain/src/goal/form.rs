//! `form_submitted`: one of some forms, or any.

use super::fields::{Fields, conflicting, empty};
use super::{Reason, Reference, ReferenceKind};
use crate::fault::Fault;
use crate::json::Json;

/// Which forms are wanted: sorted; empty: any. Compiled as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormRule {
    pub(super) forms: Vec<String>,
}

impl FormRule {
    pub(super) fn parse(criteria: &Json) -> Result<Self, Fault> {
        let fields = Fields::of(criteria, &["any_form", "form_id", "form_ids"])?;
        let any = fields.flag("any_form")?;
        let forms = fields.ids("form_id", "form_ids")?;
        if any && !forms.is_empty() {
            let key = if fields.value("form_id").is_some() { "form_id" } else { "form_ids" };
            return Err(conflicting(key, "conflicts with any_form: true"));
        }
        if !any && forms.is_empty() {
            return Err(empty());
        }
        Ok(FormRule { forms })
    }

    pub(super) fn canonical(&self) -> Vec<(&'static str, Json)> {
        if self.forms.is_empty() {
            return vec![("any_form", Json::Bool(true))];
        }
        vec![("form_ids", Json::Array(self.forms.iter().map(|id| Json::from(id.as_str())).collect()))]
    }

    pub(super) fn references(&self) -> Vec<Reference> {
        self.forms.iter().map(|id| Reference { kind: ReferenceKind::Form, id: id.clone() }).collect()
    }

    pub(super) fn verdict(&self, properties: &Json) -> Result<(), Reason> {
        if self.forms.is_empty() {
            return Ok(());
        }
        let form = properties.get("form_id").and_then(Json::as_str).ok_or(Reason::FormDiffers)?;
        match self.forms.binary_search_by(|known| known.as_str().cmp(form)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Reason::FormDiffers),
        }
    }
}
