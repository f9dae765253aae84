//! Configures a scenario through HTTP, as its owner would: tenants, tokens, workflows with goals, enrollments.

use anyhow::Context;
use domain::ids::{GoalId, TenantId, WorkflowId};
use domain::time_format;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::http::{Service, client};
use crate::place::Place;
use crate::progress::Progress;
use crate::scenario::Scenario;

/// What the batch endpoints take at most.
const BATCH: u64 = 500;
const AT_ONCE: usize = 4;

/// A tenant that is ready for a load.
pub struct Tenant {
    pub id: TenantId,
    pub write_token: String,
    pub api_key: String,
}

#[derive(Deserialize)]
struct Made<T> {
    id: T,
}

/// Makes the tenants, each with a write token and an admin's key.
pub async fn tenants(place: &Place, count: u64) -> anyhow::Result<Vec<Tenant>> {
    let operator = Service::new(&client()?, &place.services.goals.url, &place.operator_key);
    let run = Uuid::now_v7().simple().to_string();
    let tenants = stream::iter(0..count).map(|number| tenant(&operator, format!("load-{run}-{number}")));
    tenants.buffered(AT_ONCE).try_collect().await.context("cannot make the tenants")
}

async fn tenant(operator: &Service, name: String) -> anyhow::Result<Tenant> {
    #[derive(Deserialize)]
    struct Issued {
        #[serde(alias = "token", alias = "key")]
        secret: String,
    }
    #[derive(Deserialize)]
    struct Named {
        tenant_id: TenantId,
    }
    let body = json!({"tenant_id": name, "name": "A load"}).to_string();
    let id = operator.post::<Named>("/api/v1/tenants", body).await?.body.tenant_id;
    let token = json!({"kind": "server"}).to_string();
    let token = operator.post::<Issued>(&format!("/api/v1/tenants/{id}/write-tokens"), token).await?.body;
    let key = json!({"role": "admin"}).to_string();
    let key = operator.post::<Issued>(&format!("/api/v1/tenants/{id}/api-keys"), key).await?.body;
    Ok(Tenant { id, write_token: token.secret, api_key: key.secret })
}

/// Makes the workflows, goals and enrollments of every tenant.
pub async fn configure(place: &Place, tenants: &[Tenant], scenario: Scenario) -> anyhow::Result<()> {
    let (workflows, enrollments) = (scenario.workflows, scenario.enrollments);
    let progress = Progress::of("configuring and enrolling", (workflows + enrollments) * scenario.tenants);
    for tenant in tenants {
        let http = client()?;
        let goals = Service::new(&http, &place.services.goals.url, &tenant.api_key);
        let evaluator = Service::new(&http, &place.services.evaluator.url, &tenant.api_key);
        references(&goals, workflows).await.context("cannot make the references")?;
        let made = stream::iter(0..workflows).map(|number| workflow(&goals, number)).buffered(AT_ONCE);
        let made: Vec<WorkflowId> = made.try_collect().await.context("cannot make the workflows")?;
        progress.add(workflows);
        for (number, workflow) in made.into_iter().enumerate() {
            let number = u64::try_from(number)?;
            let contacts: Vec<u64> = (number..enrollments).step_by(usize::try_from(workflows)?).collect();
            enroll(&evaluator, workflow, &contacts).await.context("cannot enroll")?;
            progress.add(contacts.len() as u64);
        }
    }
    progress.done();
    Ok(())
}

async fn references(goals: &Service, workflows: u64) -> anyhow::Result<()> {
    let items: Vec<Value> = (0..workflows)
        .flat_map(|w| {
            [json!({"kind": "product", "id": format!("p-{w}")}), json!({"kind": "form", "id": format!("f-{w}")})]
        })
        .collect();
    for items in items.chunks(usize::try_from(BATCH)?) {
        goals.put::<Value>("/api/v1/references", json!({"items": items}).to_string()).await?;
    }
    Ok(())
}

async fn workflow(goals: &Service, number: u64) -> anyhow::Result<WorkflowId> {
    let body = json!({"name": format!("Workflow {number}")}).to_string();
    let id = goals.post::<Made<WorkflowId>>("/api/v1/workflows", body).await?.body.id;
    for (goal_type, criteria) in Scenario::goals(number) {
        let body = format!(r#"{{"goal_type":"{goal_type}","criteria":{criteria}}}"#);
        goals.post::<Made<GoalId>>(&format!("/api/v1/workflows/{id}/goals"), body).await?;
    }
    goals.post::<Made<WorkflowId>>(&format!("/api/v1/workflows/{id}/activate"), "{}".to_owned()).await?;
    Ok(id)
}

/// Enrolls contacts as of long ago, so that every event of theirs counts.
async fn enroll(evaluator: &Service, workflow: WorkflowId, contacts: &[u64]) -> anyhow::Result<()> {
    let enrolled_at = time_format::to_text(OffsetDateTime::UNIX_EPOCH + time::Duration::days(365 * 50));
    let path = format!("/api/v1/workflows/{workflow}/enrollments/batch");
    let batches = stream::iter(contacts.chunks(usize::try_from(BATCH)?)).map(|batch| {
        let one = |contact: &u64| json!({"contact_id": format!("c-{contact}"), "enrolled_at": enrolled_at});
        let items: Vec<Value> = batch.iter().map(one).collect();
        let (path, body) = (&path, json!({"enrollments": items}).to_string());
        async move { evaluator.post::<Value>(path, body).await.map(drop) }
    });
    batches.buffer_unordered(AT_ONCE).try_collect().await
}
