//! What comes in: parameters of the path, of the query and in headers, and the body.

use super::operation::{Body, Operation};
use super::schema::{Schema, Takes, closed, fields_object, reference};
use super::uses::{batch_body, batch_fields, selection};
use crate::api::{Kind, Route};
use crate::streams::MEDIA_TYPE;
use serde_json::{Map, Value, json};

const IN_STREAMS: &str = "For a body of application/octet-stream; a body of JSON has a field of this name.";
const IN_STREAMS_REQUIRED: &str =
    "For a body of application/octet-stream, which needs it; a body of JSON has a field of this name.";

/// Every field that a route takes, in the query or in the body, and those of fields that are objects.
pub fn fields(route: Route) -> Vec<Takes> {
    let operation = Operation::of(route);
    let mut fields = operation.query.to_vec();
    fields.extend(operation.stream.unwrap_or_default());
    match operation.body {
        Body::None => {}
        Body::Fields(own) | Body::Only(own) => fields.extend(own),
        Body::Use(own) => {
            fields.extend(own);
            fields.extend(selection(Kind::of(route)));
        }
        Body::Batch(family) => fields.extend(batch_fields(family)),
    }
    let inner = |takes: &Takes| match takes.schema {
        Schema::Fields(inner) | Schema::OneField(inner) => inner,
        _ => &[],
    };
    let inner: Vec<_> = fields.iter().flat_map(inner).copied().collect();
    fields.extend(inner);
    fields
}

/// A path as a template, whose places have names of their own: the route table has one name for all of a kind.
pub fn template(path: &str) -> String {
    let mut before = "";
    let parts = path.split('/').map(|part| {
        let named = match place(before, part) {
            Some((name, _)) => format!("{{{name}}}"),
            None => part.to_owned(),
        };
        before = part;
        named
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The name and the schema of a part of a path that stands for a value; what comes before it says of what.
fn place(before: &str, part: &str) -> Option<(String, Schema)> {
    let noun = before.strip_suffix('s').unwrap_or(before).replace('-', "_");
    match part {
        "{number}" => Some((noun + "_version", super::objects::VERSION)),
        "{id}" => Some((noun + "_id", Schema::Id)),
        _ => None,
    }
}

/// The parameters of an operation.
pub fn parameters(route: Route, path: &str) -> Vec<Value> {
    let operation = Operation::of(route);
    let places = path.split('/').zip(path.split('/').skip(1));
    let places = places.filter_map(|(before, part)| place(before, part));
    let mut parameters: Vec<_> = places
        .map(|(name, schema)| parameter("path", &name, true, schema.json()))
        .collect();
    let of_query = |takes: &Takes| parameter("query", takes.field.name(), takes.required, takes.json());
    parameters.extend(operation.query.iter().map(of_query));
    for takes in operation.stream.unwrap_or_default() {
        // Of JSON nothing is required here, so nothing is.
        let mut parameter = of_query(&Takes {
            required: false,
            ..*takes
        });
        let note = if takes.required {
            IN_STREAMS_REQUIRED
        } else {
            IN_STREAMS
        };
        parameter["description"] = note.into();
        parameters.push(parameter);
    }
    parameters.push(reference("parameters", "RequestId"));
    if route.honours_idempotency_key() {
        parameters.push(reference("parameters", "IdempotencyKey"));
    }
    parameters
}

/// The headers that requests may have.
pub fn header_parameters() -> Map<String, Value> {
    let id = parameter("header", "X-Request-ID", false, Schema::Id.json());
    let key = json!({"type": "string", "pattern": "^[!-~]{1,255}$"});
    let mut key = parameter("header", "Idempotency-Key", false, key);
    key["description"] =
        "For 24 hours the same request under the same key has the first answer, and nothing is done again."
            .into();
    [("RequestId", id), ("IdempotencyKey", key)]
        .map(|(name, parameter)| (name.to_owned(), parameter))
        .into_iter()
        .collect()
}

fn parameter(place: &str, name: &str, required: bool, schema: Value) -> Value {
    json!({"in": place, "name": name, "required": required, "schema": schema})
}

/// The schema of a body of JSON; `None` where there is no body.
pub fn body(route: Route) -> Option<Value> {
    Some(match Operation::of(route).body {
        Body::None => return None,
        Body::Fields(fields) => fields_object(fields),
        Body::Only(fields) => closed(fields_object(fields)),
        Body::Use(item) => fields_object(item.iter().chain(&selection(Kind::of(route)))),
        Body::Batch(family) => batch_body(family),
    })
}

/// The body of an operation, whose JSON is the schema of a name.
pub fn request_body(route: Route, name: &str) -> Value {
    let mut content = json!({"application/json": {"schema": reference("schemas", name)}});
    if Operation::of(route).stream.is_some() {
        content[MEDIA_TYPE] = json!({});
    }
    json!({"required": true, "content": content})
}
