//! The table of routes: method, path and name of each, and how a request finds its row.
//!
//! A path's part in braces stands for any value of a kind, `{number}` or `{id}`; another value there is another
//! path, which does not exist.

use crate::error::ApiError;
use crate::limits::{MAX_BATCH_BODY, MAX_BODY};
use chancel_domain::Family;
use hyper::Method;

/// Everything the API can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Encrypt a plaintext.
    Encrypt,
    /// Decrypt a ciphertext.
    Decrypt,
    /// Make a shared secret.
    Encapsulate,
    /// Recover a shared secret.
    Decapsulate,
    /// Encrypt a symmetric key.
    Wrap,
    /// Decrypt a symmetric key.
    Unwrap,
    /// Turn a ciphertext for one key into one for another.
    Rewrap,
    /// Sign a message.
    Sign,
    /// Verify a signature.
    Verify,
    /// Sign a digest.
    SignHash,
    /// Verify a signature over a digest.
    VerifyHash,
    /// Work with a KEM key on many items.
    KemBatch,
    /// Work with a signature key on many items.
    SignatureBatch,
    /// Make the first key of an algorithm.
    Generate,
    /// Make the next version of a key.
    Rotate,
    /// Take a version out of use for new work.
    Retire,
    /// Take a retired version out of every use.
    Archive,
    /// Make an archived version a retired one again.
    Restore,
    /// Set a date for a version's destruction.
    ScheduleDestruction,
    /// Take that date back.
    CancelDestruction,
    /// Limit a key's uses in a day.
    SetBudget,
    /// The active version of a key.
    ReadActive,
    /// One version of a key.
    ReadVersion,
    /// All keys.
    List,
    /// The tenants the caller may see.
    ListTenants,
    /// The caller's tenant, as the first clients asked for it.
    OwnTenant,
    /// Make a tenant.
    CreateTenant,
    /// One tenant.
    ReadTenant,
    /// A tenant's API keys.
    ListApiKeys,
    /// Make an API key.
    CreateApiKey,
    /// Replace an API key's secret.
    RotateApiKey,
    /// Revoke an API key.
    RevokeApiKey,
    /// The tenant's deny rules.
    ListDenyRules,
    /// Add a deny rule.
    AddDenyRule,
    /// Remove a deny rule.
    RemoveDenyRule,
    /// How a request would be judged.
    Explain,
    /// The tenant's events.
    ReadEvents,
}

struct Row {
    route: Route,
    method: Method,
    path: &'static str,
    name: &'static str,
}

const fn get(route: Route, path: &'static str, name: &'static str) -> Row {
    row(Method::GET, route, path, name)
}

const fn post(route: Route, path: &'static str, name: &'static str) -> Row {
    row(Method::POST, route, path, name)
}

const fn delete(route: Route, path: &'static str, name: &'static str) -> Row {
    row(Method::DELETE, route, path, name)
}

const fn row(method: Method, route: Route, path: &'static str, name: &'static str) -> Row {
    Row {
        route,
        method,
        path,
        name,
    }
}

static ROUTES: [Row; 39] = [
    post(Route::Encrypt, "/api/v1/kem/encrypt", "encrypt"),
    post(Route::Decrypt, "/api/v1/kem/decrypt", "decrypt"),
    post(Route::Encapsulate, "/api/v1/kem/encapsulate", "encapsulate"),
    post(Route::Decapsulate, "/api/v1/kem/decapsulate", "decapsulate"),
    post(Route::Wrap, "/api/v1/kem/key/wrap", "wrap"),
    post(Route::Unwrap, "/api/v1/kem/key/unwrap", "unwrap"),
    post(Route::Rewrap, "/api/v1/kem/rewrap", "rewrap"),
    post(Route::Sign, "/api/v1/signature/sign", "sign"),
    post(Route::Verify, "/api/v1/signature/verify", "verify"),
    post(Route::SignHash, "/api/v1/signature/sign-hash", "sign-hash"),
    post(Route::VerifyHash, "/api/v1/signature/verify-hash", "verify-hash"),
    post(Route::KemBatch, "/api/v1/kem/batch", "kem-batch"),
    post(
        Route::SignatureBatch,
        "/api/v1/signature/batch",
        "signature-batch",
    ),
    post(Route::Generate, "/api/v1/kms/keys/generate", "generate-key"),
    post(Route::Rotate, "/api/v1/kms/keys/rotate", "rotate-key"),
    post(Route::Retire, "/api/v1/kms/keys/retire", "retire-key"),
    post(Route::Archive, "/api/v1/kms/keys/archive", "archive-key"),
    post(Route::Restore, "/api/v1/kms/keys/restore", "restore-key"),
    post(
        Route::CancelDestruction,
        "/api/v1/kms/keys/cancel-destruction",
        "cancel-destruction",
    ),
    post(Route::SetBudget, "/api/v1/kms/keys/budget", "set-key-budget"),
    get(Route::ReadActive, "/api/v1/kms/keys/active", "read-active-key"),
    get(Route::ReadVersion, "/api/v1/kms/keys/{number}", "read-key"),
    delete(
        Route::ScheduleDestruction,
        "/api/v1/kms/keys/{number}",
        "schedule-destruction",
    ),
    get(Route::List, "/api/v1/kms/keys", "list-keys"),
    get(Route::ListTenants, "/api/v1/tenants/", "read-tenant"),
    get(Route::ListTenants, "/api/v1/tenants", "read-tenant"),
    post(Route::CreateTenant, "/api/v1/tenants", "create-tenant"),
    post(Route::CreateTenant, "/api/v1/tenants/", "create-tenant"),
    get(Route::OwnTenant, "/api/v1/tenants/me", "read-own-tenant"),
    get(Route::ReadTenant, "/api/v1/tenants/{id}", "read-tenant-by-id"),
    get(
        Route::ListApiKeys,
        "/api/v1/tenants/{id}/api-keys",
        "list-api-keys",
    ),
    post(
        Route::CreateApiKey,
        "/api/v1/tenants/{id}/api-keys",
        "create-api-key",
    ),
    post(
        Route::RotateApiKey,
        "/api/v1/tenants/{id}/api-keys/rotate",
        "rotate-api-key",
    ),
    delete(
        Route::RevokeApiKey,
        "/api/v1/tenants/{id}/api-keys/{id}",
        "revoke-api-key",
    ),
    get(Route::ListDenyRules, "/api/v1/policy/rules", "list-deny-rules"),
    post(Route::AddDenyRule, "/api/v1/policy/rules", "add-deny-rule"),
    delete(
        Route::RemoveDenyRule,
        "/api/v1/policy/rules/{id}",
        "remove-deny-rule",
    ),
    post(Route::Explain, "/api/v1/policy/explain", "explain-policy"),
    get(Route::ReadEvents, "/api/v1/audit/events", "read-events"),
];

/// The methods that a path takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods(u8);

/// A bit for each method that some path takes, in the order in which they are listed.
const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::DELETE];

impl Methods {
    /// GET alone.
    pub const GET: Self = Self(1);
    /// POST alone.
    pub const POST: Self = Self(2);

    fn of(rows: impl Iterator<Item = &'static Row>) -> Self {
        let bit = |row: &Row| METHODS.iter().position(|method| *method == row.method);
        Self(rows.filter_map(bit).fold(0, |bits, bit| bits | 1 << bit))
    }

    /// As the `Allow` header lists them.
    pub const fn text(self) -> &'static str {
        match self.0 {
            1 => "GET",
            2 => "POST",
            3 => "GET, POST",
            4 => "DELETE",
            5 => "GET, DELETE",
            6 => "POST, DELETE",
            7 => "GET, POST, DELETE",
            _ => "",
        }
    }
}

impl std::fmt::Display for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl Route {
    /// Finds the route of a request.
    ///
    /// # Errors
    /// [`ApiError::UnknownRoute`], or [`ApiError::MethodNotAllowed`] for a path that takes other methods.
    pub fn find(method: &Method, path: &str) -> Result<Self, ApiError> {
        let rows = || ROUTES.iter().filter(|row| row.matches(path));
        if let Some(row) = rows().find(|row| row.method == *method) {
            return Ok(row.route);
        }
        match Methods::of(rows()) {
            Methods(0) => Err(ApiError::UnknownRoute),
            methods => Err(ApiError::MethodNotAllowed(methods)),
        }
    }

    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        // NOTE(expect): a test holds that every route has a row.
        let row = ROUTES.iter().find(|row| row.route == self);
        row.expect("every route has a row").name
    }

    /// The names of all routes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ROUTES.iter().map(|row| row.name)
    }

    /// The status of a success.
    pub const fn success(self) -> u16 {
        match self {
            Self::Generate | Self::CreateTenant | Self::CreateApiKey | Self::AddDenyRule => 201,
            _ => 200,
        }
    }

    /// For keys of which family, when its requests have many items.
    pub const fn batch_of(self) -> Option<Family> {
        match self {
            Self::KemBatch => Some(Family::Kem),
            Self::SignatureBatch => Some(Family::Signature),
            _ => None,
        }
    }

    /// Bytes of a body at most.
    pub const fn max_body(self) -> usize {
        match self.batch_of() {
            Some(_) => MAX_BATCH_BODY,
            None => MAX_BODY,
        }
    }

    /// Whether an `Idempotency-Key` means something here: each of these makes something new each time.
    pub const fn honours_idempotency_key(self) -> bool {
        matches!(
            self,
            Self::Generate | Self::Rotate | Self::CreateTenant | Self::CreateApiKey | Self::RotateApiKey
        )
    }
}

impl Row {
    fn matches(&self, path: &str) -> bool {
        if !self.path.contains('{') {
            return self.path == path;
        }
        let mut parts = path.split('/');
        self.path.split('/').all(|own| {
            parts.next().is_some_and(|part| match own {
                "{number}" => !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()),
                "{id}" => is_id(part),
                own => own == part,
            })
        }) && parts.next().is_none()
    }
}

/// A UUID in its usual form.
fn is_id(part: &str) -> bool {
    part.len() == 36
        && part.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0b5f8e4a-7a33-4c5b-9d0e-0123456789ab";

    fn example(path: &str) -> String {
        path.replace("{number}", "17").replace("{id}", ID)
    }

    #[test]
    fn every_row_is_found_by_its_own_path_and_methods_only() {
        for row in &ROUTES {
            let path = example(row.path);
            assert_eq!(Route::find(&row.method, &path), Ok(row.route), "{path}");
            let taken: Vec<_> = ROUTES
                .iter()
                .filter(|other| other.path == row.path)
                .map(|other| other.method.clone())
                .collect();
            let allowed = METHODS.iter().filter(|method| taken.contains(method));
            let allowed = allowed.map(Method::as_str).collect::<Vec<_>>().join(", ");
            for method in METHODS
                .into_iter()
                .chain([Method::PUT, Method::HEAD, Method::OPTIONS])
                .filter(|method| !taken.contains(method))
            {
                let Err(ApiError::MethodNotAllowed(methods)) = Route::find(&method, &path) else {
                    panic!("{method} {path}");
                };
                assert_eq!(methods.text(), allowed, "{method} {path}");
            }
        }
    }

    #[test]
    fn rows_of_a_route_share_its_name_and_no_two_rows_are_the_same() {
        for (index, row) in ROUTES.iter().enumerate() {
            assert_eq!(row.route.name(), row.name);
            let same = |other: &Row| other.path == row.path && other.method == row.method;
            assert_eq!(ROUTES.iter().position(same), Some(index), "{}", row.path);
        }
    }

    #[test]
    fn what_stands_for_a_value_is_of_its_kind() {
        assert_eq!(
            Route::find(&Method::GET, "/api/v1/kms/keys/active"),
            Ok(Route::ReadActive)
        );
        assert_eq!(
            Route::find(&Method::GET, "/api/v1/kms/keys/17"),
            Ok(Route::ReadVersion)
        );
        for path in [
            "/api/v1/kms/keys/",
            "/api/v1/kms/keys/1a",
            "/api/v1/kms/keys/-1",
            "/api/v1/kms/keys/1/2",
            "/api/v1/tenants/1",
            "/api/v1/tenants/../kms/keys",
            "/api/v1/tenants//api-keys",
            "/api/v1/tenants/0b5f8e4a7a334c5b9d0e0123456789ab",
            "/api/v1/tenants/0b5f8e4a-7a33-4c5b-9d0e-0123456789ab/",
            "/api/v1/tenants/0b5f8e4a-7a33-4c5b-9d0e-0123456789ag/api-keys",
            "/api/v1/policy/rules/all",
        ] {
            for method in METHODS {
                let found = Route::find(&method, path);
                assert_eq!(found, Err(ApiError::UnknownRoute), "{method} {path}");
            }
        }
    }

    #[test]
    fn near_misses_are_unknown() {
        for path in [
            "",
            "/",
            "/api/v1/kem/encrypt/",
            "/api/v1//kem/encrypt",
            "/API/v1/kem/encrypt",
            "/api/v1/kem/wrap",
        ] {
            assert_eq!(
                Route::find(&Method::POST, path),
                Err(ApiError::UnknownRoute),
                "{path}"
            );
        }
    }
}
