//! A small service with a route for everything that is tested, and clients for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Json, ServiceConfig};
use domain::fault::Fault;
use domain::ids::TenantId;
use domain::outbox::{BoxError, BoxFuture};
use goalpost_web::secret::{Minted, Prefix, mint};
use goalpost_web::{
    Admin, AdminPort, Caller, Editor, HttpSettings, Identity, IdentitySettings, KeyStore, Operator, Page, Problem,
    Role, StoredKey, Strict, TenantStore, Viewer, access, bind, body,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

/// The store of keys: in memory, countable, and it can go away.
#[derive(Clone, Default)]
pub struct Store(Arc<Inner>);

#[derive(Default)]
struct Inner {
    keys: Mutex<HashMap<String, StoredKey>>,
    asked: AtomicUsize,
    away: AtomicBool,
}

impl Store {
    pub fn add(&self, role: Role, tenant: Option<&str>) -> Minted {
        let minted = mint(Prefix::ApiKey);
        let tenant = tenant.map(|tenant| TenantId::parse(tenant).unwrap());
        let stored = StoredKey { hash: minted.hash, tenant, role };
        self.0.keys.lock().unwrap().insert(minted.id.clone(), stored);
        minted
    }

    pub fn revoke(&self, id: &str) {
        self.0.keys.lock().unwrap().remove(id);
    }

    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    pub fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
    }
}

impl KeyStore for Store {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<StoredKey>, BoxError>> {
        Box::pin(async move {
            self.0.asked.fetch_add(1, Ordering::SeqCst);
            if self.0.away.load(Ordering::SeqCst) {
                return Err("the database is away".into());
            }
            Ok(self.0.keys.lock().unwrap().get(id).cloned())
        })
    }
}

/// The tenant `acme` and no other.
impl TenantStore for Store {
    fn knows<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<bool, BoxError>> {
        Box::pin(async move {
            if self.0.away.load(Ordering::SeqCst) {
                return Err("the database is away".into());
            }
            Ok(tenant.as_str() == "acme")
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
    #[serde(default)]
    size: Option<u8>,
}

/// The small service, running until it is dropped or stopped.
pub struct Service {
    pub url: String,
    pub admin_url: String,
    pub store: Store,
    pub ready: Arc<AtomicBool>,
    pub http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    pub served: JoinHandle<std::io::Result<()>>,
    _kept: JoinSet<()>,
}

pub fn settings() -> HttpSettings {
    HttpSettings { port: 0, admin_port: 0, workers: 1, ..HttpSettings::default() }
}

pub async fn start() -> Service {
    start_with(settings()).await
}

pub async fn start_with(settings: HttpSettings) -> Service {
    start_known_by(settings, &IdentitySettings::default()).await
}

/// With other ways to be known.
pub async fn start_known_by(settings: HttpSettings, known_by: &IdentitySettings) -> Service {
    let (store, ready) = (Store::default(), Arc::new(AtomicBool::new(true)));
    let (identity, keeper) = Identity::open(store.clone(), known_by, settings.rate_limit).unwrap();
    let (first, second) = (Arc::clone(&ready), Arc::clone(&ready));
    let admin = AdminPort::new(prometheus::default_registry().clone())
        .check("life", move || first.load(Ordering::SeqCst))
        .probe("database", move || {
            let ready = second.load(Ordering::SeqCst);
            Box::pin(async move {
                if !ready {
                    std::future::pending::<()>().await;
                }
                true
            })
        });
    let bound = bind(&settings, admin, move |config| routes(config, &identity)).unwrap();
    let (url, admin_url) = (bound.url.clone(), bound.admin_url.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(bound.run(async { drop(stopped.await) }));
    let mut kept = JoinSet::new();
    kept.spawn(keeper.run(std::future::pending()));
    let http = reqwest::Client::new();
    Service { url, admin_url, store, ready, http, stop: Some(stop), served, _kept: kept }
}

impl Service {
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url.strip_prefix("http://").unwrap()).await.unwrap()
    }
}

/// Sends, and takes the answer apart: status, headers, JSON.
pub async fn send(request: reqwest::RequestBuilder) -> (u16, reqwest::header::HeaderMap, Value) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let document = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, headers, document)
}

/// Sends, and demands a problem document in all its parts.
pub async fn problem(request: reqwest::RequestBuilder, status: u16, code: &str) -> Value {
    let (answered, headers, document) = send(request).await;
    assert_eq!((answered, &document["code"]), (status, &json!(code)), "{document}");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(document["type"], format!("urn:goalpost:problem:{code}"));
    assert_eq!(document["status"], status);
    assert_eq!(document["detail"], document["message"]);
    assert!(document["title"].as_str().is_some_and(|title| !title.is_empty()));
    let id = headers["x-request-id"].to_str().unwrap();
    assert_eq!(document["instance"], format!("urn:goalpost:request:{id}"));
    document
}

/// Reads from a raw connection until it is closed or `limit` has passed.
pub async fn read_all(stream: &mut TcpStream, limit: Duration) -> String {
    let mut bytes = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            bytes.extend_from_slice(&buffer[..count]);
        }
    };
    let _ = tokio::time::timeout(limit, read).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Opens a connection and sends `head`, with the lines' ends put right.
pub async fn raw(service: &Service, head: &str) -> TcpStream {
    let mut stream = service.connect().await;
    stream.write_all(head.replace('\n', "\r\n").as_bytes()).await.unwrap();
    stream
}

fn routes(config: &mut ServiceConfig, identity: &Identity) {
    config
        .app_data(Data::new(identity.clone()))
        .route("/things/{id}", web::get().to(thing))
        .route("/strict", web::post().to(strict))
        .route("/small", web::post().to(small))
        .route("/fail/{kind}", web::get().to(fail))
        .route("/panic", web::get().to(panic))
        .route("/panic-after", web::post().to(panic))
        .route("/slow", web::get().to(slow))
        .route("/query", web::get().to(query))
        .route("/page", web::get().to(page))
        .service(web::resource("/versioned").route(web::put().to(any)).route(web::delete().to(slow)))
        .route("/any", web::get().to(any))
        .route("/viewer", web::get().to(viewer))
        .route("/editor", web::get().to(editor))
        .route("/admin", web::get().to(admin))
        .route("/operator", web::get().to(operator))
        .route("/tenants/{tenant_id}", web::get().to(tenant));
}

async fn thing(id: web::Path<Uuid>, request: HttpRequest) -> Result<Json<Value>, Problem> {
    access::note(&request, "things", 3);
    if id.is_nil() {
        return Ok(Json(json!({ "request_id": access::current_request_id() })));
    }
    Err(Problem::not_found())
}

async fn strict(Strict(thing): Strict<Thing>) -> Json<Value> {
    Json(json!({ "name": thing.name, "size": thing.size }))
}

async fn small(request: HttpRequest, payload: web::Payload) -> Result<String, Problem> {
    let limits = body::Limits { max_bytes: 1_000, deadline_ms: 400 };
    let body = body::read(payload, &request, limits).await?;
    Ok(body.len().to_string())
}

async fn fail(kind: web::Path<String>) -> Result<String, Problem> {
    Err(match kind.as_str() {
        "bad_request" => Problem::bad_request("no_events", "there are no events")
            .with_extra("results", json!([{ "index": 0 }]))
            .with_extra("status", json!("not to be replaced")),
        "invalid" => Problem::invalid(vec![
            Fault::at("name", "too_long", "must be shorter"),
            Fault::at("a/b", "invalid_type", "must be a text"),
        ]),
        "unauthorized" => Problem::unauthorized("invalid_credentials", "no"),
        "forbidden" => Problem::forbidden("role_too_low", "no"),
        "not_found" => Problem::not_found(),
        "conflict" => Problem::conflict("already_enrolled", "no"),
        "too_large" => Problem::too_large("batch_too_large", "no"),
        "unsupported" => Problem::unsupported_type("unsupported_content_type", "no"),
        "too_many" => Problem::too_many("rate_limited", "slower").retry_in(7),
        "unavailable" => Problem::unavailable("overloaded", "no"),
        _ => Problem::internal(),
    })
}

async fn panic(request: HttpRequest) -> String {
    assert!(request.path().is_empty(), "a secret in a panic");
    String::new()
}

async fn slow() -> String {
    tokio::time::sleep(Duration::from_millis(700)).await;
    "done".to_owned()
}

#[derive(Deserialize)]
struct Wanted {
    from: u32,
}

async fn query(wanted: web::Query<Wanted>) -> String {
    wanted.from.to_string()
}

async fn page(page: Page) -> Json<Value> {
    Json(json!({ "limit": page.limit, "cursor": page.cursor.map(|cursor| cursor.id) }))
}

async fn any(caller: Caller) -> String {
    caller.role.as_str().to_owned()
}

async fn viewer(caller: Viewer) -> String {
    format!("{} {}", caller.tenant, caller.actor())
}

async fn editor(caller: Editor) -> String {
    caller.tenant.to_string()
}

async fn admin(caller: Admin) -> String {
    caller.tenant.to_string()
}

async fn operator(caller: Operator) -> String {
    caller.actor()
}

async fn tenant(caller: Caller, tenant: web::Path<TenantId>) -> Result<String, Problem> {
    caller.over_tenant(&tenant, Role::Admin)?;
    Ok(tenant.to_string())
}
