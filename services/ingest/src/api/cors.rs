//! Whose pages may read an answer (the CORS protocol of the Fetch standard). A preflight comes without a credential, so it is told what anybody
//! may ask; whether this page may send is decided by the token of the request itself. Cookies are never asked for.

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

const MAY_SEND: &str = "authorization, content-type, content-encoding, x-write-key, x-request-id, traceparent";
const MAY_READ: &str = "retry-after, x-request-id";
/// Two hours: browsers keep it no longer.
const MAX_AGE_SECONDS: &str = "7200";

/// The page that an answer is for.
pub struct Page(Option<HeaderValue>);

impl Page {
    /// The origin that the request names: until it is known who sends, its page may read why that is not known.
    pub fn of(request: &HttpRequest) -> Self {
        Self(request.headers().get(ORIGIN).cloned())
    }

    /// Whose page it is.
    pub fn origin(&self) -> Option<&str> {
        self.0.as_ref().and_then(|origin| origin.to_str().ok())
    }

    /// The answer is for no page, or not for this one.
    pub fn forget(&mut self) {
        self.0 = None;
    }

    /// Lets the page read the answer.
    pub fn may_read(self, mut answer: HttpResponse) -> HttpResponse {
        if let Some(origin) = self.0 {
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(MAY_READ));
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        answer
    }
}

/// `OPTIONS`: what a page of whatever origin may send.
pub async fn preflight(request: HttpRequest) -> HttpResponse {
    let mut answer = HttpResponse::NoContent().insert_header((ALLOW, "OPTIONS, POST")).finish();
    let page = Page::of(&request);
    if page.0.is_some() {
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(MAY_SEND));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_SECONDS));
    }
    page.may_read(answer)
}
