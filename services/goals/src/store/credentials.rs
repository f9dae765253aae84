//! `platform.write_tokens` and `platform.api_keys`, which are two tables of one shape: secrets, and what they open. Only the
//! SHA-256 of a secret is kept, and it is never read here.

use domain::ids::TenantId;
use pg::{Error, Row, ToSql, Tx};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

pub(super) fn system_statements() -> impl Iterator<Item = &'static str> {
    [&WRITE_TOKENS, &API_KEYS].into_iter().flat_map(|t| [t.insert, t.list, t.count_live, t.find, t.revoke, t.is_kept])
}

/// What a credential is good for, by its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grants {
    /// A write token, of this kind.
    Kind(String),
    /// An API key, with this role.
    Role(String),
}

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    WriteTokens,
    ApiKeys,
}

impl Grants {
    pub fn table(&self) -> Table {
        match self {
            Self::Kind(_) => Table::WriteTokens,
            Self::Role(_) => Table::ApiKeys,
        }
    }

    /// The word that is stored and sent.
    pub fn word(&self) -> &str {
        match self {
            Self::Kind(word) | Self::Role(word) => word,
        }
    }
}

/// A credential, as it is answered and audited: without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Credential {
    pub id: String,
    #[serde(flatten)]
    pub grants: Grants,
    /// Of a browser token: the origins whose pages may use it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub origins: Vec<String>,
    pub created_by: String,
    #[serde(with = "domain::time_format")]
    pub created_at: OffsetDateTime,
    #[serde(with = "domain::time_format::option")]
    pub expires_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// A credential to be kept. Only an operator's key has no tenant.
#[derive(Debug, Clone)]
pub struct NewCredential {
    pub id: String,
    pub tenant: Option<TenantId>,
    pub grants: Grants,
    /// Of a browser token.
    pub origins: Vec<String>,
    pub secret_hash: [u8; 32],
    pub created_by: String,
    pub expires_at: Option<OffsetDateTime>,
}

struct Statements {
    insert: &'static str,
    list: &'static str,
    count_live: &'static str,
    find: &'static str,
    revoke: &'static str,
    is_kept: &'static str,
}

macro_rules! statements {
    ($table:literal, $grants:literal, $more:literal, $more_bound:literal) => {
        Statements {
            insert: concat!(
                "INSERT INTO ",
                $table,
                " (id, tenant_id, ",
                $grants,
                ", secret_hash, created_by, expires_at",
                $more,
                ") ",
                "VALUES ($1, $2, $3, $4, $5, $6",
                $more_bound,
                ") ON CONFLICT (id) DO NOTHING ",
                "RETURNING id, ",
                $grants,
                ", created_by, created_at, expires_at, revoked_at",
                $more
            ),
            list: concat!(
                "SELECT id, ",
                $grants,
                ", created_by, created_at, expires_at, revoked_at",
                $more,
                " FROM ",
                $table,
                " ",
                "WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3)) ",
                "ORDER BY created_at DESC, id DESC LIMIT $4"
            ),
            count_live: concat!(
                "SELECT count(*) FROM ",
                $table,
                " ",
                "WHERE tenant_id = $1 AND ",
                $grants,
                " = $2 AND revoked_at IS NULL ",
                "AND (expires_at IS NULL OR expires_at > statement_timestamp())"
            ),
            find: concat!(
                "SELECT id, ",
                $grants,
                ", created_by, created_at, expires_at, revoked_at",
                $more,
                " FROM ",
                $table,
                " ",
                "WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
            ),
            revoke: concat!(
                "UPDATE ",
                $table,
                " SET revoked_at = statement_timestamp() WHERE tenant_id = $1 AND id = $2 ",
                "RETURNING id, ",
                $grants,
                ", created_by, created_at, expires_at, revoked_at",
                $more
            ),
            is_kept: concat!(
                "SELECT EXISTS (SELECT FROM ",
                $table,
                " WHERE id = $1 AND tenant_id IS NOT DISTINCT FROM $2 ",
                "AND ",
                $grants,
                " = $3 AND secret_hash = $4 AND revoked_at IS NULL)"
            ),
        }
    };
}

static WRITE_TOKENS: Statements = statements!("platform.write_tokens", "kind", ", origins", ", $7");
static API_KEYS: Statements = statements!("platform.api_keys", "role", "", "");

impl Table {
    fn statements(self) -> &'static Statements {
        match self {
            Self::WriteTokens => &WRITE_TOKENS,
            Self::ApiKeys => &API_KEYS,
        }
    }

    /// Adds a credential; none if its id is taken.
    pub async fn insert(tx: &Tx, new: &NewCredential) -> Result<Option<Credential>, Error> {
        let table = new.grants.table();
        let tenant = new.tenant.as_ref().map(TenantId::as_str);
        let hash = new.secret_hash.as_slice();
        let word = new.grants.word();
        let shared: [&(dyn ToSql + Sync); 6] = [&new.id, &tenant, &word, &hash, &new.created_by, &new.expires_at];
        let more: &[&(dyn ToSql + Sync)] = if table == Table::WriteTokens { &[&new.origins] } else { &[] };
        let row = tx.query_opt(table.statements().insert, &[&shared[..], more].concat()).await?;
        row.as_ref().map(|row| table.read(row)).transpose()
    }

    /// Those of a tenant older than `before`, revoked and expired ones too, newest first.
    pub async fn list(
        self,
        tx: &Tx,
        tenant: &TenantId,
        before: Option<(OffsetDateTime, String)>,
        limit: i64,
    ) -> Result<Vec<Credential>, Error> {
        let (time, id) = before.unzip();
        let rows = tx.query(self.statements().list, &[&tenant.as_str(), &time, &id, &limit]).await?;
        rows.iter().map(|row| self.read(row)).collect()
    }

    /// How many of the tenant's that grant the same are neither revoked nor expired.
    pub async fn count_live(tx: &Tx, tenant: &TenantId, grants: &Grants) -> Result<i64, Error> {
        let count_live = grants.table().statements().count_live;
        Ok(tx.query_one(count_live, &[&tenant.as_str(), &grants.word()]).await?.try_get(0)?)
    }

    /// One of the tenant's, held to the end of the transaction.
    pub async fn find(self, tx: &Tx, tenant: &TenantId, id: &str) -> Result<Option<Credential>, Error> {
        let row = tx.query_opt(self.statements().find, &[&tenant.as_str(), &id]).await?;
        row.as_ref().map(|row| self.read(row)).transpose()
    }

    /// From the commit on it opens nothing (services may remember it for a few seconds).
    pub async fn revoke(self, tx: &Tx, tenant: &TenantId, id: &str) -> Result<Credential, Error> {
        self.read(&tx.query_one(self.statements().revoke, &[&tenant.as_str(), &id]).await?)
    }

    /// Whether this very credential is there already, and is not revoked.
    pub async fn is_kept(tx: &Tx, new: &NewCredential) -> Result<bool, Error> {
        let tenant = new.tenant.as_ref().map(TenantId::as_str);
        let hash = new.secret_hash.as_slice();
        let is_kept = new.grants.table().statements().is_kept;
        Ok(tx.query_one(is_kept, &[&new.id, &tenant, &new.grants.word(), &hash]).await?.try_get(0)?)
    }

    fn read(self, row: &Row) -> Result<Credential, Error> {
        let word = row.try_get(1)?;
        Ok(Credential {
            id: row.try_get(0)?,
            grants: match self {
                Self::WriteTokens => Grants::Kind(word),
                Self::ApiKeys => Grants::Role(word),
            },
            origins: if self == Self::WriteTokens { row.try_get(6)? } else { Vec::new() },
            created_by: row.try_get(2)?,
            created_at: row.try_get(3)?,
            expires_at: row.try_get(4)?,
            revoked_at: row.try_get(5)?,
        })
    }
}
