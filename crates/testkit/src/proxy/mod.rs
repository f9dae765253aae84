//! A TCP proxy before PostgreSQL or RabbitMQ that knows where messages end: it lets them pass, delays them, breaks the
//! connection at a chosen one, falls silent, and can speak in the broker's name.

mod frame;
mod pipe;
mod rule;

pub use frame::{Frame, Protocol, Side};
pub use rule::{Act, Rule, acknowledges, asks_to_commit, confirms, delivers, has_committed, publishes, syncs};

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

/// Said in the broker's name, to every client that is connected.
#[derive(Clone, Copy, Debug)]
pub enum Say {
    /// `connection.blocked`
    Blocked,
    /// `connection.unblocked`
    Unblocked,
}

/// What has become of the connections of a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Clients that came.
    pub opened: usize,
    /// Clients that have gone, or were cut off.
    pub ended: usize,
    /// Those that a rule cut off.
    pub cut: usize,
}

/// Stands before one server until it is dropped; its connections end with it.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

struct Shared {
    protocol: Protocol,
    server: Mutex<String>,
    rules: Mutex<Vec<Arc<Rule>>>,
    silent: watch::Sender<bool>,
    say: broadcast::Sender<Say>,
    connections: watch::Sender<Connections>,
}

impl Proxy {
    /// A proxy before the PostgreSQL or RabbitMQ that `url` names, by its scheme.
    pub async fn before(url: &str) -> anyhow::Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0").await?, url)
    }

    /// The same, on a port of the caller's.
    pub fn on(listener: TcpListener, url: &str) -> anyhow::Result<Self> {
        let url: Url = url.parse().context("the server's URL cannot be read")?;
        let (protocol, port) = match url.scheme() {
            "amqp" => (Protocol::Amqp, 5672),
            _ => (Protocol::Postgres, 5432),
        };
        let host = url.host_str().context("the server's URL has no host")?;
        let shared = Arc::new(Shared {
            protocol,
            server: Mutex::new(format!("{host}:{}", url.port().unwrap_or(port))),
            rules: Mutex::default(),
            silent: watch::Sender::new(false),
            say: broadcast::channel(16).0,
            connections: watch::Sender::default(),
        });
        let address = listener.local_addr()?;
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _accepting: accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url` with this proxy in the place of its host and port.
    pub fn through(&self, url: &str) -> anyhow::Result<String> {
        let mut url: Url = url.parse().context("the server's URL cannot be read")?;
        url.set_host(Some(&self.address.ip().to_string()))?;
        url.set_port(Some(self.address.port())).map_err(|()| anyhow::anyhow!("the server's URL takes no port"))?;
        Ok(url.into())
    }

    /// Sets a rule. It holds for connections that are open and for those to come.
    pub fn rule(&self, rule: Rule) -> Arc<Rule> {
        let rule = Arc::new(rule);
        lock(&self.shared.rules).push(Arc::clone(&rule));
        rule
    }

    /// Takes all rules away.
    pub fn pass(&self) {
        lock(&self.shared.rules).clear();
    }

    /// From now on nothing passes on connections that are open, and nothing is closed: a peer that hangs. New connections
    /// are accepted, and pass when the silence ends.
    pub fn silence(&self, silent: bool) {
        self.shared.silent.send_replace(silent);
    }

    /// Speaks to every client that is connected.
    pub fn say(&self, what: Say) {
        // Without a client there is nobody to hear it.
        let _ = self.shared.say.send(what);
    }

    /// New connections go to the server of `url`.
    pub fn switch(&self, url: &str) -> anyhow::Result<()> {
        let url: Url = url.parse().context("the server's URL cannot be read")?;
        let (host, port) = url.host_str().zip(url.port()).context("the server's URL has no host or port")?;
        *lock(&self.shared.server) = format!("{host}:{port}");
        Ok(())
    }

    /// What has become of its connections so far.
    pub fn connections(&self) -> Connections {
        *self.shared.connections.borrow()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut pipes = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while pipes.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        pipes.spawn(async move {
            shared.connections.send_modify(|connections| connections.opened += 1);
            let cut = serve(client, &shared).await.unwrap_or(false);
            shared.connections.send_modify(|connections| {
                connections.ended += 1;
                connections.cut += usize::from(cut);
            });
        });
    }
}

/// A server that cannot be reached ends the client's connection, as it would without a proxy.
async fn serve(client: TcpStream, shared: &Shared) -> io::Result<bool> {
    let server = lock(&shared.server).clone();
    pipe::run(client, TcpStream::connect(server).await?, shared).await
}

fn lock<T>(locked: &Mutex<T>) -> MutexGuard<'_, T> {
    locked.lock().unwrap_or_else(PoisonError::into_inner)
}
