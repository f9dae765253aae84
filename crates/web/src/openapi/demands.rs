//! Who may call an operation: what the document says of credentials, and what a caller without them is answered.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demands {
    /// Anybody.
    Nothing,
    /// A tenant's credential of any role.
    Viewer,
    /// A tenant's credential that may change configuration.
    Editor,
    /// An operator's credential, or an admin's of the tenant that the path names.
    OverTenant,
    /// An operator's credential.
    Operator,
    /// A write token, which may send events and nothing else.
    WriteToken,
}

/// Each way to be known as a caller with a role, and each to present a write token.
const CALLER: [&str; 3] = ["api_key", "api_key_header", "jwt"];
const WRITE_TOKEN: [&str; 4] = ["write_token", "write_key_header", "write_token_basic", "write_key_query"];

impl Demands {
    /// The role as the extension `x-goalpost-role` names it.
    pub(super) fn role(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::OverTenant => "operator, or admin of the tenant",
            Self::Operator => "operator",
            Self::WriteToken => "write token",
        }
    }

    /// One of these has to be met.
    pub(super) fn requirements(self) -> Vec<SecurityRequirement> {
        let roles: &[&str] = match self {
            Self::Nothing => return Vec::new(),
            Self::Viewer => &["viewer"],
            Self::Editor => &["editor"],
            Self::OverTenant => &["admin", "operator"],
            Self::Operator => &["operator"],
            Self::WriteToken => &[],
        };
        let ways: &[&str] = if self == Self::WriteToken { &WRITE_TOKEN } else { &CALLER };
        ways.iter().map(|way| SecurityRequirement::new(*way, roles.iter().copied())).collect()
    }

    /// What callers are refused for before anything else of their request is looked at: status and codes.
    pub(super) fn refusals(self) -> Vec<(u16, &'static [&'static str])> {
        let forbidden: &[&str] = match self {
            Self::Nothing => return Vec::new(),
            Self::WriteToken => &[],
            Self::Viewer => &["tenant_key_required"],
            Self::Editor => &["role_too_low", "tenant_key_required"],
            Self::OverTenant => &["role_too_low"],
            Self::Operator => &["operator_key_required"],
        };
        let mut refusals: Vec<(u16, &[&str])> =
            vec![(401, &["invalid_credentials", "missing_credentials"]), (503, &["credentials_unavailable"])];
        if self != Self::WriteToken {
            // A token may name a tenant that is not here.
            refusals.extend([(403, forbidden), (404, &["not_found"]), (429, &["rate_limited"])]);
        }
        refusals
    }

    /// The schemes that the requirements name.
    pub(super) fn schemes(self) -> Vec<(&'static str, SecurityScheme)> {
        let bearer = |format: &str, what: &str| {
            let mut bearer = Http::new(HttpAuthScheme::Bearer);
            bearer.bearer_format = Some(format.to_owned());
            bearer.description = Some(what.to_owned());
            SecurityScheme::Http(bearer)
        };
        let header =
            |name: &str, what: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, what)));
        match self {
            Self::Nothing => Vec::new(),
            Self::WriteToken => {
                let mut basic = Http::new(HttpAuthScheme::Basic);
                basic.description = Some("The write token as user name, with an empty password.".to_owned());
                let query = "A write token, for beacons, which cannot set headers.";
                let query = SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description("write_key", query)));
                vec![
                    ("write_token", bearer("gpw_…", "A write token of a tenant. It sends events and reads nothing.")),
                    ("write_key_header", header("X-Write-Key", "A write token.")),
                    ("write_token_basic", SecurityScheme::Http(basic)),
                    ("write_key_query", query),
                ]
            }
            _ => {
                let what = "An API key. A tenant's has the role viewer, editor or admin, each of which may do what those \
                    before it may; an operator's is for the installation. `x-goalpost-role` says what an operation demands.";
                let token = "A token of the identity provider, where the installation takes them; its claims say tenant and role.";
                vec![
                    ("api_key", bearer("gpk_…", what)),
                    ("api_key_header", header("X-Api-Key", "An API key.")),
                    ("jwt", bearer("JWT", token)),
                ]
            }
        }
    }
}
