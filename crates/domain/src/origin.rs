//! Origins of web pages, and the patterns by which a tenant says whose pages may use a write token. An origin is what a browser sends in
//! `Origin`: `scheme://host`, with the port if it is not the scheme's own (RFC 6454).

use std::net::Ipv6Addr;

use crate::fault::Fault;

/// Longest pattern.
const MAX_CHARS: usize = 300;
const MAX_HOST_CHARS: usize = 253;
const MAX_LABEL_CHARS: usize = 63;

/// One origin, `https://www.example.com`, or those of all subdomains, `https://*.example.com`: of any depth, and not of `example.com` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern(String);

impl OriginPattern {
    /// Reads a pattern. What a browser would write otherwise is rewritten: upper case, and the port that is the scheme's own.
    ///
    /// # Errors
    /// `invalid_value`: no `http` or `https`, a path, a name that is none, `*` anywhere but in front of a domain of two names at least.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let message = "must be like https://www.example.com, https://*.example.com or http://localhost:3000";
        let invalid = || Fault::new("invalid_value", message);
        if text.len() > MAX_CHARS {
            return Err(invalid());
        }
        let lower = text.to_ascii_lowercase();
        let (scheme, rest) = lower.split_once("://").ok_or_else(invalid)?;
        let (host, port) = split_port(rest).ok_or_else(invalid)?;
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(invalid()),
        };
        let host = host_text(host).ok_or_else(invalid)?;
        Ok(Self(match port {
            Some(port) if port != usual => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }))
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether pages of this origin are meant.
    #[must_use]
    pub fn admits(&self, origin: &str) -> bool {
        let Some((scheme, domain)) = self.0.split_once("*.") else {
            return origin.eq_ignore_ascii_case(&self.0);
        };
        let origin = origin.to_ascii_lowercase();
        let below = origin.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(domain)?.strip_suffix('.'));
        below.is_some_and(|names| names.split('.').all(is_label))
    }
}

/// The host, and the port if one is named.
fn split_port(rest: &str) -> Option<(&str, Option<u16>)> {
    // The colons of an address of version 6 are in brackets.
    let named = rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let Some((host, port)) = named else {
        return Some((rest, None));
    };
    let port: u16 = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?;
    (port > 0).then_some((host, Some(port)))
}

fn host_text(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let names = host.strip_prefix("*.").unwrap_or(host);
    let labels: Vec<&str> = names.split('.').collect();
    let is_domain = labels.last().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
    let wild = names.len() < host.len();
    let sound = host.len() <= MAX_HOST_CHARS && labels.iter().all(|label| is_label(label));
    (sound && (!wild || (is_domain && labels.len() > 1))).then(|| host.to_owned())
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_CHARS).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn patterns_are_written_as_browsers_write_origins() {
        for (given, kept) in [
            ("https://www.example.com", "https://www.example.com"),
            ("HTTPS://Shop.Example.com:443", "https://shop.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[0:0::1]:8080", "http://[::1]:8080"),
            ("https://[::1]", "https://[::1]"),
            ("https://*.example.com:8443", "https://*.example.com:8443"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(OriginPattern::parse(given).unwrap().as_str(), kept, "{given}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        let long = format!("https://{}.example.com", "a".repeat(64));
        for text in [
            "",
            "*",
            "null",
            "example.com",
            "https://",
            "ftp://example.com",
            "https://example.com/",
            "https://example.com/path",
            "https://example.com?x",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:99999",
            "https://example.com:+80",
            "https://*",
            "https://*.com",
            "https://*.0.1",
            "https://a.*.example.com",
            "https://*example.com",
            "https://*.*.example.com",
            "https://exa mple.com",
            "https://-a.example",
            "https://a..example",
            "https://bücher.example",
            "https://[::1",
            "https://[::g]",
            "//example.com",
            &long,
        ] {
            assert_eq!(OriginPattern::parse(text).map_err(|fault| fault.code), Err("invalid_value"), "{text}");
        }
    }

    #[test]
    fn a_pattern_means_its_origin_or_all_below_its_domain() {
        let one = OriginPattern::parse("https://www.example.com").unwrap();
        assert!(one.admits("https://www.example.com") && one.admits("https://WWW.example.com"));
        for other in
            ["http://www.example.com", "https://www.example.com:8443", "https://www.example.com.evil.test", "null", ""]
        {
            assert!(!one.admits(other), "{other}");
        }
        let all = OriginPattern::parse("https://*.example.com").unwrap();
        assert!(all.admits("https://shop.example.com") && all.admits("https://a.b.example.com"));
        for other in [
            "https://example.com",
            "https://evilexample.com",
            "https://.example.com",
            "https://a..example.com",
            "http://shop.example.com",
            "https://shop.example.com:8443",
            "https://evil.test/.example.com",
            "https://evil.test#.example.com",
            "https://a@b.example.com",
            "https://shop.example.com.evil.test",
        ] {
            assert!(!all.admits(other), "{other}");
        }
    }
}
