//! Who calls: API keys (`gpk_…`), their roles, and the extractors by which a handler demands one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use domain::ids::TenantId;

use crate::secret::{self, Prefix, Presented};
use crate::{Lookup, LookupLimits, Problem, access};

pub use domain::credential::{KeyStore, Role, StoredKey, UnknownRole};

/// The keys of a service, with a short memory. Put it into `app_data` as `web::Data<Keys>`.
#[derive(Clone)]
pub struct Keys {
    lookup: Lookup<StoredKey>,
}

impl Keys {
    /// Looks up in `store`, and remembers for at most 4 s.
    pub fn new(store: impl KeyStore) -> Self {
        Self::with_limits(store, LookupLimits::default())
    }

    /// As [`Keys::new`], with other bounds.
    pub fn with_limits(store: impl KeyStore, limits: LookupLimits) -> Self {
        let store = Arc::new(store);
        let lookup = Lookup::new(limits, move |id: String| {
            let store = Arc::clone(&store);
            Box::pin(async move { store.find(&id).await })
        });
        Self { lookup }
    }

    /// Who presents this credential.
    ///
    /// # Errors
    /// 401 `invalid_credentials` for everything that is not a live key, with one body for all; 503
    /// when the store is away.
    pub async fn caller(&self, credential: &str) -> Result<Caller, Problem> {
        let presented =
            Presented::parse(credential).filter(|presented| presented.prefix == Prefix::ApiKey).ok_or_else(invalid)?;
        let stored = self.lookup.get(&presented.id).await?;
        // An unknown id is compared with something too, so that it takes as long.
        let hash = stored.as_ref().map_or([0; 32], |stored| stored.hash);
        let same = secret::verify(&presented.hash, &hash);
        match stored {
            Some(StoredKey { tenant, role, .. }) if same => Ok(Caller { key_id: presented.id, tenant, role }),
            _ => Err(invalid()),
        }
    }
}

fn invalid() -> Problem {
    Problem::unauthorized("invalid_credentials", "the credential is not valid")
}

/// Somebody with a live key. As an extractor it takes any role; see [`Viewer`], [`Editor`], [`Admin`]
/// and [`Operator`] for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key's public id.
    pub key_id: String,
    /// The key's tenant; none for operators.
    pub tenant: Option<TenantId>,
    /// The key's role.
    pub role: Role,
}

impl Caller {
    /// The caller as the audit log names it.
    pub fn actor(&self) -> String {
        format!("key:{}", self.key_id)
    }

    /// The tenant in which the caller has at least `least`.
    ///
    /// # Errors
    /// 403 `tenant_key_required` for operators, `role_too_low` for lower roles.
    pub fn in_tenant(&self, least: Role) -> Result<TenantId, Problem> {
        let Some(tenant) = &self.tenant else {
            let message = "this needs a tenant's API key, not an operator's";
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
        Err(Problem::forbidden("operator_key_required", "this needs an operator's API key"))
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
            let Some(keys) = request.app_data::<web::Data<Keys>>() else {
                tracing::error!("a route demands a key, but there is no web::Data<Keys>");
                return Err(Problem::internal());
            };
            let credential = credential(request.headers())?;
            let caller = keys.caller(credential.ok_or_else(missing)?).await?;
            if let Some(tenant) = &caller.tenant {
                access::note(&request, "tenant", tenant);
            }
            access::note(&request, "key", &caller.key_id);
            Ok(caller)
        })
    }
}

fn missing() -> Problem {
    let message = "an API key is needed, as `Authorization: Bearer gpk_…` or `X-Api-Key`";
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

/// Demands an operator's key.
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
