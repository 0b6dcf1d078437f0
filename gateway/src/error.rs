//! Every error a caller can see: one closed table of codes, one enum of what happened, and the text for each.
//!
//! Nothing here quotes what the caller sent. Field names are ours; lengths and positions are numbers.

use crate::api::{Field, Methods};
use crate::pipeline::rate_limit::Allowance;
use chancel_domain::deny_rule::MOST_DENY_RULES;
use chancel_domain::{Family, KeyVersion, Operation};
use chancel_pqc::envelope::MIN_SALT;
use chancel_wire::limits::{MAX_AAD, MAX_BATCH_BYTES, MAX_PAYLOAD};
use chancel_wire::policyd::Quota;

/// An error code of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Missing or invalid API key.
    Unauthenticated,
    /// An API key in the URL.
    ApiKeyInUrl,
    /// A request body that is not of the documented form.
    InvalidRequest,
    /// More bytes than are taken.
    TooLarge,
    /// A body that did not arrive.
    IncompleteBody,
    /// No such key, outside KEM and signature operations.
    NotFound,
    /// No such route.
    UnknownRoute,
    /// A route that has no such method.
    MethodNotAllowed,
    /// The name is taken.
    NameTaken,
    /// An active key exists already.
    ActiveKeyExists,
    /// The key's state does not permit the change.
    IllegalTransition,
    /// The `Idempotency-Key` came with another request before.
    IdempotencyMismatch,
    /// A request with the same `Idempotency-Key` is under way.
    IdempotencyInProgress,
    /// The time in which an archived key can be restored is over.
    NotRestorable,
    /// Too many requests.
    RateLimited,
    /// A rule denied the request.
    PolicyDenied,
    /// The plan does not include this.
    NotInPlan,
    /// A limit of number is reached.
    QuotaSpent,
    /// The key's uses of this day are used up.
    KeyBudgetSpent,
    /// An algorithm that does not exist, or not here.
    InvalidAlgorithm,
    /// A key that exists and cannot be used.
    KeyUnavailable,
    /// The key was destroyed.
    KeyDestroyed,
    /// Input of a KEM operation that is not base64.
    InvalidKemInput,
    /// A salt of deterministic encryption that is too short.
    SaltTooShort,
    /// A ciphertext that does not open.
    InvalidCiphertext,
    /// No such key, in a KEM operation.
    KemKeyNotFound,
    /// A symmetric key of an impossible length.
    InvalidSymmetricKey,
    /// A wrapped key that does not open.
    InvalidWrappedKey,
    /// A message that is not base64.
    InvalidMessage,
    /// A signature that is not base64.
    InvalidSignature,
    /// No such key, in a signature operation.
    SignatureKeyNotFound,
    /// A cryptographic self-check failed.
    SelfCheckFailed,
    /// Something that should not happen.
    Internal,
    /// What cannot be recorded is not done.
    LedgerUnwritable,
    /// Not now.
    Unavailable,
}

/// The table: each code with its name and its HTTP status.
pub const CODES: [(Code, &str, u16); 35] = [
    (Code::Unauthenticated, "ERR_AUTH_001", 401),
    (Code::ApiKeyInUrl, "ERR_AUTH_002", 400),
    (Code::InvalidRequest, "ERR_INVALID_001", 400),
    (Code::TooLarge, "ERR_INVALID_004", 400),
    (Code::IncompleteBody, "ERR_INVALID_005", 400),
    (Code::NotFound, "ERR_NOT_FOUND_001", 404),
    (Code::UnknownRoute, "ERR_NOT_FOUND_002", 404),
    (Code::MethodNotAllowed, "ERR_METHOD_001", 405),
    (Code::NameTaken, "ERR_CONFLICT_001", 409),
    (Code::ActiveKeyExists, "ERR_CONFLICT_002", 409),
    (Code::IllegalTransition, "ERR_CONFLICT_003", 409),
    (Code::IdempotencyMismatch, "ERR_CONFLICT_004", 409),
    (Code::IdempotencyInProgress, "ERR_CONFLICT_005", 409),
    (Code::NotRestorable, "ERR_CONFLICT_006", 409),
    (Code::RateLimited, "ERR_RATE_001", 429),
    (Code::PolicyDenied, "ERR_POLICY_001", 403),
    (Code::NotInPlan, "ERR_FORBIDDEN_001", 403),
    (Code::QuotaSpent, "ERR_QUOTA_001", 403),
    (Code::KeyBudgetSpent, "ERR_QUOTA_002", 403),
    (Code::InvalidAlgorithm, "ERR_KMS_001", 400),
    (Code::KeyUnavailable, "ERR_KMS_003", 500),
    (Code::KeyDestroyed, "ERR_KMS_004", 404),
    (Code::InvalidKemInput, "ERR_KEM_001", 400),
    (Code::SaltTooShort, "ERR_KEM_002", 400),
    (Code::InvalidCiphertext, "ERR_KEM_003", 400),
    (Code::KemKeyNotFound, "ERR_KEM_005", 404),
    (Code::InvalidSymmetricKey, "ERR_KEM_010", 400),
    (Code::InvalidWrappedKey, "ERR_KEM_011", 400),
    (Code::InvalidMessage, "ERR_SIG_001", 400),
    (Code::InvalidSignature, "ERR_SIG_002", 400),
    (Code::SignatureKeyNotFound, "ERR_SIG_003", 404),
    (Code::SelfCheckFailed, "ERR_CRYPTO_001", 500),
    (Code::Internal, "ERR_INTERNAL_001", 500),
    (Code::LedgerUnwritable, "ERR_AUDIT_001", 503),
    (Code::Unavailable, "ERR_SERVICE_001", 503),
];

impl Code {
    /// Its name in answers, logs and metrics.
    pub fn name(self) -> &'static str {
        // NOTE(index): a test holds that the table lists the variants in their order.
        CODES[self as usize].1
    }

    /// The HTTP status it is sent with.
    pub fn status(self) -> u16 {
        CODES[self as usize].2
    }
}

/// What went wrong with a request. The text is what its caller reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No API key, a malformed one, or one that policyd does not know.
    #[error("Missing or invalid API key")]
    Unauthenticated,
    /// A key where it is logged by everything on its way.
    #[error(
        "API keys belong in the x-api-key header and never in a URL, where proxies and logs keep them. Treat the key as exposed and rotate it"
    )]
    ApiKeyInUrl,
    /// No route of that path.
    #[error("No such route")]
    UnknownRoute,
    /// The route has other methods, named in `Allow`.
    #[error("Method not allowed; this route takes {0}")]
    MethodNotAllowed(Methods),
    /// A request line or headers that are no HTTP/1.1.
    #[error("The request line or headers are malformed")]
    MalformedHead,
    /// What a trusted proxy says of where a request comes from is no address.
    #[error("The proxy's header does not say where the request comes from")]
    SourceUnknown,
    /// An `Idempotency-Key` that is none.
    #[error("The Idempotency-Key header must be 1 to 255 visible ASCII characters, once")]
    IdempotencyKey,
    /// A request line, headers or a declared length beyond what is taken.
    #[error("The request line, the headers or the declared length are too large")]
    HeadTooLarge,
    /// Declared or sent more than is taken.
    #[error("The request body is too large")]
    BodyTooLarge,
    /// The body broke off or came too slowly.
    #[error("The request body did not arrive in full")]
    BodyIncomplete,
    /// Not JSON.
    #[error("The request body is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the first fault.
        line: usize,
        /// Column of the first fault.
        column: usize,
    },
    /// JSON, but no object.
    #[error("The request body is not a JSON object")]
    NotAnObject,
    /// The same field twice: parsers disagree about which one counts, so none does.
    #[error("Field '{0}' appears more than once")]
    DuplicateField(Field),
    /// A field that must be there.
    #[error("Field '{0}' is missing")]
    MissingField(Field),
    /// A field that this route does not have, where none is passed over.
    #[error(
        "The request has a field that this route does not know; a misspelt one would be left out of account"
    )]
    UnknownField,
    /// A deny rule that says of no request that it is not denied.
    #[error(
        "A deny rule needs a condition: 'operations', 'algorithms', 'window' or 'sources'; without one it denies everything"
    )]
    RuleWithoutCondition,
    /// A field that is there in another type or range.
    #[error("Field '{field}' must be {expected}")]
    WrongField {
        /// Which.
        field: Field,
        /// What it must be.
        expected: &'static str,
    },
    /// A batch of nothing, or of too much.
    #[error("Field 'items' must be a list of 1 to {0} objects for this operation and algorithm")]
    BatchSize(u16),
    /// A batch whose inputs, or outputs, do not fit together.
    #[error(
        "The items of the batch, or what comes of them, are together larger than {MAX_BATCH_BYTES} bytes"
    )]
    BatchTooLarge,
    /// An item that is for something else than its batch says.
    #[error("The item is for another operation than the batch")]
    OtherOperation,
    /// As many requests that take long are under way as one tenant may have.
    #[error(
        "Too many of this tenant's streams, batches and slow requests are under way; try again when one has ended"
    )]
    ShareTaken,
    /// A stream that ends within the signature it begins with.
    #[error("The body is shorter than the signature that it must begin with")]
    NoSignature,
    /// A field whose text names no operation.
    #[error("Field '{0}' names an unknown operation")]
    UnknownOperation(Field),
    /// A field that is not padded standard base64.
    #[error("Field '{0}' is not valid base64 (standard alphabet, with padding)")]
    NotBase64(Field),
    /// A value in a query that is not base64url.
    #[error("Parameter '{0}' is not valid base64url (RFC 4648 section 5)")]
    NotBase64Url(Field),
    /// A payload beyond its limit.
    #[error("Field '{0}' is larger than {MAX_PAYLOAD} bytes")]
    PayloadTooLarge(Field),
    /// Additional authenticated data beyond its limit.
    #[error("Field 'aad' is larger than {MAX_AAD} bytes")]
    AadTooLarge,
    /// A salt of deterministic encryption that could be guessed.
    #[error("Field 'salt' must have at least {MIN_SALT} bytes, in base64")]
    SaltTooShort,
    /// A name in no row of the registry, or an algorithm of the other family.
    #[error("Invalid algorithm")]
    InvalidAlgorithm,
    /// A key length that no symmetric cipher here has.
    #[error("Invalid symmetric key length: {0} bytes")]
    SymmetricKeyLength(usize),
    /// A ciphertext that does not open; why is not said.
    #[error("Invalid ciphertext")]
    InvalidCiphertext,
    /// A wrapped key that does not open; why is not said.
    #[error("Invalid wrapped key format")]
    InvalidWrappedKey,
    /// A message that keyd does not take.
    #[error("Invalid sign request")]
    InvalidMessage,
    /// A suspended tenant, a scope that is missing, a rule that could not be judged.
    #[error("Denied by policy: {0}")]
    PolicyDenied(&'static str),
    /// A feature of other plans.
    #[error("Operation not allowed for your plan")]
    NotInPlan,
    /// A limit of the plan is reached.
    #[error("{}", quota_spent(*.0))]
    QuotaSpent(Quota),
    /// The limit that the tenant has set on the key's uses is reached.
    #[error(
        "The key's budget of uses for this day is spent. It renews at 00:00 UTC; POST /api/v1/kms/keys/budget changes it"
    )]
    KeyBudgetSpent,
    /// More requests than the plan allows.
    #[error("Rate limit exceeded")]
    RateLimited(Allowance),
    /// There is no such version, or its state does not permit the operation.
    #[error("{}", not_found(*.version))]
    KeyNotFound {
        /// What was to be done with it.
        operation: Operation,
        /// Which version; `None` for the active one.
        version: Option<KeyVersion>,
    },
    /// A tenant, an API key or a rule that is not there, or not for this caller to know of.
    #[error("No such {0}")]
    NotFound(&'static str),
    /// The private key is gone for good.
    #[error("The key was destroyed")]
    KeyDestroyed,
    /// The time in which an archived key can be restored is over.
    #[error("The time in which this key could be restored is over")]
    NotRestorable,
    /// A tenant of that name exists.
    #[error("A tenant of that name exists")]
    NameTaken,
    /// A revoked API key stays revoked.
    #[error("The API key is revoked; make a new one")]
    ApiKeyRevoked,
    /// As many deny rules as there may be.
    #[error("There are {MOST_DENY_RULES} deny rules, which is as many as there may be; remove one first")]
    TooManyDenyRules,
    /// The `Idempotency-Key` came with another request before.
    #[error("This Idempotency-Key was used for another request; take a new one")]
    IdempotencyMismatch,
    /// A request with the same `Idempotency-Key` is under way.
    #[error("A request with this Idempotency-Key is under way; ask again for its answer")]
    IdempotencyInProgress,
    /// There is a key already.
    #[error("An active key for this algorithm exists; use rotate to replace it")]
    ActiveKeyExists,
    /// The key's state does not permit the change.
    #[error("The key's state does not permit this change")]
    IllegalTransition,
    /// The key is known, and its private half cannot be used. Trying again does not help.
    #[error("Key unavailable")]
    KeyUnavailable,
    /// What one library made, another did not confirm.
    #[error("A cryptographic self-check failed; nothing was released")]
    SelfCheckFailed,
    /// A daemon gave an answer that makes no sense here.
    #[error("Internal error")]
    Internal,
    /// What cannot be recorded is not done.
    #[error("The service cannot record this at present, so it was not done")]
    LedgerUnwritable,
    /// keyd does not know the permit: it was started anew since policyd made it. The next one is good again.
    #[error("Service temporarily unavailable")]
    PermitForgotten,
    /// A daemon is away, hung or busy, or the gateway is.
    #[error("Service temporarily unavailable")]
    Unavailable,
}

/// Which limit, and what there is to do about it.
const fn quota_spent(quota: Quota) -> &'static str {
    match quota {
        Quota::Calls => {
            "The plan's calls of this month are used up. They renew at 00:00 UTC on the first of the next month; a \
             larger plan has more"
        }
        Quota::Keys => {
            "The plan allows no further key of this family. Archive the versions of one that is not needed, or take a \
             larger plan"
        }
        Quota::KeyVersions => {
            "The plan allows no further version of this key. Archive a retired version, or take a larger plan"
        }
        Quota::ApiKeys => "The plan allows no further API key. Revoke one, or take a larger plan",
    }
}

fn not_found(version: Option<KeyVersion>) -> String {
    version.map_or_else(
        || "No active key for this algorithm".to_owned(),
        |version| format!("Key version {version} not found"),
    )
}

impl ApiError {
    /// The code it is sent with.
    pub fn code(&self) -> Code {
        match self {
            Self::Unauthenticated => Code::Unauthenticated,
            Self::ApiKeyInUrl => Code::ApiKeyInUrl,
            Self::UnknownRoute => Code::UnknownRoute,
            Self::MethodNotAllowed(_) => Code::MethodNotAllowed,
            Self::HeadTooLarge
            | Self::BodyTooLarge
            | Self::PayloadTooLarge(_)
            | Self::AadTooLarge
            | Self::BatchTooLarge => Code::TooLarge,
            Self::BodyIncomplete => Code::IncompleteBody,
            Self::MalformedHead
            | Self::SourceUnknown
            | Self::IdempotencyKey
            | Self::UnknownOperation(_)
            | Self::NotJson { .. }
            | Self::NotAnObject
            | Self::DuplicateField(_)
            | Self::MissingField(_)
            | Self::UnknownField
            | Self::RuleWithoutCondition
            | Self::BatchSize(_)
            | Self::OtherOperation
            | Self::WrongField { .. } => Code::InvalidRequest,
            Self::NotBase64(field) | Self::NotBase64Url(field) => field.invalid_encoding(),
            Self::SaltTooShort => Code::SaltTooShort,
            Self::InvalidAlgorithm => Code::InvalidAlgorithm,
            Self::SymmetricKeyLength(_) => Code::InvalidSymmetricKey,
            Self::InvalidCiphertext => Code::InvalidCiphertext,
            Self::InvalidWrappedKey => Code::InvalidWrappedKey,
            Self::InvalidMessage => Code::InvalidMessage,
            Self::NoSignature => Code::InvalidSignature,
            Self::PolicyDenied(_) => Code::PolicyDenied,
            Self::NotInPlan => Code::NotInPlan,
            Self::QuotaSpent(_) | Self::TooManyDenyRules => Code::QuotaSpent,
            Self::KeyBudgetSpent => Code::KeyBudgetSpent,
            Self::NotFound(_) => Code::NotFound,
            Self::KeyDestroyed => Code::KeyDestroyed,
            Self::NotRestorable => Code::NotRestorable,
            Self::NameTaken => Code::NameTaken,
            Self::IdempotencyMismatch => Code::IdempotencyMismatch,
            Self::IdempotencyInProgress => Code::IdempotencyInProgress,
            Self::RateLimited(_) | Self::ShareTaken => Code::RateLimited,
            Self::KeyNotFound { operation, .. } => match operation.family() {
                Some(Family::Kem) => Code::KemKeyNotFound,
                Some(Family::Signature) => Code::SignatureKeyNotFound,
                None => Code::NotFound,
            },
            Self::ActiveKeyExists => Code::ActiveKeyExists,
            Self::IllegalTransition | Self::ApiKeyRevoked => Code::IllegalTransition,
            Self::KeyUnavailable => Code::KeyUnavailable,
            Self::SelfCheckFailed => Code::SelfCheckFailed,
            Self::Internal => Code::Internal,
            Self::LedgerUnwritable => Code::LedgerUnwritable,
            Self::Unavailable | Self::PermitForgotten => Code::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_lists_each_code_in_order_once_and_with_an_error_status() {
        let mut names = BTreeSet::new();
        for (index, (code, name, status)) in CODES.iter().enumerate() {
            assert_eq!(*code as usize, index);
            assert!(names.insert(name), "{name}");
            assert!((400..600).contains(status), "{name}");
        }
    }

    #[test]
    fn the_existing_clients_find_the_codes_and_statuses_they_know() {
        for (name, status) in [
            ("ERR_AUTH_001", 401),
            ("ERR_INVALID_001", 400),
            ("ERR_FORBIDDEN_001", 403),
            ("ERR_POLICY_001", 403),
            ("ERR_RATE_001", 429),
            ("ERR_NOT_FOUND_001", 404),
            ("ERR_KMS_001", 400),
            ("ERR_KEM_001", 400),
            ("ERR_KEM_003", 400),
            ("ERR_KEM_005", 404),
            ("ERR_KEM_010", 400),
            ("ERR_KEM_011", 400),
            ("ERR_SIG_001", 400),
            ("ERR_SIG_002", 400),
            ("ERR_SIG_003", 404),
            ("ERR_INTERNAL_001", 500),
            ("ERR_SERVICE_001", 503),
        ] {
            let row = CODES.iter().find(|(_, known, _)| *known == name);
            assert_eq!(row.map(|(_, _, status)| *status), Some(status), "{name}");
        }
    }

    #[test]
    fn a_missing_key_is_reported_in_the_terms_of_its_operation() {
        for (operation, name) in [
            (Operation::Encrypt, "ERR_KEM_005"),
            (Operation::Unwrap, "ERR_KEM_005"),
            (Operation::Sign, "ERR_SIG_003"),
            (Operation::Verify, "ERR_SIG_003"),
            (Operation::ReadKey, "ERR_NOT_FOUND_001"),
            (Operation::RotateKey, "ERR_NOT_FOUND_001"),
        ] {
            let error = ApiError::KeyNotFound {
                operation,
                version: KeyVersion::new(7),
            };
            assert_eq!(error.code().name(), name);
            assert_eq!(error.to_string(), "Key version 7 not found");
        }
    }
}
