//! Finds e-mail addresses: a local part, `@` (also percent-encoded), and a domain that has a top-level domain.

use unicode_normalization::char::is_combining_mark;

use super::Kind;
use super::find::Span;

/// What may stand in a local part beside letters and digits.
const LOCAL: &str = ".!#$%&'*+-=^_`{|}~";
/// Of these a local part is thought to begin only where nothing else is left of it: they are quotes and separators.
const AROUND: &[char] = &['\'', '`', '{', '}', '|', '*', '=', '&', '#', '!', '.', '-', '~', '^'];
/// `logo@2x.png` is the name of an image.
const IMAGES: [&str; 7] = ["png", "jpg", "jpeg", "gif", "webp", "svg", "avif"];

/// Adds every address in `text`.
pub(super) fn find(text: &str, found: &mut Vec<Span>) {
    let mut from = 0;
    while let Some(at) = text[from..].find(['@', '%']).map(|offset| from + offset) {
        let rest = &text[at..];
        let sign = if rest.starts_with('@') {
            1
        } else if rest.starts_with("%40") {
            3
        } else {
            from = at + 1;
            continue;
        };
        from = at + sign;
        if let Some(domain) = domain_len(&text[from..])
            && let Some(start) = local_start(&text[..at])
        {
            found.push(Span { from: start, to: from + domain, kind: Kind::Email });
        }
    }
}

/// Where the local part begins that ends with `before`.
fn local_start(before: &str) -> Option<usize> {
    if let Some(quoted) = before.strip_suffix('"') {
        return quoted.rfind('"').filter(|open| open + 1 < quoted.len());
    }
    let is_local = |c: char| is_letter(c) || LOCAL.contains(c);
    let local = &before[before.trim_end_matches(is_local).len()..];
    let trimmed = local.trim_start_matches(AROUND);
    let local = if trimmed.is_empty() { local } else { trimmed };
    (!local.is_empty()).then(|| before.len() - local.len())
}

/// How long the domain is that `after` begins with, if it is one of two labels at least, the last of which may be a top-level domain.
fn domain_len(after: &str) -> Option<usize> {
    let end = after.find(|c: char| !(is_letter(c) || c == '-' || c == '.')).unwrap_or(after.len());
    let mut len = None;
    let mut from = 0;
    for (position, label) in after[..end].split('.').enumerate() {
        if label.is_empty() {
            break;
        }
        let to = from + label.len();
        if position > 0 && is_top_level(label) {
            len = Some(to);
        }
        from = to + 1;
    }
    len.filter(|len| !is_image(&after[..*len]))
}

fn is_top_level(label: &str) -> bool {
    label.starts_with(char::is_alphabetic) && label.chars().nth(1).is_some()
}

fn is_image(domain: &str) -> bool {
    let Some((scale, ending)) = domain.split_once('.') else {
        return false;
    };
    let is_scale = scale.strip_suffix('x').is_some_and(|n| n.len() == 1 && n.starts_with(|c: char| c.is_ascii_digit()));
    is_scale && IMAGES.contains(&ending)
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}
