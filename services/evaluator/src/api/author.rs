//! Who asks for a change that facts are told of.

use crate::origin::Origin;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use std::pin::Pin;
use web::{Editor, Problem, access};

/// Demands the role `editor`, and takes the trace along.
pub(super) struct Author(pub(super) Origin);

impl FromRequest for Author {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (editor, traceparent) = (Editor::from_request(request, payload), access::traceparent(request));
        Box::pin(async move { Ok(Self(Origin { tenant: editor.await?.tenant, traceparent })) })
    }
}
