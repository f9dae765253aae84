//! Who asks about people, taken from a request.

use std::pin::Pin;

use ::web::{Editor, Problem, access};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::author::Author;

/// Demands the role `editor`, and takes the trace along.
impl FromRequest for Author {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (editor, traceparent) = (Editor::from_request(request, payload), access::traceparent(request));
        Box::pin(async move {
            let editor = editor.await?;
            Ok(Self { actor: editor.actor(), tenant: editor.tenant, traceparent })
        })
    }
}
