//! What each route takes and answers, and why it may refuse: the table of what no other table says.
//!
//! Which key is meant is not in it: the table of kinds tells how routes that use one name it.

use super::objects::{ANY, NEW_KEY, VERSION};
use super::operation::{
    Answer, Body, LIFE, MAKING, MISSING, OF_A_KEY, OF_KEM, OF_SIGNATURE, Operation, PRIVATE,
};
use super::parts::{
    A_KEY, CIPHERTEXT, DETACHED, DIGEST, ENCRYPT, HASHED_BY, IN_FORMAT, KEM, KEY_OF, MESSAGE, NAME, NETWORKS,
    OR_ACTIVE, SEALED, SIG, SIGNATURE, SIGNED_BY, STEP, VALID, WITH_TEXT, list, maybe,
};
use super::schema::Schema::{
    Boolean, Bytes, BytesInQuery, Constant, Count, CountOrNull, Fields, Id, List, Named, Number, OneField,
    Text, Time,
};
use super::schema::{always, may, may_be, must, sometimes};
use crate::api::{Field, MOST_EVENTS, Route};
use crate::error::Code;
use chancel_domain::Family;
use chancel_wire::limits::ADMIN_PAGE;

/// A row for each route.
pub static OPERATIONS: [(Route, Operation); 37] = [
    (
        Route::Encrypt,
        Operation::new(
            "Encrypt a plaintext",
            Body::Use(&ENCRYPT),
            Answer::Use(&CIPHERTEXT),
        )
        .stream(&[
            may(Field::Algorithm, KEM),
            may(Field::KeyVersion, OR_ACTIVE),
            may(Field::Aad, BytesInQuery),
        ])
        .refusals(&[&OF_KEM, &MAKING, &[Code::SaltTooShort]]),
    ),
    (
        Route::Decrypt,
        Operation::new(
            "Decrypt a ciphertext",
            Body::Use(&SEALED),
            Answer::Use(&[always("plaintext", Bytes)]),
        )
        .stream(&[
            may(Field::Algorithm, KEM),
            must(Field::KeyVersion, VERSION),
            may(Field::Aad, BytesInQuery),
        ])
        .refusals(&[&OF_KEM, &PRIVATE]),
    ),
    (
        Route::Encapsulate,
        Operation::new(
            "Make a shared secret",
            Body::Use(&[]),
            Answer::Use(&[always("kem_ciphertext", Bytes), always("shared_secret", Bytes)]),
        )
        .refusals(&[&OF_KEM, &MAKING]),
    ),
    (
        Route::Decapsulate,
        Operation::new(
            "Recover a shared secret",
            Body::Use(&[must(Field::KemCiphertext, Bytes)]),
            Answer::Use(&[always("shared_secret", Bytes)]),
        )
        .refusals(&[&OF_KEM, &PRIVATE]),
    ),
    (
        Route::Wrap,
        Operation::new(
            "Encrypt a symmetric key",
            Body::Use(&[must(Field::SymmetricKey, Bytes)]),
            Answer::Use(&[
                always("wrapped_key", Bytes),
                always("wrapping_method", Constant("KEM-DEM")),
            ]),
        )
        .refusals(&[&OF_KEM, &MAKING, &[Code::InvalidSymmetricKey]]),
    ),
    (
        Route::Unwrap,
        Operation::new(
            "Decrypt a symmetric key",
            Body::Use(&[must(Field::WrappedKey, Bytes)]),
            Answer::Use(&[always("symmetric_key", Bytes)]),
        )
        .refusals(&[&OF_KEM, &PRIVATE]),
    ),
    (
        Route::Rewrap,
        Operation::new(
            "Turn a ciphertext for one key into one for another",
            Body::Use(&SEALED),
            Answer::Use(&CIPHERTEXT),
        )
        .refusals(&[&OF_KEM, &MAKING, &PRIVATE]),
    ),
    (
        Route::Sign,
        Operation::new(
            "Sign a message",
            Body::Use(&MESSAGE),
            Answer::Use(&[SIGNATURE, maybe(HASHED_BY), maybe(DETACHED)]),
        )
        .stream(&[
            may(Field::Algorithm, SIG),
            may(Field::KeyVersion, OR_ACTIVE),
            may(Field::Context, BytesInQuery),
        ])
        .refusals(&[&OF_SIGNATURE, &MAKING, &PRIVATE]),
    ),
    (
        Route::Verify,
        Operation::new(
            "Verify a signature",
            Body::Use(&[MESSAGE[0], MESSAGE[1], MESSAGE[2], SIGNED_BY]),
            Answer::Use(&[VALID, maybe(HASHED_BY)]),
        )
        .stream(&[
            may(Field::Algorithm, SIG),
            must(Field::KeyVersion, VERSION),
            may(Field::Context, BytesInQuery),
            may(Field::SignatureLength, Number(1, u32::MAX as u64)),
        ])
        .refusals(&[&OF_SIGNATURE]),
    ),
    (
        Route::SignHash,
        Operation::new(
            "Sign a digest",
            Body::Use(&DIGEST),
            Answer::Use(&[SIGNATURE, HASHED_BY, DETACHED]),
        )
        .refusals(&[&OF_SIGNATURE, &MAKING, &PRIVATE]),
    ),
    (
        Route::VerifyHash,
        Operation::new(
            "Verify a signature over a digest",
            Body::Use(&[DIGEST[0], DIGEST[1], DIGEST[2], SIGNED_BY]),
            Answer::Use(&[VALID, HASHED_BY]),
        )
        .refusals(&[&OF_SIGNATURE]),
    ),
    (
        Route::KemBatch,
        Operation::new(
            "Work with a KEM key on many items",
            Body::Batch(Family::Kem),
            Answer::Batch(Family::Kem),
        )
        .refusals(&[&OF_KEM, &MAKING, &PRIVATE]),
    ),
    (
        Route::SignatureBatch,
        Operation::new(
            "Work with a signature key on many items",
            Body::Batch(Family::Signature),
            Answer::Batch(Family::Signature),
        )
        .refusals(&[&OF_SIGNATURE, &MAKING, &PRIVATE]),
    ),
    (
        Route::Generate,
        Operation::new(
            "Make the first key of an algorithm",
            Body::Fields(&[KEY_OF]),
            A_KEY,
        )
        .refusals(&[&[Code::InvalidAlgorithm, Code::ActiveKeyExists], &MAKING]),
    ),
    (
        Route::Rotate,
        Operation::new(
            "Make the next version of a key",
            Body::Fields(&[KEY_OF]),
            Answer::Of(&[&NEW_KEY, &[always("old_key_version", VERSION)]]),
        )
        .refusals(&[&OF_A_KEY, &MAKING]),
    ),
    (
        Route::Retire,
        Operation::new("Take a version out of use for new work", STEP, A_KEY).refusals(&[&OF_A_KEY, &LIFE]),
    ),
    (
        Route::Archive,
        Operation::new("Take a retired version out of every use", STEP, A_KEY).refusals(&[&OF_A_KEY, &LIFE]),
    ),
    (
        Route::Restore,
        Operation::new("Make an archived version a retired one again", STEP, A_KEY).refusals(&[
            &OF_A_KEY,
            &LIFE,
            &MAKING,
            &[Code::NotRestorable],
        ]),
    ),
    (
        Route::ScheduleDestruction,
        Operation::new("Set a date for a version's destruction", Body::None, A_KEY)
            .query(&[KEY_OF, may(Field::Days, Number(7, 365))])
            .refusals(&[&OF_A_KEY, &LIFE, &MAKING]),
    ),
    (
        Route::CancelDestruction,
        Operation::new("Take that date back", STEP, A_KEY).refusals(&[&OF_A_KEY, &LIFE]),
    ),
    (
        Route::SetBudget,
        Operation::new(
            "Limit a key's uses in a day",
            Body::Fields(&[KEY_OF, must(Field::UsesPerDay, CountOrNull)]),
            Answer::Of(&[&[
                always("algorithm", Named("Algorithm")),
                always("uses_per_day", CountOrNull),
            ]]),
        )
        .refusals(&[&[Code::InvalidAlgorithm]]),
    ),
    (
        Route::ReadActive,
        Operation::new("The active version of a key", Body::None, A_KEY)
            .query(&[KEY_OF, IN_FORMAT])
            .refusals(&[&OF_A_KEY, &[Code::KeyDestroyed]]),
    ),
    (
        Route::ReadVersion,
        Operation::new("One version of a key", Body::None, A_KEY)
            .query(&[KEY_OF, IN_FORMAT])
            .refusals(&[&OF_A_KEY, &[Code::KeyDestroyed]]),
    ),
    (
        Route::List,
        Operation::new(
            "The newest keys",
            Body::None,
            Answer::Of(&[&[list("keys", &Named("Key")), always("total", Count)]]),
        )
        .query(&[
            may(Field::Algorithm, Named("Algorithm")),
            may(Field::Status, Named("KeyState")),
        ])
        .refusals(&[&[Code::InvalidAlgorithm]]),
    ),
    (
        Route::ListTenants,
        Operation::new(
            "The caller's own tenant in a list; for operators a page of all",
            Body::None,
            Answer::Of(&[&[
                list("tenants", &Named("Tenant")),
                sometimes("total", Count),
                sometimes("next", Id),
            ]]),
        )
        .query(&[
            may(Field::After, Id),
            may(Field::Limit, Number(1, ADMIN_PAGE as u64)),
        ]),
    ),
    (
        Route::OwnTenant,
        Operation::new("The caller's own tenant", Body::None, Answer::Named("Tenant")),
    ),
    (
        Route::CreateTenant,
        Operation::new(
            "Make a tenant; for operators",
            Body::Only(&[NAME, may_be(Field::Plan, Named("Plan"), "free")]),
            Answer::Named("Tenant"),
        )
        .refusals(&[&[Code::NameTaken]]),
    ),
    (
        Route::ReadTenant,
        Operation::new("One tenant", Body::None, Answer::Named("Tenant")).refusals(&[&MISSING]),
    ),
    (
        Route::ListApiKeys,
        Operation::new(
            "A page of a tenant's API keys",
            Body::None,
            Answer::Of(&[&[list("api_keys", &Named("ApiKey")), sometimes("next", Id)]]),
        )
        .query(&[may(Field::After, Id)])
        .refusals(&[&MISSING]),
    ),
    (
        Route::CreateApiKey,
        Operation::new(
            "Make an API key",
            Body::Only(&[
                NAME,
                must(Field::Scopes, List(&Text, ANY)),
                may(Field::Networks, NETWORKS),
                may(Field::ExpiresAt, Time),
            ]),
            WITH_TEXT,
        )
        .refusals(&[&MISSING]),
    ),
    (
        Route::RotateApiKey,
        Operation::new(
            "Replace an API key's text: the caller's own, unless another is named",
            Body::Only(&[may(Field::KeyId, Id)]),
            WITH_TEXT,
        )
        .refusals(&[&MISSING, &MAKING, &LIFE]),
    ),
    (
        Route::RevokeApiKey,
        Operation::new("Revoke an API key", Body::None, Answer::Named("ApiKey")).refusals(&[&MISSING]),
    ),
    (
        Route::ListDenyRules,
        Operation::new(
            "The tenant's deny rules",
            Body::None,
            Answer::Of(&[&[list("rules", &Named("DenyRule"))]]),
        ),
    ),
    (
        Route::AddDenyRule,
        Operation::new(
            "Add a deny rule, with a condition at least",
            Body::Only(&[
                NAME,
                may(Field::Operations, List(&Named("Operation"), ANY)),
                may(Field::Algorithms, List(&Named("Algorithm"), ANY)),
                may(
                    Field::Window,
                    Fields(&[
                        must(Field::From, Text),
                        must(Field::Until, Text),
                        may(Field::Days, List(&Named("Day"), ANY)),
                    ]),
                ),
                may(
                    Field::Sources,
                    OneField(&[may(Field::Within, NETWORKS), may(Field::Outside, NETWORKS)]),
                ),
            ]),
            Answer::Named("DenyRule"),
        )
        .refusals(&[&[Code::InvalidAlgorithm]]),
    ),
    (
        Route::RemoveDenyRule,
        Operation::new("Remove a deny rule", Body::None, Answer::Named("DenyRule")).refusals(&[&MISSING]),
    ),
    (
        Route::Explain,
        Operation::new(
            "How a request would be judged",
            Body::Fields(&[
                must(Field::Operation, Named("Operation")),
                may(Field::Algorithm, Named("Algorithm")),
                may(Field::TargetAlgorithm, Named("Algorithm")),
                may(Field::Batch, Number(1, 1000)),
                may(Field::ApiKeyId, Id),
                may(Field::Source, Text),
                may(Field::At, Time),
            ]),
            Answer::Of(&[&[
                always("allowed", Boolean),
                sometimes("rule", Text),
                sometimes("reason", Text),
                list("steps", &Named("Step")),
            ]]),
        )
        .refusals(&[&MISSING, &[Code::InvalidAlgorithm]]),
    ),
    (
        Route::ReadEvents,
        Operation::new(
            "A page of the tenant's events, newest first",
            Body::None,
            Answer::Of(&[&[list("events", &Named("Event")), always("next", CountOrNull)]]),
        )
        .query(&[
            may(Field::Before, Count),
            may(Field::Limit, Number(1, MOST_EVENTS as u64)),
            may(Field::Kind, Named("EventKind")),
            may(Field::Operation, Named("Operation")),
            may(Field::ApiKey, Id),
            may(Field::RequestId, Id),
            may(Field::Since, Time),
            may(Field::Until, Time),
        ]),
    ),
];
