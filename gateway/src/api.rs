//! The API's operations, a file each: what a request must say, what is asked of policyd, what is done with
//! the grant, and what the answer says. Here: the table of routes.

pub mod body;
mod decapsulate;
mod decrypt;
mod encapsulate;
mod encrypt;
mod field;
mod keys;
mod private_key;
mod query;
mod selection;
mod sign;
mod tenants;
mod unwrap;
mod verify;
mod wrap;

pub use body::Body;
pub use decapsulate::Decapsulate;
pub use decrypt::Decrypt;
pub use encapsulate::Encapsulate;
pub use encrypt::Encrypt;
pub use field::Field;
pub use keys::{Generate, List, ReadActive, ReadVersion, Retire, Rotate};
pub use query::Query;
pub use sign::Sign;
pub use tenants::{ListTenants, OwnTenant};
pub use unwrap::Unwrap;
pub use verify::Verify;
pub use wrap::Wrap;

use crate::error::ApiError;
use chancel_domain::RequestId;
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
    /// Sign a message.
    Sign,
    /// Verify a signature.
    Verify,
    /// Make the first key of an algorithm.
    Generate,
    /// Make the next version of a key.
    Rotate,
    /// Take a version out of use.
    Retire,
    /// The active version of a key.
    ReadActive,
    /// One version of a key; the last part of the path.
    ReadVersion,
    /// All keys.
    List,
    /// The caller's tenant, as a list of one.
    ListTenants,
    /// The caller's tenant, as the first clients asked for it.
    OwnTenant,
}

struct Row {
    route: Route,
    method: Method,
    path: &'static str,
    name: &'static str,
}

const fn row(route: Route, method: Method, path: &'static str, name: &'static str) -> Row {
    Row {
        route,
        method,
        path,
        name,
    }
}

/// A path ending in `/` and a digit stands for any number there.
static ROUTES: [Row; 17] = [
    row(Route::Encrypt, Method::POST, "/api/v1/kem/encrypt", "encrypt"),
    row(Route::Decrypt, Method::POST, "/api/v1/kem/decrypt", "decrypt"),
    row(
        Route::Encapsulate,
        Method::POST,
        "/api/v1/kem/encapsulate",
        "encapsulate",
    ),
    row(
        Route::Decapsulate,
        Method::POST,
        "/api/v1/kem/decapsulate",
        "decapsulate",
    ),
    row(Route::Wrap, Method::POST, "/api/v1/kem/key/wrap", "wrap"),
    row(Route::Unwrap, Method::POST, "/api/v1/kem/key/unwrap", "unwrap"),
    row(Route::Sign, Method::POST, "/api/v1/signature/sign", "sign"),
    row(Route::Verify, Method::POST, "/api/v1/signature/verify", "verify"),
    row(
        Route::Generate,
        Method::POST,
        "/api/v1/kms/keys/generate",
        "generate-key",
    ),
    row(
        Route::Rotate,
        Method::POST,
        "/api/v1/kms/keys/rotate",
        "rotate-key",
    ),
    row(
        Route::Retire,
        Method::POST,
        "/api/v1/kms/keys/retire",
        "retire-key",
    ),
    row(
        Route::ReadActive,
        Method::GET,
        "/api/v1/kms/keys/active",
        "read-active-key",
    ),
    row(Route::ReadVersion, Method::GET, "/api/v1/kms/keys/0", "read-key"),
    row(Route::List, Method::GET, "/api/v1/kms/keys", "list-keys"),
    row(Route::ListTenants, Method::GET, "/api/v1/tenants/", "read-tenant"),
    row(Route::ListTenants, Method::GET, "/api/v1/tenants", "read-tenant"),
    row(
        Route::OwnTenant,
        Method::GET,
        "/api/v1/tenants/me",
        "read-own-tenant",
    ),
];

impl Route {
    /// Finds the route of a request.
    ///
    /// # Errors
    /// [`ApiError::UnknownRoute`], or [`ApiError::MethodNotAllowed`] for a path that takes another method.
    pub fn find(method: &Method, path: &str) -> Result<Self, ApiError> {
        let row = ROUTES
            .iter()
            .find(|row| row.matches(path))
            .ok_or(ApiError::UnknownRoute)?;
        if row.method == *method {
            Ok(row.route)
        } else if row.method == Method::GET {
            Err(ApiError::MethodNotAllowed("GET"))
        } else {
            Err(ApiError::MethodNotAllowed("POST"))
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
}

impl Row {
    fn matches(&self, path: &str) -> bool {
        match self.path.strip_suffix("/0") {
            None => self.path == path,
            Some(above) => path
                .strip_prefix(above)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|last| !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())),
        }
    }
}

/// The library refused a public key that policyd vouches for, or has no randomness: neither is the caller's
/// doing.
fn refused_by_library(request: RequestId, error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%request, %error, "public-key work failed");
    ApiError::Internal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_own_path_and_method_only() {
        for row in &ROUTES {
            assert_eq!(Route::find(&row.method, row.path), Ok(row.route), "{}", row.path);
            let other = if row.method == Method::GET {
                Method::POST
            } else {
                Method::GET
            };
            for method in [other, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS] {
                let allowed = if row.method == Method::GET { "GET" } else { "POST" };
                assert_eq!(
                    Route::find(&method, row.path),
                    Err(ApiError::MethodNotAllowed(allowed)),
                    "{method} {}",
                    row.path
                );
            }
            assert_eq!(row.route.name(), row.name);
        }
    }

    #[test]
    fn versions_are_numbers_and_words_win() {
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
        ] {
            assert_eq!(
                Route::find(&Method::GET, path),
                Err(ApiError::UnknownRoute),
                "{path}"
            );
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
