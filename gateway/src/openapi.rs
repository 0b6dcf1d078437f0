//! The description of the HTTP API for programs, in OpenAPI 3.1, made of the tables by which the API works: routes, fields,
//! codes, algorithms, kinds of work with a key. What they do not say is in `openapi/operations.rs`, a row a route.
//!
//! It is the same for every caller and says nothing of an installation.

mod answers;
mod names;
mod objects;
mod operation;
mod operations;
mod parts;
mod requests;
mod schema;
mod uses;

use crate::api::Route;
use crate::pipeline::skip;
use bytes::Bytes;
use schema::{Schema, always, object, reference};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The document as it is sent.
pub fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| build().to_string().into());
    DOCUMENT.clone()
}

fn build() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Chancel",
            // As in the paths: which version of Chancel this is, strangers need not know.
            "version": "v1",
            "summary": "A key management service for post-quantum algorithms",
            "description": "A field that is null counts as absent, but for `uses_per_day`, where it means no limit.",
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "security": [{"ApiKey": []}],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "responses": answers::refusals(),
            "parameters": requests::header_parameters(),
            "headers": answers::header_components(),
            "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    })
}

fn paths() -> Value {
    let mut paths = json!({skip::HEALTH: {"get": health()}, skip::OPENAPI: {"get": itself()}});
    for (route, method, path) in Route::rows() {
        let method = method.as_str().to_lowercase();
        paths[requests::template(path)][method] = operation(route, path);
    }
    paths
}

fn operation(route: Route, path: &str) -> Value {
    let codes: Vec<_> = answers::codes(route).map(|code| code.name()).collect();
    let mut operation = json!({
        "operationId": operation_id(route, path),
        "summary": operation::Operation::of(route).summary,
        // What stands after `/api/v1/`.
        "tags": [path.split('/').nth(3)],
        "parameters": requests::parameters(route, path),
        "responses": answers::responses(route),
        // Which of its status's codes an operation may be refused with.
        "x-error-codes": codes,
    });
    if requests::body(route).is_some() {
        operation["requestBody"] = requests::request_body(route, &request_name(route));
    }
    operation
}

/// The route's name; for the second of its paths, with a number.
fn operation_id(route: Route, path: &str) -> String {
    let mut same = Route::rows().filter(|(other, ..)| *other == route);
    match same.position(|(.., other)| other == path) {
        None | Some(0) => route.name().to_owned(),
        Some(before) => format!("{}-{}", route.name(), before + 1),
    }
}

fn schemas() -> Map<String, Value> {
    let mut schemas = names::schemas();
    for route in Route::all() {
        if let (name, Some(own)) = answers::data(route) {
            schemas.insert(name, own);
        }
        if let Some(body) = requests::body(route) {
            schemas.insert(request_name(route), body);
        }
    }
    schemas
}

fn request_name(route: Route) -> String {
    pascal(route.name()) + "Request"
}

/// `list-keys` as `ListKeys`.
fn pascal(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(usize::from(!word.is_empty()));
        first.to_uppercase() + rest
    };
    name.split('-').map(capital).collect()
}

fn health() -> Value {
    let data = object(&[always("status", Schema::Constant("alive"))]);
    open(
        "health",
        "Whether the gateway is alive",
        answers::enveloped("data", data),
    )
}

fn itself() -> Value {
    open("openapi", "This description", json!({"type": "object"}))
}

/// An operation that needs no API key.
fn open(id: &str, summary: &str, schema: Value) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "security": [],
        "responses": {"200": {
            "description": "OK",
            "headers": {"X-Request-ID": reference("headers", "RequestId")},
            "content": {"application/json": {"schema": schema}},
        }},
    })
}

#[cfg(test)]
mod tests;
