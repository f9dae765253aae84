//! A service's HTTP API as any client uses it: JSON both ways, a secret, and patience while it says "not now".

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How long a request is repeated while the service is away or asks to wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before the next attempt, where the service names no time.
const PAUSE: Duration = Duration::from_millis(200);
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// One service, with the secret by which it is asked.
pub struct Service {
    http: Client,
    url: String,
    secret: String,
}

/// What was answered, and after how many attempts.
pub struct Answer<T> {
    pub body: T,
    pub attempts: u32,
}

/// The part of a problem document that is said to people.
#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
}

/// A client for [`Service`]s.
pub fn client() -> anyhow::Result<Client> {
    Ok(Client::builder().no_proxy().timeout(REQUEST_LIMIT).build()?)
}

impl Service {
    /// A service at this address, asked by this secret.
    pub fn new(http: &Client, url: &str, secret: &str) -> Self {
        Self { http: http.clone(), url: url.trim_end_matches('/').to_owned(), secret: secret.to_owned() }
    }

    /// The same service, asked by another secret.
    pub fn with_secret(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..Self::new(&self.http, &self.url, "") }
    }

    /// Reads.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        Ok(self.ask(Method::GET, path, None).await?.body)
    }

    /// `body` is sent as it is written, numbers included.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: String) -> anyhow::Result<Answer<T>> {
        self.ask(Method::POST, path, Some(body.into())).await
    }

    /// As `post`.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: String) -> anyhow::Result<Answer<T>> {
        self.ask(Method::PUT, path, Some(body.into())).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<bytes::Bytes>,
    ) -> anyhow::Result<Answer<T>> {
        let what = || format!("{method} {}{path}", self.url);
        let limit = Instant::now() + PATIENCE;
        let mut attempts = 1;
        loop {
            let mut request =
                self.http.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.secret);
            if let Some(body) = &body {
                request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
            }
            let (failure, pause) = match request.send().await {
                Ok(answer) if answer.status().is_success() => {
                    let text = answer.text().await.with_context(what)?;
                    let body = serde_json::from_str(&text)
                        .with_context(|| format!("{} answered what nobody expects: {text}", what()))?;
                    return Ok(Answer { body, attempts });
                }
                Ok(answer) => {
                    let pause = pause(&answer);
                    let waits =
                        matches!(answer.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
                    let refusal = refusal(answer).await.context(what());
                    if !waits {
                        return Err(refusal);
                    }
                    (refusal, pause)
                }
                Err(error) => (anyhow!(error.without_url()).context(what()), PAUSE),
            };
            if Instant::now() + pause > limit {
                bail!(failure.context(format!("given up after {} s", PATIENCE.as_secs())));
            }
            tokio::time::sleep(pause).await;
            attempts += 1;
        }
    }
}

fn pause(answer: &Response) -> Duration {
    let named = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    named.map_or(PAUSE, Duration::from_secs)
}

async fn refusal(answer: Response) -> anyhow::Error {
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) => anyhow!("{status}, {}: {}", problem.code, problem.message),
        Err(_) => anyhow!("{status}: {text}"),
    }
}
