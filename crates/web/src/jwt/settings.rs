//! The section `identity` of the services that take JWTs.

use std::path::PathBuf;

use reqwest::Url;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// How callers are known beside API keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySettings {
    /// Tokens of an identity provider.
    #[serde(deserialize_with = "checked")]
    pub jwt: JwtSettings,
}

/// The section `identity.jwt`. Without an issuer no token is taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JwtSettings {
    /// What `iss` has to be.
    pub issuer: String,
    /// What `aud` has to be, or to have among others.
    pub audience: String,
    /// Where the provider publishes its keys: https, or a server on this machine.
    pub jwks_url: String,
    /// A file with its keys, for installations that do not reach it.
    pub jwks_file: PathBuf,
    /// The claim that names the tenant: a name, or a JSON pointer into the claims.
    pub tenant_claim: String,
    /// The claim that names the role: a text, several with spaces between, or a list.
    pub role_claim: String,
    /// What the provider calls each role.
    pub roles: RoleNames,
    /// How far the clocks may differ.
    pub leeway_seconds: u64,
    /// How old the keys may be while the provider answers.
    pub cache_seconds: u64,
    /// How old they may be while it does not.
    pub stale_seconds: u64,
    /// The least time between two requests for them.
    pub ask_again_seconds: u64,
    /// How long such a request may take.
    pub timeout_ms: u64,
}

impl Default for JwtSettings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            jwks_url: String::new(),
            jwks_file: PathBuf::new(),
            tenant_claim: "tenant_id".to_owned(),
            role_claim: "roles".to_owned(),
            roles: RoleNames::default(),
            leeway_seconds: 30,
            cache_seconds: 300,
            stale_seconds: 3_600,
            ask_again_seconds: 10,
            timeout_ms: 3_000,
        }
    }
}

/// What the provider calls each role; a role without a name is given to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleNames {
    /// Of `viewer`.
    pub viewer: Vec<String>,
    /// Of `editor`.
    pub editor: Vec<String>,
    /// Of `admin`.
    pub admin: Vec<String>,
    /// Of `operator`: of tokens that name no tenant.
    pub operator: Vec<String>,
}

impl Default for RoleNames {
    fn default() -> Self {
        let named = |name: &str| vec![name.to_owned()];
        Self { viewer: named("viewer"), editor: named("editor"), admin: named("admin"), operator: Vec::new() }
    }
}

/// Settings that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwtSettings {
    /// The rest is set, and it is not said whose tokens are meant.
    #[error("`issuer` is missing: without it the rest means nothing")]
    NoIssuer,
    /// Tokens for anybody would be taken.
    #[error("`audience` is missing: a token for somebody else must not be taken")]
    NoAudience,
    /// There is no key to verify with, or there are two places for them.
    #[error("give either `jwks_url` or `jwks_file`")]
    NotOneSource,
    /// Whoever is between could put in a key.
    #[error("`jwks_url` has to be https, except on this machine")]
    NotHttps,
    /// Tokens that have ended would be taken.
    #[error("`leeway_seconds` is at most 300")]
    LeewayTooLong,
    /// The keys would be refused before they are asked for again.
    #[error(
        "`ask_again_seconds`, `cache_seconds` and `stale_seconds` have to be at least 1, and each at most the next"
    )]
    TimesOutOfOrder,
}

impl JwtSettings {
    /// Whether tokens are taken at all.
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// Whether all of it fits together.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), InvalidJwtSettings> {
        let (has_url, has_file) = (!self.jwks_url.is_empty(), !self.jwks_file.as_os_str().is_empty());
        if !self.is_on() {
            let is_set = has_url || has_file || !self.audience.is_empty();
            return if is_set { Err(InvalidJwtSettings::NoIssuer) } else { Ok(()) };
        }
        if self.audience.is_empty() {
            return Err(InvalidJwtSettings::NoAudience);
        }
        if has_url == has_file {
            return Err(InvalidJwtSettings::NotOneSource);
        }
        if has_url && !is_safe(&self.jwks_url) {
            return Err(InvalidJwtSettings::NotHttps);
        }
        if self.leeway_seconds > 300 {
            return Err(InvalidJwtSettings::LeewayTooLong);
        }
        let times = [1, self.ask_again_seconds, self.cache_seconds, self.stale_seconds];
        if !times.is_sorted() {
            return Err(InvalidJwtSettings::TimesOutOfOrder);
        }
        Ok(())
    }
}

/// https, or a server on this machine, to which nobody is between.
fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

fn checked<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JwtSettings, D::Error> {
    let settings = JwtSettings::deserialize(deserializer)?;
    settings.check().map_err(D::Error::custom)?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> JwtSettings {
        JwtSettings {
            issuer: "https://id.example".to_owned(),
            audience: "goalpost".to_owned(),
            jwks_url: "https://id.example/jwks".to_owned(),
            ..JwtSettings::default()
        }
    }

    #[test]
    fn off_is_the_default_and_half_is_refused() {
        assert_eq!((JwtSettings::default().is_on(), JwtSettings::default().check()), (false, Ok(())));
        assert_eq!((on().is_on(), on().check()), (true, Ok(())));
        let file = || PathBuf::from("/etc/jwks.json");
        let cases = [
            (JwtSettings { issuer: String::new(), ..on() }, InvalidJwtSettings::NoIssuer),
            (JwtSettings { audience: String::new(), ..on() }, InvalidJwtSettings::NoAudience),
            (JwtSettings { jwks_url: String::new(), ..on() }, InvalidJwtSettings::NotOneSource),
            (JwtSettings { jwks_file: file(), ..on() }, InvalidJwtSettings::NotOneSource),
            (JwtSettings { leeway_seconds: 301, ..on() }, InvalidJwtSettings::LeewayTooLong),
            (JwtSettings { ask_again_seconds: 0, ..on() }, InvalidJwtSettings::TimesOutOfOrder),
            (JwtSettings { stale_seconds: 299, ..on() }, InvalidJwtSettings::TimesOutOfOrder),
        ];
        for (settings, why) in cases {
            assert_eq!(settings.check(), Err(why), "{settings:?}");
        }
        assert_eq!(JwtSettings { jwks_url: String::new(), jwks_file: file(), ..on() }.check(), Ok(()));
    }

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for url in ["https://id.example/k", "http://127.0.0.1:8080/k", "http://localhost/k", "http://[::1]:80/k"] {
            assert!(is_safe(url), "{url}");
        }
        for url in [
            "http://id.example/k",
            "http://localhost.id.example/k",
            "http://127.0.0.1.nip.io/",
            "ftp://localhost/",
            "k",
        ] {
            assert!(!is_safe(url), "{url}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_together_are_not_read() {
        let read = serde_json::from_str::<IdentitySettings>;
        assert_eq!(read("{}").ok(), Some(IdentitySettings::default()));
        assert!(read(r#"{"jwt": {"issuer": "i"}}"#).is_err_and(|error| error.to_string().contains("`audience`")));
        assert!(read(r#"{"jwt": {"isuer": "i"}}"#).is_err());
    }
}
