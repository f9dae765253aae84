//! `erase_subject`: forget a person; every service answers with `subject.erased`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::V1;
use super::command::command;
use crate::ids::{ContactId, TenantId};

/// Version 1. At least one id; carrying it out twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseSubject {
    #[serde(default)]
    pub version: V1,
    pub tenant_id: TenantId,
    /// The erasure, for receipts.
    pub request_id: Uuid,
    #[serde(default)]
    pub user_ids: Vec<String>,
    #[serde(default)]
    pub contact_ids: Vec<ContactId>,
}

command!(EraseSubject, "erase_subject");
