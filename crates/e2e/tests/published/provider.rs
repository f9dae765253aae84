//! The identity provider of the run, and callers by its tokens.

use serde_json::{Value, json};
use testkit::issuer::{AUDIENCE, Issuer, SigningKey, now_seconds};

use crate::operations::Callers;

pub struct Provider {
    issuer: Issuer,
    key: SigningKey,
}

impl Provider {
    pub async fn start() -> Self {
        let key = SigningKey::rsa("published").unwrap();
        let issuer = Issuer::start(&[&key]).await.unwrap();
        Self { issuer, key }
    }

    /// What services have to be told to take its tokens.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("GOALPOST__IDENTITY__JWT__ISSUER", self.issuer.url().to_owned()),
            ("GOALPOST__IDENTITY__JWT__AUDIENCE", AUDIENCE.to_owned()),
            ("GOALPOST__IDENTITY__JWT__JWKS_URL", self.issuer.jwks_url()),
            ("GOALPOST__IDENTITY__JWT__ROLES__OPERATOR", "operator".to_owned()),
        ]
    }

    /// One of each kind: good ones of every role, and those that are nobody's.
    pub fn callers(&self, tenant: &str) -> Callers {
        let claims = |role: &str| self.issuer.claims("user-1", Some(tenant), role);
        let token = |role: &str| self.key.token(&claims(role));
        let but = |name: &str, value: Value| {
            let mut claims = claims("admin");
            claims[name] = value;
            self.key.token(&claims)
        };
        let stranger = SigningKey::rsa(self.key.kid()).unwrap();
        Callers::from([
            ("viewer by token", token("viewer")),
            ("editor by token", token("editor")),
            ("admin by token", token("admin")),
            ("operator by token", self.key.token(&self.issuer.claims("operator-1", None, "operator"))),
            ("admin of no tenant here", but("tenant_id", json!("tenant-elsewhere"))),
            ("expired token", but("exp", json!(now_seconds() - 3_600))),
            ("forged token", stranger.token(&claims("admin"))),
            ("token for others", but("aud", json!("others"))),
        ])
    }
}
