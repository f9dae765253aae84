//! One pass over an event that takes out what is personal, or says where it stands.

use std::borrow::Cow;

use super::campaign::{self, Campaign};
use super::find::{Marks, find, without};
use super::{Kind, Mode, REDACTED, Redacted, Redaction, Salt, digits, keys, url};
use crate::event::Event;
use crate::fault::Fault;
use crate::json::Json;
use crate::number;

/// Members of a context out of which nothing is taken.
const KEPT_IN_CONTEXT: [&str; 2] = ["campaign", "user_agent"];
/// Fewer characters are no card number.
const MIN_CARD_CHARS: usize = 13;

impl Redaction {
    /// Takes out of `event` what is personal, and counts it. Ids that tell a person become pseudonyms under `salt`. `declares` says
    /// whether the schema of the event's type names a key; it is asked only of identifier keys that hold something personal.
    ///
    /// # Errors
    /// `personal_data` under [`Mode::Reject`], with the pointer of the first that was found. The event is of no use then.
    pub fn apply(&self, event: &mut Event, salt: &Salt, declares: &dyn Fn(&str) -> bool) -> Result<Redacted, Fault> {
        let mut walk =
            Walk { rules: self, salt, declares, redacted: Redacted::default(), campaign: landed_by(&event.context) };
        for id in [&mut event.user_id, &mut event.session_id, &mut event.project_id].into_iter().flatten() {
            walk.id(id);
        }
        let contact = event.contact_id.as_ref().map(|contact| salt.contact_id(contact));
        if let Some(Cow::Owned(pseudonym)) = contact {
            event.contact_id = Some(pseudonym);
            walk.redacted.count(Kind::Id);
        }
        if let Some(category) = &mut event.event_category {
            walk.text("event_category", category).map_err(|fault| fault.within("event_category"))?;
        }
        if let Json::Object(members) = &mut event.properties {
            walk.members(members, &[]).map_err(|fault| fault.within("properties"))?;
        }
        if let Some(Json::Object(members)) = &mut event.context {
            walk.members(members, &KEPT_IN_CONTEXT).map_err(|fault| fault.within("context"))?;
        }
        let Walk { redacted, campaign, .. } = walk;
        campaign::keep(&mut event.context, campaign);
        Ok(redacted)
    }
}

/// The campaign that the page's own URL names: it goes before those of other URLs.
fn landed_by(context: &Option<Json>) -> Campaign {
    let page = context.as_ref().and_then(|context| context.get("page"));
    let url = page.and_then(|page| page.get("url")).and_then(Json::as_str);
    url.and_then(|url| url::strip(url, true)).map(|(_, query)| campaign::of_query(query)).unwrap_or_default()
}

struct Walk<'a> {
    rules: &'a Redaction,
    salt: &'a Salt,
    declares: &'a dyn Fn(&str) -> bool,
    redacted: Redacted,
    campaign: Campaign,
}

impl Walk<'_> {
    /// Something personal: counted, or the end.
    fn found(&mut self, kind: Kind) -> Result<(), Fault> {
        match self.rules.mode {
            Mode::Redact => {
                self.redacted.count(kind);
                Ok(())
            }
            Mode::Reject => {
                let what = match kind {
                    Kind::Email => "an e-mail address",
                    Kind::Phone => "a phone number",
                    Kind::Card => "the number of a payment card",
                    Kind::Key | Kind::Url | Kind::Id => "under a key for personal data",
                };
                Err(Fault::new("personal_data", format!("is {what}, which the tenant does not take")))
            }
        }
    }

    fn id(&mut self, id: &mut String) {
        if let Cow::Owned(pseudonym) = self.salt.user_id(id) {
            *id = pseudonym;
            self.redacted.count(Kind::Id);
        }
    }

    fn members(&mut self, members: &mut Vec<(String, Json)>, kept: &[&str]) -> Result<(), Fault> {
        let mut renamed = false;
        for (key, value) in members.iter_mut().filter(|(key, _)| !kept.contains(&key.as_str())) {
            renamed |= self.key(key)?;
            if self.rules.denies(key) {
                self.denied(value).map_err(|fault| fault.within(key))?;
            } else {
                self.value(key, value).map_err(|fault| fault.within(key))?;
            }
        }
        if renamed {
            *members = match Json::object(std::mem::take(members)) {
                Json::Object(unique) => unique,
                _ => Vec::new(),
            };
        }
        Ok(())
    }

    /// A key may hold an address or a number too: whether it did.
    fn key(&mut self, key: &mut String) -> Result<bool, Fault> {
        let marks = Marks::of(key);
        let found = if marks.may_tell_a_person() { find(key, marks) } else { Vec::new() };
        for span in &found {
            self.found(span.kind)?;
        }
        if !found.is_empty() {
            *key = without(key, &found);
        }
        Ok(!found.is_empty())
    }

    /// What stands under a key of the deny-list. Absence, truth and emptiness tell nobody.
    fn denied(&mut self, value: &mut Json) -> Result<(), Fault> {
        let says_something = match value {
            Json::Null | Json::Bool(_) => false,
            Json::Number(_) => true,
            Json::String(text) => !text.is_empty() && text != REDACTED,
            Json::Array(items) => !items.is_empty(),
            Json::Object(members) => !members.is_empty(),
        };
        if says_something {
            self.found(Kind::Key)?;
            *value = Json::from(REDACTED);
        }
        Ok(())
    }

    /// What stands under any other key; the items of a list stand under the list's.
    fn value(&mut self, key: &str, value: &mut Json) -> Result<(), Fault> {
        match value {
            Json::Null | Json::Bool(_) => Ok(()),
            Json::String(text) => self.text(key, text),
            Json::Number(text) => {
                if text.len() >= MIN_CARD_CHARS && digits::is_card(&number::canonical(text)) && !self.is_exempt(key) {
                    self.found(Kind::Card)?;
                    *value = Json::from(REDACTED);
                }
                Ok(())
            }
            Json::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(key, item).map_err(|fault| fault.within(&index.to_string()))?;
                }
                Ok(())
            }
            Json::Object(members) => self.members(members, &[]),
        }
    }

    fn text(&mut self, key: &str, text: &mut String) -> Result<(), Fault> {
        let mut marks = Marks::of(text);
        if !(marks.may_tell_a_person() || marks.may_be_url()) {
            return Ok(());
        }
        if keys::names_a_person(key) {
            self.id(text);
            return Ok(());
        }
        if self.is_exempt(key) {
            return Ok(());
        }
        if marks.may_be_url()
            && let Some((clean, query)) = url::strip(text, keys::is_url(key))
        {
            if self.campaign.is_empty() {
                self.campaign = campaign::of_query(query);
            }
            *text = clean;
            self.redacted.count(Kind::Url);
            marks = Marks::of(text);
        }
        if marks.may_tell_a_person() {
            let found = find(text, marks);
            for span in &found {
                self.found(span.kind)?;
            }
            if !found.is_empty() {
                *text = without(text, &found);
            }
        }
        Ok(())
    }

    fn is_exempt(&self, key: &str) -> bool {
        keys::is_identifier(key) && (self.declares)(key)
    }
}
