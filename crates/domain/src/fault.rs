//! One fault found in given data: a stable code, where it stands, and a sentence.

use std::fmt;

/// A fault in one field. `code` is stable and `snake_case`; `pointer` is an RFC 6901 JSON pointer
/// (empty for the whole value); `message` is for people and never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: &'static str,
    pub pointer: String,
    pub message: String,
}

impl Fault {
    /// A fault of the value itself; callers that know where it stands add [`Fault::within`].
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Fault { code, pointer: String::new(), message: message.into() }
    }

    /// A fault of the member `key` of the value at hand.
    #[must_use]
    pub fn at(key: &str, code: &'static str, message: impl Into<String>) -> Self {
        Fault::new(code, message).within(key)
    }

    /// Puts `segment` (an object key or an array index) in front of the pointer.
    #[must_use]
    pub fn within(mut self, segment: &str) -> Self {
        let mut pointer = String::with_capacity(1 + segment.len() + self.pointer.len());
        pointer.push('/');
        for character in segment.chars() {
            match character {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                other => pointer.push(other),
            }
        }
        pointer.push_str(&self.pointer);
        self.pointer = pointer;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            write!(f, "{}", self.message)
        } else {
            write!(f, "{}: {}", self.pointer, self.message)
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_grow_from_the_inside_and_are_escaped() {
        let fault = Fault::at("a/b", "invalid_type", "must be a string").within("0").within("x~y");
        assert_eq!(fault.pointer, "/x~0y/0/a~1b");
        assert_eq!(fault.to_string(), "/x~0y/0/a~1b: must be a string");
    }
}
