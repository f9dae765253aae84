//! Money as exact decimals, read from the text it was written in. Never a float.

use std::fmt;

use rust_decimal::Decimal;

use crate::number;

/// Longest text of an amount.
const MAX_BYTES: usize = 64;

/// An exact amount. Ordered by value: `100` equals `100.00`. The text it came from is kept by whoever
/// holds the JSON; [`Amount::canonical`] is the value's one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    #[error("must be a number or a decimal string such as 100.00")]
    NotANumber,
    #[error("cannot be held exactly: at most 28 significant digits")]
    NotExact,
}

impl Amount {
    /// Zero.
    pub const ZERO: Amount = Amount(Decimal::ZERO);

    /// Reads a number by the grammar of JSON: `150`, `150.00`, `1.5e2`, `-3`; no sign `+`, no spaces,
    /// no separators.
    ///
    /// # Errors
    /// Not a number, or one that a 96-bit decimal with at most 28 fraction digits does not hold exactly.
    pub fn parse(text: &str) -> Result<Amount, InvalidAmount> {
        if text.len() > MAX_BYTES {
            return Err(InvalidAmount::NotExact);
        }
        if !number::is_number(text) {
            return Err(InvalidAmount::NotANumber);
        }
        if number::check(text).is_err_and(|fault| fault.code == "number_out_of_range") {
            return Err(InvalidAmount::NotExact);
        }
        Decimal::from_str_exact(&number::canonical(text))
            .map(Amount)
            .map_err(|_| InvalidAmount::NotExact)
    }

    /// Whether it is greater than zero.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > Decimal::ZERO
    }

    /// The exact value.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// The value's one spelling, without needless zeros: `100` for `100.00`.
    #[must_use]
    pub fn canonical(self) -> String {
        self.0.normalize().to_string()
    }

    /// Digits behind the point that the value needs: none for `100.00`.
    #[must_use]
    pub fn fraction_digits(self) -> u32 {
        self.0.normalize().scale()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.canonical())
    }
}
