//! Work with a key, by the table of kinds: how a request says which key, and what a batch takes and answers.

use super::names::{algorithm, batch_operation};
use super::objects::{ALGORITHM, ANY, VERSION};
use super::operation::{Answer, Body, Operation};
use super::parts::OR_ACTIVE;
use super::schema::{Property, Schema, Takes, always, closed, fields_object, may, must, object, sometimes};
use crate::api::{Field, Kind, Route, Versions};
use chancel_domain::batch::MAX_BATCH;
use chancel_domain::{Algorithm, Family, Operation as Noun};
use serde_json::{Value, json};

/// The fields that say which key.
pub fn selection(kind: &Kind) -> Vec<Takes> {
    let named = Schema::Named(algorithm(kind.family));
    let default = Algorithm::default_for(kind.family).spec().client_name;
    let mut fields = vec![
        Takes {
            default: Some(default),
            ..may(Field::Algorithm, named)
        },
        match kind.versions {
            Versions::Named => must(Field::KeyVersion, VERSION),
            Versions::ActiveByDefault => may(Field::KeyVersion, OR_ACTIVE),
        },
    ];
    if kind.operation == Noun::Rewrap {
        fields.push(may(Field::TargetAlgorithm, named));
        fields.push(may(Field::TargetKeyVersion, OR_ACTIVE));
    }
    fields
}

/// What an answer says of the key that was used.
pub fn used(kind: &Kind) -> Vec<Property> {
    let mut properties = vec![always("key_version", VERSION)];
    properties.extend(ALGORITHM);
    if kind.operation == Noun::Rewrap {
        properties.push(always("source_key_version", VERSION));
    }
    properties
}

/// Every field that a batch takes, and those of its items.
pub fn batch_fields(family: Family) -> Vec<Takes> {
    let items = items_of(family).flat_map(|(takes, _)| takes).copied();
    // What is in the list is not said by a schema of the tables.
    let list = must(Field::Items, Schema::List(&Schema::Text, ANY));
    batch_selection(family)
        .into_iter()
        .chain([list])
        .chain(items)
        .collect()
}

/// The fields that say which key and what a batch does with it, whichever it does.
fn batch_selection(family: Family) -> Vec<Takes> {
    let mut fields = vec![must(Field::Operation, Schema::Named(batch_operation(family)))];
    for takes in Kind::all_of(family).flat_map(selection) {
        if !fields.iter().any(|known| known.field == takes.field) {
            // Whether a version has to be named is the operation's to say.
            fields.push(Takes {
                required: false,
                ..takes
            });
        }
    }
    fields
}

/// The body of a batch. Its items are closed, because one that names a key is refused.
pub fn batch_body(family: Family) -> Value {
    let mut body = fields_object(&batch_selection(family));
    let items = items_of(family).map(|(takes, _)| closed(fields_object(takes)));
    body["properties"][Field::Items.name()] = json!({
        "type": "array",
        "items": {"anyOf": distinct(items)},
        "minItems": 1,
        "maxItems": MAX_BATCH,
    });
    if let Some(required) = body["required"].as_array_mut() {
        required.push(Field::Items.name().into());
    }
    body
}

/// The answer to a batch. Which key was used is absent where there was no item to use it on.
pub fn batch_answer(family: Family) -> Value {
    let mut properties = vec![
        always("operation", Schema::Named(batch_operation(family))),
        always("succeeded", Schema::Count),
        always("failed", Schema::Count),
    ];
    for property in Kind::all_of(family).flat_map(used) {
        if !properties.iter().any(|known| known.name == property.name) {
            properties.push(sometimes(property.name, property.schema));
        }
    }
    let mut answer = object(&properties);
    let failed = object(&[always("error", Schema::Named("Error"))]);
    let results = items_of(family).map(|(_, made)| object(made)).chain([failed]);
    answer["properties"]["results"] = json!({"type": "array", "items": {"anyOf": distinct(results)}});
    if let Some(required) = answer["required"].as_array_mut() {
        required.push("results".into());
    }
    answer
}

/// What an item has, and what becomes of it, by the routes for single ones. Kinds without a route are special cases of
/// those with one, and have none of their own.
fn items_of(family: Family) -> impl Iterator<Item = (&'static [Takes], &'static [Property])> {
    let of_family = move |route: &Route| Kind::all_of(family).any(|kind| kind.name == route.name());
    Route::all().filter(of_family).filter_map(|route| {
        let operation = Operation::of(route);
        match (operation.body, operation.answer) {
            (Body::Use(takes), Answer::Use(made)) => Some((takes, made)),
            _ => None,
        }
    })
}

fn distinct(values: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}
