//! Every operation under every kind of credential: it answers what its document says, and lets in whom its role says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dev::Dev;
use crate::provider::Provider;
use crate::rows::database;

pub const SERVICES: [&str; 4] = ["ingest", "goals", "evaluator", "analytics"];
/// What is carried out once for each `Idempotency-Key`: every POST that makes something, and nothing else.
const ONCE: [&str; 9] = [
    "createApiKey",
    "createGoal",
    "createTenant",
    "createWorkflow",
    "createWriteToken",
    "enrollContact",
    "enrollContacts",
    "erasePerson",
    "scheduleAction",
];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A tenant, and secrets of its own.
pub struct Tenant {
    pub id: String,
    pub admin: String,
    pub write_token: String,
}

/// Who calls, and with what.
pub type Callers = BTreeMap<&'static str, String>;

/// One of each kind, all of them but the operators and the strangers of this tenant.
pub async fn callers(dev: &Dev, (http, provider): (&Client, &Provider), tenant: &Tenant) -> Callers {
    let url = format!("{}/api/v1/tenants/{}/api-keys", dev.text("/services/goals/url"), tenant.id);
    let made = async |role: &str| -> (String, String) {
        let request = http.post(&url).bearer_auth(&tenant.admin).json(&json!({"role": role}));
        let made: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    };
    let (revoked, expired) = (made("admin").await, made("admin").await);
    let revoking = http.delete(format!("{url}/{}", revoked.0)).bearer_auth(&tenant.admin);
    revoking.send().await.unwrap().error_for_status().unwrap();
    let expire = "UPDATE platform.api_keys SET expires_at = now() WHERE id = $1";
    assert_eq!(database(dev).await.execute(expire, &[&expired.0]).await.unwrap(), 1);
    let mut callers = provider.callers(&tenant.id);
    callers.extend([
        ("stranger", "gpk_aaaaaaaaaaaa_nobody".to_owned()),
        ("revoked key", revoked.1),
        ("expired key", expired.1),
        ("viewer", made("viewer").await.1),
        ("editor", made("editor").await.1),
        ("admin", tenant.admin.clone()),
        ("operator", dev.text("/operator_key").to_owned()),
        ("write token", tenant.write_token.clone()),
        ("browser token", browser_token(dev, http, tenant).await),
    ]);
    callers
}

/// It names no origin here, and so is known and no page.
async fn browser_token(dev: &Dev, http: &Client, tenant: &Tenant) -> String {
    let url = format!("{}/api/v1/tenants/{}/write-tokens", dev.text("/services/goals/url"), tenant.id);
    let new = json!({"kind": "browser", "origins": ["https://*.example.com"]});
    let made = http.post(url).bearer_auth(&tenant.admin).json(&new).send().await.unwrap().error_for_status().unwrap();
    made.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

/// What a caller is answered before anything else is looked at; none if it is let in.
fn refusal(role: &str, caller: Option<&str>) -> Option<u16> {
    let (known, allowed): (&[&str], &[&str]) = match role {
        "none" => return None,
        "write token" => (&["write token", "browser token"], &["write token"]),
        "viewer" => (&["viewer", "editor", "admin", "operator"], &["viewer", "editor", "admin"]),
        "editor" => (&["viewer", "editor", "admin", "operator"], &["editor", "admin"]),
        "operator, or admin of the tenant" => (&["viewer", "editor", "admin", "operator"], &["admin", "operator"]),
        "operator" => (&["viewer", "editor", "admin", "operator"], &["operator"]),
        other => panic!("no role: {other}"),
    };
    let caller = caller.map(|caller| if role == "write token" { caller } else { caller.trim_end_matches(" by token") });
    match caller {
        // Its tenant is as any that is not there.
        Some("admin of no tenant here") if role != "write token" => Some(404),
        Some(caller) if allowed.contains(&caller) => None,
        Some(caller) if known.contains(&caller) => Some(403),
        _ => Some(401),
    }
}

/// A path with something in each place: the tenant of the run, an id that nobody has.
fn filled(path: &str, tenant: &str, nobodys: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{tenant_id}" => tenant.to_owned(),
        "{kind}" => "tag".to_owned(),
        "{file}" => "initializer.js".to_owned(),
        part if part.starts_with('{') => nobodys.to_owned(),
        part => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A document, and the service that it is of.
pub struct Described {
    pub url: String,
    pub document: Value,
}

impl Described {
    pub async fn fetch(dev: &Dev, http: &Client, service: &str) -> Self {
        let url = dev.text(&format!("/services/{service}/url")).to_owned();
        let text = http.get(format!("{url}/openapi.json")).send().await.unwrap().text().await.unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../proto-schemas/http/{service}.json"));
        assert!(
            text == fs::read_to_string(file).unwrap(),
            "{service} gives out another document than the committed one"
        );
        Self { url, document: serde_json::from_str(&text).unwrap() }
    }

    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let reference = value.get("$ref").and_then(Value::as_str);
        reference.map_or(value, |reference| self.document.pointer(reference.trim_start_matches('#')).unwrap())
    }

    /// Holds an answer against what the operation says: status, content type, code.
    async fn judge(&self, operation: &Value, answer: Response) -> u16 {
        let (status, url) = (answer.status().as_u16(), answer.url().to_string());
        let id = operation["operationId"].as_str().unwrap();
        let documented = operation["responses"].get(status.to_string());
        let documented =
            self.resolved(documented.unwrap_or_else(|| panic!("{id} answers {status}, which is not documented")));
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        assert!(answer.headers().contains_key("x-request-id"), "{id}");
        let text = answer.text().await.unwrap();
        let kinds: Vec<&String> =
            documented.get("content").and_then(Value::as_object).into_iter().flatten().map(|(k, _)| k).collect();
        let essence = kind.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default();
        assert!(
            kinds.iter().any(|kind| *kind == essence) || (kinds.is_empty() && text.is_empty()),
            "{id}: {kind:?} {url}"
        );
        if status >= 400 {
            let problem: Value = serde_json::from_str(&text).unwrap();
            let codes = documented.pointer("/content/application~1problem+json/schema/allOf/1/properties/code/enum");
            let codes = codes.unwrap().as_array().unwrap();
            assert!(codes.contains(&problem["code"]), "{id}: {} is not documented", problem["code"]);
        }
        status
    }
}

pub async fn every_operation_is_as_its_document_says(dev: &Dev, provider: &Provider) {
    let http = Client::new();
    let demo = |pointer| dev.text(pointer).to_owned();
    let tenant = Tenant { id: demo("/tenant_id"), admin: demo("/api_key"), write_token: demo("/write_token") };
    let callers = callers(dev, (&http, provider), &tenant).await;
    let (mut ids, mut once) = (BTreeSet::new(), BTreeSet::new());
    for service in SERVICES {
        let described = Described::fetch(dev, &http, service).await;
        for (path, item) in described.document["paths"].as_object().unwrap() {
            let url = format!(
                "{}{}",
                described.url,
                filled(path, dev.text("/tenant_id"), &Uuid::now_v7().simple().to_string())
            );
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(format!("{service} {id}")), "{id} stands twice");
                if takes_a_key(&described, operation) {
                    once.insert(id.to_owned());
                    let nobodys = filled(path, dev.text("/tenant_id"), &Uuid::now_v7().to_string());
                    let request = http
                        .post(format!("{}{nobodys}", described.url))
                        .bearer_auth(&callers[caller_of(operation)])
                        .body("{}");
                    let request = request.header("idempotency-key", "k".repeat(256));
                    let status = described.judge(operation, request.send().await.unwrap()).await;
                    assert_eq!(status, 400, "{id} takes a key of 256 characters");
                }
                under_every_credential((&described, operation), &http, (method, &url), &callers).await;
            }
            no_other_method(&http, &url, item).await;
        }
    }
    assert!(ids.len() > 45, "{}", ids.len());
    assert_eq!(once, ONCE.map(str::to_owned).into());
}

fn takes_a_key(described: &Described, operation: &Value) -> bool {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.map(|parameter| described.resolved(parameter)).any(|parameter| parameter["name"] == "Idempotency-Key")
}

/// Somebody who is let in.
fn caller_of(operation: &Value) -> &'static str {
    if operation["x-goalpost-role"] == "operator" { "operator" } else { "admin" }
}

async fn under_every_credential(
    (described, operation): (&Described, &Value),
    http: &Client,
    (method, url): (&str, &str),
    callers: &Callers,
) {
    let role = operation["x-goalpost-role"].as_str().unwrap();
    let nobody = std::iter::once((None, None));
    let everybody = nobody.chain(callers.iter().map(|(name, secret)| (Some(*name), Some(secret))));
    for (caller, secret) in everybody {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = http.request(method, url).header("content-type", "application/json");
        let request = secret.into_iter().fold(request, |request, secret| request.bearer_auth(secret));
        let request = if operation.get("requestBody").is_some() { request.body("{}") } else { request };
        let status = described.judge(operation, request.send().await.unwrap()).await;
        let id = &operation["operationId"];
        match refusal(role, caller) {
            Some(refused) => assert_eq!(status, refused, "{id} as {caller:?}"),
            None => assert!(!matches!(status, 401 | 403 | 500..), "{id} as {caller:?}: {status}"),
        }
    }
}

/// A method that is not described answers 405, and `Allow` names those that are; beside them OPTIONS where pages of other origins may
/// call: what their browsers ask before is no operation.
async fn no_other_method(http: &Client, url: &str, item: &Value) {
    let described: BTreeSet<String> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
    for method in METHODS.into_iter().filter(|method| !described.contains(*method)) {
        let answer = http.request(Method::from_bytes(method.as_bytes()).unwrap(), url).send().await.unwrap();
        assert_eq!(answer.status(), 405, "{method} {url}");
        let allowed = answer.headers()["allow"].to_str().unwrap().split(", ").filter(|method| *method != "OPTIONS");
        let allowed: BTreeSet<String> = allowed.map(str::to_owned).collect();
        assert_eq!(described, allowed, "{method} {url}");
    }
}
