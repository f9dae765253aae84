//! Tenants: made by the operator, configured by their admins.

use std::sync::Arc;

use domain::fault::Fault;
use domain::ids::TenantId;
use domain::once::{Answered, Once};
use pg::{Db, Scope, Tx};

use crate::change::{Author, change, entry};
use crate::error::Error;
use crate::redaction::Redaction;
use crate::retention::Retention;
use crate::store::audit::NewEntry;
use crate::store::tenants::{Settings, Tenant};
use crate::store::{audit, epochs, tenants};

const OBJECT: &str = "tenant";
/// As the database has them.
const MAX_PROPERTIES_BYTES: std::ops::RangeInclusive<i32> = 256..=32_768;

/// Settings that were given; the others stay as they are.
#[derive(Debug, Clone, Default)]
pub struct SettingsPatch {
    pub taxonomy: Option<String>,
    pub default_currency: Option<String>,
    pub max_properties_bytes: Option<i32>,
    pub time_zone: Option<String>,
    pub retention: Option<Retention>,
    pub redaction: Option<Redaction>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            taxonomy: "open".to_owned(),
            default_currency: "USD".to_owned(),
            max_properties_bytes: 2_048,
            time_zone: "UTC".to_owned(),
            retention: Retention::default(),
            redaction: Redaction::default(),
        }
    }
}

impl SettingsPatch {
    /// Checks each value by itself.
    pub fn check(self) -> Result<Self, Fault> {
        let refused = |key, message: &str| Err(Fault::at(key, "invalid_value", message));
        if self.taxonomy.as_deref().is_some_and(|word| !matches!(word, "open" | "strict")) {
            return refused("taxonomy", "must be open or strict");
        }
        let is_currency = |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        if self.default_currency.as_deref().is_some_and(|code| !is_currency(code)) {
            return refused("default_currency", "must be an ISO 4217 code in upper case, such as USD");
        }
        if self.max_properties_bytes.is_some_and(|bytes| !MAX_PROPERTIES_BYTES.contains(&bytes)) {
            return refused("max_properties_bytes", "must be between 256 and 32768");
        }
        if let Some(retention) = &self.retention {
            retention.check().map_err(|fault| fault.within("retention"))?;
        }
        if let Some(redaction) = &self.redaction {
            redaction.check().map_err(|fault| fault.within("redaction"))?;
        }
        Ok(self)
    }

    fn over(&self, settings: &Settings) -> Settings {
        let or = |new: &Option<String>, old: &String| new.clone().unwrap_or_else(|| old.clone());
        Settings {
            taxonomy: or(&self.taxonomy, &settings.taxonomy),
            default_currency: or(&self.default_currency, &settings.default_currency),
            max_properties_bytes: self.max_properties_bytes.unwrap_or(settings.max_properties_bytes),
            time_zone: or(&self.time_zone, &settings.time_zone),
            retention: self.retention.clone().unwrap_or_else(|| settings.retention.clone()),
            redaction: self.redaction.clone().unwrap_or_else(|| settings.redaction.clone()),
        }
    }

    /// Checks what only the database knows.
    async fn check_time_zone(&self, tx: &Tx) -> Result<(), Error> {
        match &self.time_zone {
            Some(name) if name.contains('\0') || !tenants::knows_time_zone(tx, name).await? => {
                let fault = Fault::at(
                    "time_zone",
                    "invalid_value",
                    "must be the IANA name of a time zone, such as Europe/Berlin",
                );
                Err(fault.within("settings").into())
            }
            _ => Ok(()),
        }
    }
}

/// A tenant to be made.
#[derive(Debug, Clone)]
pub struct NewTenant {
    pub tenant_id: TenantId,
    pub name: Option<String>,
    pub settings: SettingsPatch,
}

/// Makes a tenant, with its epoch and a content key that nobody has seen.
pub async fn create(db: &Db, actor: &str, new: NewTenant, once: Once<Tenant>) -> Result<Answered<Tenant>, Error> {
    let shared = Arc::new((actor.to_owned(), new, rand::random::<[u8; 32]>()));
    db.run_once("create_tenant", Scope::System("make a tenant"), once, move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (actor, new, content_key) = &*shared;
            new.settings.check_time_zone(tx).await?;
            let settings = new.settings.over(&Settings::default());
            let made = tenants::insert(tx, &new.tenant_id, new.name.as_deref(), &settings, content_key).await?;
            let Some(tenant) = made else {
                return Err(Error::TenantExists(new.tenant_id.clone()));
            };
            epochs::insert(tx, &tenant.tenant_id).await?;
            let made = entry("tenant.created", (OBJECT, tenant.tenant_id.to_string()), None, Some(&tenant))?;
            audit::insert(tx, &tenant.tenant_id, actor, &[made]).await?;
            Ok(tenant)
        })
    })
    .await
}

/// The tenant. That an operator looked is audited.
pub async fn find(db: &Db, author: &Author, is_operator: bool) -> Result<Tenant, Error> {
    let author = author.clone();
    db.run_tx("find_tenant", Scope::Tenant(author.tenant.clone()), move |tx| {
        let author = author.clone();
        Box::pin(async move {
            let found = tenants::find(tx, &author.tenant).await?.ok_or(Error::NotFound)?;
            if is_operator {
                note_operator(tx, &author, OBJECT).await?;
            }
            Ok(found)
        })
    })
    .await
}

/// Audits that an operator read something of a tenant.
pub(crate) async fn note_operator(tx: &Tx, author: &Author, what: &'static str) -> Result<(), Error> {
    let object_id = author.tenant.to_string();
    let read = NewEntry { action: "operator.read", object_type: what, object_id, before: None, after: None };
    Ok(audit::insert(tx, &author.tenant, &author.actor, &[read]).await?)
}

/// Audits, in the caller's own tenant, that it asked for another.
pub async fn note_refused(db: &Db, own: &TenantId, actor: &str, asked: &TenantId) -> Result<(), Error> {
    let shared = Arc::new((own.clone(), actor.to_owned(), asked.clone()));
    db.run_tx("note_refused", Scope::Tenant(own.clone()), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (own, actor, asked) = &*shared;
            let object_id = asked.to_string();
            let refused =
                NewEntry { action: "access.refused", object_type: OBJECT, object_id, before: None, after: None };
            Ok(audit::insert(tx, own, actor, &[refused]).await?)
        })
    })
    .await
}

/// What is to be different.
#[derive(Debug, Clone, Default)]
pub struct TenantPatch {
    /// `Some(None)` takes the name away.
    pub name: Option<Option<String>>,
    pub settings: SettingsPatch,
}

/// Changes name and settings.
pub async fn edit(db: &Db, author: &Author, patch: TenantPatch) -> Result<Tenant, Error> {
    let patch = Arc::new(patch);
    change(db, "edit_tenant", author, move |change| {
        let patch = Arc::clone(&patch);
        Box::pin(async move {
            let tenant = change.tenant();
            patch.settings.check_time_zone(change.tx).await?;
            tenants::lock(change.tx, tenant).await?;
            let before = tenants::find(change.tx, tenant).await?.ok_or(Error::NotFound)?;
            let name = patch.name.clone().unwrap_or_else(|| before.name.clone());
            let settings = patch.settings.over(&before.settings);
            if (&name, &settings) == (&before.name, &before.settings) {
                return Ok(before);
            }
            let after = tenants::update(change.tx, tenant, name.as_deref(), &settings).await?;
            let object = (OBJECT, tenant.to_string());
            change.record([entry("tenant.updated", object, Some(&before), Some(&after))?]);
            Ok(after)
        })
    })
    .await
}
