//! `erase_subject`: forget a person; every service answers with `subject.erased`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::V1;
use super::command::command;
use crate::fault::Fault;
use crate::ids::{ContactId, InvalidId, TenantId, check_text_id};

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

impl EraseSubject {
    /// Whether it says whom to forget.
    ///
    /// # Errors
    /// It names nobody, or something that is no id.
    pub fn check(&self) -> Result<(), Fault> {
        if self.user_ids.is_empty() && self.contact_ids.is_empty() {
            return Err(Fault::new("missing_field", "one of user_ids and contact_ids has to name somebody"));
        }
        let no_id = |why: InvalidId| Fault::at("user_ids", why.code(), why.to_string());
        self.user_ids.iter().try_for_each(|id| check_text_id(id).map_err(no_id))
    }

    /// Every id that the person has.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.user_ids.iter().map(String::as_str).chain(self.contact_ids.iter().map(ContactId::as_str))
    }
}

command!(EraseSubject, "erase_subject");
