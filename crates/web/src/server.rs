//! The two ports of a service: bound before anything is announced, stopped when they are told.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::web::{PathConfig, QueryConfig, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use crate::access::{self, HttpMetrics};
use crate::{AdminPort, HttpSettings, Problem};

/// How long a scrape of the admin port may go on after the public port has stopped.
const ADMIN_SHUTDOWN_SECONDS: u64 = 1;

/// A service's two ports, bound and not yet served.
pub struct Bound {
    /// The public port, as `http://127.0.0.1:8080`.
    pub url: String,
    /// The admin port.
    pub admin_url: String,
    announce_file: Option<PathBuf>,
    // Neither does anything until it is polled.
    public: Server,
    admin: Server,
}

/// Binds the public port, which serves `routes`, and the admin port.
///
/// `routes` registers the service's resources and `app_data`; what surrounds them (request ids, the
/// access log, problem documents for what has no route or no method, for query strings and panics)
/// is here.
///
/// # Errors
/// An address that cannot be bound, named in the text.
pub fn bind<F>(settings: &HttpSettings, admin: AdminPort, routes: F) -> io::Result<Bound>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let metrics = HttpMetrics::new();
    let app = move || {
        let metrics = metrics.clone();
        App::new()
            .wrap(from_fn(move |request, next| access::surround(metrics.clone(), request, next)))
            .app_data(PathConfig::default().error_handler(|_, _| Problem::not_found().into()))
            .app_data(QueryConfig::default().error_handler(|error, _| invalid_query(&error)))
            .default_service(web::to(no_route))
            .configure(routes.clone())
    };
    let public = HttpServer::new(app)
        .workers(settings.workers.max(1))
        .max_connections(settings.max_connections.max(1))
        .keep_alive(Duration::from_secs(settings.keep_alive_seconds))
        .client_request_timeout(Duration::from_millis(settings.header_timeout_ms))
        .shutdown_timeout(settings.shutdown_seconds)
        .disable_signals();
    let public = public.bind((settings.host.as_str(), settings.port));
    let public = public.map_err(|error| cannot_bind(&settings.host, settings.port, &error))?;
    let admin = HttpServer::new(move || App::new().configure(|config| admin.routes(config)))
        .workers(1)
        .shutdown_timeout(ADMIN_SHUTDOWN_SECONDS)
        .disable_signals();
    let admin = admin.bind((settings.admin_host.as_str(), settings.admin_port));
    let admin = admin.map_err(|error| cannot_bind(&settings.admin_host, settings.admin_port, &error))?;
    Ok(Bound {
        url: url_of(&public.addrs()),
        admin_url: url_of(&admin.addrs()),
        announce_file: settings.announce_file.clone().filter(|file| !file.as_os_str().is_empty()),
        public: public.run(),
        admin: admin.run(),
    })
}

impl Bound {
    /// Announces and serves until `stop` resolves; then takes no new connections, finishes the
    /// requests it has (bounded by `http.shutdown_seconds`), and closes the admin port last.
    ///
    /// Call it on the main runtime.
    ///
    /// # Errors
    /// The announcement cannot be written, or a port ended by itself.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let (mut public, mut admin) = (self.public, self.admin);
        let (public_handle, admin_handle) = (public.handle(), admin.handle());
        if let Some(file) = &self.announce_file {
            announce(file, &self.url, &self.admin_url)?;
        }
        tracing::info!(url = self.url, admin_url = self.admin_url, "listening");
        let ended = tokio::select! {
            ended = &mut public => ended,
            ended = &mut admin => ended,
            () = stop => return stop_in_order((public_handle, public), (admin_handle, admin)).await,
        };
        ended.and_then(|()| Err(io::Error::other("a port stopped by itself")))
    }
}

async fn stop_in_order(
    (public_handle, public): (ServerHandle, Server),
    (admin_handle, mut admin): (ServerHandle, Server),
) -> io::Result<()> {
    let stopped = async { futures_util::join!(public_handle.stop(true), public).1 };
    tokio::select! {
        stopped = stopped => stopped?,
        ended = &mut admin => return ended,
    }
    tracing::info!("no requests left");
    futures_util::join!(admin_handle.stop(true), admin).1
}

/// For what no route took. A path that is known was asked for with a method it does not have: such
/// requests come here when routes were registered one by one, and not as one `web::resource` (which
/// answers with `Allow`).
async fn no_route(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(match request.match_pattern() {
        Some(_) => access::of_status(StatusCode::METHOD_NOT_ALLOWED),
        None => {
            let message = "there is nothing at this path";
            Problem::new(StatusCode::NOT_FOUND, "route_not_found", message)
        }
    })
}

fn invalid_query(error: &actix_web::error::QueryPayloadError) -> actix_web::Error {
    let actix_web::error::QueryPayloadError::Deserialize(error) = error else {
        return Problem::bad_request("invalid_query", "the query string is not valid").into();
    };
    Problem::bad_request("invalid_query", format!("the query string is not valid: {error}")).into()
}

fn cannot_bind(host: &str, port: u16, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {host}:{port}: {error}"))
}

/// The address as clients on this machine reach it.
fn url_of(addresses: &[SocketAddr]) -> String {
    let Some(address) = addresses.first() else {
        return String::new();
    };
    let mut address = *address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

/// Writes the file beside its place and moves it there, so that a reader sees all of it or nothing.
fn announce(file: &Path, url: &str, admin_url: &str) -> io::Result<()> {
    let document = serde_json::json!({ "url": url, "admin_url": admin_url });
    let unfinished = file.with_extension(format!("{}.tmp", std::process::id()));
    let written = std::fs::write(&unfinished, document.to_string()).and_then(|()| std::fs::rename(&unfinished, file));
    written.map_err(|error| io::Error::new(error.kind(), format!("cannot write {}: {error}", file.display())))
}
