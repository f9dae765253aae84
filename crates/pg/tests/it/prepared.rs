//! Every statement of this crate fits the migrated schema, and the migrations folder is embedded whole.

use crate::goals;
use pg::migrate::MIGRATIONS;
use pg::outbox::Statements;

#[tokio::test(flavor = "multi_thread")]
async fn outbox_statements_prepare_as_the_role_that_runs_them() {
    let (database, _) = goals().await;
    for (schema, sql) in Statements::all() {
        let role =
            if sql.starts_with("INSERT") { format!("goalpost_{schema}") } else { format!("goalpost_{schema}_system") };
        let client = database.login(&role).await.unwrap();
        client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        client.batch_execute(&format!("SET plan_cache_mode = force_generic_plan; PREPARE s AS {sql}")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_what_is_done_once_prepare_as_the_roles_that_run_them() {
    let (database, _) = goals().await;
    for (schema, sql) in pg::once::Statements::all() {
        let system = (schema == "goals").then_some("_system");
        for login in [Some(""), system].into_iter().flatten() {
            let client = database.login(&format!("goalpost_{schema}{login}")).await.unwrap();
            client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_forget_dead_letters_prepare_as_the_roles_that_run_them() {
    let (database, _) = goals().await;
    for (schema, sql) in pg::dead_letters::forgetting() {
        let client = database.login(&format!("goalpost_{schema}_system")).await.unwrap();
        client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[test]
fn every_migration_file_is_embedded() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut on_disk: Vec<String> = Vec::new();
    for folder in std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        let schema = folder.file_name().unwrap().to_string_lossy().into_owned();
        for file in std::fs::read_dir(&folder).unwrap() {
            let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            on_disk.push(format!("{schema}/{name}"));
        }
    }
    let mut embedded: Vec<String> = MIGRATIONS
        .iter()
        .flat_map(|(schema, files)| files.iter().map(move |(name, _)| format!("{schema}/{name}")))
        .collect();
    on_disk.sort();
    embedded.sort();
    assert_eq!(on_disk, embedded);
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_or_twice_at_once_changes_nothing() {
    let (database, _) = goals().await;
    let run = || async {
        let mut client = database.superuser().await.unwrap();
        pg::migrate::run(&mut client).await.unwrap()
    };
    assert_eq!(tokio::join!(run(), run()), (0, 0));
    let mut migrator = database.login("goalpost_migrator").await.unwrap();
    assert_eq!(pg::migrate::run(&mut migrator).await.unwrap(), 0);
}
