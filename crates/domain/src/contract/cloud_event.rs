//! CloudEvents 1.0 in JSON structured mode: the envelope of every fact.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::ids::TenantId;

/// One CloudEvent. Attributes beyond these are ignored when reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudEvent<T> {
    /// Always `1.0`.
    pub specversion: String,
    /// The same fact always has the same id; also the AMQP `message_id`.
    pub id: Uuid,
    /// Who says it: `/goalpost/evaluator`, `/goalpost/goals`, …
    pub source: String,
    #[serde(rename = "type")]
    pub event_type: String,
    /// The id of what it is about.
    pub subject: String,
    #[serde(with = "crate::time_format")]
    pub time: OffsetDateTime,
    pub datacontenttype: String,
    /// Where the schema of `data` stands, as `/schemas/workflow.exit.goal/v1.json`.
    pub dataschema: String,
    pub tenantid: TenantId,
    /// W3C trace context, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    pub data: T,
}
