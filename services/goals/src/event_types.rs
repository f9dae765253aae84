//! Event types: the built-in ones, which nobody changes, and those that a tenant adds. Changes of a tenant's types hold its row.

use std::sync::Arc;

use domain::catalogue::{self, Subject};
use domain::event::is_event_name;
use domain::fault::Fault;
use domain::ids::TenantId;
use pg::{Db, Scope};
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::Versioned;
use web::openapi::schema;

use crate::change::{Author, Change, Target, change, entry};
use crate::error::Error;
use crate::store::event_types::{self, Content, Stored};
use crate::store::{goals, tenants};

const OBJECT: &str = "event_type";
/// Most types of one tenant: every ingest that hears of the tenant holds them all, compiled.
pub const MOST_TYPES: i64 = 200;
/// The version of what is built in.
const BUILTIN_VERSION: i32 = 1;

/// A type, as it is answered and audited.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventType {
    pub name: String,
    /// Whether every tenant has it; such a type cannot be changed.
    pub builtin: bool,
    /// JSON Schema (draft 2020-12) of the properties.
    #[schema(schema_with = schema::object)]
    pub schema: Box<RawValue>,
    pub description: Option<String>,
    pub category: Option<String>,
    #[schema(schema_with = schema::subject)]
    pub subject: Subject,
    /// Whether it may come from a browser.
    pub browser: bool,
    /// The share of sessions whose events of the type are stored.
    pub sampling_rate: f32,
    pub version: i32,
    /// Null for one that is built in, as are the times.
    pub created_by: Option<String>,
    #[serde(with = "domain::time_format::option")]
    pub created_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    pub updated_at: Option<OffsetDateTime>,
}

impl Versioned for EventType {
    fn version(&self) -> i32 {
        self.version
    }
}

impl EventType {
    fn own(stored: Stored) -> Result<Self, Error> {
        Ok(Self {
            schema: stored.content.raw_schema()?,
            name: stored.name,
            builtin: false,
            description: stored.content.description,
            category: stored.content.category,
            subject: stored.content.subject,
            browser: stored.content.browser,
            sampling_rate: stored.content.sampling_rate,
            version: stored.version,
            created_by: Some(stored.created_by),
            created_at: Some(stored.created_at),
            updated_at: Some(stored.updated_at),
        })
    }

    fn builtin(of: &catalogue::EventType) -> Result<Self, Error> {
        let schema = RawValue::from_string(of.schema.trim().to_owned());
        Ok(Self {
            name: of.name.to_owned(),
            builtin: true,
            schema: schema.map_err(|error| pg::Error::Decode(error.to_string()))?,
            description: Some(of.description.to_owned()),
            category: Some(of.category.to_owned()),
            subject: of.subject,
            browser: of.browser,
            sampling_rate: 1.0,
            version: BUILTIN_VERSION,
            created_by: None,
            created_at: None,
            updated_at: None,
        })
    }
}

/// The type of that name, built in or the tenant's own.
pub async fn find(db: &Db, tenant: &TenantId, name: &str) -> Result<EventType, Error> {
    if let Some(builtin) = catalogue::builtin(name) {
        return EventType::builtin(builtin);
    }
    if !is_event_name(name) {
        return Err(Error::NotFound);
    }
    let shared = Arc::new((tenant.clone(), name.to_owned()));
    db.run_tx("find_event_type", Scope::Tenant(tenant.clone()), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(
            async move { EventType::own(event_types::find(tx, &shared.0, &shared.1).await?.ok_or(Error::NotFound)?) },
        )
    })
    .await
}

/// A page of types after the name `after`, by name: those that are built in, those that are not, or both.
pub async fn list(
    db: &Db,
    tenant: &TenantId,
    builtin: Option<bool>,
    after: String,
    limit: i64,
) -> Result<Vec<EventType>, Error> {
    let mut listed = Vec::new();
    if builtin != Some(false) {
        let after = catalogue::all().iter().filter(|of| of.name > after.as_str());
        listed = after.map(EventType::builtin).collect::<Result<_, _>>()?;
    }
    if builtin != Some(true) {
        let shared = Arc::new((tenant.clone(), after));
        let own = db.run_tx("list_event_types", Scope::Tenant(tenant.clone()), move |tx| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let own = event_types::list(tx, &shared.0, &shared.1, limit).await?;
                own.into_iter().map(EventType::own).collect::<Result<Vec<_>, Error>>()
            })
        });
        listed.extend(own.await?);
    }
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    listed.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(listed)
}

/// Adds a type or replaces it, as its next version, and whether it is new. What is the same already is left alone.
pub async fn put(
    db: &Db,
    author: &Author,
    target: Target<String>,
    content: Content,
) -> Result<(EventType, bool), Error> {
    if !is_event_name(&target.id) {
        let message = "must be 1 to 128 characters: lower-case words of a-z, 0-9 and '_', joined by '.'";
        return Err(Fault::at("name", "invalid_event_name", message).into());
    }
    let shared = Arc::new((target, content));
    change(db, "put_event_type", author, move |change| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (target, content) = &*shared;
            let before = locked(change, &target.id).await?;
            target.check(before.as_ref())?;
            let content =
                Content { schema: goals::criteria_text(change.tx, &content.schema).await?, ..content.clone() };
            if let Some(same) = before.as_ref().filter(|stored| stored.content == content) {
                return Ok((EventType::own(same.clone())?, false));
            }
            if before.is_none() && event_types::count(change.tx, change.tenant()).await? >= MOST_TYPES {
                return Err(Error::TooManyEventTypes);
            }
            let actor = &change.author.actor;
            let after = event_types::put(change.tx, change.tenant(), &target.id, &content, actor).await?;
            let after = EventType::own(after)?;
            let (is_new, before) = (before.is_none(), before.map(EventType::own).transpose()?);
            let action = if is_new { "event_type.created" } else { "event_type.updated" };
            finish(change, action, before.as_ref(), Some(&after)).await?;
            Ok((after, is_new))
        })
    })
    .await
}

/// Deletes a type of the tenant's own: its events are from then on as those of any name that is not known.
pub async fn delete(db: &Db, author: &Author, target: Target<String>) -> Result<(), Error> {
    change(db, "delete_event_type", author, move |change| {
        let target = target.clone();
        Box::pin(async move {
            let before = locked(change, &target.id).await?.ok_or(Error::NotFound)?;
            target.check(Some(&before))?;
            let before = EventType::own(before)?;
            event_types::delete(change.tx, change.tenant(), &target.id).await?;
            finish(change, "event_type.deleted", Some(&before), None).await
        })
    })
    .await
}

/// Takes the tenant's row, and only then reads the type that is to be changed.
async fn locked(change: &Change<'_>, name: &str) -> Result<Option<Stored>, Error> {
    if catalogue::builtin(name).is_some() {
        return Err(Error::BuiltinEventType(name.to_owned()));
    }
    tenants::lock(change.tx, change.tenant()).await?;
    Ok(event_types::find(change.tx, change.tenant(), name).await?)
}

async fn finish(
    change: &Change<'_>,
    action: &'static str,
    before: Option<&EventType>,
    after: Option<&EventType>,
) -> Result<(), Error> {
    event_types::raise(change.tx, change.tenant()).await?;
    let name = before.or(after).map(|of| of.name.clone()).unwrap_or_default();
    change.record([entry(action, (OBJECT, name), before, after)?]);
    Ok(())
}
