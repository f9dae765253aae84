//! `/tenants`: made by the operator, shown to and configured by the operator and the tenant's admins.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::fault::Fault;
use domain::ids::TenantId;
use serde::Deserialize;
use web::{Operator, Problem, Strict};

use super::callers::{By, OverTenant};
use super::{App, given, name};
use crate::tenants::{self, NewTenant, SettingsPatch, TenantPatch};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateBody {
    tenant_id: String,
    name: Option<String>,
    #[serde(default)]
    settings: SettingsBody,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsBody {
    taxonomy: Option<String>,
    default_currency: Option<String>,
    max_properties_bytes: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditBody {
    #[serde(default, deserialize_with = "given")]
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
        };
        patch.check().map_err(|fault| fault.within("settings"))
    }
}

pub(super) async fn create(
    app: Data<App>,
    By(operator, Strict(body)): By<Operator, Strict<CreateBody>>,
) -> Result<HttpResponse, Problem> {
    let tenant_id =
        TenantId::parse(&body.tenant_id).map_err(|why| Fault::at("tenant_id", why.code(), why.to_string()))?;
    let new = NewTenant {
        tenant_id,
        name: body.name.map(|text| name("name", text)).transpose()?,
        settings: body.settings.check()?,
    };
    let tenant = tenants::create(&app.db, &operator.actor(), new).await?;
    Ok(HttpResponse::Created().json(tenant))
}

pub(super) async fn show(app: Data<App>, by: OverTenant) -> Result<HttpResponse, Problem> {
    let tenant = tenants::find(&app.db, &by.author, by.is_operator).await?;
    Ok(HttpResponse::Ok().json(tenant))
}

pub(super) async fn edit(
    app: Data<App>,
    By(by, Strict(body)): By<OverTenant, Strict<EditBody>>,
) -> Result<HttpResponse, Problem> {
    let named = |given: Option<String>| given.map(|text| name("name", text)).transpose();
    let patch = TenantPatch { name: body.name.map(named).transpose()?, settings: body.settings.check()? };
    let tenant = tenants::edit(&app.db, &by.author, patch).await?;
    Ok(HttpResponse::Ok().json(tenant))
}
