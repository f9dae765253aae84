//! One operation: its route, and what the document says of it.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, Route, web};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{ContentBuilder, RefOr, Required, Response, ResponseBuilder, Schema};

use super::problems::{Problems, STRICT_BODY, entity_tag, replayed, request_id};
use super::{Demands, schema};
use crate::paging::{DEFAULT_LIMIT, MAX_LIMIT};

/// Schemas by name, as the components of a document.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

const JSON: &str = "application/json";

/// An operation of a service. Built up in a chain; [`super::Api`] takes it.
#[derive(Clone)]
pub struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) route: Arc<dyn Fn() -> Route + Send + Sync>,
    pub(super) preflight: Option<Arc<dyn Fn() -> Route + Send + Sync>>,
    pub(super) demands: Demands,
    pub(super) schemas: Schemas,
    pub(super) published: Vec<(&'static str, &'static str)>,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: Vec<(u16, Response)>,
    problems: Problems,
    once: bool,
}

macro_rules! by_method {
    ($($(#[$meta:meta])* $name:ident = $method:ident;)+) => {
        $($(#[$meta])*
        pub fn $name<F, Args>(path: &'static str, handler: F) -> Self
        where
            F: Handler<Args> + Send + Sync,
            F::Output: Responder + 'static,
            Args: FromRequest + 'static,
        {
            Self::new(Method::$method, path, handler)
        })+
    };
}

impl Operation {
    by_method! {
        /// `handler` answers GET at `path`.
        get = GET;
        /// `handler` answers POST at `path`.
        post = POST;
        /// `handler` answers PUT at `path`.
        put = PUT;
        /// `handler` answers PATCH at `path`.
        patch = PATCH;
        /// `handler` answers DELETE at `path`.
        delete = DELETE;
    }

    /// `handler` answers `method` at `path`.
    fn new<F, Args>(method: Method, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        F::Output: Responder + 'static,
        Args: FromRequest + 'static,
    {
        let of = method.clone();
        let mut problems = Problems::default();
        problems.add(500, &["internal"]);
        Self {
            method,
            path,
            route: Arc::new(move || web::method(of.clone()).to(handler.clone())),
            preflight: None,
            demands: Demands::Nothing,
            schemas: Vec::new(),
            published: Vec::new(),
            id: "",
            tag: "",
            summary: "",
            description: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems,
            once: false,
        }
    }

    /// Pages of other origins may call it. `handler` answers what their browsers ask before: OPTIONS, without a credential (CORS).
    #[must_use]
    pub fn from_pages<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        F::Output: Responder + 'static,
        Args: FromRequest + 'static,
    {
        self.preflight = Some(Arc::new(move || web::method(Method::OPTIONS).to(handler.clone())));
        self
    }

    /// Its `operationId`, and the tag it stands under.
    #[must_use]
    pub fn named(mut self, id: &'static str, tag: &'static str) -> Self {
        (self.id, self.tag) = (id, tag);
        self
    }

    /// What it does: in a few words, and in sentences.
    #[must_use]
    pub fn does(mut self, summary: &'static str, description: &'static str) -> Self {
        (self.summary, self.description) = (summary, description);
        self
    }

    /// Who may call it. Brings the answers to those who may not.
    #[must_use]
    pub fn demands(mut self, demands: Demands) -> Self {
        for (status, codes) in demands.refusals() {
            self.problems.add(status, codes);
        }
        self.demands = demands;
        self
    }

    /// A parameter in the path. What is none answers as what is not there.
    #[must_use]
    pub fn at(mut self, name: &'static str, schema: impl Into<Schema>, what: &'static str) -> Self {
        self.problems.add(404, &["not_found"]);
        self.parameter(ParameterIn::Path, name, schema.into(), what)
    }

    /// An optional parameter in the query string.
    #[must_use]
    pub fn asks(mut self, name: &'static str, schema: impl Into<Schema>, what: &'static str) -> Self {
        self.problems.add(400, &["invalid_query"]);
        self.parameter(ParameterIn::Query, name, schema.into(), what)
    }

    /// Answers a page at a time: the parameters `limit` and `cursor`.
    #[must_use]
    pub fn paged(mut self) -> Self {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_LIMIT))
            .default(Some(DEFAULT_LIMIT.into()));
        self.problems.add(400, &["invalid_cursor", "invalid_limit"]);
        self.asks("limit", limit.build(), "Items of a page.").asks(
            "cursor",
            schema::text(),
            "Where to go on: the `next_cursor` of the page before.",
        )
    }

    /// Shows or makes an object that is kept in versions: successful answers so far have its `ETag`.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        for (_, response) in self.answers.iter_mut().filter(|(status, _)| matches!(status, 200 | 201)) {
            response.headers.insert("ETag".to_owned(), entity_tag().into());
        }
        self
    }

    /// Shows such an object, to a client that may have it: `If-None-Match`.
    #[must_use]
    pub fn unless_known(self) -> Self {
        let what = "Entity tags of what the client has, or `*`.";
        let unchanged = ResponseBuilder::new().description("The client has it.").header("ETag", entity_tag());
        self.tagged()
            .parameter(ParameterIn::Header, "If-None-Match", schema::text().into(), what)
            .answers_with(304, unchanged)
    }

    /// Changes such an object, if it still is what the client has seen: `If-Match`.
    #[must_use]
    pub fn if_match(mut self) -> Self {
        let what = "Entity tags of which one has to be the object's, or `*`. Without it the change is made of whatever is there.";
        self.problems.add(400, &["invalid_if_match"]);
        self.problems.add(412, &["version_conflict"]);
        self.tagged().parameter(ParameterIn::Header, "If-Match", schema::text().into(), what)
    }

    fn parameter(mut self, place: ParameterIn, name: &'static str, schema: Schema, what: &'static str) -> Self {
        let required = if place == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .description(Some(what))
            .schema(Some(schema));
        self.parameters.push(parameter.build());
        self
    }

    /// Is carried out once for each `Idempotency-Key` (`Keyed`).
    #[must_use]
    pub fn once(mut self) -> Self {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[ -~]{1,255}$"));
        let what = "Names the request: sent again with the same body within 24 hours, it is answered as it was, and nothing is made \
            again. Only what succeeded is kept.";
        self.problems.add(400, &["invalid_idempotency_key"]);
        self.problems.add(409, &["idempotency_key_reused"]);
        self.once = true;
        self.parameter(ParameterIn::Header, "Idempotency-Key", key.build().into(), what)
    }

    /// A JSON body, read by `Strict`, with named examples. Brings the answers to bodies that are none.
    #[must_use]
    pub fn takes<T: ToSchema>(mut self, required: bool, examples: &[(&str, Value)]) -> Self {
        for (status, codes) in STRICT_BODY {
            self.problems.add(status, codes);
        }
        let schema = self.schema_of::<T>();
        let examples = examples.iter().map(|(name, value)| {
            (*name, ExampleBuilder::new().summary(name.replace('_', " ")).value(Some(value.clone())).build())
        });
        let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
        let required = if required { Required::True } else { Required::False };
        self.body = Some(RequestBodyBuilder::new().content(JSON, content).required(Some(required)).build());
        self
    }

    /// A body that is read in a way of its own.
    #[must_use]
    pub fn reads(mut self, body: RequestBody) -> Self {
        self.body = Some(body);
        self
    }

    /// A published JSON Schema, as the component `name`.
    #[must_use]
    pub fn refers_to(mut self, name: &'static str, json_schema: &'static str) -> Self {
        self.published.push((name, json_schema));
        self
    }

    /// Answers `T` with `status`.
    #[must_use]
    pub fn answers<T: ToSchema>(mut self, status: u16, what: &str, example: Value) -> Self {
        let schema = self.schema_of::<T>();
        self.answers_json(status, what, schema, example)
    }

    /// Answers 200 with a list of `T`: one page of it, if the operation is paged.
    #[must_use]
    pub fn lists<T: ToSchema>(mut self, what: &str, example: Value) -> Self {
        let item = self.schema_of::<T>();
        let paged = self.parameters.iter().any(|parameter| parameter.name == "cursor");
        let list = schema::list_of(item, paged);
        self.answers_json(200, what, Schema::from(list).into(), serde_json::json!({ "items": [example] }))
    }

    fn answers_json(self, status: u16, what: &str, schema: RefOr<Schema>, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
        self.answers_with(status, ResponseBuilder::new().description(what).content(JSON, content))
    }

    /// Answers 204.
    #[must_use]
    pub fn answers_nothing(self, what: &str) -> Self {
        self.answers_with(204, ResponseBuilder::new().description(what))
    }

    /// Answers in a way of its own.
    #[must_use]
    pub fn answers_with(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.answers.push((status, response.header("X-Request-Id", request_id()).build()));
        self
    }

    /// Is refused with `status` and one of these codes. May be said repeatedly.
    #[must_use]
    pub fn refuses(mut self, status: u16, codes: &[&'static str]) -> Self {
        self.problems.add(status, codes);
        self
    }

    /// A reference to the schema of `T`, which becomes a component with all that it refers to.
    fn schema_of<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        utoipa::openapi::Ref::from_schema_name(T::name()).into()
    }

    /// What the document says of it.
    pub(super) fn described(&self) -> utoipa::openapi::path::Operation {
        let role = std::iter::once(("x-goalpost-role", self.demands.role()));
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description(Some(self.description))
            .securities(Some(self.demands.requirements()))
            .request_body(self.body.clone())
            .extensions(Some(role.collect()));
        for parameter in &self.parameters {
            operation = operation.parameter(parameter.clone());
        }
        for (status, response) in &self.answers {
            let mut response = response.clone();
            if self.once {
                response.headers.insert("Idempotency-Replayed".to_owned(), replayed().into());
            }
            operation = operation.response(status.to_string(), response);
        }
        for (status, response) in self.problems.responses() {
            operation = operation.response(status.to_string(), response);
        }
        operation.build()
    }
}
