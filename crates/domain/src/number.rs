//! JSON numbers as exact decimal text: grammar, bounds, plain and canonical form, comparison.
//!
//! No value ever passes through a float. The bounds are closed under what PostgreSQL's `jsonb` does
//! to a number (it writes exponents out), so whatever was accepted can be read back.

use std::cmp::Ordering;

use crate::fault::Fault;

/// Largest exponent, either sign, that a number may be written with.
pub const MAX_EXPONENT: i32 = 30;
/// Most digits a number may have once its exponent is written out.
pub const MAX_DIGITS: usize = 64;

/// A number literal taken apart: `[-]int[.fraction][e exponent]`.
#[derive(Debug, Clone, Copy)]
struct Parts<'t> {
    negative: bool,
    int: &'t str,
    fraction: &'t str,
    exponent: i32,
}

impl<'t> Parts<'t> {
    /// Takes `text` apart, or `None` when it is not a number by RFC 8259.
    fn of(text: &'t str) -> Option<Parts<'t>> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (int, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(pair) => pair,
            None => (mantissa, ""),
        };
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let well_formed =
            !int.is_empty() && digits_only(int) && digits_only(fraction) && (int.len() == 1 || !int.starts_with('0'));
        well_formed.then_some(Parts { negative, int, fraction, exponent })
    }

    /// Digits behind the point once the exponent is written out; 0 makes it an integer.
    fn scale(&self) -> usize {
        usize::try_from(signed(self.fraction.len()) - i64::from(self.exponent)).unwrap_or(0)
    }

    /// All digits of the mantissa, most significant first.
    fn digits(&self) -> impl Iterator<Item = u8> + Clone + 't {
        self.int.bytes().chain(self.fraction.bytes())
    }

    fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == b'0')
    }

    /// Significant digits without leading and trailing zeros, and the power of ten of the first one's
    /// place plus one: the value is `0.digits × 10^point`.
    fn normal(&self) -> (String, i64) {
        let digits: String = self.digits().map(char::from).collect();
        let stripped = digits.trim_start_matches('0');
        let point = signed(self.int.len()) + i64::from(self.exponent) - signed(digits.len() - stripped.len());
        (stripped.trim_end_matches('0').to_owned(), point)
    }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // An absurd exponent saturates; `check` refuses it long before it could matter.
    let magnitude = digits.parse::<i32>().unwrap_or(i32::MAX / 2).min(i32::MAX / 2);
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// Whether `text` is a number by RFC 8259.
#[must_use]
pub fn is_number(text: &str) -> bool {
    Parts::of(text).is_some()
}

/// Checks a number literal's bounds: exponents within ±30, at most 64 digits when written out,
/// integers within `i64`.
///
/// # Errors
/// `invalid_json`, `number_out_of_range` or `integer_out_of_range`.
pub fn check(text: &str) -> Result<(), Fault> {
    let bytes = text.as_bytes();
    if bytes.len() <= 18
        && bytes.iter().all(u8::is_ascii_digit)
        && (bytes.len() == 1 || bytes.first() != Some(&b'0'))
        && !bytes.is_empty()
    {
        return Ok(()); // the common case: a short integer
    }
    let Some(parts) = Parts::of(text) else {
        return Err(Fault::new("invalid_json", "is not a JSON number"));
    };
    if parts.exponent.abs() > MAX_EXPONENT || plain_digits(&parts) > MAX_DIGITS {
        return Err(Fault::new(
            "number_out_of_range",
            format!("has an exponent beyond {MAX_EXPONENT} or more than {MAX_DIGITS} digits"),
        ));
    }
    if parts.scale() == 0 && plain(text).parse::<i64>().is_err() {
        return Err(Fault::new("integer_out_of_range", "is an integer outside 64 bits"));
    }
    Ok(())
}

fn plain_digits(parts: &Parts<'_>) -> usize {
    let scale = parts.scale();
    let whole = signed(parts.int.len()) + i64::from(parts.exponent);
    scale + usize::try_from(whole.max(1)).unwrap_or(usize::MAX / 2)
}

/// The number without an exponent, every written digit kept: `1.50e1` is `15.0`, as PostgreSQL's
/// `jsonb` prints it. Not a number: returned unchanged. Call only on what [`check`] accepted.
#[must_use]
pub fn plain(text: &str) -> String {
    let Some(parts) = Parts::of(text) else {
        return text.to_owned();
    };
    if parts.exponent.unsigned_abs() > 1_000 {
        return text.to_owned();
    }
    let (mut whole, mut fraction) = (parts.int.to_owned(), parts.fraction.to_owned());
    for _ in 0..parts.exponent {
        whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    for _ in parts.exponent..0 {
        fraction.insert(0, whole.pop().unwrap_or('0'));
    }
    let whole = whole.trim_start_matches('0');
    let sign = if parts.negative && !parts.is_zero() { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The one spelling of the number's value: plain, no needless zeros, no negative zero.
/// `100`, `100.00` and `1e2` are all `100`.
#[must_use]
pub fn canonical(text: &str) -> String {
    let mut plain = plain(text);
    if plain.contains('.') {
        plain.truncate(plain.trim_end_matches('0').trim_end_matches('.').len());
    }
    if plain == "-0" { "0".to_owned() } else { plain }
}

/// Compares two number literals by exact value; `None` when either is not a number.
#[must_use]
pub fn compare(left: &str, right: &str) -> Option<Ordering> {
    let (a, b) = (Parts::of(left)?, Parts::of(right)?);
    let sign = |parts: &Parts<'_>| match (parts.is_zero(), parts.negative) {
        (true, _) => 0_i8,
        (false, true) => -1,
        (false, false) => 1,
    };
    let (sign_a, sign_b) = (sign(&a), sign(&b));
    if sign_a != sign_b || sign_a == 0 {
        return Some(sign_a.cmp(&sign_b));
    }
    let ((digits_a, point_a), (digits_b, point_b)) = (a.normal(), b.normal());
    // Digits start with a non-zero one, so text order is value order at equal points.
    let magnitude = point_a.cmp(&point_b).then_with(|| digits_a.cmp(&digits_b));
    Some(if sign_a < 0 { magnitude.reverse() } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_is_that_of_json() {
        for good in ["0", "-0", "1", "10.50", "1e3", "1E+3", "1.5e-3", "0.0"] {
            assert!(is_number(good), "{good}");
        }
        for bad in [
            "", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", "NaN", "Infinity", "1 ", "1_0", "--1", "1.5.2", "00",
            "1e1.5",
        ] {
            assert!(!is_number(bad), "{bad}");
        }
    }

    #[test]
    fn bounds_have_their_codes() {
        for good in ["9223372036854775807", "-9223372036854775808", "1e18", "1e-30", "99999999999999999999.5", "1.50e1"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, code) in [
            ("9223372036854775808", "integer_out_of_range"),
            ("-9223372036854775809", "integer_out_of_range"),
            ("1e19", "integer_out_of_range"),
            ("1.0e25", "integer_out_of_range"),
            ("1e200000", "number_out_of_range"),
            ("1e31", "number_out_of_range"),
            ("1e-31", "number_out_of_range"),
            ("1e99999999999999999999", "number_out_of_range"),
            ("0e-99999999999999999999", "number_out_of_range"),
            ("01", "invalid_json"),
        ] {
            assert_eq!(check(bad).map_err(|fault| fault.code), Err(code), "{bad}");
        }
        assert!(check(&format!("0.{}", "1".repeat(63))).is_ok());
        assert_eq!(check(&format!("0.{}", "1".repeat(64))).map_err(|f| f.code), Err("number_out_of_range"));
    }

    #[test]
    fn plain_keeps_digits_and_canonical_drops_needless_ones() {
        for (text, plain_text, canonical_text) in [
            ("100.00", "100.00", "100"),
            ("1e2", "100", "100"),
            ("1.50e1", "15.0", "15"),
            ("-0", "0", "0"),
            ("-0.00", "0.00", "0"),
            ("12e-3", "0.012", "0.012"),
            ("1.5", "1.5", "1.5"),
            ("0.10", "0.10", "0.1"),
            ("-1.20e-1", "-0.120", "-0.12"),
            ("100", "100", "100"),
        ] {
            assert_eq!(plain(text), plain_text, "{text}");
            assert_eq!(canonical(text), canonical_text, "{text}");
        }
    }

    #[test]
    fn comparison_is_exact() {
        assert_eq!(compare("99.999999999999999999", "100"), Some(Ordering::Less));
        assert_eq!(compare("100.00", "1e2"), Some(Ordering::Equal));
        assert_eq!(compare("-2", "-10"), Some(Ordering::Greater));
        assert_eq!(compare("0", "-0.0"), Some(Ordering::Equal));
        assert_eq!(compare("9007199254740993", "9007199254740992"), Some(Ordering::Greater));
        assert_eq!(compare("0.5", "0.05"), Some(Ordering::Greater));
        assert_eq!(compare("x", "1"), None);
    }
}
