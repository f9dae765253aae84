//! Every statement of the service, prepared as the login that runs it.

use testkit::Database;

#[tokio::test]
async fn every_statement_is_valid_for_its_login() {
    let database = Database::create().await.unwrap();
    let mut prepared = 0;
    for login in ["goalpost_goals", "goalpost_goals_system"] {
        let client = database.login(login).await.unwrap();
        for (_, sql) in goalpost_goals::store::statements().filter(|(of, _)| *of == login) {
            client.prepare(sql).await.unwrap_or_else(|error| panic!("{login}: {sql}: {error:?}"));
            prepared += 1;
        }
    }
    assert_eq!(prepared, goalpost_goals::store::statements().count());
    assert!(prepared > 40, "{prepared}");
}

#[tokio::test]
async fn hot_statements_use_their_indexes() {
    let database = Database::create().await.unwrap();
    let client = database.superuser().await.unwrap();
    for sql in [
        "INSERT INTO platform.tenants (tenant_id, content_key) SELECT 't' || n, sha256('x') FROM generate_series(1, 5) n",
        "INSERT INTO goals.workflows (tenant_id, id, name, status, created_by, created_at)
         SELECT 't' || (n % 5 + 1), gen_random_uuid(), 'w', 'active', 'x', now() - n * interval '1 s' FROM generate_series(1, 20000) n",
        "INSERT INTO goals.goals (tenant_id, id, workflow_id, goal_type, event_name, criteria, criteria_hash, position, created_by)
         SELECT tenant_id, gen_random_uuid(), id, 'tag_added', 'contact.tag.added', '{}', 'x', 1, 'x' FROM goals.workflows",
        "ANALYZE goals.workflows, goals.goals",
    ] {
        client.execute(sql, &[]).await.unwrap();
    }
    let tenant = database.login("goalpost_goals").await.unwrap();
    tenant.execute("SELECT set_config('app.tenant_id', 't1', false)", &[]).await.unwrap();
    let hot = [
        "FROM goals.workflows WHERE tenant_id = $1 AND ($2",
        "FROM goals.goals WHERE tenant_id = $1 AND workflow_id = $2 AND d",
    ];
    for part in hot {
        let (_, sql) = goalpost_goals::store::statements().find(|(_, sql)| sql.contains(part)).unwrap();
        let sql = sql.replace("$1", "'t1'").replace("$2", "NULL").replace("$3", "NULL").replace("$4", "51");
        let sql = sql.replace("$5", "NULL").replace("$6", "NULL");
        let plan = tenant.query(&format!("EXPLAIN {sql}"), &[]).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}
