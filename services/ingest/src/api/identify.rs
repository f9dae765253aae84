//! `/api/v1/identify`: which anonymous user is which contact.

use ::web::openapi::{Demands, Operation, schema};
use ::web::{By, Problem, Strict};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::contract::LinkChange;
use domain::ids::ContactId;
use pg::Db;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::asked::Ids;
use crate::author::Author;
use crate::identity;
use crate::store::identity_links::Link;

/// What the id of a person can be refused for.
pub const NO_ID: [&str; 3] = ["invalid_value", "placeholder_id", "too_long"];

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Identify)]
pub struct IdentifyRequest {
    #[schema(schema_with = schema::text_id)]
    user_id: String,
    #[schema(schema_with = schema::text_id)]
    contact_id: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityLink)]
struct LinkBody {
    #[schema(schema_with = schema::text_id)]
    user_id: String,
    #[schema(schema_with = schema::text_id)]
    contact_id: ContactId,
    #[schema(schema_with = status)]
    status: LinkChange,
    #[serde(with = "domain::time_format")]
    linked_at: OffsetDateTime,
    /// When it was taken back; absent while it holds.
    #[serde(with = "domain::time_format::option", skip_serializing_if = "Option::is_none")]
    unlinked_at: Option<OffsetDateTime>,
}

fn status() -> utoipa::openapi::schema::Object {
    schema::one_of(LinkChange::ALL.iter().map(|change| change.as_str()))
}

impl From<Link> for LinkBody {
    fn from(link: Link) -> Self {
        let Link { user_id, contact_id, linked_at, unlinked_at } = link;
        let status = if unlinked_at.is_some() { LinkChange::Unlinked } else { LinkChange::Linked };
        Self { user_id, contact_id, status, linked_at, unlinked_at }
    }
}

pub(super) fn operations() -> Vec<Operation> {
    let link =
        json!({"user_id": "visitor-1", "contact_id": "c-1", "status": "linked", "linked_at": "2026-01-03T10:00:00Z"});
    let mut unlinked = link.clone();
    unlinked["status"] = "unlinked".into();
    unlinked["unlinked_at"] = "2026-01-04T10:00:00Z".into();
    vec![
        Operation::post("/api/v1/identify", identify)
            .named("identifyUser", "people")
            .does(
                "Link an anonymous user to a contact",
                "From the answer on, events of the user that name no contact are stored and judged as the contact's. What was \
                 stored before stays as it is. The same again changes nothing.",
            )
            .demands(Demands::Editor)
            .takes::<IdentifyRequest>(true, &[("a_visitor", json!({"user_id": "visitor-1", "contact_id": "c-1"}))])
            .answers::<LinkBody>(200, "The link.", link)
            .refuses(400, &NO_ID)
            .refuses(409, &["already_identified"])
            .refuses(503, &["overtaken"]),
        Operation::delete("/api/v1/identify/{user_id}", unlink)
            .named("unlinkUser", "people")
            .does(
                "Take a link back",
                "Events that are stored from the answer on are the user's alone again; those stored meanwhile stay the contact's.",
            )
            .demands(Demands::Editor)
            .at("user_id", schema::text_id(), "The user.")
            .answers::<LinkBody>(200, "The link that was.", unlinked)
            .refuses(400, &NO_ID),
    ]
}

async fn identify(
    By(author, Strict(body)): By<Author, Strict<IdentifyRequest>>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let ids = Ids::of(&db, &author.tenant).await?;
    let (user, contact) = (ids.user(&body.user_id)?, ids.contact(&body.contact_id)?);
    let link = identity::link(&db, author, user, contact).await?;
    Ok(HttpResponse::Ok().json(LinkBody::from(link)))
}

async fn unlink(By(author, path): By<Author, Path<String>>, db: Data<Db>) -> Result<HttpResponse, Problem> {
    let ids = Ids::of(&db, &author.tenant).await?;
    let link = identity::unlink(&db, author, ids.user(&path)?).await?;
    Ok(HttpResponse::Ok().json(LinkBody::from(link)))
}
