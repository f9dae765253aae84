//! `ingest.erasures` and `ingest.erasure_reports`: what was asked, and what each service did.

use std::collections::BTreeMap;

use domain::contract::SubjectErased;
use domain::ids::TenantId;
use pg::{Error, Row, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

/// Somebody asks for an erasure.
pub struct New<'a> {
    pub request_id: Uuid,
    pub subject_hash: &'a [u8],
    pub requested_by: &'a str,
}

const INSERT: &str = "INSERT INTO ingest.erasures (tenant_id, request_id, subject_hash, requested_by, requested_at) \
     VALUES ($1, $2, $3, $4, now())";

pub async fn insert(tx: &Tx, tenant: &TenantId, new: &New<'_>) -> Result<(), Error> {
    let New { request_id, subject_hash, requested_by } = new;
    tx.execute(INSERT, &[&tenant.as_str(), request_id, subject_hash, requested_by]).await.map(drop)
}

const LOCK: &str = "SELECT e.request_id FROM ingest.erasures e WHERE e.tenant_id = $1 AND e.request_id = $2 FOR UPDATE";

/// Locks an erasure to the end of the transaction; whether there is one.
pub async fn lock(tx: &Tx, tenant: &TenantId, request: Uuid) -> Result<bool, Error> {
    Ok(tx.query_opt(LOCK, &[&tenant.as_str(), &request]).await?.is_some())
}

const REPORT: &str = "INSERT INTO ingest.erasure_reports (tenant_id, request_id, service, erased_at, counts) \
     VALUES ($1, $2, $3, $4, $5::text::jsonb) ON CONFLICT (tenant_id, request_id, service) DO NOTHING";

/// Keeps what a service did, once.
pub async fn report(tx: &Tx, report: &SubjectErased) -> Result<(), Error> {
    let counts = serde_json::to_string(&report.counts).map_err(|error| Error::Decode(error.to_string()))?;
    let tenant = report.tenant_id.as_str();
    tx.execute(REPORT, &[&tenant, &report.request_id, &report.service, &report.erased_at, &counts]).await.map(drop)
}

const FINISH: &str = "UPDATE ingest.erasures e SET done_at = clock_timestamp() \
     WHERE e.tenant_id = $1 AND e.request_id = $2 AND e.done_at IS NULL AND NOT EXISTS ( \
       SELECT FROM unnest($3::text[]) AS s (service) WHERE NOT EXISTS ( \
         SELECT FROM ingest.erasure_reports r WHERE r.tenant_id = $1 AND r.request_id = $2 AND r.service = s.service))";

/// An erasure is done if all of these services have reported.
pub async fn finish(tx: &Tx, tenant: &TenantId, request: Uuid, services: &[&str]) -> Result<(), Error> {
    tx.execute(FINISH, &[&tenant.as_str(), &request, &services]).await.map(drop)
}

/// An erasure, with what has been reported of it.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub request_id: Uuid,
    pub requested_at: OffsetDateTime,
    pub done_at: Option<OffsetDateTime>,
    /// By service: when, and how many rows by table.
    pub services: BTreeMap<String, (OffsetDateTime, BTreeMap<String, u64>)>,
}

const RECEIPT: &str = "SELECT e.requested_at, e.done_at, r.service, r.erased_at, r.counts::text FROM ingest.erasures e \
     LEFT JOIN ingest.erasure_reports r ON r.tenant_id = e.tenant_id AND r.request_id = e.request_id \
     WHERE e.tenant_id = $1 AND e.request_id = $2";

/// What is known of an erasure.
pub async fn receipt(tx: &Tx, tenant: &TenantId, request_id: Uuid) -> Result<Option<Receipt>, Error> {
    let rows = tx.query(RECEIPT, &[&tenant.as_str(), &request_id]).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let reports: Result<Vec<_>, Error> = rows.iter().map(reported).collect();
    let services = reports?.into_iter().flatten().collect();
    Ok(Some(Receipt { request_id, requested_at: first.try_get(0)?, done_at: first.try_get(1)?, services }))
}

type Reported = (String, (OffsetDateTime, BTreeMap<String, u64>));

fn reported(row: &Row) -> Result<Option<Reported>, Error> {
    let service: Option<String> = row.try_get(2)?;
    let report = |service| {
        let counts: &str = row.try_get(4)?;
        let counts = serde_json::from_str(counts).map_err(|error| Error::Decode(error.to_string()))?;
        Ok((service, (row.try_get(3)?, counts)))
    };
    service.map(report).transpose()
}

/// Every statement here.
pub(super) const STATEMENTS: &[&str] = &[INSERT, LOCK, REPORT, FINISH, RECEIPT];
