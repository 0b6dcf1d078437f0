//! In which form a public key is answered.

use super::{Field, Query};
use crate::envelope::Json;
use crate::error::ApiError;
use chancel_pqc::public_key::{NoSuchForm, to_jwk, to_pem, to_spki};
use chancel_wire::policyd::KeyView;
use zeroize::Zeroizing;

/// The form of an answer about one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// The key object in the usual envelope.
    Object,
    /// SubjectPublicKeyInfo in PEM.
    Pem,
    /// SubjectPublicKeyInfo in DER.
    Spki,
    /// A JSON Web Key.
    Jwk,
    /// The bytes alone.
    Raw,
}

/// The forms that are no envelope: name in queries, media type of the answer.
const FORMATS: [(KeyFormat, &str, &str); 4] = [
    (KeyFormat::Pem, "pem", "application/x-pem-file"),
    (KeyFormat::Spki, "spki", "application/octet-stream"),
    (KeyFormat::Jwk, "jwk", "application/jwk+json"),
    (KeyFormat::Raw, "raw", "application/octet-stream"),
];

impl KeyFormat {
    /// What a request asks for: by the query, else by an `Accept` header that names a form's media type first.
    ///
    /// # Errors
    /// [`ApiError::WrongField`] for a name in no row.
    pub fn of(query: Query<'_>, accept: Option<&str>) -> Result<Self, ApiError> {
        if let Some(wanted) = query.value(Field::Format)? {
            let row = FORMATS.iter().find(|(_, name, _)| *name == wanted);
            return row.map(|(format, ..)| *format).ok_or(ApiError::WrongField {
                field: Field::Format,
                expected: "pem, spki, jwk or raw",
            });
        }
        let first = accept.unwrap_or_default().split([',', ';']).next();
        let first = first.unwrap_or_default().trim();
        let named = |(format, _, media): &&(Self, &str, &str)| {
            matches!(format, Self::Pem | Self::Jwk) && media.eq_ignore_ascii_case(first)
        };
        let row = FORMATS.iter().find(named);
        Ok(row.map_or(Self::Object, |(format, ..)| *format))
    }

    /// The forms that are no envelope, each by its name in queries and its media type.
    pub(crate) fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
        FORMATS.iter().map(|(_, name, media)| (*name, *media))
    }

    /// The media type of the answer; `None` for the usual one.
    pub fn media_type(self) -> Option<&'static str> {
        let row = FORMATS.iter().find(|(format, ..)| *format == self);
        row.map(|(.., media)| *media)
    }

    /// The answer; `None` for the usual one.
    pub(super) fn write(self, key: &KeyView) -> Result<Option<Json>, ApiError> {
        let (algorithm, public_key) = (key.algorithm, key.public_key.as_slice());
        let written = match self {
            Self::Object => return Ok(None),
            Self::Pem => to_pem(algorithm, public_key).map(String::into_bytes),
            Self::Spki => to_spki(algorithm, public_key),
            Self::Jwk => to_jwk(algorithm, public_key).map(String::into_bytes),
            Self::Raw => Ok(public_key.to_vec()),
        };
        match written {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(NoSuchForm::NoJwk) => Err(ApiError::WrongField {
                field: Field::Format,
                expected: "pem, spki or raw: no JWK is specified for this algorithm",
            }),
            Err(NoSuchForm::WrongLength) => Err(ApiError::Internal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_goes_before_the_header_and_clients_that_want_json_get_the_object() {
        let of = |query, accept| KeyFormat::of(Query::new(Some(query)), accept);
        for (query, accept, expected) in [
            ("", None, KeyFormat::Object),
            ("", Some("application/json"), KeyFormat::Object),
            ("", Some("*/*"), KeyFormat::Object),
            ("", Some("application/octet-stream"), KeyFormat::Object),
            ("", Some("application/x-pem-file, */*;q=0.1"), KeyFormat::Pem),
            ("", Some("Application/JWK+json"), KeyFormat::Jwk),
            ("format=raw", Some("application/x-pem-file"), KeyFormat::Raw),
            ("format=spki", None, KeyFormat::Spki),
        ] {
            assert_eq!(of(query, accept), Ok(expected), "{query} {accept:?}");
        }
        assert!(of("format=der", None).is_err());
        assert!(of("format=", Some("application/x-pem-file")).is_err());
    }
}
