//! Closes connections whose chunked body was not read to its end. actix goes on reading such a body
//! for as long as the client sends, without any time limit, once the handler has dropped it: a client
//! that was refused could hold its connection for ever. While the body is still held when the answer
//! is sent, actix closes the connection, after a second in which the client may read its answer. (With
//! `Content-Length` it does so anyway.)

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::{StatusCode, header};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use bytes::Bytes;
use futures_util::Stream;

use crate::Problem;

/// The body of a request, held beside the handler that reads it.
#[derive(Clone)]
pub(crate) struct Unread(Rc<RefCell<Payload>>);

impl Unread {
    /// Holds the request's body, if it is one of unknown length.
    pub(crate) fn hold(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(header::TRANSFER_ENCODING) {
            return None;
        }
        let held = Self(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream { payload: Box::pin(held.clone()) });
        Some(held)
    }

    /// Ties the request's body to the answer's, until that is sent.
    pub(crate) fn tie(held: Option<Self>, answer: BoxBody) -> BoxBody {
        match held {
            Some(held) => BoxBody::new(Answer { body: answer, _held: held }),
            None => answer,
        }
    }

    /// As [`Unread::tie`], for an answer that is still an error.
    pub(crate) fn tie_error(held: Option<Self>, problem: Problem) -> Error {
        match held {
            Some(held) => Refused { problem, held }.into(),
            None => problem.into(),
        }
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(context)
    }
}

/// An answer's body with the request's.
struct Answer {
    body: BoxBody,
    _held: Unread,
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

struct Refused {
    problem: Problem,
    held: Unread,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.problem, f)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.problem, f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.problem.status
    }

    fn error_response(&self) -> HttpResponse {
        let held = self.held.clone();
        self.problem.error_response().map_body(|_, body| Unread::tie(Some(held), body))
    }
}
