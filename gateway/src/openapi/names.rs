//! The named schemas: the tables of the registry and of the API as lists of names, and the objects.

use super::objects::OBJECTS;
use super::schema::object;
use crate::api::{DAYS, EVENT_KINDS, KeyFormat, Kind};
use crate::error::CODES;
use chancel_domain::algorithm::SPECS;
use chancel_domain::content::HASH_FUNCTIONS;
use chancel_domain::key::KEY_STATES;
use chancel_domain::operation::OPERATIONS;
use chancel_domain::plan::PLANS;
use chancel_domain::{Family, TenantStatus};
use serde_json::{Map, Value, json};

/// All named schemas.
pub fn schemas() -> Map<String, Value> {
    let statuses = [
        TenantStatus::Active,
        TenantStatus::Suspended,
        TenantStatus::Deleted,
    ];
    let kinds = |family| Kind::all_of(family).map(|kind| kind.name).collect();
    let of_texts = [
        ("Operation", OPERATIONS.map(|(_, name)| name).to_vec()),
        (batch_operation(Family::Kem), kinds(Family::Kem)),
        (batch_operation(Family::Signature), kinds(Family::Signature)),
        ("ErrorCode", CODES.map(|(_, name, _)| name).to_vec()),
        ("KeyState", KEY_STATES.map(|(_, name)| name).to_vec()),
        ("KeyFormat", KeyFormat::rows().map(|(name, _)| name).collect()),
        ("Plan", PLANS.map(|(_, name)| name).to_vec()),
        ("TenantStatus", statuses.map(TenantStatus::name).to_vec()),
        ("HashAlgorithm", HASH_FUNCTIONS.map(|(_, name)| name).to_vec()),
        ("Day", DAYS.to_vec()),
        ("EventKind", EVENT_KINDS.to_vec()),
    ];
    let of_texts = of_texts.map(|(name, texts): (&str, Vec<&str>)| {
        let schema = json!({"type": "string", "enum": texts});
        (name, schema)
    });
    let of_algorithms = [
        ("Algorithm", algorithms(|_| true)),
        (algorithm(Family::Kem), algorithms(|family| family == Family::Kem)),
        (
            algorithm(Family::Signature),
            algorithms(|family| family == Family::Signature),
        ),
    ];
    let objects = OBJECTS.map(|(name, properties)| (name, object(properties)));
    let all = of_texts.into_iter().chain(of_algorithms).chain(objects);
    all.map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// The name of the schema of a family's algorithms.
pub const fn algorithm(family: Family) -> &'static str {
    match family {
        Family::Kem => "KemAlgorithm",
        Family::Signature => "SignatureAlgorithm",
    }
}

/// The name of the schema of what a batch with a family's keys may be.
pub const fn batch_operation(family: Family) -> &'static str {
    match family {
        Family::Kem => "KemBatchOperation",
        Family::Signature => "SignatureBatchOperation",
    }
}

/// The names of algorithms, and what else the registry says of each.
fn algorithms(is_meant: fn(Family) -> bool) -> Value {
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for spec in SPECS.iter().filter(|spec| is_meant(spec.family)) {
        names.push(spec.client_name);
        if spec.standard_name != spec.client_name {
            names.push(spec.standard_name);
        }
        rows.push(json!({
            "name": spec.client_name,
            "standard_name": spec.standard_name,
            "standard": spec.standard,
            "status": spec.maturity.name(),
        }));
    }
    json!({"type": "string", "enum": names, "x-algorithms": rows})
}
