//! The event types that a tenant added itself, compiled, and a memory of them: they are read when their number of changes, which
//! comes with every look-up of the tenant, has moved; never for a tenant that has none.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use domain::catalogue::Subject;
use domain::event::Event;
use domain::fault::Fault;
use domain::ids::TenantId;
use domain::outbox::BoxFuture;
use domain::privacy::is_identifier;
use moka::future::Cache;
use pg::{Db, Scope};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::schemas::Schema;
use crate::store::event_types::{self, Stored};

/// Most bytes of schemas whose tenants are remembered. Compiled, they are some times larger.
const REMEMBERED_BYTES: u64 = 16 * 1024 * 1024;

/// The types of one tenant, by name.
#[derive(Default)]
pub struct OwnTypes {
    by_name: HashMap<String, Arc<OwnType>>,
    /// The number of changes after which they were read, at least.
    changes: i64,
    bytes: usize,
}

static NONE: LazyLock<Arc<OwnTypes>> = LazyLock::new(Arc::default);

struct OwnType {
    subject: Subject,
    browser: bool,
    sampling_rate: f32,
    version: i32,
    /// None where it could not be compiled.
    schema: Option<Schema>,
    /// The identifier keys that the schema names, at any depth.
    identifiers: HashSet<String>,
}

impl domain::event::OwnTypes for OwnTypes {
    fn subject(&self, event_name: &str) -> Option<Subject> {
        self.by_name.get(event_name).map(|own| own.subject)
    }
}

impl OwnTypes {
    /// Whether the properties of this event are what its type wants.
    pub fn check(&self, event: &Event) -> Result<(), Fault> {
        let schema = self.by_name.get(&event.event_name).and_then(|own| own.schema.as_ref());
        schema.map_or(Ok(()), |schema| schema.check(&event.properties))
    }

    /// Whether events of this name may come from a browser token; none where the tenant has no such type.
    pub fn is_for_browsers(&self, event_name: &str) -> Option<bool> {
        self.by_name.get(event_name).map(|own| own.browser)
    }

    /// The identifier keys that the schema of this type names; none for a name that is not the tenant's own.
    pub fn identifiers(&self, event_name: &str) -> Option<&HashSet<String>> {
        self.by_name.get(event_name).map(|own| &own.identifiers)
    }

    /// The share of sessions whose events of this name are stored; none where all are.
    pub fn sampling_rate(&self, event_name: &str) -> Option<f32> {
        self.by_name.get(event_name).map(|own| own.sampling_rate).filter(|rate| *rate < 1.0)
    }

    /// Compiles what is stored; what `before` has already, it takes over.
    fn compile(stored: Vec<Stored>, changes: i64, before: &Self) -> Self {
        let bytes = stored.iter().map(|of| of.schema.len() + of.name.len()).sum();
        let compiled = stored.into_iter().map(|of| {
            let kept = before.by_name.get(&of.name).filter(|own| own.version == of.version);
            let own = kept.map_or_else(|| Arc::new(OwnType::compile(&of)), Arc::clone);
            (of.name, own)
        });
        Self { by_name: compiled.collect(), changes, bytes }
    }
}

impl OwnType {
    fn compile(of: &Stored) -> Self {
        let schema = Schema::compile(&of.schema).inspect_err(|error| {
            tracing::error!(event_name = of.name, %error, "events are taken without the schema of their type");
        });
        let mut identifiers = HashSet::new();
        if let Ok(text) = serde_json::from_str(&of.schema) {
            named(&text, &mut identifiers);
        }
        let Stored { subject, browser, sampling_rate, version, .. } = *of;
        Self { subject, browser, sampling_rate, version, schema: schema.ok(), identifiers }
    }
}

/// Adds the identifier keys that a schema, or one within it, has properties for.
fn named(schema: &Value, identifiers: &mut HashSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                identifiers.extend(properties.keys().filter(|key| is_identifier(key)).cloned());
            }
            members.values().for_each(|within| named(within, identifiers));
        }
        Value::Array(items) => items.iter().for_each(|within| named(within, identifiers)),
        _ => {}
    }
}

/// Whether an event is among those that are kept at `rate`. What is hashed is its session, so a session is kept whole or not at all, at
/// whatever time and by whatever process; without one its user, else its contact, else the event alone.
pub fn keeps(rate: f32, tenant: &TenantId, event: &Event) -> bool {
    let person = event.session_id.as_deref().or(event.user_id.as_deref());
    let of = person.or(event.contact_id.as_ref().map(|contact| contact.as_str()));
    let mut hash = Sha256::new_with_prefix(tenant.as_str());
    hash.update([0]);
    match of {
        Some(of) => hash.update(of),
        None => hash.update(event.event_id.as_uuid().as_bytes()),
    }
    let digest = hash.finalize();
    let first = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    f64::from(first) < f64::from(rate) * (f64::from(u32::MAX) + 1.0)
}

/// The types of the tenants that this process has to do with.
#[derive(Clone)]
pub struct Memory {
    db: Db,
    remembered: Cache<TenantId, Arc<OwnTypes>>,
}

impl Memory {
    /// Reads from `db`.
    pub fn new(db: &Db) -> Self {
        let weigh = |_: &TenantId, own: &Arc<OwnTypes>| u32::try_from(own.bytes).unwrap_or(u32::MAX);
        let remembered = Cache::builder().weigher(weigh).max_capacity(REMEMBERED_BYTES).build();
        Self { db: db.clone(), remembered }
    }

    /// The types that the tenant has after so many changes of them, or later ones.
    pub async fn of(&self, tenant: &TenantId, changes: i64) -> Result<Arc<OwnTypes>, pg::Error> {
        if changes == 0 {
            return Ok(Arc::clone(&NONE));
        }
        let before = self.remembered.get(tenant).await.unwrap_or_else(|| Arc::clone(&NONE));
        if before.changes >= changes {
            return Ok(before);
        }
        let own = Arc::new(OwnTypes::compile(self.read(tenant).await?, changes, &before));
        self.remembered.insert(tenant.clone(), Arc::clone(&own)).await;
        Ok(own)
    }

    async fn read(&self, tenant: &TenantId) -> Result<Vec<Stored>, pg::Error> {
        let tenant = tenant.clone();
        let work = self.db.run_tx("list_own_event_types", Scope::Tenant(tenant.clone()), move |tx| {
            let tenant = tenant.clone();
            Box::pin(async move { event_types::list(tx, &tenant).await }) as BoxFuture<'_, Result<_, pg::Error>>
        });
        work.await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use domain::event::{Admission, Defaults, Taxonomy};

    use super::*;

    fn event(number: usize, session: &str) -> Event {
        let raw = format!(
            r#"{{"event_id":"6f0c1a52-7d3f-4d7e-9a51-{number:012}","event_name":"a","occurred_at":"2026-01-03T10:00:00Z",
                "user_id":"u","session_id":"{session}"}}"#
        );
        let tenant = TenantId::parse("demo").unwrap();
        let defaults = Defaults::default();
        let (taxonomy, max_properties_bytes) = (Taxonomy::Open, 2_048);
        let admission =
            Admission { tenant: &tenant, taxonomy, own_types: &(), max_properties_bytes, defaults: &defaults };
        Event::parse(&raw, &admission).unwrap()
    }

    #[test]
    fn a_session_is_kept_whole_or_not_at_all_and_a_tenth_of_them_is_kept() {
        let tenant = TenantId::parse("demo").unwrap();
        let mut kept = 0;
        for session in 0..2_000 {
            let session = format!("s-{session}");
            let verdict = keeps(0.1, &tenant, &event(1, &session));
            assert_eq!(verdict, keeps(0.1, &tenant, &event(2, &session)), "{session}");
            // What is kept at a rate is kept at any higher one.
            assert!(!verdict || keeps(0.2, &tenant, &event(1, &session)));
            assert!(keeps(1.0, &tenant, &event(1, &session)));
            kept += usize::from(verdict);
        }
        assert!((150..250).contains(&kept), "{kept}");
    }

    #[test]
    fn the_same_session_has_the_same_hash_for_ever() {
        let tenant = TenantId::parse("demo").unwrap();
        let kept: Vec<usize> = (0..40).filter(|n| keeps(0.1, &tenant, &event(1, &format!("s-{n}")))).collect();
        assert_eq!(kept, [6, 17, 34], "by another implementation of the hash");
    }
}
