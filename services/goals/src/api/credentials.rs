//! `/tenants/{tenant_id}/write-tokens` and `…/api-keys`: a secret is in the answer that makes it, and in no other.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, Path};
use domain::fault::Fault;
use domain::once::{Answered, Asked, Key};
use domain::origin::OriginPattern;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::secret::{Minted, Prefix, mint};
use web::{Cursor, Keyed, Listed, Page, Problem, Role};

use super::callers::{By, OverTenant};
use super::{App, made, place};
use crate::credentials::{self, BROWSER, SERVER};
use crate::error::Error;
use crate::store::credentials::{Credential, Grants, NewCredential, Table};

/// Most origins of one token.
const MOST_ORIGINS: usize = 50;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWriteToken)]
pub(super) struct TokenBody {
    /// `server` for what keeps it secret, `browser` for what stands in web pages; by default a server's.
    #[schema(pattern = "^(server|browser)$")]
    kind: Option<String>,
    /// Of a browser token, and of no other: the origins whose pages may use it.
    #[schema(min_items = 1, max_items = 50)]
    origins: Option<Vec<String>>,
    #[serde(default, with = "domain::time_format::option")]
    expires_at: Option<OffsetDateTime>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub(super) struct KeyBody {
    #[schema(schema_with = schema::tenant_role)]
    role: String,
    #[serde(default, with = "domain::time_format::option")]
    expires_at: Option<OffsetDateTime>,
}

/// A credential with its secret, under the name that its kind goes by.
#[derive(Serialize, ToSchema)]
#[schema(as = CredentialWithSecret)]
struct Shown {
    #[serde(flatten)]
    credential: Credential,
    /// Of a write token: its secret. It is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Of an API key: its secret. It is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

fn example(grants: (&str, &str)) -> Value {
    let mut credential = json!({"id": "0CN3DBTTV2", "created_by": "key:4XG9TE3ZQ7", "created_at": "2026-01-03T10:00:00Z",
        "expires_at": null, "revoked_at": null});
    credential[grants.0] = grants.1.into();
    credential
}

fn example_with_secret(grants: (&str, &str), secret: (&str, &str)) -> Value {
    let mut credential = example(grants);
    credential[secret.0] = secret.1.into();
    credential
}

pub(super) fn operations() -> Vec<Operation> {
    let of_tenant = |operation: Operation| {
        operation.demands(Demands::OverTenant).at("tenant_id", schema::tenant_id(), "The tenant.")
    };
    let of_id = |operation| of_tenant(operation).at("id", schema::text(), "The credential's id.");
    let (token, key) = (("kind", "server"), ("role", "editor"));
    let shown_token = example_with_secret(token, ("token", "gpw_0CN3DBTTV2_…"));
    let shown_key = example_with_secret(key, ("key", "gpk_0CN3DBTTV2_…"));
    vec![
        of_tenant(Operation::post("/api/v1/tenants/{tenant_id}/write-tokens", create_token))
            .named("createWriteToken", "credentials")
            .does(
                "Make a write token",
                "Two at most of a kind work at a time, for rotation. Sent again under its key, the secret is not shown again.",
            )
            .once()
            .takes::<TokenBody>(
                false,
                &[
                    ("until_a_day", json!({"kind": "server", "expires_at": "2099-01-01T00:00:00Z"})),
                    ("for_web_pages", json!({"kind": "browser", "origins": ["https://www.example.com", "https://*.example.com"]})),
                ],
            )
            .answers::<Shown>(201, "The write token with its secret.", shown_token)
            .refuses(400, &["invalid_timestamp"])
            .refuses(409, &["secret_already_shown", "too_many_live_tokens"]),
        of_tenant(Operation::get("/api/v1/tenants/{tenant_id}/write-tokens", list_tokens))
            .named("listWriteTokens", "credentials")
            .does("List write tokens", "Newest first, revoked ones too, without secrets.")
            .paged()
            .lists::<Credential>("Write tokens.", example(token)),
        of_id(Operation::delete("/api/v1/tenants/{tenant_id}/write-tokens/{id}", revoke_token))
            .named("revokeWriteToken", "credentials")
            .does("Revoke a write token", "It is refused everywhere within 5 s. Revoking again changes nothing.")
            .answers_nothing("It is revoked."),
        of_tenant(Operation::post("/api/v1/tenants/{tenant_id}/api-keys", create_key))
            .named("createApiKey", "credentials")
            .does(
                "Make an API key",
                "Of one of the three roles of a tenant. Sent again under its key, the secret is not shown again.",
            )
            .once()
            .takes::<KeyBody>(true, &[("editor", json!({"role": "editor"}))])
            .answers::<Shown>(201, "The API key with its secret.", shown_key)
            .refuses(400, &["invalid_timestamp"])
            .refuses(409, &["secret_already_shown"]),
        of_tenant(Operation::get("/api/v1/tenants/{tenant_id}/api-keys", list_keys))
            .named("listApiKeys", "credentials")
            .does("List API keys", "Newest first, revoked ones too, without secrets.")
            .paged()
            .lists::<Credential>("API keys.", example(key)),
        of_id(Operation::delete("/api/v1/tenants/{tenant_id}/api-keys/{id}", revoke_key))
            .named("revokeApiKey", "credentials")
            .does("Revoke an API key", "It is refused everywhere within 5 s. Revoking again changes nothing.")
            .answers_nothing("It is revoked."),
    ]
}

async fn create_token(
    app: Data<App>,
    By(by, Keyed { body, key }): By<OverTenant, Keyed<TokenBody>>,
) -> Result<HttpResponse, Problem> {
    let (kind, origins) = kind_and_origins(body.kind, body.origins)?;
    let minted = mint(Prefix::WriteToken);
    let new = NewCredential { origins, ..kept(&by, &minted, Grants::Kind(kind), body.expires_at) };
    let credential = create(&app, new, key).await?;
    Ok(shown(Shown { credential, token: Some(minted.text), key: None }))
}

/// The kind of a token, and the origins that one for a browser has to have, as a browser writes them.
fn kind_and_origins(kind: Option<String>, origins: Option<Vec<String>>) -> Result<(String, Vec<String>), Fault> {
    let kind = kind.unwrap_or_else(|| SERVER.to_owned());
    let at_origins = |code, message: String| Fault::at("origins", code, message);
    match (kind.as_str(), origins) {
        (SERVER, None) => Ok((kind, Vec::new())),
        (SERVER, Some(_)) => Err(at_origins("invalid_value", "is for browser tokens only".to_owned())),
        (BROWSER, None) => Err(at_origins("missing_field", "is required of a browser token".to_owned())),
        (BROWSER, Some(origins)) if !(1..=MOST_ORIGINS).contains(&origins.len()) => {
            Err(at_origins("invalid_value", format!("must be 1 to {MOST_ORIGINS} origins")))
        }
        (BROWSER, Some(origins)) => {
            let mut kept: Vec<String> = Vec::with_capacity(origins.len());
            for (place, text) in origins.iter().enumerate() {
                let pattern = OriginPattern::parse(text);
                let pattern = pattern.map_err(|fault| fault.within(&place.to_string()).within("origins"))?;
                if !kept.iter().any(|known| known == pattern.as_str()) {
                    kept.push(pattern.as_str().to_owned());
                }
            }
            Ok((kind, kept))
        }
        _ => Err(Fault::at("kind", "invalid_value", "must be server or browser")),
    }
}

async fn create_key(
    app: Data<App>,
    By(by, Keyed { body, key: name }): By<OverTenant, Keyed<KeyBody>>,
) -> Result<HttpResponse, Problem> {
    let role = body.role.parse::<Role>().ok().filter(|role| *role != Role::Operator);
    let unknown = || Fault::at("role", "invalid_value", "must be viewer, editor or admin");
    let minted = mint(Prefix::ApiKey);
    let grants = Grants::Role(role.ok_or_else(unknown)?.as_str().to_owned());
    let credential = create(&app, kept(&by, &minted, grants, body.expires_at), name).await?;
    Ok(shown(Shown { credential, token: None, key: Some(minted.text) }))
}

/// What is kept of the answer is the credential without its secret. So a repetition can only say that there was one.
async fn create(app: &App, new: NewCredential, key: Option<Key>) -> Result<Credential, Error> {
    let once = Asked::over_http(new.tenant.as_ref(), key).answering(made);
    match credentials::create(&app.db, new, once).await? {
        Answered::Now(credential) => Ok(credential),
        Answered::Before(answer) => {
            let id = serde_json::from_str(&answer.body).map(|Named { id }| id);
            Err(Error::SecretAlreadyShown(id.map_err(|error| pg::Error::Decode(error.to_string()))?))
        }
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

fn kept(by: &OverTenant, minted: &Minted, grants: Grants, expires_at: Option<OffsetDateTime>) -> NewCredential {
    NewCredential {
        id: minted.id.clone(),
        tenant: Some(by.author.tenant.clone()),
        grants,
        origins: Vec::new(),
        secret_hash: minted.hash,
        created_by: by.author.actor.clone(),
        expires_at,
    }
}

fn shown(credential: Shown) -> HttpResponse {
    HttpResponse::Created().insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(credential)
}

async fn list_tokens(app: Data<App>, by: By<OverTenant, Page>) -> Result<HttpResponse, Problem> {
    list(&app, Table::WriteTokens, by).await
}

async fn list_keys(app: Data<App>, by: By<OverTenant, Page>) -> Result<HttpResponse, Problem> {
    list(&app, Table::ApiKeys, by).await
}

async fn list(app: &App, table: Table, By(by, page): By<OverTenant, Page>) -> Result<HttpResponse, Problem> {
    let before = place(&page)?;
    let fetched = credentials::list(&app.db, table, &by.author, by.is_operator, (before, page.fetch())).await?;
    let listed = Listed::of(&page, fetched, |c| Cursor::new(c.created_at, &c.id), |c| c);
    Ok(HttpResponse::Ok().json(listed))
}

async fn revoke_token(
    app: Data<App>,
    By(by, path): By<OverTenant, Path<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    revoke(&app, Table::WriteTokens, &by, &path.1).await
}

async fn revoke_key(
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
