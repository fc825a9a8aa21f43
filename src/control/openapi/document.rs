//! Generates the `OpenAPI` document from the operations and their types.

use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};

use super::DOCUMENT;
use super::operations::{ERROR, OPERATIONS, Operation};
use crate::control::api::API_VERSION;

/// Fields of snapshots that are sent only on request, by type.
const ON_REQUEST: [(&str, &[&str]); 3] = [
    ("Snapshot", &["memory_table", "changes"]),
    ("ModelView", &["since_change", "run", "histogram_minute", "histogram_second", "memory"]),
    ("Actual", &["threads"]),
];

/// Returns the document.
fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        settings.contract = Contract::Serialize;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    let error = ERROR(&mut generator);
    for operation in OPERATIONS {
        let described = describe(operation, &mut generator, error.as_value());
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    let mut schemas = generator.take_definitions(true);
    for (name, fields) in ON_REQUEST {
        let required = schemas[name]["required"].as_array_mut().unwrap();
        required.retain(|field| !fields.iter().any(|optional| field == optional));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "divvy control",
            "version": API_VERSION.to_string(),
            "description": "Watches and changes a running divvy; see docs/control.md.",
        },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    plain_text(&mut document);
    document
}

fn describe(
    operation: &Operation,
    generator: &mut schemars::SchemaGenerator,
    error: &Value,
) -> Value {
    let query = operation.query.iter().map(|(name, description)| {
        json!({
            "name": name,
            "in": "query",
            "description": description,
            "schema": { "type": "string" },
            "allowEmptyValue": *name == "follow",
        })
    });
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')).map(|part| {
        let name = part.trim_end_matches('}');
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let parameters: Vec<Value> = in_path.chain(query).collect();
    let kind = if operation.is_stream { "application/x-ndjson" } else { "application/json" };
    let answer = match operation.answer {
        Some(answer) => json!({ "schema": answer(generator) }),
        None => json!({ "schema": { "type": "object" } }),
    };
    let mut described = json!({
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "The answer.", "content": { kind: answer } },
            "default": {
                "description": "An error.",
                "content": { "application/json": { "schema": error } },
            },
        },
    });
    if let Some(body) = operation.body {
        let content = json!({ "application/json": { "schema": body(generator) } });
        described["requestBody"] = json!({ "content": content });
    }
    described
}

/// Turns the links of the types' documentation into plain text.
fn plain_text(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = without_links(text);
            }
            fields.values_mut().for_each(plain_text);
        }
        Value::Array(items) => items.iter_mut().for_each(plain_text),
        _ => {}
    }
}

fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        plain += before;
        let Some((name, after)) = link.split_once("`]") else {
            plain += "[`";
            rest = link;
            continue;
        };
        plain.extend(["`", name.rsplit("::").next().unwrap_or(name), "`"]);
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}

/// With `INSTA_UPDATE=always` it writes the document, as the snapshots of other tests.
#[test]
fn document_matches_the_types() {
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        std::fs::write(path, &text).unwrap();
        return;
    }
    let is_same = text == DOCUMENT;
    assert!(is_same, "docs/openapi.json is old: run this test with INSTA_UPDATE=always");
}

#[test]
fn every_reference_has_a_schema() {
    let document = document();
    let text = document.to_string();
    for reference in text.split(r##""$ref":"#"##).skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn links_become_plain_text() {
    assert_eq!(without_links("As [`a::b`](super::b) and [`C`], x [1]."), "As `b` and `C`, x [1].");
}
