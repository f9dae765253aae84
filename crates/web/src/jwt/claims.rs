//! What a token says of its bearer: subject, tenant, role.

use domain::credential::Role;
use domain::ids::TenantId;
use serde_json::{Map, Value};

use super::{JwtSettings, Refused};
use crate::identity::{Caller, Credential};

/// Most characters of a subject, as OpenID Connect has it.
const MAX_SUBJECT_CHARS: usize = 255;

/// Claims of a token whose signature is good.
pub type Claims = Map<String, Value>;

/// The caller that these claims make. A token that names a tenant has the highest of its roles there; one that names none is an
/// operator's or nobody's.
pub fn caller(claims: &Claims, settings: &JwtSettings) -> Result<Caller, Refused> {
    // An issuer among several is somebody else's word.
    if claims.get("iss").and_then(Value::as_str) != Some(settings.issuer.as_str()) {
        return Err(Refused::Issuer);
    }
    let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| is_printable(subject));
    let subject = subject.ok_or(Refused::Subject)?;
    let tenant = match claim(claims, &settings.tenant_claim) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(TenantId::parse(text).map_err(|_| Refused::Tenant)?),
        Some(_) => return Err(Refused::Tenant),
    };
    let given = words(claim(claims, &settings.role_claim));
    let is_given = |names: &[String]| names.iter().any(|name| given.contains(&name.as_str()));
    let names = &settings.roles;
    let role = if tenant.is_none() {
        is_given(&names.operator).then_some(Role::Operator)
    } else {
        let highest_first = [(Role::Admin, &names.admin), (Role::Editor, &names.editor), (Role::Viewer, &names.viewer)];
        highest_first.into_iter().find(|(_, names)| is_given(names)).map(|(role, _)| role)
    };
    Ok(Caller { credential: Credential::Token(subject.to_owned()), tenant, role: role.ok_or(Refused::Role)? })
}

/// The claim of this name, or where this JSON pointer points.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name);
    };
    let mut parts = path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part.as_str()))
}

/// The words of a text, or the texts of a list.
fn words(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_printable(subject: &str) -> bool {
    (1..=MAX_SUBJECT_CHARS).contains(&subject.len()) && subject.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn settings() -> JwtSettings {
        let mut settings = JwtSettings { issuer: "https://id.example".to_owned(), ..JwtSettings::default() };
        settings.roles.operator = vec!["installation".to_owned()];
        settings
    }

    fn caller_of(more: &Value, settings: &JwtSettings) -> Result<(Option<String>, Role), Refused> {
        let mut claims = json!({"iss": "https://id.example", "sub": "u-1"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let caller = caller(claims.as_object().unwrap(), settings)?;
        Ok((caller.tenant.map(|tenant| tenant.to_string()), caller.role))
    }

    #[test]
    fn the_highest_role_counts_and_only_in_its_own_place() {
        let settings = settings();
        let acme = || Some("acme".to_owned());
        let cases = [
            (json!({"tenant_id": "acme", "roles": ["viewer"]}), Ok((acme(), Role::Viewer))),
            (json!({"tenant_id": "acme", "roles": ["viewer", "x", "admin", 3]}), Ok((acme(), Role::Admin))),
            (json!({"tenant_id": "acme", "roles": "openid editor"}), Ok((acme(), Role::Editor))),
            (json!({"roles": "installation"}), Ok((None, Role::Operator))),
            (json!({"tenant_id": null, "roles": ["installation"]}), Ok((None, Role::Operator))),
            (json!({"tenant_id": "acme", "roles": ["installation"]}), Err(Refused::Role)),
            (json!({"tenant_id": "acme", "roles": ["operator"]}), Err(Refused::Role)),
            (json!({"roles": ["admin"]}), Err(Refused::Role)),
            (json!({"tenant_id": "acme"}), Err(Refused::Role)),
            (json!({"tenant_id": "acme", "roles": {"viewer": true}}), Err(Refused::Role)),
            (json!({"tenant_id": "acme", "roles": "Viewer"}), Err(Refused::Role)),
            (json!({"tenant_id": ["acme"], "roles": "viewer"}), Err(Refused::Tenant)),
            (json!({"tenant_id": "", "roles": "viewer"}), Err(Refused::Tenant)),
            (json!({"tenant_id": "acme' OR 1=1", "roles": "viewer"}), Err(Refused::Tenant)),
            (json!({"tenant_id": 7, "roles": "installation"}), Err(Refused::Tenant)),
        ];
        for (claims, expected) in cases {
            assert_eq!(caller_of(&claims, &settings), expected, "{claims}");
        }
    }

    #[test]
    fn issuer_and_subject_are_texts() {
        let good = json!({"tenant_id": "acme", "roles": "viewer"});
        for (more, why) in [
            (json!({"iss": ["https://id.example"]}), Refused::Issuer),
            (json!({"iss": "https://id.example/"}), Refused::Issuer),
            (json!({"sub": ""}), Refused::Subject),
            (json!({"sub": 7}), Refused::Subject),
            (json!({"sub": "a\nb"}), Refused::Subject),
            (json!({"sub": "x".repeat(256)}), Refused::Subject),
        ] {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(caller_of(&claims, &settings()), Err(why), "{claims}");
        }
    }

    #[test]
    fn claims_are_named_or_pointed_at() {
        let (tenant, role) = ("https://goalpost.example/tenant".to_owned(), "/realm_access/roles".to_owned());
        let settings = JwtSettings { tenant_claim: tenant, role_claim: role, ..settings() };
        let claims = json!({"https://goalpost.example/tenant": "acme", "realm_access": {"roles": ["editor"]}});
        assert_eq!(caller_of(&claims, &settings), Ok((Some("acme".to_owned()), Role::Editor)));
        let escaped = json!({"a/b": {"~c": "acme"}, "realm_access": {"roles": ["editor"]}});
        let settings = JwtSettings { tenant_claim: "/a~1b/~0c".into(), ..settings };
        assert_eq!(caller_of(&escaped, &settings), Ok((Some("acme".to_owned()), Role::Editor)));
        assert_eq!(caller_of(&claims, &settings), Err(Refused::Role), "no tenant, and no operator");
    }
}
