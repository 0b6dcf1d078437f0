//! What a query says of a stream: the fields that a body of JSON would have. Bytes are base64url (RFC 4648 §5), with or
//! without padding: the standard alphabet's `+` is a space in a query.

use crate::api::parameter::number_in_query;
use crate::api::selection::{Named, at_least_one};
use crate::api::{Field, Query, Signed};
use crate::error::ApiError;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chancel_domain::{Family, KeyVersion};
use chancel_wire::limits::MAX_AAD;
use zeroize::Zeroizing;

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The algorithm, of one family; the family's default when none is named.
pub fn key(query: Query<'_>, family: Family) -> Result<Named, ApiError> {
    match Named::in_query(&query)? {
        None => Ok(Named::default_of(family)),
        Some(named) => named.only_of(family),
    }
}

/// The version; `None`, when none or 0 is named, for the active one.
pub fn version_or_active(query: Query<'_>) -> Result<Option<KeyVersion>, ApiError> {
    Ok(number(query, Field::KeyVersion)?.and_then(KeyVersion::new))
}

/// The version, which must be named.
pub fn version(query: Query<'_>) -> Result<KeyVersion, ApiError> {
    let number = number(query, Field::KeyVersion)?;
    at_least_one(number.ok_or(ApiError::MissingField(Field::KeyVersion))?)
}

/// A number that may be absent.
pub fn number(query: Query<'_>, field: Field) -> Result<Option<u32>, ApiError> {
    number_in_query(query, field, (0, u32::MAX), "an integer from 0 to 4294967295")
}

/// The context string of a signature by a key.
pub fn context(query: Query<'_>, key: Named) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let context = bytes(query, Field::Context)?;
    // Now, and not when the message is there.
    let empty = Signed::Raw {
        message: Zeroizing::default(),
        context: context.clone(),
    };
    empty.checked(key).map(|_| context)
}

/// Additional authenticated data.
pub fn aad(query: Query<'_>) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let aad = bytes(query, Field::Aad)?;
    if aad.len() > MAX_AAD {
        Err(ApiError::AadTooLarge)
    } else {
        Ok(aad)
    }
}

/// Bytes, none where they are absent.
pub fn bytes(query: Query<'_>, field: Field) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let text = query.value(field)?.unwrap_or_default();
    BASE64URL
        .decode(text.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| ApiError::NotBase64Url(field))
}
