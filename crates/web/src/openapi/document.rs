//! A service's operations together: registered as routes, and as the OpenAPI document that says what they are.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, PathItem, Paths};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, ServerBuilder};

use super::problems::problem;
use super::{Operation, shared};

/// What a document says of its service as a whole.
#[derive(Clone, Copy)]
pub struct About {
    /// As `Goalpost: goals`.
    pub title: &'static str,
    /// In sentences.
    pub description: &'static str,
    /// The tags of its operations, and what stands under each.
    pub tags: &'static [(&'static str, &'static str)],
}

/// The operations of a service. Clones are cheap and share them.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    about: About,
    operations: Vec<Operation>,
    text: Arc<OnceLock<String>>,
}

/// The tag of what every service has.
pub(super) const DOCUMENTATION: &str = "documentation";

impl Api {
    /// The operations, and those by which they can be read about.
    pub fn new(about: About, mut operations: Vec<Operation>) -> Self {
        let text = Arc::new(OnceLock::new());
        operations.extend(super::docs::operations(&text));
        let api = Self(Arc::new(Inner { about, operations, text: Arc::clone(&text) }));
        text.get_or_init(|| api.0.written());
        api
    }

    /// Registers a resource per path. A method that a path does not have is answered 405 with `Allow`.
    pub fn register(&self, config: &mut ServiceConfig) {
        for (path, operations) in self.0.by_path() {
            let routes = operations.into_iter().flat_map(|of| [Some(&of.route), of.preflight.as_ref()]).flatten();
            config.service(routes.fold(web::resource(path), |resource, route| resource.route(route())));
        }
    }

    /// The document: indented JSON, keys sorted, the same text every time.
    pub fn document(&self) -> &str {
        self.0.text.get().map_or("", String::as_str)
    }
}

impl Inner {
    /// In the order in which paths were first named.
    fn by_path(&self) -> Vec<(&'static str, Vec<&Operation>)> {
        let mut paths: Vec<(&str, Vec<&Operation>)> = Vec::new();
        for operation in &self.operations {
            match paths.iter_mut().find(|(path, _)| *path == operation.path) {
                Some((_, operations)) => operations.push(operation),
                None => paths.push((operation.path, vec![operation])),
            }
        }
        paths
    }

    fn open_api(&self) -> OpenApi {
        let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
        let info = InfoBuilder::new()
            .title(self.about.title)
            .description(Some(self.about.description))
            .version(env!("CARGO_PKG_VERSION"))
            .license(Some(license));
        let mut paths = Paths::new();
        for (path, operations) in self.by_path() {
            let described = operations.iter().map(|operation| (http_method(&operation.method), operation.described()));
            let item =
                described.map(|(method, operation)| PathItem::new(method, operation)).reduce(|mut item, other| {
                    item.merge_operations(other);
                    item
                });
            paths.paths.insert(path.to_owned(), item.unwrap_or_default());
        }
        let mut components = ComponentsBuilder::new().schema("Problem", problem());
        let mut schemes = BTreeMap::new();
        for operation in &self.operations {
            components = components.schemas_from_iter(operation.schemas.clone());
            schemes.extend(operation.demands.schemes());
        }
        for (name, scheme) in schemes {
            components = components.security_scheme(name, scheme);
        }
        let documentation = (DOCUMENTATION, "This document, to be read by programs and by people.");
        let tags = self.about.tags.iter().copied().chain([documentation]);
        let tags = tags.map(|(name, what)| TagBuilder::new().name(name).description(Some(what)).build());
        OpenApiBuilder::new()
            .info(info.build())
            .servers(Some([ServerBuilder::new().url("/").description(Some("Where this document came from.")).build()]))
            .tags(Some(tags))
            .paths(paths)
            .components(Some(components.build()))
            .build()
    }
}

impl Inner {
    fn written(&self) -> String {
        let mut document = serde_json::to_value(self.open_api()).unwrap_or_default();
        for (name, json_schema) in self.operations.iter().flat_map(|operation| &operation.published) {
            let mut schema: Value = serde_json::from_str(json_schema).unwrap_or_default();
            if let Value::Object(members) = &mut schema {
                // Here it is a part of a document, which says both for all of it.
                members.retain(|key, _| key != "$schema" && key != "$id");
            }
            document["components"]["schemas"][name] = schema;
        }
        let mut document = sorted(document);
        shared::share(&mut document);
        let mut text = serde_json::to_string_pretty(&sorted(document)).unwrap_or_default();
        text.push('\n');
        text
    }
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// Sorted whatever order the maps keep.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> =
                members.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
