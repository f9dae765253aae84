//! API keys as they are stored and looked up, and whether there is a tenant: storage finds them, the HTTP side checks them, and
//! neither knows the other.

use crate::ids::TenantId;
use crate::outbox::{BoxError, BoxFuture};

/// What a key may do. Of the first three each may what the ones before it may, in its tenant;
/// `Operator` is for the installation and belongs to no tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Changes configuration and enrollments.
    Editor,
    /// Hands out tokens and keys.
    Admin,
    /// Makes tenants.
    Operator,
}

impl Role {
    /// The role as it is stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let known = [Self::Viewer, Self::Editor, Self::Admin, Self::Operator];
        known.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// A text that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of `viewer`, `editor`, `admin`, `operator`")]
pub struct UnknownRole;

/// A live key as the store has it.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// SHA-256 of its secret.
    pub hash: [u8; 32],
    /// Its tenant; none for operators.
    pub tenant: Option<TenantId>,
    /// Its role.
    pub role: Role,
}

/// Where keys are looked up.
pub trait KeyStore: Send + Sync + 'static {
    /// The key with this public id, if it is live: not revoked, not expired.
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<StoredKey>, BoxError>>;
}

/// Where it is asked whether a tenant that a credential names is one of this installation.
pub trait TenantStore: Send + Sync + 'static {
    /// Whether there is this tenant.
    fn knows<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<bool, BoxError>>;
}
