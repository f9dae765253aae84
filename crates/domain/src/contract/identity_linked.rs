//! `identity.linked`: an anonymous user was linked to a contact, or the link was taken back.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Fact;
use crate::ids::{ContactId, TenantId};
use crate::time_format;
use crate::words::words;
use uuid::Uuid;

words! {
    /// What happened to the link.
    pub enum LinkChange as "link change" {
        Linked = "linked",
        Unlinked = "unlinked",
    }
}

/// Version 1. Its id is the UUIDv5 of tenant, user, contact, change and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityLinked {
    pub tenant_id: TenantId,
    pub user_id: String,
    pub contact_id: ContactId,
    pub change: LinkChange,
    #[serde(with = "crate::time_format")]
    pub changed_at: OffsetDateTime,
}

impl Fact for IdentityLinked {
    const ROUTING_KEY: &'static str = "identity.linked";
    const DATASCHEMA: &'static str = "/schemas/identity.linked/v1.json";

    fn tenant_id(&self) -> &TenantId {
        &self.tenant_id
    }

    fn fact_id(&self) -> Uuid {
        let time = time_format::to_text(self.changed_at);
        let parts = [self.tenant_id.as_str(), &self.user_id, self.contact_id.as_str(), self.change.as_str(), &time];
        super::derived_id(Self::ROUTING_KEY, &parts)
    }

    fn subject(&self) -> String {
        self.user_id.clone()
    }

    fn time(&self) -> OffsetDateTime {
        self.changed_at
    }

    fn source(&self) -> String {
        "/goalpost/ingest".to_owned()
    }
}
