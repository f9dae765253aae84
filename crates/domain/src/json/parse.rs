//! The parser: RFC 8259, bounded, one pass, no recursion beyond the allowed depth.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Json, Limits, written_len};
use crate::fault::Fault;
use crate::number;

/// Objects up to this many members are searched for duplicates pair by pair.
const FEW_MEMBERS: usize = 24;

/// Parses one value and nothing after it.
pub(super) fn document(text: &str, limits: &Limits) -> Result<Json, Fault> {
    let mut parser = Parser::new(text, limits);
    let value = parser.value(1)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.syntax("trailing characters"));
    }
    Ok(value)
}

/// Takes an object apart into its keys and the raw texts of its values, which are only delimited,
/// not checked: each is to be parsed on its own, under its own limits. Not recursive.
pub(crate) fn split_object<'t>(text: &'t str, limits: &Limits) -> Result<Vec<(String, &'t str)>, Fault> {
    let mut parser = Parser::new(text, limits);
    parser.skip_space();
    if parser.peek() != Some(b'{') {
        // Tell a well-formed value of another type from text that is no JSON at all.
        let value = document(text, limits)?;
        return Err(Fault::new("invalid_type", format!("must be an object, not {}", value.type_name())));
    }
    parser.at += 1;
    let mut members: Vec<(String, &'t str)> = Vec::new();
    let mut more = parser.first_member()?;
    while more {
        let key = parser.key()?;
        parser.skip_space();
        let raw = parser.raw_value()?;
        members.push((key, raw));
        more = parser.next_member(b'}')?;
    }
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.syntax("trailing characters"));
    }
    refuse_duplicates(&members)?;
    Ok(members)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    limits: Limits,
    bytes: usize,
    keys: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, limits: &Limits) -> Self {
        Parser { text, at: 0, limits: *limits, bytes: 0, keys: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn syntax(&self, what: &str) -> Fault {
        Fault::new("invalid_json", format!("{what} at byte {}", self.at))
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes += bytes;
        if self.bytes > self.limits.max_bytes {
            return Err(Fault::new("too_large", format!("is larger than {} bytes", self.limits.max_bytes)));
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let text = self.string()?;
                self.charge(written_len(&text))?;
                Ok(Json::String(text.into_owned()))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.syntax("unexpected character")),
            None => Err(self.syntax("unexpected end")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax("unexpected character"));
        }
        self.at += word.len();
        self.charge(word.len())?;
        Ok(value)
    }

    fn number(&mut self) -> Result<Json, Fault> {
        let from = self.at;
        while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.peek() {
            self.at += 1;
        }
        let text = &self.text[from..self.at];
        self.charge(text.len())?;
        number::check(text)?;
        Ok(Json::Number(text.into()))
    }

    fn enter(&self, depth: usize) -> Result<(), Fault> {
        if depth > self.limits.max_depth {
            return Err(Fault::new("too_deep", format!("nests deeper than {} levels", self.limits.max_depth)));
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Json, Fault> {
        self.enter(depth)?;
        self.at += 1;
        self.charge(2)?;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            let item = self.value(depth + 1).map_err(|fault| fault.within(&items.len().to_string()))?;
            items.push(item);
            if !self.next_member(b']')? {
                return Ok(Json::Array(items));
            }
            self.charge(1)?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Fault> {
        self.enter(depth)?;
        self.at += 1;
        self.charge(2)?;
        let mut members = Vec::new();
        let mut more = self.first_member()?;
        while more {
            let key = self.key()?;
            let value = match self.value(depth + 1) {
                Ok(value) => value,
                Err(fault) => return Err(fault.within(&key)),
            };
            members.push((key, value));
            more = self.next_member(b'}')?;
            self.charge(usize::from(more))?;
        }
        refuse_duplicates(&members)?;
        Ok(Json::Object(members))
    }

    /// Behind `{`: whether a member follows; if not, the closing brace is taken.
    fn first_member(&mut self) -> Result<bool, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(true),
            Some(b'}') => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.syntax("expected a key or '}'")),
        }
    }

    /// Behind a value: takes a comma (and says there is more) or `close`.
    fn next_member(&mut self, close: u8) -> Result<bool, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.syntax("expected ',' or the end of the collection")),
        }
    }

    fn key(&mut self) -> Result<String, Fault> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.syntax("expected a key"));
        }
        self.keys += 1;
        if self.keys > self.limits.max_keys {
            return Err(Fault::new("too_many_keys", format!("has more than {} keys", self.limits.max_keys)));
        }
        let key = self.string()?.into_owned();
        self.charge(written_len(&key) + 1)?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.syntax("expected ':'"));
        }
        self.at += 1;
        Ok(key)
    }

    /// At the opening quote: the decoded string, borrowed when nothing was escaped.
    fn string(&mut self) -> Result<Cow<'t, str>, Fault> {
        self.at += 1;
        let mut decoded: Option<String> = None;
        let mut clean_from = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let clean = &self.text[clean_from..self.at];
                    self.at += 1;
                    let text = match decoded {
                        None => Cow::Borrowed(clean),
                        Some(mut text) => {
                            text.push_str(clean);
                            Cow::Owned(text)
                        }
                    };
                    return self.bounded(text);
                }
                Some(b'\\') => {
                    let text = decoded.get_or_insert_default();
                    text.push_str(&self.text[clean_from..self.at]);
                    let character = self.escaped()?;
                    decoded.get_or_insert_default().push(character);
                    clean_from = self.at;
                }
                Some(0..=0x1f) => return Err(self.syntax("control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.syntax("string without end")),
            }
        }
    }

    fn bounded(&self, text: Cow<'t, str>) -> Result<Cow<'t, str>, Fault> {
        if text.len() > self.limits.max_string_bytes {
            let limit = self.limits.max_string_bytes;
            return Err(Fault::new("too_long", format!("holds a string longer than {limit} bytes")));
        }
        Ok(text)
    }

    /// At a backslash: the character it stands for.
    fn escaped(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let Some(kind) = self.peek() else {
            return Err(self.syntax("string without end"));
        };
        self.at += 1;
        Ok(match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.syntax("unknown escape")),
        })
    }

    fn unicode(&mut self) -> Result<char, Fault> {
        let lone = || Fault::new("lone_surrogate", "holds half of a surrogate pair");
        let first = self.hex4()?;
        let scalar = match first {
            0xd800..=0xdbff => {
                if !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
                    return Err(lone());
                }
                self.at += 2;
                let second = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(lone());
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            0 => return Err(Fault::new("nul_character", "holds a NUL character")),
            other => other,
        };
        char::from_u32(scalar).ok_or_else(lone)
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let value = digits.and_then(|digits| {
            digits.iter().try_fold(0_u32, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
        });
        match value {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => Err(self.syntax("expected four hexadecimal digits")),
        }
    }

    /// The raw text of the value at hand: delimited by its quotes or brackets, not checked further.
    fn raw_value(&mut self) -> Result<&'t str, Fault> {
        let from = self.at;
        let mut open = 0_usize;
        loop {
            match self.peek() {
                None => return Err(self.syntax("unexpected end")),
                Some(b'"') => self.skip_string()?,
                Some(b'{' | b'[') => {
                    open += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if open > 0 => {
                    open -= 1;
                    self.at += 1;
                }
                Some(b',' | b'}' | b']') if open == 0 => {
                    return Err(self.syntax("expected a value"));
                }
                Some(_) => self.at += 1,
            }
            if open == 0 && matches!(self.peek(), Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') | None) {
                return Ok(&self.text[from..self.at]);
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(self.syntax("string without end")),
            }
        }
    }
}

fn refuse_duplicates<V>(members: &[(String, V)]) -> Result<(), Fault> {
    let duplicate = if members.len() <= FEW_MEMBERS {
        members
            .iter()
            .enumerate()
            .find(|(index, (key, _))| members[..*index].iter().any(|(earlier, _)| earlier == key))
            .map(|(_, (key, _))| key)
    } else {
        let mut seen = HashSet::with_capacity(members.len());
        members.iter().map(|(key, _)| key).find(|key| !seen.insert(key.as_str()))
    };
    match duplicate {
        Some(key) => Err(Fault::at(key, "duplicate_key", "stands twice in one object")),
        None => Ok(()),
    }
}
