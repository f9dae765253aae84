//! What is taken out of a URL: its query, its fragment, and credentials before its host.

/// Longest scheme that is believed to be one.
const MAX_SCHEME_BYTES: usize = 32;

/// The URL without what may tell a person, and its query; `None` where nothing is to be taken or the text is no URL. `named`: the key
/// says that it is one, so it may be relative.
pub(super) fn strip(text: &str, named: bool) -> Option<(String, &str)> {
    let host = host_at(text);
    if host.is_none() && !named {
        return None;
    }
    let cut = text.find(['?', '#']).unwrap_or(text.len());
    let credentials = host.and_then(|host| {
        let authority = text.get(host..cut)?.split(['/', '\\']).next()?;
        Some((host, host + authority.rfind('@')? + 1))
    });
    if cut == text.len() && credentials.is_none() {
        return None;
    }
    let clean = match credentials {
        Some((from, to)) => [&text[..from], &text[to..cut]].concat(),
        None => text[..cut].to_owned(),
    };
    let query = text[cut..].strip_prefix('?').unwrap_or_default();
    Some((clean, query.split('#').next().unwrap_or_default()))
}

/// Where the authority begins of an absolute URL, white space before it allowed.
fn host_at(text: &str) -> Option<usize> {
    let url = text.trim_start();
    let scheme = url.find("://").filter(|len| *len <= MAX_SCHEME_BYTES)?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let fits = url.starts_with(|c: char| c.is_ascii_alphabetic()) && url[..scheme].bytes().all(is_scheme);
    fits.then_some(text.len() - url.len() + scheme + "://".len())
}
