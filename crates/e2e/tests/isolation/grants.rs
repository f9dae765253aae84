//! Who may do what, held against a golden file: a grant is added or taken on purpose or not at all.

use crate::catalogue::{Grants, relations};

const GOLDEN: &str = include_str!("grants.golden");

#[tokio::test]
async fn grants_are_those_of_the_golden_file() {
    let (_database, client) = crate::arranged().await;
    let lines: String = Grants::read(&client).await.lines();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/isolation/grants.golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &lines).unwrap();
        return;
    }
    assert_eq!(
        lines, GOLDEN,
        "the grants differ from {path}; set UPDATE_GOLDEN=1 to write it anew, and read the difference"
    );
}

#[tokio::test]
async fn every_relation_holds_rows_of_both_tenants() {
    let (_database, client) = crate::arranged().await;
    for relation in relations(&client).await.into_iter().filter(|relation| !relation.is_view) {
        let count = format!("SELECT count(DISTINCT tenant_id) FROM {} WHERE tenant_id IN ('a', 'b')", relation.name);
        let tenants: i64 = client.query_one(&count, &[]).await.unwrap().get(0);
        assert_eq!(tenants, 2, "{} is not seeded: an attack on it would prove nothing", relation.name);
    }
}
