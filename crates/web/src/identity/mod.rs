//! Who calls: API keys (`gpk_…`) and tokens of an identity provider (JWT), their roles, and the extractors by which a handler
//! demands one.

mod keys;

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use domain::ids::TenantId;

use crate::jwt::{Jwt, Keeper};
use crate::{IdentitySettings, Lookup, LookupLimits, Problem, RateLimit, RateLimitSettings, access};

pub use domain::credential::{KeyStore, Role, StoredKey, TenantStore, UnknownRole};
pub use keys::Keys;

/// How callers are known, and how often each may ask. Put it into `app_data` as `web::Data<Identity>`.
#[derive(Clone)]
pub struct Identity {
    keys: Keys,
    jwt: Option<Jwt>,
    tenants: Lookup<()>,
    limit: RateLimit,
}

impl Identity {
    /// Looks up keys and tenants in `store`. The keeper has to run on the main runtime: it fetches the identity provider's keys.
    ///
    /// # Errors
    /// Settings that contradict each other, or a client that cannot be made; one sentence.
    pub fn open(
        store: impl KeyStore + TenantStore + Clone,
        settings: &IdentitySettings,
        limit: RateLimitSettings,
    ) -> std::io::Result<(Self, Keeper)> {
        let (jwt, keeper) = Jwt::open(&settings.jwt)?;
        let known = Arc::new(store.clone());
        let tenants = Lookup::new(LookupLimits::default(), move |tenant: String| {
            let known = Arc::clone(&known);
            Box::pin(async move { Ok(known.knows(&TenantId::parse(&tenant)?).await?.then_some(())) })
        });
        Ok((Self { keys: Keys::new(store), jwt, tenants, limit: RateLimit::new(limit) }, keeper))
    }

    /// Who presents this credential, counted against the caller's limit.
    ///
    /// # Errors
    /// 401 `invalid_credentials` for everything that is no live key and no good token, with one body for all; 404 for a token
    /// whose tenant is not here; 429 `rate_limited`; 503 `credentials_unavailable` when somebody who has to be asked is away.
    pub async fn caller(&self, credential: &str) -> Result<Caller, Problem> {
        // No key has a dot in it, and every token has two.
        let caller = match &self.jwt {
            Some(jwt) if credential.contains('.') => self.here(jwt.caller(credential).await?).await?,
            _ => self.keys.caller(credential).await?,
        };
        self.limit.take(&caller.counted(), NonZeroU32::MIN).await?;
        Ok(caller)
    }

    /// The caller, if the tenant that its token names is one of this installation.
    async fn here(&self, caller: Caller) -> Result<Caller, Problem> {
        match &caller.tenant {
            Some(tenant) if self.tenants.get(tenant.as_str()).await?.is_none() => Err(Problem::not_found()),
            _ => Ok(caller),
        }
    }
}

/// What every credential that is not valid is answered.
pub(crate) fn invalid() -> Problem {
    Problem::unauthorized("invalid_credentials", "the credential is not valid")
}

/// By what a caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An API key, by its public id.
    Key(String),
    /// A token of the identity provider, by its subject.
    Token(String),
}

/// Somebody with a live key or a good token. As an extractor it takes any role; see [`Viewer`], [`Editor`], [`Admin`]
/// and [`Operator`] for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// By what it is known.
    pub credential: Credential,
    /// Its tenant; none for operators.
    pub tenant: Option<TenantId>,
    /// Its role.
    pub role: Role,
}

impl Caller {
    /// The caller as the audit log names it.
    pub fn actor(&self) -> String {
        match &self.credential {
            Credential::Key(id) => format!("key:{id}"),
            Credential::Token(subject) => format!("jwt:{subject}"),
        }
    }

    /// The bucket that its requests are taken from: a subject has one in each tenant.
    fn counted(&self) -> String {
        match (&self.credential, &self.tenant) {
            (Credential::Token(_), Some(tenant)) => format!("{} {tenant}", self.actor()),
            _ => self.actor(),
        }
    }

    /// The tenant in which the caller has at least `least`.
    ///
    /// # Errors
    /// 403 `tenant_key_required` for operators, `role_too_low` for lower roles.
    pub fn in_tenant(&self, least: Role) -> Result<TenantId, Problem> {
        let Some(tenant) = &self.tenant else {
            let message = "this needs a tenant's credential, not an operator's";
            return Err(Problem::forbidden("tenant_key_required", message));
        };
        if self.role < least {
            let message = format!("this needs the role `{}`", least.as_str());
            return Err(Problem::forbidden("role_too_low", message));
        }
        Ok(tenant.clone())
    }

    /// Demands an operator.
    ///
    /// # Errors
    /// 403 `operator_key_required`.
    pub fn operator(&self) -> Result<(), Problem> {
        if self.role == Role::Operator && self.tenant.is_none() {
            return Ok(());
        }
        Err(Problem::forbidden("operator_key_required", "this needs an operator's credential"))
    }

    /// For routes that name their tenant: demands an operator, or somebody with at least `least` in
    /// that very tenant.
    ///
    /// # Errors
    /// 404 as for an unknown tenant when the key is another tenant's, 403 `role_too_low`.
    pub fn over_tenant(&self, tenant: &TenantId, least: Role) -> Result<(), Problem> {
        if self.operator().is_ok() {
            return Ok(());
        }
        if self.tenant.as_ref() != Some(tenant) {
            return Err(Problem::not_found());
        }
        self.in_tenant(least).map(drop)
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let Some(identity) = request.app_data::<web::Data<Identity>>() else {
                tracing::error!("a route demands a caller, but there is no web::Data<Identity>");
                return Err(Problem::internal());
            };
            let credential = credential(request.headers())?;
            let caller = identity.caller(credential.ok_or_else(missing)?).await?;
            if let Some(tenant) = &caller.tenant {
                access::note(&request, "tenant", tenant);
            }
            match &caller.credential {
                Credential::Key(id) => access::note(&request, "key", id),
                Credential::Token(subject) => access::note(&request, "subject", subject),
            }
            Ok(caller)
        })
    }
}

fn missing() -> Problem {
    let message = "a credential is needed, as `Authorization: Bearer …` or `X-Api-Key`";
    Problem::unauthorized("missing_credentials", message)
}

/// The credential of `Authorization: Bearer`, else of `X-Api-Key`.
fn credential(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(invalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(invalid());
        }
        return Ok(Some(token.trim()));
    }
    let key = headers.get("x-api-key");
    key.map(|value| value.to_str().map(str::trim).map_err(|_| invalid())).transpose()
}

macro_rules! tenant_role {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// The caller's tenant.
            pub tenant: TenantId,
            /// The caller.
            pub caller: Caller,
        }

        impl $name {
            /// The caller as the audit log names it.
            pub fn actor(&self) -> String {
                self.caller.actor()
            }
        }

        impl FromRequest for $name {
            type Error = Problem;
            type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                let caller = Caller::from_request(request, payload);
                Box::pin(async move {
                    let caller = caller.await?;
                    Ok(Self { tenant: caller.in_tenant(Role::$name)?, caller })
                })
            }
        }
    };
}

tenant_role!(
    /// Demands at least the role `viewer` in a tenant.
    Viewer
);
tenant_role!(
    /// Demands at least the role `editor` in a tenant.
    Editor
);
tenant_role!(
    /// Demands the role `admin` in a tenant.
    Admin
);

/// Demands an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The caller.
    pub caller: Caller,
}

impl Operator {
    /// The caller as the audit log names it.
    pub fn actor(&self) -> String {
        self.caller.actor()
    }
}

impl FromRequest for Operator {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        Box::pin(async move {
            let caller = caller.await?;
            caller.operator().map(|()| Self { caller })
        })
    }
}
