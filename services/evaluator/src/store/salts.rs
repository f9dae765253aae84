//! `platform.v_id_salts_v1`: what the pseudonyms of a tenant's contacts are made with.

use domain::ids::TenantId;
use domain::privacy::Salt;
use pg::{Error, Tx};

const FIND: &str = "SELECT s.id_salt FROM platform.v_id_salts_v1 s WHERE s.tenant_id = $1";

/// The salt of the tenant.
pub async fn find(tx: &Tx, tenant: &TenantId) -> Result<Salt, Error> {
    let row = tx.query_one(FIND, &[&tenant.as_str()]).await?;
    Salt::new(row.try_get(0)?).ok_or_else(|| Error::Decode("the length of an id_salt".to_owned()))
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 1] = [FIND];
