//! An identity provider: publishes its keys over HTTP, signs tokens, changes its keys while services run, and can go away.

mod key;

pub use key::{SigningKey, hs256, joined};

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// For whom its tokens are.
pub const AUDIENCE: &str = "goalpost";
/// How long its tokens are good.
const GOOD_SECONDS: u64 = 3_600;

/// Publishes keys until it is dropped.
pub struct Issuer {
    url: String,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
}

/// What it answers when it is asked for its keys.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A body, with this status.
    Body(u16, String),
    /// A redirect to there.
    Redirect(String),
    /// Nothing, and the connection stays open.
    Silence,
}

impl Issuer {
    /// Publishes these keys.
    pub async fn start(keys: &[&SigningKey]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let answer = Mutex::new(Answer::Body(200, key_set(keys)));
        let shared = Arc::new(Shared { answer, asked: AtomicUsize::new(0) });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, _serving: serving })
    }

    /// What its tokens have as `iss`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its keys are.
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks", self.url)
    }

    /// How often it was asked for them.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// From now on these keys and no others are published.
    pub fn publish(&self, keys: &[&SigningKey]) {
        self.answer(Answer::Body(200, key_set(keys)));
    }

    /// From now on it answers so.
    pub fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Claims of a good token: this subject with this role in this tenant.
    pub fn claims(&self, subject: &str, tenant: Option<&str>, role: &str) -> Value {
        let now = now_seconds();
        let mut claims = json!({"iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + GOOD_SECONDS,
            "roles": [role]});
        if let Some(tenant) = tenant {
            claims["tenant_id"] = tenant.into();
        }
        claims
    }
}

/// Now, as tokens have it.
#[expect(clippy::disallowed_methods, reason = "an identity provider has a clock of its own")]
pub fn now_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// These keys as a key set.
pub fn key_set(keys: &[&SigningKey]) -> String {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, Arc::clone(&shared)));
    }
}

/// One request a connection, read to the end of its head.
async fn answer(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1_024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let answer = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = match answer {
        Answer::Body(status, body) => {
            let length = body.len();
            format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                connection: close\r\n\r\n{body}"
            )
        }
        Answer::Redirect(to) => {
            format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Answer::Silence => return std::future::pending().await,
    };
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}
