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
        Decimal::from_str_exact(&number::canonical(text)).map(Amount).map_err(|_| InvalidAmount::NotExact)
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

/// A currency by its three-letter code, upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Not three ASCII letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a three-letter currency code such as USD")]
pub struct InvalidCurrency;

/// Codes of ISO 4217 by the digits of their minor unit.
const NO_DIGITS: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
const THREE_DIGITS: &str = "BHD IQD JOD KWD LYD OMR TND";
const FOUR_DIGITS: &str = "CLF UYW";
const TWO_DIGITS: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD \
    BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP \
    GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL \
    MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR \
    PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD \
    TWD TZS UAH USD USN UYU UZS VED VES WST XCD YER ZAR ZMW ZWG";

impl Currency {
    /// No currency: nothing that can be read equals it.
    pub(crate) const NONE: Currency = Currency(*b"---");

    /// Reads a code in either case.
    ///
    /// # Errors
    /// Not three ASCII letters.
    pub fn parse(text: &str) -> Result<Currency, InvalidCurrency> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_alphabetic) => {
                Ok(Currency(code.map(|byte| byte.to_ascii_uppercase())))
            }
            _ => Err(InvalidCurrency),
        }
    }

    /// The code, upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Three ASCII letters by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits of the minor unit by ISO 4217; `None` for codes that are not listed there or have none.
    #[must_use]
    pub fn fraction_digits(&self) -> Option<u32> {
        let lists = [(NO_DIGITS, 0), (TWO_DIGITS, 2), (THREE_DIGITS, 3), (FOUR_DIGITS, 4)];
        lists
            .into_iter()
            .find_map(|(codes, digits)| codes.split(' ').any(|code| code == self.as_str()).then_some(digits))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    #[test]
    fn the_boundary_is_exact() {
        assert!(amount("99.999999999999999999") < amount("100"));
        assert!(amount("99.99") < amount("100.00") && amount("100.00") < amount("100.01"));
        assert_eq!(amount("100.00"), amount("1e2"));
        assert_eq!(amount("100.00").canonical(), "100");
        assert_eq!(amount("0.10").fraction_digits(), 1);
        assert!(!amount("0.00").is_positive() && !amount("-0").is_positive() && !amount("-1").is_positive());
    }

    #[test]
    fn what_is_no_amount_or_not_exact_is_refused() {
        for bad in
            ["", " 1", "1 ", "+1", "1,5", "1_000", "$5", "NaN", "Infinity", "0x10", "1.", ".5", "01", "1e", "\u{661}"]
        {
            assert_eq!(Amount::parse(bad), Err(InvalidAmount::NotANumber), "{bad:?}");
        }
        for inexact in [
            "1e200",
            "79228162514264337593543950336",
            "0.00000000000000000000000000001",
            "12345678901234567890.1234567891",
            &"9".repeat(80),
        ] {
            assert_eq!(Amount::parse(inexact), Err(InvalidAmount::NotExact), "{inexact}");
        }
        // Needless zeros cost nothing.
        assert_eq!(amount("1.0000000000000000000000000000000000"), amount("1"));
    }

    #[test]
    fn currencies_know_their_digits() {
        let digits = |code: &str| Currency::parse(code).unwrap().fraction_digits();
        assert_eq!(digits("usd"), Some(2));
        assert_eq!(digits("JPY"), Some(0));
        assert_eq!(digits("KWD"), Some(3));
        assert_eq!(digits("CLF"), Some(4));
        assert_eq!(digits("BTC"), None);
        assert_eq!(digits("XAU"), None);
        for bad in ["", "US", "USDT", "U$D", "ÄB"] {
            assert!(Currency::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// The oracle: both amounts as integers of 10^-12.
        #[test]
        fn order_is_that_of_big_integers(
            a in -1_000_000_000_000_i128..1_000_000_000_000, b in -1_000_000_000_000_i128..1_000_000_000_000,
            scale_a in 0_usize..12, scale_b in 0_usize..12, near in any::<bool>(),
        ) {
            let written = |units: i128, scale: usize| {
                let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                let sign = if units < 0 { "-" } else { "" };
                if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
            };
            let scaled = |units: i128, scale: usize| units * 10_i128.pow(u32::try_from(12 - scale).unwrap());
            let (b, scale_b) = if near { (a + (b % 2), scale_a) } else { (b, scale_b) };
            let (text_a, text_b) = (written(a, scale_a), written(b, scale_b));
            let expected = scaled(a, scale_a).cmp(&scaled(b, scale_b));
            prop_assert_eq!(amount(&text_a).cmp(&amount(&text_b)), expected, "{} {}", text_a, text_b);
            prop_assert_eq!(number::compare(&text_a, &text_b), Some(expected));
        }

        /// Whatever is taken keeps its exact value: its canonical text is that of the digits given.
        #[test]
        fn nothing_is_rounded(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9])?") {
            if let Ok(amount) = Amount::parse(&text) {
                prop_assert_eq!(amount.canonical(), number::canonical(&text));
            }
        }
    }
}
