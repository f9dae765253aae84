//! `put_reference`: something that goals may point at exists, or has changed.

use serde::{Deserialize, Serialize};

use super::V1;
use super::command::command;
use crate::goal::ReferenceKind;
use crate::ids::TenantId;

/// Version 1. The last one wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutReference {
    #[serde(default)]
    pub version: V1,
    pub tenant_id: TenantId,
    pub kind: ReferenceKind,
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of a stage: the pipeline it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_id: Option<String>,
    /// Of a stage: its place in the pipeline's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
}

command!(PutReference, "put_reference");
