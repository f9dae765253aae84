//! The order in which a request is looked at.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest};

/// The caller `K`, and after it has passed the rest `R` of what a handler wants (a tuple, if it is more than one thing): nobody
/// learns from a complaint about a path or a body what they may not see, and no body is read for them.
pub struct By<K, R>(pub K, pub R);

impl<K, R> FromRequest for By<K, R>
where
    K: FromRequest<Error: Into<Error>> + 'static,
    R: FromRequest<Error: Into<Error>> + 'static,
{
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = K::from_request(&request, &mut Payload::None).await.map_err(Into::into)?;
            let rest = R::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self(caller, rest))
        })
    }
}
