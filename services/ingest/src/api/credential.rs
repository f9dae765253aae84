//! Where a write token may stand in a request.

use actix_web::HttpRequest;
use actix_web::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;

/// The token of `Authorization` (Bearer, or Basic with the token as user and no password), else of
/// `X-Write-Key`, else of the query string.
pub fn presented(request: &HttpRequest, write_key: Option<&str>) -> Result<String, Error> {
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(of_authorization);
        return token.ok_or(Error::InvalidCredentials);
    }
    if let Some(value) = request.headers().get("x-write-key") {
        let token = value.to_str().map(|token| token.trim().to_owned());
        return token.map_err(|_| Error::InvalidCredentials);
    }
    write_key.map(str::to_owned).ok_or(Error::MissingCredentials)
}

fn of_authorization(value: &str) -> Option<String> {
    let (scheme, credential) = value.trim().split_once(' ')?;
    let credential = credential.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credential.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(STANDARD.decode(credential).ok()?).ok()?;
        return decoded.strip_suffix(':').map(str::to_owned);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_and_basic_are_read() {
        assert_eq!(of_authorization("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of_authorization("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(of_authorization(&format!("Basic {}", STANDARD.encode("abc:"))).as_deref(), Some("abc"));
        for other in [
            "abc",
            "Digest abc",
            "Basic ???",
            &format!("Basic {}", STANDARD.encode("abc:password")),
            &format!("Basic {}", STANDARD.encode("abc")),
        ] {
            assert_eq!(of_authorization(other), None, "{other}");
        }
    }
}
