//! `platform.tenants`: the customers of the installation and their settings.

use domain::ids::TenantId;
use pg::{Error, Row, Tx};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::schema;

use super::json;
use crate::redaction::Redaction;
use crate::retention::Retention;

pub(super) const STATEMENTS: &[&str] = &[FIND, LOCK, UPDATE, KNOWS_TIME_ZONE];
pub(super) const SYSTEM_STATEMENTS: &[&str] = &[INSERT, FIND, LOCK, OF_THESE, KNOWS_TIME_ZONE];

macro_rules! columns {
    () => {
        "tenant_id, name, taxonomy, default_currency, max_properties_bytes, time_zone, retention::text, redaction::text, \
         created_at, updated_at"
    };
}

/// A tenant, as it is answered and audited. (Its content key and its salt never leave the database but for the services that hash with them.)
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Tenant {
    #[schema(schema_with = schema::tenant_id)]
    pub tenant_id: TenantId,
    pub name: Option<String>,
    pub settings: Settings,
    #[serde(with = "domain::time_format")]
    pub created_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    pub updated_at: OffsetDateTime,
}

/// How a tenant takes events and reads amounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Settings {
    /// `open`: unknown event names are taken; `strict`: they are rejected.
    pub taxonomy: String,
    /// ISO 4217; of amounts that name no currency.
    pub default_currency: String,
    /// Largest `properties` of an event.
    pub max_properties_bytes: i32,
    /// IANA name.
    pub time_zone: String,
    /// For how long it keeps what.
    pub retention: Retention,
    /// What it wants done with personal data.
    pub redaction: Redaction,
}

impl Settings {
    fn texts(&self) -> [&str; 3] {
        [&self.taxonomy, &self.default_currency, &self.time_zone]
    }
}

const INSERT: &str = concat!(
    "INSERT INTO platform.tenants (tenant_id, name, taxonomy, default_currency, max_properties_bytes, time_zone, retention, ",
    "redaction, content_key) VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8::text::jsonb, $9) ON CONFLICT (tenant_id) DO NOTHING RETURNING ",
    columns!()
);

/// Adds a tenant; none if its id is taken.
pub async fn insert(
    tx: &Tx,
    tenant: &TenantId,
    name: Option<&str>,
    settings: &Settings,
    content_key: &[u8; 32],
) -> Result<Option<Tenant>, Error> {
    let (retention, redaction) = (text(&settings.retention)?, text(&settings.redaction)?);
    let key = content_key.as_slice();
    let (id, [taxonomy, currency, zone], max_bytes) =
        (tenant.as_str(), settings.texts(), &settings.max_properties_bytes);
    let row = tx
        .query_opt(INSERT, &[&id, &name, &taxonomy, &currency, max_bytes, &zone, &retention, &redaction, &key])
        .await?;
    row.as_ref().map(read).transpose()
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM platform.tenants WHERE tenant_id = $1");

/// The tenant, if there is one.
pub async fn find(tx: &Tx, tenant: &TenantId) -> Result<Option<Tenant>, Error> {
    tx.query_opt(FIND, &[&tenant.as_str()]).await?.as_ref().map(read).transpose()
}

const OF_THESE: &str = "SELECT tenant_id FROM platform.tenants WHERE tenant_id = ANY($1)";

/// Those of these that there are.
pub async fn of_these(tx: &Tx, tenants: &[TenantId]) -> Result<Vec<TenantId>, Error> {
    let ids: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
    tx.query(OF_THESE, &[&ids]).await?.iter().map(|row| super::word(row.try_get(0)?)).collect()
}

const LOCK: &str = "SELECT tenant_id FROM platform.tenants WHERE tenant_id = $1 FOR NO KEY UPDATE";

/// Holds the tenant's row to the end of the transaction; whether there is one.
pub async fn lock(tx: &Tx, tenant: &TenantId) -> Result<bool, Error> {
    Ok(tx.query_opt(LOCK, &[&tenant.as_str()]).await?.is_some())
}

const UPDATE: &str = concat!(
    "UPDATE platform.tenants SET name = $2, taxonomy = $3, default_currency = $4, max_properties_bytes = $5, ",
    "time_zone = $6, retention = $7::text::jsonb, redaction = $8::text::jsonb, updated_at = statement_timestamp() ",
    "WHERE tenant_id = $1 RETURNING ",
    columns!()
);

/// Replaces name and settings.
pub async fn update(tx: &Tx, tenant: &TenantId, name: Option<&str>, settings: &Settings) -> Result<Tenant, Error> {
    let (retention, redaction) = (text(&settings.retention)?, text(&settings.redaction)?);
    let (id, [taxonomy, currency, zone], max_bytes) =
        (tenant.as_str(), settings.texts(), &settings.max_properties_bytes);
    read(&tx.query_one(UPDATE, &[&id, &name, &taxonomy, &currency, max_bytes, &zone, &retention, &redaction]).await?)
}

const KNOWS_TIME_ZONE: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_timezone_names z WHERE z.name = $1 \
     AND z.name !~ '^(posix/|right/|posixrules$|localtime$|Factory$)')";

/// Whether this is the IANA name of a time zone that the database knows.
pub async fn knows_time_zone(tx: &Tx, name: &str) -> Result<bool, Error> {
    Ok(tx.query_one(KNOWS_TIME_ZONE, &[&name]).await?.try_get(0)?)
}

fn text(setting: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(setting).map_err(|error| Error::Decode(error.to_string()))
}

fn read(row: &Row) -> Result<Tenant, Error> {
    Ok(Tenant {
        tenant_id: super::word(row.try_get(0)?)?,
        name: row.try_get(1)?,
        settings: Settings {
            taxonomy: row.try_get(2)?,
            default_currency: row.try_get(3)?,
            max_properties_bytes: row.try_get(4)?,
            time_zone: row.try_get(5)?,
            retention: json(row.try_get(6)?)?,
            redaction: json(row.try_get(7)?)?,
        },
        created_at: row.try_get(8)?,
        updated_at: row.try_get(9)?,
    })
}
