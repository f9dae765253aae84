//! Tokens of an identity provider (JWT, RFC 7519 and 8725). Two algorithms are taken, RS256 and EdDSA; which of them is said by
//! the key and not by the token. Keys come from the configured place alone: `jku`, `x5u` and `jwk` of a token are not looked at.

mod claims;
mod key_set;
mod ring;
mod settings;
mod source;

use std::sync::Arc;
use std::{fmt, io};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Validation, decode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::Problem;
use crate::identity::{Caller, invalid};
use key_set::Key;
use ring::{Missing, Ring};

pub use ring::Keeper;
pub use settings::{IdentitySettings, JwtSettings, RoleNames};

/// Most bytes of a token.
const MAX_TOKEN_BYTES: usize = 8 * 1_024;
/// What a client is told to wait while the provider is away: about as long as until it is asked again.
const AWAY_RETRY_SECONDS: u32 = 10;

/// Verifies tokens. Clones share the keys.
#[derive(Clone)]
pub struct Jwt {
    settings: Arc<JwtSettings>,
    ring: Ring,
}

/// What is wrong with a token: for the log. The answer is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLong,
    Header,
    Critical,
    Algorithm,
    UnknownKey,
    /// The signature, a claim that is missing or malformed, the time, the issuer, the audience.
    Invalid,
    Issuer,
    Subject,
    Tenant,
    Role,
}

/// The members of a header that mean something here.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    crit: Option<IgnoredAny>,
}

impl Jwt {
    /// None where the settings say that no tokens are taken.
    pub(crate) fn open(settings: &JwtSettings) -> io::Result<(Option<Self>, Keeper)> {
        settings.check().map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, format!("identity.jwt: {why}")))?;
        if !settings.is_on() {
            return Ok((None, Keeper::idle()));
        }
        let (ring, keeper) = Ring::open(settings)?;
        Ok((Some(Self { settings: Arc::new(settings.clone()), ring }), keeper))
    }

    /// Who bears this token.
    pub(crate) async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        let caller = match header(token) {
            Ok(header) => match self.ring.find(&header.kid).await {
                Ok(key) => self.verified(token, &header, &key),
                Err(Missing::Unknown) => Err(Refused::UnknownKey),
                Err(Missing::Away) => {
                    let message = "credentials cannot be checked at the moment";
                    return Err(Problem::unavailable("credentials_unavailable", message).retry_in(AWAY_RETRY_SECONDS));
                }
            },
            Err(refused) => Err(refused),
        };
        caller.map_err(|refused| {
            tracing::info!(reason = %refused, "a token was refused");
            invalid()
        })
    }

    fn verified(&self, token: &str, header: &Header, key: &Key) -> Result<Caller, Refused> {
        if key_set::named(&header.alg) != Some(key.algorithm) {
            return Err(Refused::Algorithm);
        }
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = self.settings.leeway_seconds;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        let claims = decode::<claims::Claims>(token, &key.decoding, &validation).map_err(|error| {
            tracing::debug!(%error, "a token is not valid");
            Refused::Invalid
        })?;
        claims::caller(&claims.claims, &self.settings)
    }
}

/// The header of a token of the right form, before anything is asked.
fn header(token: &str) -> Result<Header, Refused> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refused::TooLong);
    }
    let (first, rest) = token.split_once('.').ok_or(Refused::Header)?;
    if rest.bytes().filter(|byte| *byte == b'.').count() != 1 {
        return Err(Refused::Header);
    }
    let text = URL_SAFE_NO_PAD.decode(first).map_err(|_| Refused::Header)?;
    let header: Header = serde_json::from_slice(&text).map_err(|_| Refused::Header)?;
    if header.crit.is_some() {
        return Err(Refused::Critical);
    }
    if key_set::named(&header.alg).is_none() {
        return Err(Refused::Algorithm);
    }
    Ok(header)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "too_long",
            Self::Header => "header",
            Self::Critical => "critical_header",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Invalid => "signature_or_claims",
            Self::Issuer => "issuer",
            Self::Subject => "subject",
            Self::Tenant => "tenant",
            Self::Role => "role",
        })
    }
}
