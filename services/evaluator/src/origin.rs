//! Where a request comes from.

use domain::ids::TenantId;

/// Whose request it is, and the trace that the facts about it belong to.
#[derive(Clone, Debug)]
pub struct Origin {
    pub tenant: TenantId,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
}
