//! The objects that answers are made of.

use super::schema::Schema::{
    Bytes, BytesInQuery, Constant, Count, Id, List, Named, Number, Object, OneOf, Text, TextByName, Time,
    TimeOrNull,
};
use super::schema::{Property, Schema, always, sometimes};
use chancel_domain::Maturity;

/// A list without a bound.
pub const ANY: usize = usize::MAX;

/// The version of a key.
pub const VERSION: Schema = Number(1, u32::MAX as u64);

/// What every answer says of an algorithm.
pub const ALGORITHM: [Property; 2] = [
    always("algorithm", Named("Algorithm")),
    sometimes("algorithm_status", Constant(Maturity::Draft.name())),
];

/// A key that was just made.
pub const NEW_KEY: [Property; 6] = [
    always("key_version", VERSION),
    ALGORITHM[0],
    ALGORITHM[1],
    always("status", Named("KeyState")),
    always("public_key", Bytes),
    always("created_at", Time),
];

/// A key.
const KEY: [Property; 8] = [
    NEW_KEY[0],
    NEW_KEY[1],
    NEW_KEY[2],
    NEW_KEY[3],
    NEW_KEY[4],
    NEW_KEY[5],
    sometimes("last_used_at", Time),
    sometimes("destroy_at", Time),
];

/// An API key, without its text.
pub const API_KEY: [Property; 9] = [
    always("key_id", Id),
    always("tenant_id", Id),
    always("version", VERSION),
    always("name", Text),
    always("scopes", List(&Text, ANY)),
    always("networks", List(&Text, ANY)),
    always("created_at", Time),
    always("expires_at", TimeOrNull),
    always("revoked_at", TimeOrNull),
];

const TENANT: [Property; 10] = [
    always("id", Id),
    always("name", Text),
    always("tenant_name", Text),
    always("status", Named("TenantStatus")),
    always("plan", Object(&[always("name", Named("Plan"))])),
    always(
        "usage",
        Object(&[
            always("api_calls", Count),
            always("kem_keys", Count),
            always("sig_keys", Count),
            always("api_keys", Count),
        ]),
    ),
    always(
        "limits",
        Object(&[
            sometimes("api_calls", Count),
            sometimes("kem_keys", Count),
            sometimes("sig_keys", Count),
            sometimes("key_versions", Count),
            sometimes("api_keys", Count),
            sometimes("requests_per_second", Count),
            sometimes("burst", Count),
        ]),
    ),
    always("renews_at", Time),
    always("created_at", Time),
    always("updated_at", Time),
];

const DENY_RULE: [Property; 7] = [
    always("id", Id),
    always("name", Text),
    always("operations", List(&Named("Operation"), ANY)),
    always("algorithms", List(&Named("Algorithm"), ANY)),
    sometimes(
        "window",
        Object(&[
            always("from", Text),
            always("until", Text),
            always("days", List(&Named("Day"), ANY)),
        ]),
    ),
    sometimes(
        "sources",
        Object(&[
            sometimes("within", List(&Text, ANY)),
            sometimes("outside", List(&Text, ANY)),
        ]),
    ),
    always("created_at", Time),
];

const STEP: [Property; 4] = [
    always("rule", Text),
    always("finding", OneOf(&["pass", "deny"])),
    sometimes("reason", Text),
    always("saw", TextByName),
];

/// A record of the decision ledger about a tenant (docs/ledger.md); what does not apply is absent.
const EVENT: [Property; 22] = [
    always("seq", Count),
    always("time", Count),
    always("kind", Named("EventKind")),
    always("tenant", Id),
    sometimes("api_key", Id),
    sometimes("api_key_version", VERSION),
    sometimes("request", Id),
    sometimes("source", Text),
    sometimes("operation", Named("Operation")),
    sometimes("algorithm", Named("Algorithm")),
    sometimes("key_version", VERSION),
    sometimes("key", Id),
    sometimes(
        "target",
        Object(&[
            always("algorithm", Named("Algorithm")),
            always("key_version", VERSION),
            always("key", Id),
        ]),
    ),
    sometimes("items", Count),
    sometimes(
        "permit",
        Object(&[
            always("epoch", Count),
            always("serial", Count),
            always("payload", Text),
        ]),
    ),
    sometimes("rule", Text),
    sometimes("reason", Text),
    sometimes("what", Text),
    sometimes("uid", Count),
    sometimes("subject", Text),
    sometimes("value", Text),
    always("hash", Text),
];

const ERROR: [Property; 2] = [always("error_code", Named("ErrorCode")), always("message", Text)];

/// A JSON Web Key (RFC 7517) of the type `AKP`.
const JWK: [Property; 3] = [
    always("kty", Constant("AKP")),
    always("alg", Named("Algorithm")),
    always("pub", BytesInQuery),
];

/// The objects, by their names.
pub const OBJECTS: [(&str, &[Property]); 8] = [
    ("Key", &KEY),
    ("ApiKey", &API_KEY),
    ("Tenant", &TENANT),
    ("DenyRule", &DENY_RULE),
    ("Step", &STEP),
    ("Event", &EVENT),
    ("Error", &ERROR),
    ("Jwk", &JWK),
];
