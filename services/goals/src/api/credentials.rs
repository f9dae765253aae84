//! `/tenants/{tenant_id}/write-tokens` and `…/api-keys`: a secret is in the answer that makes it, and in no other.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, Path};
use domain::fault::Fault;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use web::secret::{Minted, Prefix, mint};
use web::{Cursor, Listed, Page, Problem, Role, Strict};

use super::callers::{By, OverTenant};
use super::{App, place};
use crate::credentials;
use crate::store::credentials::{Credential, Grants, NewCredential, Table};

/// The only kind there is.
const SERVER: &str = "server";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenBody {
    kind: Option<String>,
    #[serde(default, with = "domain::time_format::option")]
    expires_at: Option<OffsetDateTime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyBody {
    role: String,
    #[serde(default, with = "domain::time_format::option")]
    expires_at: Option<OffsetDateTime>,
}

/// A credential with its secret, under the name that its kind goes by.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    credential: Credential,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

pub(super) async fn create_token(
    app: Data<App>,
    By(by, Strict(body)): By<OverTenant, Strict<TokenBody>>,
) -> Result<HttpResponse, Problem> {
    let kind = body.kind.unwrap_or_else(|| SERVER.to_owned());
    if kind != SERVER {
        return Err(Fault::at("kind", "invalid_value", "must be server").into());
    }
    let minted = mint(Prefix::WriteToken);
    let new = kept(&by, &minted, Grants::Kind(kind), body.expires_at);
    let credential = credentials::create(&app.db, new).await?;
    Ok(shown(Shown { credential, token: Some(minted.text), key: None }))
}

pub(super) async fn create_key(
    app: Data<App>,
    By(by, Strict(body)): By<OverTenant, Strict<KeyBody>>,
) -> Result<HttpResponse, Problem> {
    let role = body.role.parse::<Role>().ok().filter(|role| *role != Role::Operator);
    let unknown = || Fault::at("role", "invalid_value", "must be viewer, editor or admin");
    let minted = mint(Prefix::ApiKey);
    let grants = Grants::Role(role.ok_or_else(unknown)?.as_str().to_owned());
    let credential = credentials::create(&app.db, kept(&by, &minted, grants, body.expires_at)).await?;
    Ok(shown(Shown { credential, token: None, key: Some(minted.text) }))
}

fn kept(by: &OverTenant, minted: &Minted, grants: Grants, expires_at: Option<OffsetDateTime>) -> NewCredential {
    NewCredential {
        id: minted.id.clone(),
        tenant: Some(by.author.tenant.clone()),
        grants,
        secret_hash: minted.hash,
        created_by: by.author.actor.clone(),
        expires_at,
    }
}

fn shown(credential: Shown) -> HttpResponse {
    HttpResponse::Created().insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(credential)
}

pub(super) async fn list_tokens(app: Data<App>, by: By<OverTenant, Page>) -> Result<HttpResponse, Problem> {
    list(&app, Table::WriteTokens, by).await
}

pub(super) async fn list_keys(app: Data<App>, by: By<OverTenant, Page>) -> Result<HttpResponse, Problem> {
    list(&app, Table::ApiKeys, by).await
}

async fn list(app: &App, table: Table, By(by, page): By<OverTenant, Page>) -> Result<HttpResponse, Problem> {
    let before = place(&page)?;
    let fetched = credentials::list(&app.db, table, &by.author, by.is_operator, (before, page.fetch())).await?;
    let listed = Listed::of(&page, fetched, |c| Cursor::new(c.created_at, &c.id), |c| c);
    Ok(HttpResponse::Ok().json(listed))
}

pub(super) async fn revoke_token(
    app: Data<App>,
    By(by, path): By<OverTenant, Path<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    revoke(&app, Table::WriteTokens, &by, &path.1).await
}

pub(super) async fn revoke_key(
    app: Data<App>,
    By(by, path): By<OverTenant, Path<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    revoke(&app, Table::ApiKeys, &by, &path.1).await
}

async fn revoke(app: &App, table: Table, by: &OverTenant, id: &str) -> Result<HttpResponse, Problem> {
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Problem::not_found());
    }
    credentials::revoke(&app.db, &by.author, table, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
