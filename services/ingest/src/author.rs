//! Who asks about people.

use domain::ids::TenantId;

/// Whose people it asks about, who it is, and the trace that the facts of it belong to.
#[derive(Clone, Debug)]
pub struct Author {
    pub tenant: TenantId,
    /// `key:<id>` or `jwt:<subject>`.
    pub actor: String,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
}
