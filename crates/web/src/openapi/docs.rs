//! `/openapi.json` and `/docs`: the document, and Swagger UI to read it with. All that the page needs comes from here, and
//! its policy lets a browser ask nobody else.

use std::sync::{Arc, OnceLock};

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;
use utoipa::openapi::{ContentBuilder, ResponseBuilder};
use utoipa_swagger_ui::Config;

use super::document::DOCUMENTATION;
use super::{Operation, schema};
use crate::Problem;

/// Nothing but what this service serves; `data:` is for the icons that the style sheet carries in itself.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What the page loads.
const FILES: [&str; 4] = ["swagger-ui.css", "swagger-ui-bundle.js", "initializer.js", "favicon-32x32.png"];

/// Addresses are relative, so that the page works behind any prefix.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Goalpost</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/initializer.js"></script>
</body>
</html>
"#;

/// Without `validatorUrl` the page would show its document to a validator on the internet.
const INITIALIZER: &str = r##"SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  showExtensions: true,
  validatorUrl: null,
});
"##;

pub(super) fn operations(text: &Arc<OnceLock<String>>) -> [Operation; 3] {
    let document = Arc::clone(text);
    let document = move || {
        let document = document.get().cloned().unwrap_or_default();
        async { HttpResponse::Ok().content_type("application/json").body(document) }
    };
    let answer = |what: &str, kinds: &[&str]| {
        let content = || ContentBuilder::new().schema(Some(schema::text())).build();
        kinds.iter().fold(ResponseBuilder::new().description(what), |answer, kind| answer.content(*kind, content()))
    };
    let json = ContentBuilder::new().schema(Some(schema::object())).build();
    [
        Operation::get("/openapi.json", document)
            .named("getOpenApi", DOCUMENTATION)
            .does("This document", "The OpenAPI 3.1 document of this service.")
            .answers_with(200, ResponseBuilder::new().description("The document.").content("application/json", json)),
        Operation::get("/docs", page)
            .named("getDocs", DOCUMENTATION)
            .does("This document as a page", "Shows the document in a browser, and lets operations be tried out.")
            .answers_with(200, answer("The page.", &["text/html"])),
        Operation::get("/docs/{file}", file)
            .named("getDocsFile", DOCUMENTATION)
            .does(
                "What the page loads",
                "Scripts, styles and the icon of the page, which loads nothing from elsewhere.",
            )
            .at("file", schema::one_of(FILES), "Which.")
            .answers_with(200, answer("The file.", &["text/css", "text/javascript", "image/png"])),
    ]
}

async fn page() -> HttpResponse {
    served("text/html; charset=utf-8", "no-cache", PAGE)
}

async fn file(name: Path<String>) -> Result<HttpResponse, Problem> {
    let name = FILES.into_iter().find(|file| *file == name.as_str()).ok_or_else(Problem::not_found)?;
    if name == "initializer.js" {
        return Ok(served("text/javascript", "no-cache", INITIALIZER));
    }
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::from("openapi.json"))).ok().flatten();
    let file = file.ok_or_else(Problem::internal)?;
    Ok(served(&file.content_type, "max-age=86400", file.bytes.into_owned()))
}

fn served(kind: &str, cache: &str, body: impl Into<bytes::Bytes>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, cache.to_owned()))
        .body(body.into())
}
