//! `subject.erased`: one service has carried out an erasure. Names nobody: only counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::fact::fact;
use crate::ids::TenantId;

/// Version 1. Its id is the UUIDv5 of request and service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectErased {
    pub tenant_id: TenantId,
    /// The erasure this reports on.
    pub request_id: Uuid,
    /// The service that reports: `ingest`, `goals`, `evaluator`, `analytics`.
    pub service: String,
    /// Rows removed or made anonymous, per table.
    pub counts: BTreeMap<String, u64>,
    #[serde(with = "crate::time_format")]
    pub erased_at: OffsetDateTime,
}

impl SubjectErased {
    /// The services that keep rows of persons. An erasure is done when each of them has reported.
    pub const SERVICES: [&str; 3] = ["ingest", "goals", "evaluator"];
}

fact! {
    SubjectErased, "subject.erased", source: |fact| format!("/goalpost/{}", fact.service), time: erased_at,
    subject: request_id, id: [request_id, service]
}
