//! Where the provider's keys come from.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::JwtSettings;
use super::key_set::KeySet;

/// Most bytes of a key set.
const MAX_BYTES: usize = 256 * 1_024;

/// A place to read a key set from.
pub enum Source {
    Server { client: Client, url: String },
    File(PathBuf),
}

/// Why no key set came.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the identity provider does not answer")]
    Request(#[from] reqwest::Error),
    #[error("the identity provider answers {0}")]
    Status(StatusCode),
    #[error("the key set has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("what came is no key set")]
    NoKeySet(#[from] serde_json::Error),
    #[error("the file of the key set cannot be read")]
    File(#[from] io::Error),
}

impl Source {
    /// The place that the settings name. A redirect is not followed: where keys come from is said by nobody else.
    pub fn new(settings: &JwtSettings) -> io::Result<Self> {
        if settings.jwks_url.is_empty() {
            return Ok(Self::File(settings.jwks_file.clone()));
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(Duration::from_millis(settings.timeout_ms))
            .pool_max_idle_per_host(0)
            .build();
        Ok(Self::Server { client: client.map_err(io::Error::other)?, url: settings.jwks_url.clone() })
    }

    /// The key set as it is now.
    pub async fn fetch(&self) -> Result<KeySet, Unusable> {
        let text = match self {
            Self::Server { client, url } => served(client, url).await?,
            Self::File(path) => {
                if tokio::fs::metadata(path).await?.len() > MAX_BYTES as u64 {
                    return Err(Unusable::TooLarge);
                }
                tokio::fs::read(path).await?
            }
        };
        Ok(KeySet::parse(&text)?)
    }
}

async fn served(client: &Client, url: &str) -> Result<Vec<u8>, Unusable> {
    let mut answer = client.get(url).header("accept", "application/jwk-set+json, application/json").send().await?;
    if answer.status() != StatusCode::OK {
        return Err(Unusable::Status(answer.status()));
    }
    let mut text = Vec::new();
    while let Some(part) = answer.chunk().await? {
        if text.len() + part.len() > MAX_BYTES {
            return Err(Unusable::TooLarge);
        }
        text.extend_from_slice(&part);
    }
    Ok(text)
}
