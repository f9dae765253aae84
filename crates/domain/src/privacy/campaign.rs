//! What the query of a URL says of the campaign that led to it. It is taken out into `context.campaign` before the query goes.

use crate::json::Json;

/// Parameters of a query, and what they are called in `context.campaign`.
const PARAMETERS: [(&str, &str); 16] = [
    ("utm_source", "source"),
    ("utm_medium", "medium"),
    ("utm_term", "term"),
    ("utm_content", "content"),
    ("utm_campaign", "name"),
    ("utm_id", "id"),
    ("gclid", "gclid"),
    ("dclid", "dclid"),
    ("gbraid", "gbraid"),
    ("wbraid", "wbraid"),
    ("fbclid", "fbclid"),
    ("msclkid", "msclkid"),
    ("ttclid", "ttclid"),
    ("twclid", "twclid"),
    ("li_fat_id", "li_fat_id"),
    ("yclid", "yclid"),
];
/// A longer value is not taken: the context would grow by what its limit has not seen.
const MAX_VALUE_BYTES: usize = 256;

/// What a query says, each parameter once.
pub(super) type Campaign = Vec<(&'static str, String)>;

pub(super) fn of_query(query: &str) -> Campaign {
    let mut campaign = Campaign::new();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let known = PARAMETERS.iter().find(|(parameter, _)| parameter.eq_ignore_ascii_case(name));
        if let Some((_, key)) = known
            && campaign.iter().all(|(taken, _)| taken != key)
            && let Some(value) = decoded(value)
        {
            campaign.push((key, value));
        }
    }
    campaign
}

/// The value with its escapes resolved; none if it is empty, too long, no text, or holds control characters.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        rest = after;
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            }
            (b'+', ..) => bytes.push(b' '),
            (byte, ..) => bytes.push(*byte),
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    let fits = !text.is_empty() && text.len() <= MAX_VALUE_BYTES && !text.contains(char::is_control);
    fits.then_some(text)
}

/// Puts what was taken into the context's campaign, never over what is there.
pub(super) fn keep(context: &mut Option<Json>, campaign: Campaign) {
    if campaign.is_empty() {
        return;
    }
    if let Json::Object(members) = context.get_or_insert(Json::Object(Vec::new()))
        && let Json::Object(there) = member(members, "campaign", Json::Object(Vec::new()))
    {
        for (key, value) in campaign {
            member(there, key, Json::String(value));
        }
    }
}

/// The member of that name; `otherwise` where it is absent or `null`.
fn member<'m>(members: &'m mut Vec<(String, Json)>, key: &str, otherwise: Json) -> &'m mut Json {
    let at = match members.iter().position(|(name, _)| name == key) {
        Some(at) => {
            if members[at].1.is_null() {
                members[at].1 = otherwise;
            }
            at
        }
        None => {
            members.push((key.to_owned(), otherwise));
            members.len() - 1
        }
    };
    &mut members[at].1
}
