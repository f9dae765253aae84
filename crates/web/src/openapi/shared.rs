//! Makes a document shorter: what many operations answer alike becomes a component that they refer to.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The header that every answer has.
const REQUEST_ID: &str = "X-Request-Id";

/// Takes the header and the refusals that stand more than once out of the operations, into the components.
pub(super) fn share(document: &mut Value) {
    let mut header = None;
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for (_, response) in responses(document) {
        if let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut)
            && let Some(given) = headers.get_mut(REQUEST_ID)
        {
            let reference = json!({ "$ref": "#/components/headers/RequestId" });
            header = Some(std::mem::replace(given, reference));
        }
        *counted.entry(response.to_string()).or_default() += 1;
    }
    let mut shared: Map<String, Value> = Map::new();
    for (status, response) in responses(document) {
        let is_refusal = status.starts_with(['4', '5']);
        if !is_refusal || counted.get(&response.to_string()).is_none_or(|count| *count < 2) {
            continue;
        }
        let known = shared.iter().find(|(_, other)| *other == response).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let name = name_of(response, &shared);
            shared.insert(name.clone(), response.clone());
            name
        });
        *response = json!({ "$ref": format!("#/components/responses/{name}") });
    }
    if let Some(header) = header {
        document["components"]["headers"] = json!({ "RequestId": header });
    }
    document["components"]["responses"] = Value::Object(shared);
}

/// Every answer of every operation, with its status.
fn responses(document: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    let operations = paths.filter_map(|(_, item)| item.as_object_mut()).flatten();
    let answers = operations.filter_map(|(_, operation)| operation.get_mut("responses").and_then(Value::as_object_mut));
    answers.flatten()
}

/// The status in one word, with a number behind it where another has it already: `NotFound`, `NotFound2`.
fn name_of(response: &Value, taken: &Map<String, Value>) -> String {
    let title = response.get("description").and_then(Value::as_str).and_then(|text| text.split(':').next());
    let word: String = title.unwrap_or("Refusal").split_whitespace().collect();
    let numbered = (2..).map(|number| format!("{word}{number}"));
    std::iter::once(word.clone()).chain(numbered).find(|name| !taken.contains_key(name)).unwrap_or(word)
}
