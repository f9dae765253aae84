//! `delete_reference`: something that goals may point at is gone.

use serde::{Deserialize, Serialize};

use super::V1;
use super::command::command;
use crate::goal::ReferenceKind;
use crate::ids::TenantId;

/// Version 1. Unknown references are gone already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteReference {
    #[serde(default)]
    pub version: V1,
    pub tenant_id: TenantId,
    pub kind: ReferenceKind,
    pub id: String,
}

command!(DeleteReference, "delete_reference");
