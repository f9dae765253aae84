//! Reads the stored events of several contacts side by side, each in the order of (event time, id), a page at a time: however
//! many events a contact has, only a page of them is held here.

use crate::error::Error;
use crate::store::events::{self, Stored, Wanted};
use domain::goal::StoredEvent;
use domain::ids::{ContactId, TenantId};
use domain::json::{Json, Limits};
use pg::Tx;
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// Events of one contact in one page.
const PAGE: usize = 200;

/// Where the reading of each contact has got to. Those that are read to the end, or are not needed any more, are gone.
#[derive(Debug, Default)]
pub struct Reading {
    open: BTreeMap<ContactId, Wanted>,
}

impl Reading {
    /// Adds a contact whose events of these names are wanted, from `since` on.
    pub fn add<'n>(&mut self, contact: ContactId, since: OffsetDateTime, names: impl IntoIterator<Item = &'n str>) {
        if let Some(wanted) = wanted(contact.clone(), since, names) {
            self.open.insert(contact, wanted);
        }
    }

    /// Whether there may be more.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Nothing more of this contact is needed.
    pub fn close(&mut self, contact: &ContactId) {
        self.open.remove(contact);
    }

    /// The next events of every contact that is still open.
    pub async fn next(&mut self, tx: &Tx, tenant: &TenantId) -> Result<BTreeMap<ContactId, Vec<StoredEvent>>, Error> {
        let wanted: Vec<Wanted> = self.open.values().cloned().collect();
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let mut pages: BTreeMap<ContactId, Vec<StoredEvent>> = BTreeMap::new();
        for stored in events::page(tx, tenant, &wanted, limit).await? {
            let contact = stored.contact_id.clone();
            pages.entry(contact).or_default().push(event(stored)?);
        }
        self.open.retain(|contact, wanted| {
            match pages.get(contact).and_then(|page| Some((page.len(), page.last()?))) {
                Some((PAGE, last)) => {
                    (wanted.since, wanted.after) = (last.event_time, last.event_id.as_uuid());
                    true
                }
                _ => false,
            }
        });
        Ok(pages)
    }
}

/// What is to be read of a contact; nothing where no event is asked for.
pub fn wanted<'n>(
    contact_id: ContactId,
    since: OffsetDateTime,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<Wanted> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let event_names = names.into_iter().collect::<Vec<_>>().join(" ");
    (!event_names.is_empty()).then_some(Wanted { contact_id, since, after: Uuid::nil(), event_names })
}

/// An event as the judge takes it.
pub fn event(stored: Stored) -> Result<StoredEvent, Error> {
    let properties = Json::parse(&stored.properties, &Limits::WIRE)
        .map_err(|fault| pg::Error::Decode(format!("properties of event {}: {fault}", stored.event_id)))?;
    Ok(StoredEvent {
        event_id: stored.event_id,
        event_name: stored.event_name,
        event_time: stored.event_time,
        received_at: stored.received_at,
        properties,
    })
}
