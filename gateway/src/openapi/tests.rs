//! The document against the tables that it is made of.

use super::operation::{Body, Operation};
use super::operations::OPERATIONS;
use super::schema::Schema;
use super::{answers, build, document, requests};
use crate::api::{Field, KeyFormat, Kind, Route, Versions};
use crate::error::{CODES, Code};
use crate::pipeline::skip;
use crate::streams;
use chancel_domain::algorithm::SPECS;
use chancel_domain::{Algorithm, Family};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// All texts of a schema that is one of several.
fn texts<'a>(document: &'a Value, name: &str) -> Vec<&'a str> {
    let schema = &document["components"]["schemas"][name];
    let texts = schema["enum"].as_array().unwrap_or_else(|| panic!("{name}"));
    texts.iter().map(|text| text.as_str().unwrap()).collect()
}

/// Everything in a document that is an object, with where it stands.
fn objects<'a>(value: &'a Value, at: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(members) => {
            found.push((at.to_owned(), value));
            for (name, member) in members {
                objects(member, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(members) => {
            for (index, member) in members.iter().enumerate() {
                objects(member, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn all_objects(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    objects(document, "#", &mut found);
    found
}

#[test]
fn every_route_has_one_row_and_every_row_a_route() {
    for route in Route::all() {
        let rows = OPERATIONS.iter().filter(|(of, _)| *of == route);
        assert_eq!(rows.count(), 1, "{route:?}");
    }
    assert_eq!(OPERATIONS.len(), Route::all().count());
}

#[test]
fn the_document_has_every_path_and_method_of_the_routes_and_no_other() {
    let document = build();
    let mut expected = BTreeMap::from([
        (skip::HEALTH.to_owned(), BTreeSet::from(["get".to_owned()])),
        (skip::OPENAPI.to_owned(), BTreeSet::from(["get".to_owned()])),
    ]);
    for (_, method, path) in Route::rows() {
        let methods = expected.entry(requests::template(path)).or_default();
        assert!(methods.insert(method.as_str().to_lowercase()), "{method} {path}");
    }
    let paths = document["paths"].as_object().unwrap().iter();
    let said: BTreeMap<String, BTreeSet<String>> = paths
        .map(|(path, item)| (path.clone(), item.as_object().unwrap().keys().cloned().collect()))
        .collect();
    assert_eq!(said, expected);
}

#[test]
fn a_path_of_the_document_with_its_parameters_filled_in_leads_to_its_route() {
    let document = build();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] == json!([]) {
                continue;
            }
            let mut url = path.clone();
            for parameter in operation["parameters"].as_array().unwrap() {
                if parameter["in"] == "path" {
                    let value = match parameter["schema"]["type"].as_str() {
                        Some("integer") => "17",
                        _ => "0b5f8e4a-7a33-4c5b-9d0e-0123456789ab",
                    };
                    let place = format!("{{{}}}", parameter["name"].as_str().unwrap());
                    assert!(url.contains(&place), "{path}");
                    url = url.replace(&place, value);
                }
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let route = Route::find(&method, &url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let id = operation["operationId"].as_str().unwrap();
            assert!(
                id == route.name() || id == format!("{}-2", route.name()),
                "{id} for {route:?}"
            );
        }
    }
}

#[test]
fn operation_ids_are_unique() {
    let document = build();
    let mut ids = BTreeSet::new();
    for (at, object) in all_objects(&document) {
        if let Some(id) = object.get("operationId") {
            assert!(ids.insert(id.as_str().unwrap().to_owned()), "{at}: {id}");
        }
    }
    assert_eq!(ids.len(), Route::rows().count() + 2);
}

#[test]
fn every_field_is_taken_by_a_route_and_none_twice_in_one_place() {
    let mut taken = Vec::new();
    for route in Route::all() {
        let row = Operation::of(route);
        for place in [row.query, row.stream.unwrap_or_default()] {
            let names: BTreeSet<_> = place.iter().map(|takes| takes.field.name()).collect();
            assert_eq!(names.len(), place.len(), "{route:?}");
        }
        taken.extend(requests::fields(route).into_iter().map(|takes| takes.field));
    }
    for (field, name) in crate::api::FIELDS {
        assert!(taken.contains(&field), "no route takes {name}");
    }
}

#[test]
fn fields_that_are_objects_are_those_of_the_table_of_fields() {
    for route in Route::all() {
        for takes in requests::fields(route) {
            let is_object = matches!(takes.schema, Schema::Fields(_) | Schema::OneField(_));
            assert_eq!(takes.field.is_object(), is_object, "{route:?}: {}", takes.field);
        }
    }
}

#[test]
fn every_algorithm_is_named_by_both_names_and_its_own_family_alone() {
    let document = build();
    for (name, of) in [
        ("Algorithm", None),
        ("KemAlgorithm", Some(Family::Kem)),
        ("SignatureAlgorithm", Some(Family::Signature)),
    ] {
        let names = texts(&document, name);
        let expected: BTreeSet<_> = SPECS
            .iter()
            .filter(|spec| of.is_none_or(|family| spec.family == family))
            .flat_map(|spec| [spec.client_name, spec.standard_name])
            .collect();
        assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), expected, "{name}");
        assert_eq!(names.len(), expected.len(), "{name} has one twice");
        for row in document["components"]["schemas"][name]["x-algorithms"]
            .as_array()
            .unwrap()
        {
            let spec = Algorithm::from_name(row["name"].as_str().unwrap())
                .unwrap()
                .spec();
            assert_eq!(row["standard_name"], spec.standard_name);
            assert_eq!(row["standard"], spec.standard);
            assert_eq!(row["status"], spec.maturity.name());
        }
    }
}

#[test]
fn every_code_stands_at_an_operation_but_those_of_no_operation() {
    let document = build();
    assert_eq!(texts(&document, "ErrorCode"), CODES.map(|(_, name, _)| name));
    let said: Vec<Code> = Route::all().flat_map(answers::codes).collect();
    for (code, name, status) in CODES {
        let of_none = matches!(code, Code::UnknownRoute | Code::MethodNotAllowed);
        assert_ne!(said.contains(&code), of_none, "{name}");
        let refusals = document["components"]["responses"].as_object().unwrap().values();
        let codes = "/content/application~1json/schema/properties/error/properties/error_code/enum";
        let with_it: Vec<_> = refusals
            .filter(|refusal| {
                refusal
                    .pointer(codes)
                    .unwrap()
                    .as_array()
                    .unwrap()
                    .contains(&name.into())
            })
            .collect();
        assert_eq!(with_it.len(), 1, "{name}: {status}");
    }
}

#[test]
fn an_operation_lists_a_refusal_for_the_status_of_each_of_its_codes_and_no_other() {
    let document = build();
    for (route, method, path) in Route::rows() {
        let method = method.as_str().to_lowercase();
        let operation = &document["paths"][requests::template(path)][method];
        let mut expected: BTreeSet<String> = answers::codes(route)
            .map(|code| code.status().to_string())
            .collect();
        expected.insert(route.success().to_string());
        let said = operation["responses"].as_object().unwrap().keys();
        assert_eq!(said.cloned().collect::<BTreeSet<_>>(), expected, "{route:?}");
    }
}

#[test]
fn batches_do_what_the_table_of_kinds_has_for_their_family() {
    let document = build();
    for (name, family) in [
        ("KemBatchOperation", Family::Kem),
        ("SignatureBatchOperation", Family::Signature),
    ] {
        let kinds: Vec<_> = Kind::all_of(family).map(|kind| kind.name).collect();
        assert_eq!(texts(&document, name), kinds);
        // What has no route of its own has the fields of the one that it is a special case of.
        for kind in Kind::all_of(family) {
            let general = kind
                .operation
                .special_case_of()
                .map(chancel_domain::Operation::name);
            let named = |name: &str| {
                Route::all()
                    .any(|route| route.name() == name && matches!(Operation::of(route).body, Body::Use(_)))
            };
            assert!(named(kind.name) || general.is_some_and(named), "{}", kind.name);
        }
    }
}

#[test]
fn a_version_is_required_where_the_kind_says_so_in_json_and_in_streams() {
    let document = build();
    for route in Route::all() {
        let row = Operation::of(route);
        if !matches!(row.body, Body::Use(_)) {
            continue;
        }
        let must = Kind::of(route).versions == Versions::Named;
        let schema = &document["components"]["schemas"][super::request_name(route)];
        let required = schema["required"]
            .as_array()
            .is_some_and(|names| names.contains(&json!("key_version")));
        assert_eq!(required, must, "{route:?}");
        if let Some(stream) = row.stream {
            let version = stream
                .iter()
                .find(|takes| takes.field == Field::KeyVersion)
                .unwrap();
            assert_eq!(version.required, must, "{route:?}");
        }
    }
}

#[test]
fn streams_keys_and_idempotency_stand_where_the_routes_have_them() {
    let document = build();
    for (route, method, path) in Route::rows() {
        let operation = &document["paths"][requests::template(path)][method.as_str().to_lowercase()];
        let stream = operation["requestBody"]["content"].get(streams::MEDIA_TYPE);
        assert_eq!(stream.is_some(), streams::takes(route), "{route:?}");
        let has = |name: &str| {
            let reference = json!({"$ref": format!("#/components/parameters/{name}")});
            operation["parameters"].as_array().unwrap().contains(&reference)
        };
        assert_eq!(
            has("IdempotencyKey"),
            route.honours_idempotency_key(),
            "{route:?}"
        );
        assert_eq!(
            operation.get("requestBody").is_some(),
            *method == Method::POST,
            "{route:?}"
        );
        assert!(operation.get("security").is_none(), "{route:?} needs an API key");
    }
    let formats = &document["paths"]["/api/v1/kms/keys/active"]["get"]["responses"]["200"]["content"];
    for (name, media) in KeyFormat::rows() {
        assert!(formats.get(media).is_some(), "{name}");
        assert!(texts(&document, "KeyFormat").contains(&name));
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_but_one_is_referred_to() {
    let document = build();
    let mut used = BTreeSet::new();
    for (at, object) in all_objects(&document) {
        if let Some(reference) = object.get("$ref") {
            let reference = reference.as_str().unwrap();
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{at}: {reference}");
            used.insert(pointer.to_owned());
        }
    }
    for section in ["schemas", "responses", "parameters", "headers"] {
        for name in document["components"][section].as_object().unwrap().keys() {
            let pointer = format!("/components/{section}/{name}");
            // No path of the document is without the method that it is under.
            let is_other = name == "MethodNotAllowed";
            assert_ne!(used.contains(&pointer), is_other, "{pointer}");
        }
    }
}

#[test]
fn what_is_required_is_a_property_and_the_document_is_what_is_sent() {
    let built = build();
    for (at, object) in all_objects(&built) {
        let (Some(Value::Array(required)), Some(properties)) =
            (object.get("required"), object.get("properties"))
        else {
            continue;
        };
        for name in required {
            assert!(properties.get(name.as_str().unwrap()).is_some(), "{at}: {name}");
        }
    }
    let sent: Value = serde_json::from_slice(&document()).unwrap();
    assert_eq!(sent, built);
}
