//! Which key a request means: an algorithm by one of its names, and a version or the active one.

use super::{Body, Field, Query};
use crate::envelope::Object;
use crate::error::ApiError;
use chancel_domain::{Algorithm, Family, KeyVersion, Maturity};

/// An algorithm with the name the caller used for it, which is the one it reads in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The name.
    pub name: &'static str,
}

impl Named {
    /// Looks up what a caller wrote.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let algorithm = Algorithm::from_name(text).map_err(|_| ApiError::InvalidAlgorithm)?;
        let spec = algorithm.spec();
        let name = if spec.client_name == text {
            spec.client_name
        } else {
            spec.standard_name
        };
        Ok(Self { algorithm, name })
    }

    /// What callers who name none see.
    pub(super) const fn unnamed(algorithm: Algorithm) -> Self {
        let name = algorithm.spec().client_name;
        Self { algorithm, name }
    }

    /// Writes what every answer says of an algorithm.
    pub(super) fn write(self, object: &mut Object<'_>) {
        object.text("algorithm", self.name);
        if self.algorithm.spec().maturity == Maturity::Draft {
            object.text("algorithm_status", Maturity::Draft.name());
        }
    }

    /// The algorithm of a request body, of one family; the family's default when none is named.
    pub(super) fn of_family(body: &Body<'_>, family: Family) -> Result<Self, ApiError> {
        match body.text(Field::Algorithm)? {
            None => Ok(Self::default_of(family)),
            Some(text) => Self::parse(text)?.only_of(family),
        }
    }

    /// What is meant where none is named.
    pub(crate) const fn default_of(family: Family) -> Self {
        Self::unnamed(Algorithm::default_for(family))
    }

    /// If it is of a family.
    pub(crate) fn only_of(self, family: Family) -> Result<Self, ApiError> {
        if self.algorithm.family() == family {
            Ok(self)
        } else {
            Err(ApiError::InvalidAlgorithm)
        }
    }

    /// The algorithm of a request body that must name one.
    pub(super) fn required(body: &Body<'_>) -> Result<Self, ApiError> {
        let text = body.text(Field::Algorithm)?;
        Self::parse(text.ok_or(ApiError::MissingField(Field::Algorithm))?)
    }

    /// The algorithm of a query that may name one.
    pub(crate) fn in_query(query: &Query<'_>) -> Result<Option<Self>, ApiError> {
        query
            .value(Field::Algorithm)?
            .as_deref()
            .map(Self::parse)
            .transpose()
    }

    /// The algorithm of a query that must name one.
    pub(super) fn required_in_query(query: &Query<'_>) -> Result<Self, ApiError> {
        Self::in_query(query)?.ok_or(ApiError::MissingField(Field::Algorithm))
    }
}

/// The version a body names; `None`, when it names none or 0, for the active one.
pub(super) fn version_or_active(body: &Body<'_>) -> Result<Option<KeyVersion>, ApiError> {
    Ok(body.number(Field::KeyVersion)?.and_then(KeyVersion::new))
}

/// The version a body must name.
pub(super) fn version(body: &Body<'_>) -> Result<KeyVersion, ApiError> {
    let number = body
        .number(Field::KeyVersion)?
        .ok_or(ApiError::MissingField(Field::KeyVersion))?;
    at_least_one(number)
}

/// The key that a rewrapped ciphertext shall be for: of the same algorithm when the body names none, and the active
/// version when it names none or 0.
pub(super) fn target(body: &Body<'_>, source: Named) -> Result<(Named, Option<KeyVersion>), ApiError> {
    let target = match body.text(Field::TargetAlgorithm)? {
        None => source,
        Some(text) => Named::parse(text)?,
    };
    if target.algorithm.family() != source.algorithm.family() {
        return Err(ApiError::InvalidAlgorithm);
    }
    let version = body.number(Field::TargetKeyVersion)?.and_then(KeyVersion::new);
    Ok((target, version))
}

/// The version at the end of a path whose last part is all digits.
pub(super) fn version_in_path(path: &str) -> Result<KeyVersion, ApiError> {
    let digits = path.rsplit('/').next().unwrap_or_default();
    // Digits that make no number of this size are too many of them.
    at_least_one(digits.parse().unwrap_or(0))
}

pub(crate) fn at_least_one(number: u32) -> Result<KeyVersion, ApiError> {
    KeyVersion::new(number).ok_or(ApiError::WrongField {
        field: Field::KeyVersion,
        expected: "an integer from 1 to 4294967295",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body<'_> {
        Body::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_callers_spelling_is_kept_and_other_families_are_refused() {
        for (text, name) in [
            ("{}", "Dilithium3"),
            (r#"{"algorithm": "Dilithium3"}"#, "Dilithium3"),
            (r#"{"algorithm": "ML-DSA-65"}"#, "ML-DSA-65"),
        ] {
            let named = Named::of_family(&body(text), Family::Signature).unwrap();
            assert_eq!((named.algorithm, named.name), (Algorithm::MlDsa65, name));
        }
        for text in [
            r#"{"algorithm": "Kyber768"}"#,
            r#"{"algorithm": "RSA"}"#,
            r#"{"algorithm": ""}"#,
        ] {
            let refused = Named::of_family(&body(text), Family::Signature);
            assert_eq!(refused, Err(ApiError::InvalidAlgorithm), "{text}");
        }
        assert_eq!(
            Named::required(&body("{}")),
            Err(ApiError::MissingField(Field::Algorithm))
        );
    }

    #[test]
    fn no_version_and_zero_mean_the_active_key_where_that_is_allowed() {
        for text in ["{}", r#"{"key_version": 0}"#, r#"{"key_version": null}"#] {
            assert_eq!(version_or_active(&body(text)), Ok(None), "{text}");
            assert!(version(&body(text)).is_err(), "{text}");
        }
        assert_eq!(version(&body(r#"{"key_version": 1}"#)), Ok(KeyVersion::FIRST));
        let message = version(&body(r#"{"key_version": 0}"#)).unwrap_err().to_string();
        assert_eq!(
            message,
            "Field 'key_version' must be an integer from 1 to 4294967295"
        );
    }

    #[test]
    fn versions_in_paths_have_the_same_range() {
        assert_eq!(version_in_path("/keys/7"), Ok(KeyVersion::new(7).unwrap()));
        assert!(version_in_path("/keys/0").is_err());
        assert!(version_in_path("/keys/4294967296").is_err());
    }
}
