//! What comes back: the envelope of a success, the one of an error for each status, and the headers.

use super::operation::{Answer, IDEMPOTENT, OF_ALL, Operation};
use super::requests::fields;
use super::schema::{Takes, object, reference};
use super::uses::{batch_answer, used};
use crate::api::{Field, KeyFormat, Kind, Route};
use crate::error::{CODES, Code};
use crate::streams::MEDIA_TYPE;
use chancel_domain::Family;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

/// Headers: the name of the component, the header, what it says.
const HEADERS: [(&str, &str, &str); 9] = [
    (
        "RequestId",
        "X-Request-ID",
        "The request's id, which is in the logs of all daemons.",
    ),
    (
        "RateLimit",
        "RateLimit-Limit",
        "Requests that a full bucket holds. Absent where there is no limit.",
    ),
    (
        "RateRemaining",
        "RateLimit-Remaining",
        "Requests that it holds now.",
    ),
    ("RateReset", "RateLimit-Reset", "Seconds until it is full."),
    (
        "RetryAfter",
        "Retry-After",
        "Seconds after which it may go better.",
    ),
    (
        "DenyRule",
        "X-Chancel-Deny-Rule",
        "The rule that denied; for operators.",
    ),
    (
        "BreakGlass",
        "X-Chancel-Break-Glass",
        "`open` where an operator's word stood in for policyd's.",
    ),
    (
        "KeyVersion",
        "X-Chancel-Key-Version",
        "The version of the key that a stream is for.",
    ),
    ("KeyAlgorithm", "X-Chancel-Algorithm", "Its algorithm."),
];

const ALWAYS: [&str; 4] = ["RequestId", "RateLimit", "RateRemaining", "RateReset"];

/// The headers that there are.
pub fn header_components() -> Map<String, Value> {
    let component = |(name, _, text): &(&str, _, _)| {
        let schema = match *name {
            "RequestId" => json!({"type": "string", "format": "uuid"}),
            "DenyRule" | "BreakGlass" => json!({"type": "string"}),
            "KeyAlgorithm" => reference("schemas", "Algorithm"),
            _ => json!({"type": "integer", "minimum": 0}),
        };
        ((*name).to_owned(), json!({"description": text, "schema": schema}))
    };
    HEADERS.iter().map(component).collect()
}

fn headers(more: &[&str]) -> Value {
    let is_meant = |name: &str| ALWAYS.contains(&name) || more.contains(&name);
    let meant = HEADERS.iter().filter(|(name, ..)| is_meant(name));
    meant
        .map(|(name, header, _)| ((*header).to_owned(), reference("headers", name)))
        .collect::<Map<_, _>>()
        .into()
}

/// The answers of an operation: its success, and a refusal for each status that one of its codes has.
pub fn responses(route: Route) -> Map<String, Value> {
    let mut responses: Map<_, _> = codes(route)
        .map(|code| {
            (
                code.status().to_string(),
                reference("responses", &name_of(code.status())),
            )
        })
        .collect();
    responses.insert(route.success().to_string(), success(route));
    responses
}

/// The codes that an operation may be refused with, in the table's order.
pub fn codes(route: Route) -> impl Iterator<Item = Code> {
    let operation = Operation::of(route);
    let takes: Vec<_> = fields(route).iter().map(Takes::encoding).collect();
    let is_meant = move |code: &Code| {
        OF_ALL.contains(code)
            || operation.refusals.iter().any(|group| group.contains(code))
            || route.honours_idempotency_key() && IDEMPOTENT.contains(code)
            || takes.contains(&Some(*code))
    };
    CODES.iter().map(|(code, ..)| *code).filter(is_meant)
}

/// The refusals, one for each status of the table of codes.
pub fn refusals() -> Map<String, Value> {
    let refusal = |(_, _, status): &(Code, &str, u16)| {
        let names = CODES
            .iter()
            .filter(|(.., of)| of == status)
            .map(|(_, name, _)| *name);
        let schema = enveloped(
            "error",
            json!({
                "type": "object",
                "properties": {
                    "error_code": {"type": "string", "enum": names.collect::<Vec<_>>()},
                    "message": {"type": "string"},
                },
                "required": ["error_code", "message"],
            }),
        );
        let more: &[&str] = match status {
            403 => &["DenyRule"],
            409 | 429 | 503 => &["RetryAfter"],
            _ => &[],
        };
        let response = json!({
            "description": reason(*status),
            "headers": headers(more),
            "content": {"application/json": {"schema": schema}},
        });
        (name_of(*status), response)
    };
    CODES.iter().map(refusal).collect()
}

/// The envelope around what a request gave.
pub fn enveloped(name: &str, schema: Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            name: schema,
            "request_id": {"type": "string", "format": "uuid"},
            "timestamp": {"type": "string", "format": "date-time"},
        },
        "required": [name, "request_id", "timestamp"],
    })
}

/// The name of the schema of the `data` of a success, and the schema where it is this route's alone.
pub fn data(route: Route) -> (String, Option<Value>) {
    let own = match Operation::of(route).answer {
        Answer::Named(name) => return (name.to_owned(), None),
        Answer::Of(groups) => object(groups.iter().copied().flatten()),
        Answer::Use(made) => object(made.iter().chain(&used(Kind::of(route)))),
        Answer::Batch(family) => batch_answer(family),
    };
    (super::pascal(route.name()) + "Answer", Some(own))
}

fn success(route: Route) -> Value {
    let operation = Operation::of(route);
    let mut content = Map::new();
    let mut add = |media: &str, schema| content.insert(media.to_owned(), json!({"schema": schema}));
    add(
        "application/json",
        enveloped("data", reference("schemas", &data(route).0)),
    );
    let mut more = Vec::new();
    if matches!(operation.answer, Answer::Use(_) | Answer::Batch(_)) {
        more.push("BreakGlass");
    }
    // Of the streams, what work with a KEM key makes is one again; a signature or a verdict is said in JSON.
    if operation.stream.is_some() && Kind::of(route).family == Family::Kem {
        add(MEDIA_TYPE, json!({}));
        more.extend(["KeyVersion", "KeyAlgorithm"]);
    }
    if operation.query.iter().any(|takes| takes.field == Field::Format) {
        for (name, media) in KeyFormat::rows() {
            let schema = if name == "jwk" {
                reference("schemas", "Jwk")
            } else {
                json!({})
            };
            add(media, schema);
        }
    }
    json!({"description": reason(route.success()), "headers": headers(&more), "content": content})
}

fn name_of(status: u16) -> String {
    reason(status).replace(' ', "")
}

fn reason(status: u16) -> &'static str {
    // NOTE(expect): statuses come from the tables of codes and of routes, and tests make the document with all of them.
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .expect("our statuses have reasons")
}
