//! Finds phone numbers and card numbers. A text is read as runs of groups of digits with little between them; what begins at a group
//! is then tried. Ids that are UUIDs are passed over, dates and decimal numbers are no phone numbers, and plain digits are none either:
//! ids of a CRM are such.

use std::ops::RangeInclusive;

use super::Kind;
use super::find::{MIN_PHONE_DIGITS, Span};

const MAX_PHONE_DIGITS: usize = 15;
/// Fewest and most digits of a card number.
const CARD_DIGITS: RangeInclusive<usize> = 13..=19;
/// Most characters between two groups of one run.
const MAX_GAP_CHARS: usize = 3;
const UUID_BYTES: usize = 36;
/// Few runs have more.
const USUAL_GROUPS: usize = 8;

/// Digits beside each other, and what stands before them in the run.
#[derive(Debug, Clone, Copy)]
struct Group {
    from: usize,
    to: usize,
    gap: Gap,
}

#[derive(Debug, Clone, Copy, Default)]
struct Gap {
    spaced: bool,
    opens: bool,
    closes: bool,
    /// The character, where it is only one.
    only: Option<char>,
}

/// How a phone number is known as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `+49 30 123456`
    International,
    /// `(030) 123456`, `1 (555) 123-4567`
    Bracketed,
    /// `030 123456`, `0049 30 123456`
    Trunk,
    /// `555-123-4567`, `1-555-123-4567`: so many groups.
    ThreeThreeFour(usize),
}

/// Adds every phone number and card number in `text`.
pub(super) fn find(text: &str, found: &mut Vec<Span>) {
    let mut groups = Vec::with_capacity(USUAL_GROUPS);
    let mut at = 0;
    while let Some(offset) = text.as_bytes()[at..].iter().position(u8::is_ascii_digit) {
        at = read_run(text, at + offset, &mut groups);
        let run = Run { text, groups: &groups };
        let digits: usize = groups.iter().map(|group| group.to - group.from).sum();
        if digits < MIN_PHONE_DIGITS {
            continue;
        }
        let mut first = 0;
        while first < groups.len() {
            let card = run.card(first).map(|last| (groups[first].from, last, Kind::Card));
            let hit = card.or_else(|| run.phone(first).map(|(from, last)| (from, last, Kind::Phone)));
            first = match hit {
                Some((from, last, kind)) => {
                    found.push(Span { from, to: groups[last].to, kind });
                    last + 1
                }
                None => first + 1,
            };
        }
    }
}

/// Whether these plain digits are the number of a payment card.
pub(super) fn is_card(digits: &str) -> bool {
    let digits: Option<Vec<u8>> = digits.bytes().map(|byte| byte.is_ascii_digit().then(|| byte - b'0')).collect();
    digits.is_some_and(|digits| may_be_card(&digits))
}

fn may_be_card(digits: &[u8]) -> bool {
    CARD_DIGITS.contains(&digits.len()) && is_issued(digits) && passes_luhn(digits)
}

/// Reads the groups of the run that begins at `from`; where it ends. A UUID ends it, and is passed over.
fn read_run(text: &str, from: usize, groups: &mut Vec<Group>) -> usize {
    groups.clear();
    let bytes = text.as_bytes();
    let (mut at, mut gap) = (from, Gap::default());
    loop {
        if let Some(end) = uuid_around(bytes, at) {
            return end;
        }
        let to = bytes[at..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |len| at + len);
        groups.push(Group { from: at, to, gap });
        match next_group(&text[to..]) {
            Some((len, next)) => (at, gap) = (to + len, next),
            None => return to,
        }
    }
}

/// How far the next group of the run is, and what stands before it.
fn next_group(rest: &str) -> Option<(usize, Gap)> {
    let mut gap = Gap::default();
    for (count, (at, c)) in rest.char_indices().enumerate() {
        if c.is_ascii_digit() {
            return (count > 0).then_some((at, gap));
        }
        if count == MAX_GAP_CHARS || !(is_space(c) || is_dash(c) || matches!(c, '.' | '/' | '(' | ')')) {
            return None;
        }
        gap.spaced |= is_space(c);
        gap.opens |= c == '(';
        gap.closes |= c == ')';
        gap.only = (count == 0).then_some(c);
    }
    None
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}')
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Where the UUID ends in which the byte at `at` stands.
fn uuid_around(bytes: &[u8], at: usize) -> Option<usize> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let before = bytes[..at].iter().rev().take(UUID_BYTES).take_while(|byte| is_word(byte)).count();
    let from = at - before;
    let word = bytes.get(from..from + UUID_BYTES)?;
    let fits = word.iter().enumerate().all(|(position, byte)| match position {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let end = from + UUID_BYTES;
    (fits && !bytes.get(end).is_some_and(is_word)).then_some(end)
}

struct Run<'t> {
    text: &'t str,
    groups: &'t [Group],
}

impl Run<'_> {
    fn before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).map(|at| self.text.as_bytes()[at])
    }

    fn after(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The last group of the longest card number that begins with the group `first`.
    fn card(&self, first: usize) -> Option<usize> {
        let begins = match self.groups[first].gap.only {
            Some(only) => only != '.',
            None => first > 0 || !self.before(self.groups[first].from).is_some_and(|b| b.is_ascii_alphanumeric()),
        };
        if !begins {
            return None;
        }
        let (mut digits, mut len) = ([0_u8; *CARD_DIGITS.end()], 0);
        let mut longest = None;
        for (last, group) in self.groups.iter().enumerate().skip(first) {
            let joined = last == first || group.gap.only.is_some_and(|only| is_space(only) || is_dash(only));
            if !joined || len + (group.to - group.from) > *CARD_DIGITS.end() {
                break;
            }
            for byte in &self.text.as_bytes()[group.from..group.to] {
                digits[len] = byte - b'0';
                len += 1;
            }
            let ends = match self.groups.get(last + 1) {
                Some(next) => next.gap.only != Some('.'),
                None => !self.after(group.to).is_some_and(|byte| byte.is_ascii_alphanumeric()),
            };
            if ends && may_be_card(&digits[..len]) {
                longest = Some(last);
            }
        }
        longest
    }

    /// Where the phone number begins whose first digits are the group `first`, and its last group.
    fn phone(&self, first: usize) -> Option<(usize, usize)> {
        let (form, from) = self.form(first)?;
        if let Form::ThreeThreeFour(groups) = form {
            let last = first + groups - 1;
            return self.ends(last, form).then_some((from, last));
        }
        let mut digits = 0;
        let mut longest = None;
        for (last, group) in self.groups.iter().enumerate().skip(first) {
            digits += group.to - group.from;
            if digits > MAX_PHONE_DIGITS {
                break;
            }
            let enough = digits >= MIN_PHONE_DIGITS && (last > first || form == Form::International);
            if enough && self.ends(last, form) {
                longest = Some((from, last));
            }
        }
        longest
    }

    /// By what form a phone number may begin with the group `first`, and where it would begin.
    fn form(&self, first: usize) -> Option<(Form, usize)> {
        let Group { from, to, gap } = self.groups[first];
        let text = self.text.as_bytes();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_international = self.before(from) == Some(b'+') && (b'1'..=b'9').contains(&text[from]);
        if is_international {
            let plus = from - 1;
            let from = if self.before(plus) == Some(b'(') { plus - 1 } else { plus };
            return (!self.before(from).is_some_and(is_word)).then_some((Form::International, from));
        }
        let opened = self.before(from) == Some(b'(');
        let start = if opened { from - 1 } else { from };
        let is_apart = match first {
            0 => !self.before(start).is_some_and(|byte| is_word(byte) || matches!(byte, b'-' | b'/' | b'.' | b'+')),
            _ => gap.spaced,
        };
        if !is_apart {
            return None;
        }
        let opens_next = self.gap(first + 1).opens && self.gap(first + 2).closes && to - from <= 3;
        if (opened && self.gap(first + 1).closes && (2..=5).contains(&(to - from))) || opens_next {
            return Some((Form::Bracketed, start));
        }
        let national = text[from..to].strip_prefix(b"0").map(|rest| rest.strip_prefix(b"0").unwrap_or(rest));
        if national.is_some_and(|rest| rest.first().is_some_and(|digit| *digit != b'0')) {
            return (!self.is_date(first)).then_some((Form::Trunk, start));
        }
        let lens = |from: usize| [0, 1, 2].map(|n| self.groups.get(from + n).map_or(0, |group| group.to - group.from));
        if lens(first) == [3, 3, 4] {
            return Some((Form::ThreeThreeFour(3), start));
        }
        let with_country = &text[from..to] == b"1" && lens(first + 1) == [3, 3, 4];
        with_country.then_some((Form::ThreeThreeFour(4), start))
    }

    fn gap(&self, group: usize) -> Gap {
        self.groups.get(group).map_or(Gap::default(), |group| group.gap)
    }

    /// Whether a phone number may end with the group `last`.
    fn ends(&self, last: usize, form: Form) -> bool {
        if let Some(next) = self.groups.get(last + 1) {
            return next.gap.spaced || form == Form::International;
        }
        let end = self.groups[last].to;
        let next = self.after(end + 1);
        match self.after(end) {
            Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => false,
            Some(b':') => !next.is_some_and(|byte| byte.is_ascii_digit()),
            Some(b'-' | b'/') if form != Form::International => !next.is_some_and(|b| b.is_ascii_alphanumeric()),
            _ => true,
        }
    }

    /// `01.02.2026`, `01/02/26 10:15`: and no more groups with the same between them.
    fn is_date(&self, first: usize) -> bool {
        let Some([day, month, year]) = self.groups.get(first..first + 3) else {
            return false;
        };
        let small = |group: &Group| {
            let text = &self.text[group.from..group.to];
            text.len() == 2 && text <= "31"
        };
        let joint = month.gap.only.filter(|only| matches!(only, '.' | '/' | '-'));
        let is_year = matches!(year.to - year.from, 2 | 4);
        joint.is_some()
            && year.gap.only == joint
            && small(day)
            && small(month)
            && is_year
            && self.gap(first + 3).only != joint
    }
}

/// Whether cards are issued with these first digits and so many digits in all.
fn is_issued(digits: &[u8]) -> bool {
    let first = |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let len = digits.len();
    match (first(1), first(2), first(4)) {
        (4, ..) => matches!(len, 13 | 16 | 19),
        (_, 51..=55, _) | (_, _, 2221..=2720) => len == 16,
        (_, 34 | 37, _) => len == 15,
        (_, 36 | 38 | 39, _) | (_, _, 3000..=3059) => len == 14 || (16..=19).contains(&len),
        (_, _, 3528..=3589 | 6011) | (_, 62 | 64 | 65 | 81, _) => (16..=19).contains(&len),
        (_, 50 | 56..=61 | 63 | 66..=69, _) => matches!(len, 16 | 18 | 19),
        _ => false,
    }
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(position, digit)| match (position % 2, u32::from(*digit) * 2) {
            (0, double) => double / 2,
            (_, double) => double / 10 + double % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}
