//! Ids of people, as callers of the API give them. They come in here and nowhere else.

use domain::fault::Fault;
use domain::ids::{ContactId, InvalidId, TenantId, check_text_id};
use domain::privacy::Salt;
use hmac::{Hmac, KeyInit, Mac};
use pg::Db;
use pg::credentials::find_tenant;
use sha2::Sha256;

use crate::error::Error;

/// How a tenant's people are called.
#[derive(Clone)]
pub struct Ids {
    /// Makes what stands for an id that tells a person.
    pseudonyms: Salt,
    /// Keys what is kept of an id that must not be kept.
    hashes: Hmac<Sha256>,
}

impl Ids {
    /// Those of a tenant.
    pub async fn of(db: &Db, tenant: &TenantId) -> Result<Self, Error> {
        let found = find_tenant(db, tenant).await?.ok_or(Error::NotFound)?;
        Ok(Self::salted(&found.id_salt).ok_or_else(|| pg::Error::Decode("the length of an id_salt".to_owned()))?)
    }

    fn salted(salt: &[u8]) -> Option<Self> {
        Some(Self { pseudonyms: Salt::new(salt)?, hashes: Hmac::new_from_slice(salt).ok()? })
    }

    /// A user, as stored.
    pub fn user(&self, text: &str) -> Result<String, Fault> {
        check_text_id(text).map_err(|why| fault("user_id", &why))?;
        Ok(self.pseudonyms.user_id(text).into_owned())
    }

    /// A contact, as stored.
    pub fn contact(&self, text: &str) -> Result<ContactId, Fault> {
        let given = ContactId::parse(text).map_err(|why| fault("contact_id", &why))?;
        Ok(self.pseudonyms.contact_id(&given).into_owned())
    }

    /// Somebody who may be called so as a user, as a contact, or as both: first as stored, then, where that is another, as given: so it
    /// may stand in what died before it was looked at.
    pub fn person(&self, text: &str) -> Result<Vec<ContactId>, Fault> {
        let given = ContactId::parse(text).map_err(|why| fault("user_id", &why))?;
        let mut ids = vec![self.pseudonyms.contact_id(&given).into_owned(), given];
        ids.dedup();
        Ok(ids)
    }

    /// What is kept of the parts of a request in which somebody is named. Tells nobody anything who does not know them.
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.hashes.clone();
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn fault(key: &str, why: &InvalidId) -> Fault {
    Fault::at(key, why.code(), why.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_hash_is_of_its_parts_and_of_the_tenant() {
        let ids = |salt: u8| Ids::salted(&[salt; 32]).unwrap();
        let hash = ids(1).hash(&[b"erasure", b"c-1"]);
        assert_eq!(hash, ids(1).hash(&[b"erasure", b"c-1"]));
        for other in
            [ids(1).hash(&[b"erasur", b"ec-1"]), ids(1).hash(&[b"erasure", b"c-2"]), ids(2).hash(&[b"erasure", b"c-1"])]
        {
            assert_ne!(hash, other);
        }
    }
}
