//! Operations as routes and as a document; the page that shows it asks nobody but its service.

use goalpost_web::openapi::{About, Api, Demands, Operation, schema};
use goalpost_web::{AdminPort, Identity, IdentitySettings, RateLimitSettings, Strict, Viewer, bind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::support::{Store, problem, send, settings};

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
}

async fn make(_: Viewer, Strict(thing): Strict<Thing>) -> actix_web::web::Json<Thing> {
    actix_web::web::Json(thing)
}

async fn show(name: actix_web::web::Path<String>) -> actix_web::web::Json<Thing> {
    actix_web::web::Json(Thing { name: name.into_inner() })
}

const ABOUT: About = About { title: "Things", description: "Things.", tags: &[("things", "All of them.")] };

fn api() -> Api {
    let things = || json!({ "name": "a" });
    let operations = [
        Operation::post("/things/{name}", make)
            .named("makeThing", "things")
            .does("Make", "Makes a thing.")
            .demands(Demands::Viewer)
            .at("name", schema::text_id(), "Its name.")
            .takes::<Thing>(true, &[("a_thing", things())])
            .answers::<Thing>(201, "The thing.", things())
            .refuses(409, &["thing_exists"]),
        Operation::get("/things/{name}", show)
            .named("showThing", "things")
            .does("Show", "Shows a thing.")
            .at("name", schema::text_id(), "Its name.")
            .answers::<Thing>(200, "The thing.", things()),
    ];
    Api::new(ABOUT, operations.into())
}

/// The address of a service with those operations.
async fn started() -> String {
    let api = api();
    let identity = Identity::open(Store::default(), &IdentitySettings::default(), RateLimitSettings::default());
    let (identity, _) = identity.unwrap();
    let bound = bind(&settings(), AdminPort::new(prometheus::Registry::new()), move |config| {
        config.app_data(actix_web::web::Data::new(identity.clone()));
        api.register(config);
    });
    let bound = bound.unwrap();
    let url = bound.url.clone();
    drop(tokio::spawn(bound.run(std::future::pending())));
    url
}

#[actix_web::test]
async fn what_is_described_is_served_and_nothing_else() {
    let (url, http) = (started().await, reqwest::Client::new());
    let (status, _, document) = send(http.get(format!("{url}/openapi.json"))).await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    assert_eq!(document.to_string(), serde_json::from_str::<Value>(api().document()).unwrap().to_string());
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/docs", "/docs/{file}", "/openapi.json", "/things/{name}"]);
    let thing = format!("{url}/things/a");
    assert_eq!(send(http.get(&thing)).await.0, 200);
    problem(http.post(&thing), 401, "missing_credentials").await;
    let (_, headers, _) = send(http.put(&thing)).await;
    assert_eq!(headers["allow"], "POST, GET");
    problem(http.put(&thing), 405, "method_not_allowed").await;
    problem(http.get(format!("{url}/things")), 404, "route_not_found").await;
}

#[actix_web::test]
async fn an_operation_says_all_that_it_can_answer() {
    let document: Value = serde_json::from_str(api().document()).unwrap();
    let make = &document["paths"]["/things/{name}"]["post"];
    assert_eq!(make["x-goalpost-role"], "viewer");
    assert_eq!(
        make["security"],
        json!([{ "api_key": ["viewer"] }, { "api_key_header": ["viewer"] }, { "jwt": ["viewer"] }])
    );
    let statuses: Vec<&String> = make["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["201", "400", "401", "403", "404", "408", "409", "413", "415", "429", "500", "503"]);
    let conflict = &make["responses"]["409"]["content"]["application/problem+json"]["schema"]["allOf"];
    assert_eq!(conflict[0]["$ref"], "#/components/schemas/Problem");
    assert_eq!(conflict[1]["properties"]["code"]["enum"], json!(["thing_exists"]));
    let reference = make["responses"]["500"]["$ref"].as_str().unwrap();
    let shared = document.pointer(reference.trim_start_matches('#')).unwrap();
    assert_eq!(shared["description"], "Internal Server Error: `internal`.");
    assert_eq!(document["components"]["schemas"]["Thing"]["additionalProperties"], false);
}

/// Addresses in what a page loads by itself: of scripts, styles and pictures, of imports and fonts.
fn loaded(text: &str) -> Vec<&str> {
    let marks = ["src=\"", "href=\"", "url(", "@import ", "url: \""];
    let found = marks.iter().flat_map(|mark| text.split(mark).skip(1));
    found.map(|rest| rest.trim_start_matches(['"', '\'']).split(['"', '\'', ')']).next().unwrap()).collect()
}

#[actix_web::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let (url, http) = (started().await, reqwest::Client::new());
    let (status, headers, page) = send(http.get(format!("{url}/docs"))).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "text/html; charset=utf-8"));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'; ") && !policy.contains("unsafe"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains('*'), "only what comes from here: {policy}");
    let page = page.as_str().unwrap();
    assert!(!page.contains("<script>") && !page.contains("style="), "nothing inline, which the policy forbids");
    let files = loaded(page);
    assert_eq!(files.len(), 4);
    for file in files {
        assert!(file.starts_with("docs/"), "{file}");
        let (status, headers, text) = send(http.get(format!("{url}/{file}"))).await;
        assert_eq!((status, &headers["content-security-policy"]), (200, &headers["content-security-policy"]), "{file}");
        if file.ends_with(".css") || file.ends_with("initializer.js") {
            for address in loaded(text.as_str().unwrap()) {
                assert!(address.starts_with("data:") || address == "openapi.json", "{file} loads {address}");
            }
        }
    }
    let (_, _, settings) = send(http.get(format!("{url}/docs/initializer.js"))).await;
    assert!(settings.as_str().unwrap().contains("validatorUrl: null"), "nobody else is shown the document");
    problem(http.get(format!("{url}/docs/index.html")), 404, "not_found").await;
}
