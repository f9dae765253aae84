//! Looks for e-mail addresses, phone numbers and card numbers in a text. Most texts cannot hold any: that is seen in one pass over
//! their bytes, and nothing else is asked of them.

use super::{Kind, REDACTED, digits, email};

/// Fewer digits are no phone number.
pub(super) const MIN_PHONE_DIGITS: usize = 7;

/// What a text has of what personal data and URLs are made of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    digits: usize,
    /// `@`, or a percent sign that may begin an escaped one.
    at: bool,
    colon: bool,
    /// `?` or `#`.
    query: bool,
}

const DIGIT: u8 = 1;
const AT: u8 = 2;
const COLON: u8 = 4;
const QUERY: u8 = 8;

/// What each byte is, so that a text is looked at without a branch.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        classes[digit as usize] = DIGIT;
        digit += 1;
    }
    classes[b'@' as usize] = AT;
    classes[b'%' as usize] = AT;
    classes[b':' as usize] = COLON;
    classes[b'?' as usize] = QUERY;
    classes[b'#' as usize] = QUERY;
    classes
}

impl Marks {
    pub(super) fn of(text: &str) -> Marks {
        let (mut digits, mut all) = (0, 0);
        for byte in text.bytes() {
            let class = CLASSES[usize::from(byte)];
            digits += usize::from(class & DIGIT);
            all |= class;
        }
        Marks { digits, at: all & AT != 0, colon: all & COLON != 0, query: all & QUERY != 0 }
    }

    /// Whether an e-mail address, a phone number or a card number may be in it.
    pub(super) fn may_tell_a_person(self) -> bool {
        self.at || self.digits >= MIN_PHONE_DIGITS
    }

    /// Whether it may be a URL of which something is taken.
    pub(super) fn may_be_url(self) -> bool {
        self.query || (self.colon && self.at)
    }
}

/// Something personal in a text, by bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kind: Kind,
}

/// All that is personal in `text`, in its order, no two of it overlapping.
pub(super) fn find(text: &str, marks: Marks) -> Vec<Span> {
    let mut found = Vec::new();
    if marks.at {
        email::find(text, &mut found);
    }
    if marks.digits >= MIN_PHONE_DIGITS {
        digits::find(text, &mut found);
    }
    found.sort_by_key(|span| span.from);
    let mut apart: Vec<Span> = Vec::with_capacity(found.len());
    for span in found {
        match apart.last_mut() {
            Some(last) if span.from < last.to => last.to = last.to.max(span.to),
            _ => apart.push(span),
        }
    }
    apart
}

/// `text` with [`REDACTED`] in each of these places.
pub(super) fn without(text: &str, found: &[Span]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    for span in found {
        clean.push_str(&text[at..span.from]);
        clean.push_str(REDACTED);
        at = span.to;
    }
    clean.push_str(&text[at..]);
    clean
}

/// `text` without e-mail addresses, phone numbers and card numbers: for what is logged or told.
#[must_use]
pub fn clean(text: &str) -> String {
    without(text, &find(text, Marks::of(text)))
}
