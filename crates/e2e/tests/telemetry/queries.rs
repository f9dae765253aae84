//! The queries of the alert rules and of the dashboard: PromQL, and only about metrics that there are.

use std::collections::BTreeSet;
use std::fs;

use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use crate::promised;
use crate::scraped::root;

/// The parts that a histogram is told in.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// What Prometheus says itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// Panics unless every query is one, and asks for metrics that were told, or that a README promises once something happens.
pub fn ask_only_for(told: &BTreeSet<String>) {
    let mut known = promised::all();
    known.extend(told.iter().cloned());
    known.extend(OF_PROMETHEUS.map(str::to_owned));
    let queries = [alerts(), panels()].concat();
    assert!(queries.len() > 20, "the files were read");
    let mut asked = BTreeSet::new();
    for query in queries {
        // Grafana fills in the range of a panel.
        let text = query.replace("$__rate_interval", "5m");
        let expr = parser::parse(&text).unwrap_or_else(|error| panic!("{query}: {error}"));
        let mut names = Names::default();
        walk_expr(&mut names, &expr).unwrap();
        assert!(!names.0.is_empty(), "{query} asks for nothing");
        for name in names.0 {
            let whole = PARTS.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(&name);
            assert!(known.contains(whole) || known.contains(&name), "{query} asks for {name}, which nobody tells");
            asked.insert(whole.to_owned());
        }
    }
    for name in ["goal_evaluation_latency_seconds", "outbox_age_seconds", "goal_listeners_registrations_total"] {
        assert!(asked.contains(name) && told.contains(name), "{name}");
    }
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl ExprVisitor for Names {
    type Error = ();

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, ()> {
        let selector: Option<&VectorSelector> = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(matrix) => Some(&matrix.vs),
            _ => None,
        };
        self.0.extend(selector.and_then(|selector| selector.name.clone()));
        Ok(true)
    }
}

/// The `expr` of every rule; each stands on a line of its own, as promtool's own tests need no more.
fn alerts() -> Vec<String> {
    let text = fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let rules = text.matches("- alert:").count();
    let queries: Vec<String> =
        text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    assert_eq!(queries.len(), rules, "an expression to every alert, in one line");
    queries
}

/// The `expr` of every target of every panel.
fn panels() -> Vec<String> {
    let text = fs::read_to_string(root().join("deploy/grafana/goalpost-operators.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        queries.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    queries
}
