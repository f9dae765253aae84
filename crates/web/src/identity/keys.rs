//! API keys (`gpk_…`), looked up with a short memory.

use std::sync::Arc;

use domain::credential::{KeyStore, StoredKey};

use super::{Caller, Credential, invalid};
use crate::secret::{self, Prefix, Presented};
use crate::{Lookup, LookupLimits, Problem};

/// The keys of a service, with a short memory.
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
            Some(StoredKey { tenant, role, .. }) if same => {
                Ok(Caller { credential: Credential::Key(presented.id), tenant, role })
            }
            _ => Err(invalid()),
        }
    }
}
