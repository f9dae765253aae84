//! Who may call a route, judged before the rest of the request by `By`.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::{Data, Path};
use actix_web::{Error, FromRequest, HttpRequest};
use domain::ids::TenantId;
use serde::de::DeserializeOwned;
pub(super) use web::By;
use web::{Caller, Editor, IfMatch, Keyed, Problem, Role, Strict, access::traceparent};

use super::App;
use crate::change::{Author, Target};
use crate::tenants;

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Error>>>>;

/// What a change of one object wants: an editor, the object's path, the body.
pub(super) type Edit<P, B> = By<EditedBy, (Path<P>, Strict<B>)>;

/// The same for what makes something of it, once for each `Idempotency-Key`.
pub(super) type Make<P, B> = By<EditedBy, (Path<P>, Keyed<B>)>;

/// What a change of an object that is kept in versions wants: an editor, the object's path with `If-Match`, the body.
pub(super) type EditVersion<P, B> = By<EditedBy, (Aimed<P>, Strict<B>)>;

/// The object's path, and which versions of it may be changed.
pub(super) struct Aimed<P>(pub Target<P>);

impl<P: DeserializeOwned + 'static> FromRequest for Aimed<P> {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (id, if_match) = (Path::<P>::from_request(request, payload), IfMatch::from_request(request, payload));
        Box::pin(async move { Ok(Self(Target { id: id.await?.into_inner(), if_match: if_match.await? })) })
    }
}

/// Demands at least the role `editor` in a tenant.
pub(super) struct EditedBy(pub Author);

impl FromRequest for EditedBy {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (editor, traceparent) = (Editor::from_request(request, payload), traceparent(request));
        Box::pin(async move {
            let editor = editor.await?;
            Ok(Self(Author { actor: editor.actor(), tenant: editor.tenant, traceparent }))
        })
    }
}

/// Demands an operator, or an admin of the tenant that the path names. Others' tenants are not there for them, and that they
/// asked is audited in their own.
pub(super) struct OverTenant {
    pub author: Author,
    pub is_operator: bool,
}

impl FromRequest for OverTenant {
    type Error = Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (caller, request) = (Caller::from_request(request, payload), request.clone());
        Box::pin(async move {
            let caller = caller.await?;
            let tenant = TenantId::parse(request.match_info().query("tenant_id")).map_err(|_| Problem::not_found())?;
            if let Err(problem) = caller.over_tenant(&tenant, Role::Admin) {
                if let (Some(own), Some(app)) = (&caller.tenant, request.app_data::<Data<App>>())
                    && *own != tenant
                {
                    tenants::note_refused(&app.db, own, &caller.actor(), &tenant).await.map_err(Problem::from)?;
                }
                return Err(problem.into());
            }
            let author = Author { tenant, actor: caller.actor(), traceparent: traceparent(&request) };
            Ok(Self { author, is_operator: caller.operator().is_ok() })
        })
    }
}
