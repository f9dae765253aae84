//! Names that people type, and when two of them are the same.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

/// A name as it is compared: trimmed, Unicode normalised (NFC), case folded. Idempotent.
#[must_use]
pub fn fold_name(name: &str) -> String {
    fold_text(name.trim())
}

/// [`fold_name`] without the trimming.
pub(super) fn fold_text(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Decomposed first, as canonical caseless matching wants it (Unicode, section 3.13).
    text.nfd().default_case_fold().nfc().collect()
}

/// A name as it is compared when case matters: trimmed and normalised only.
#[must_use]
pub fn exact_name(name: &str) -> String {
    name.trim().nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_composition_and_outer_space_do_not_matter() {
        for (a, b) in [
            ("Customer", " customer\t"),
            ("CAF\u{c9}", "cafe\u{301}"),
            ("Straße", "STRASSE"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("İ", "i\u{307}"),
        ] {
            assert_eq!(fold_name(a), fold_name(b), "{a} {b}");
        }
        assert_ne!(fold_name("VIP"), fold_name("V IP"));
        assert_ne!(exact_name("VIP"), exact_name("vip"));
        assert_eq!(exact_name(" cafe\u{301}"), "caf\u{e9}");
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(name in any::<String>()) {
            let once = fold_name(&name);
            prop_assert_eq!(fold_name(&once), once.as_str());
        }

        #[test]
        fn case_does_not_matter(name in "[a-zA-ZÀ-ÖØ-öø-ÿΑ-ΡΣ-Ωα-ωА-я ]{0,12}") {
            prop_assert_eq!(fold_name(&name.to_uppercase()), fold_name(&name));
            prop_assert_eq!(fold_name(&name.to_lowercase()), fold_name(&name));
        }
    }
}
