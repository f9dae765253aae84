//! What a tenant wants done with personal data in its events. The rules themselves are `domain::privacy`, and ingest goes by them.

use domain::fault::Fault;
use domain::privacy::{self, Mode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use web::openapi::schema;

/// Keys are compared as words: without regard to case, `-`, `_`, `.` and spaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redaction {
    /// `redact`: events are stored without personal data; `reject`: events with personal data are rejected.
    #[schema(schema_with = modes)]
    pub mode: Mode,
    /// Keys whose values are personal, beside those that are built in.
    #[schema(max_items = 200)]
    pub deny: Vec<String>,
    /// Keys that are built in, and not personal here. An address or a number is taken out under any key.
    #[schema(max_items = 200)]
    pub allow: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self { mode: Mode::Redact, deny: Vec::new(), allow: Vec::new() }
    }
}

impl Redaction {
    /// Checks what was given.
    pub fn check(&self) -> Result<(), Fault> {
        privacy::Redaction::new(self.mode, &self.deny, &self.allow).map(drop)
    }
}

fn modes() -> Object {
    schema::one_of(Mode::ALL.iter().map(|mode| mode.as_str()))
}
