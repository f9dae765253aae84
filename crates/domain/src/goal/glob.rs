//! Anchored globs: `*` any run, `?` one character, `\` takes the next one literally. Matching takes
//! time linear in the text, whatever the pattern: all positions are kept at once as bits of one word.

/// Longest pattern, in characters.
pub const MAX_CHARS: usize = 128;

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGlob {
    #[error("must be at most {MAX_CHARS} characters")]
    TooLong,
    #[error("must contain at least one literal character")]
    NoLiteral,
    #[error("must not end in a lone backslash")]
    LoneBackslash,
}

/// A compiled pattern. State `i` (bit `i`) means: the first `i` consuming tokens have matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// For each literal, sorted: the states it leads on from.
    literals: Box<[(char, u128)]>,
    /// States that any character leads on from: the places of `?`.
    any: u128,
    /// States that any character keeps: the places of `*`.
    stay: u128,
    /// Whether the end of the pattern is a `*`.
    open_end: bool,
    /// How many tokens consume a character; 1–128.
    tokens: u32,
    /// The literal text every match begins with.
    prefix: Box<str>,
}

impl Glob {
    /// Compiles a pattern of at most 128 characters with at least one literal.
    ///
    /// # Errors
    /// Which rule it breaks.
    pub fn parse(pattern: &str) -> Result<Glob, InvalidGlob> {
        if pattern.chars().count() > MAX_CHARS {
            return Err(InvalidGlob::TooLong);
        }
        let mut literals: Vec<(char, u128)> = Vec::new();
        let (mut any, mut stay, mut tokens, mut open_end) = (0_u128, 0_u128, 0_u32, false);
        let mut prefix = String::new();
        let mut in_prefix = true;
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            // A `*` takes a character of its own, so with one there are at most 127 others.
            let state = 1_u128.checked_shl(tokens).unwrap_or(0);
            open_end = character == '*';
            match character {
                '*' => {
                    stay |= state;
                    in_prefix = false;
                }
                '?' => {
                    any |= state;
                    tokens += 1;
                    in_prefix = false;
                }
                other => {
                    let literal =
                        if other == '\\' { characters.next().ok_or(InvalidGlob::LoneBackslash)? } else { other };
                    match literals.iter_mut().find(|(known, _)| *known == literal) {
                        Some((_, states)) => *states |= state,
                        None => literals.push((literal, state)),
                    }
                    tokens += 1;
                    if in_prefix {
                        prefix.push(literal);
                    }
                }
            }
        }
        if literals.is_empty() {
            return Err(InvalidGlob::NoLiteral);
        }
        literals.sort_unstable_by_key(|(literal, _)| *literal);
        Ok(Glob { literals: literals.into(), any, stay, open_end, tokens, prefix: prefix.into() })
    }

    /// Whether the pattern describes the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let last = self.tokens - 1;
        let (mut states, mut complete) = (1_u128, false);
        for character in text.chars() {
            let literal = match self.literals.binary_search_by_key(&character, |(known, _)| *known) {
                Ok(index) => self.literals[index].1,
                Err(_) => 0,
            };
            let forward = states & (literal | self.any);
            complete = (forward >> last) & 1 == 1 || (complete && self.open_end);
            states = (forward & !(1 << last)) << 1 | (states & self.stay);
        }
        complete
    }

    /// The literal text that every match begins with; may be empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    /// The definition, word by word, with all its exponential glory.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            ['?', rest @ ..] => !text.is_empty() && naive(rest, &text[1..]),
            ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
                text.first() == Some(literal) && naive(rest, &text[1..])
            }
        }
    }

    #[test]
    fn examples() {
        for (pattern, text, expected) in [
            ("VIP*", "VIP", true),
            ("VIP*", "VIP gold", true),
            ("VIP*", "a VIP", false),
            ("*VIP", "a VIP", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a\\*c", "a*c", true),
            ("a\\*c", "abc", false),
            ("a\\\\", "a\\", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("ü?", "üß", true),
            ("a", "", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert_eq!(Glob::parse("ab?c*").unwrap().prefix(), "ab");
        assert_eq!(Glob::parse("\\*x").unwrap().prefix(), "*x");
        assert_eq!(Glob::parse("*x").unwrap().prefix(), "");
    }

    #[test]
    fn refusals() {
        for (pattern, error) in [
            ("", InvalidGlob::NoLiteral),
            ("*", InvalidGlob::NoLiteral),
            ("?*?", InvalidGlob::NoLiteral),
            ("a\\", InvalidGlob::LoneBackslash),
            (&"a".repeat(129), InvalidGlob::TooLong),
        ] {
            assert_eq!(Glob::parse(pattern), Err(error), "{pattern}");
        }
        let longest = "a".repeat(128);
        assert!(Glob::parse(&longest).unwrap().matches(&longest));
        assert!(!Glob::parse(&longest).unwrap().matches(&"a".repeat(129)));
        assert!(!Glob::parse(&longest).unwrap().matches(&"a".repeat(127)));
        let open = format!("{}*", "a".repeat(127));
        assert!(Glob::parse(&open).unwrap().matches(&"a".repeat(500)));
        assert!(!Glob::parse(&open).unwrap().matches(&"a".repeat(126)));
    }

    #[test]
    fn no_pattern_is_slow() {
        // Exponential by backtracking; a million characters here must not be felt.
        let pattern = format!("{}b", "a*".repeat(60));
        let text = "a".repeat(1_000_000);
        assert!(!Glob::parse(&pattern).unwrap().matches(&text));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?\\\\]{0,9}", text in "[ab*]{0,9}") {
            let characters: Vec<char> = pattern.chars().collect();
            let subject: Vec<char> = text.chars().collect();
            if let Ok(glob) = Glob::parse(&pattern) {
                prop_assert_eq!(glob.matches(&text), naive(&characters, &subject));
                prop_assert!(!glob.matches(&text) || text.starts_with(glob.prefix()));
            }
        }
    }
}
