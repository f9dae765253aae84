//! `/tenants`: made by the operator, shown to and configured by the operator and the tenant's admins.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::fault::Fault;
use domain::ids::TenantId;
use domain::once::Asked;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use web::once::answered;
use web::openapi::{Demands, Operation, schema};
use web::{Keyed, Operator, Problem, Strict};

use super::callers::{By, OverTenant};
use super::{App, given, made, name};
use crate::redaction::Redaction;
use crate::retention::Retention;
use crate::store::tenants::Tenant;
use crate::tenants::{self, NewTenant, SettingsPatch, TenantPatch};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTenant)]
pub(super) struct CreateBody {
    #[schema(schema_with = schema::tenant_id)]
    tenant_id: String,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default)]
    settings: SettingsBody,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantSettings)]
pub(super) struct SettingsBody {
    /// `open`: unknown event names are taken; `strict`: they are rejected.
    #[schema(pattern = "^(open|strict)$")]
    taxonomy: Option<String>,
    /// ISO 4217; of amounts that name no currency.
    #[schema(pattern = "^[A-Z]{3}$")]
    default_currency: Option<String>,
    /// Largest `properties` of an event.
    #[schema(minimum = 256, maximum = 32768)]
    max_properties_bytes: Option<i32>,
    /// IANA name, as `Europe/Berlin`.
    time_zone: Option<String>,
    /// As a whole: what is not given of it is as built in.
    retention: Option<Retention>,
    /// As a whole: what is not given of it is as built in.
    redaction: Option<Redaction>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantPatch)]
pub(super) struct EditBody {
    /// `null` takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    name: Option<Option<String>>,
    #[serde(default)]
    settings: SettingsBody,
}

impl SettingsBody {
    fn check(self) -> Result<SettingsPatch, Fault> {
        let patch = SettingsPatch {
            taxonomy: self.taxonomy,
            default_currency: self.default_currency,
            max_properties_bytes: self.max_properties_bytes,
            time_zone: self.time_zone,
            retention: self.retention,
            redaction: self.redaction,
        };
        patch.check().map_err(|fault| fault.within("settings"))
    }
}

pub(super) fn operations() -> Vec<Operation> {
    let tenant = || {
        json!({"tenant_id": "demo", "name": "Demo", "created_at": "2026-01-03T10:00:00Z", "updated_at": "2026-01-03T10:00:00Z",
            "settings": {"taxonomy": "open", "default_currency": "USD", "max_properties_bytes": 2048, "time_zone": "UTC",
                "retention": {"events_days": {"default": 396, "widget": 90}, "sessions_days": 365, "daily": null},
                "redaction": {"mode": "redact", "deny": [], "allow": []}}})
    };
    let new = json!({"tenant_id": "demo", "name": "Demo", "settings": {"default_currency": "EUR"}});
    let of_tenant = |operation: Operation| {
        operation.demands(Demands::OverTenant).at("tenant_id", schema::tenant_id(), "The tenant.")
    };
    vec![
        Operation::post("/api/v1/tenants", create)
            .named("createTenant", "tenants")
            .does("Make a tenant", "What is not given of its settings is as built in.")
            .demands(Demands::Operator)
            .once()
            .takes::<CreateBody>(true, &[("with_a_currency", new)])
            .answers::<Tenant>(201, "The tenant.", tenant())
            .refuses(400, &["conflicting_keys", "placeholder_id", "too_long", "too_many"])
            .refuses(409, &["tenant_exists"]),
        of_tenant(Operation::get("/api/v1/tenants/{tenant_id}", show))
            .named("getTenant", "tenants")
            .does("Show a tenant", "That an operator looked is audited.")
            .answers::<Tenant>(200, "The tenant.", tenant()),
        of_tenant(Operation::patch("/api/v1/tenants/{tenant_id}", edit))
            .named("updateTenant", "tenants")
            .does("Change a tenant", "Its name and its settings; what is not given stays as it is.")
            .takes::<EditBody>(
                true,
                &[
                    ("strict_names", json!({"settings": {"taxonomy": "strict"}})),
                    (
                        "thirty_days",
                        json!({"settings": {"retention": {"events_days": {"default": 30}, "sessions_days": 30}}}),
                    ),
                    (
                        "names_are_of_products",
                        json!({"settings": {"redaction": {"mode": "redact", "deny": ["customer_no"], "allow": ["name"]}}}),
                    ),
                ],
            )
            .answers::<Tenant>(200, "The tenant.", tenant())
            .refuses(400, &["conflicting_keys", "too_long", "too_many"]),
    ]
}

async fn create(
    app: Data<App>,
    By(operator, Keyed { body, key }): By<Operator, Keyed<CreateBody>>,
) -> Result<HttpResponse, Problem> {
    let tenant_id =
        TenantId::parse(&body.tenant_id).map_err(|why| Fault::at("tenant_id", why.code(), why.to_string()))?;
    let new = NewTenant {
        tenant_id,
        name: body.name.map(|text| name("name", text)).transpose()?,
        settings: body.settings.check()?,
    };
    let once = Asked::over_http(None, key).answering(made);
    let outcome = tenants::create(&app.db, &operator.actor(), new, once).await?;
    Ok(answered(&outcome, made))
}

async fn show(app: Data<App>, by: OverTenant) -> Result<HttpResponse, Problem> {
    let tenant = tenants::find(&app.db, &by.author, by.is_operator).await?;
    Ok(HttpResponse::Ok().json(tenant))
}

async fn edit(app: Data<App>, By(by, Strict(body)): By<OverTenant, Strict<EditBody>>) -> Result<HttpResponse, Problem> {
    let named = |given: Option<String>| given.map(|text| name("name", text)).transpose();
    let patch = TenantPatch { name: body.name.map(named).transpose()?, settings: body.settings.check()? };
    let tenant = tenants::edit(&app.db, &by.author, patch).await?;
    Ok(HttpResponse::Ok().json(tenant))
}
