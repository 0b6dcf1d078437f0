//! Values that several resources take in paths, queries and bodies: ids, instants, names, scopes, networks, places in
//! a list. Each is read into its domain type here or refused by the field's name.

use super::{Body, Field, Query};
use crate::error::ApiError;
use chancel_domain::network::Network;
use chancel_domain::tenant::Name;
use chancel_domain::{Networks, Operation, Scopes};
use jiff::Timestamp;
use std::str::FromStr;

/// The id in a path so many parts from its end; the route's row has checked its form.
pub(super) fn id_in_path<T: FromStr>(path: &str, from_the_end: usize) -> Result<T, ApiError> {
    let part = path.rsplit('/').nth(from_the_end).unwrap_or_default();
    part.parse().map_err(|_| ApiError::UnknownRoute)
}

/// An id in a body.
pub(super) fn id<T: FromStr>(body: &Body<'_>, field: Field) -> Result<Option<T>, ApiError> {
    body.text(field)?.map(|text| parsed_id(text, field)).transpose()
}

/// An id in a query.
pub(super) fn id_in_query<T: FromStr>(query: Query<'_>, field: Field) -> Result<Option<T>, ApiError> {
    query
        .value(field)?
        .map(|text| parsed_id(&text, field))
        .transpose()
}

fn parsed_id<T: FromStr>(text: &str, field: Field) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::WrongField {
        field,
        expected: "a UUID",
    })
}

/// An instant in a body, as Unix milliseconds.
pub(super) fn instant(body: &Body<'_>, field: Field) -> Result<Option<i64>, ApiError> {
    body.text(field)?
        .map(|text| parsed_instant(text, field))
        .transpose()
}

/// An instant in a query, as Unix milliseconds.
pub(super) fn instant_in_query(query: Query<'_>, field: Field) -> Result<Option<i64>, ApiError> {
    query
        .value(field)?
        .map(|text| parsed_instant(&text, field))
        .transpose()
}

fn parsed_instant(text: &str, field: Field) -> Result<i64, ApiError> {
    let wrong = |_| ApiError::WrongField {
        field,
        expected: "an RFC 3339 time, as in 2026-01-15T10:30:00Z",
    };
    text.parse::<Timestamp>()
        .map(Timestamp::as_millisecond)
        .map_err(wrong)
}

/// A number in a query, in a range.
pub(crate) fn number_in_query<T: FromStr + PartialOrd>(
    query: Query<'_>,
    field: Field,
    (least, most): (T, T),
    expected: &'static str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = query.value(field)? else {
        return Ok(None);
    };
    // `parse` takes a sign.
    let number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse::<T>().ok())
        .flatten();
    match number {
        Some(number) if number >= least && number <= most => Ok(Some(number)),
        _ => Err(ApiError::WrongField { field, expected }),
    }
}

/// The name of something new.
pub(super) fn name(body: &Body<'_>) -> Result<Name, ApiError> {
    let text = body
        .text(Field::Name)?
        .ok_or(ApiError::MissingField(Field::Name))?;
    Name::try_from(text.to_owned()).map_err(|_| ApiError::WrongField {
        field: Field::Name,
        expected: "1 to 255 characters, none of them a control character, with no space at either end",
    })
}

/// A list of scopes, which must be there: an API key for everything is one that says so.
pub(super) fn scopes(body: &Body<'_>) -> Result<Scopes, ApiError> {
    let list = body
        .texts(Field::Scopes)?
        .ok_or(ApiError::MissingField(Field::Scopes))?;
    let wrong = ApiError::WrongField {
        field: Field::Scopes,
        expected: "a list of one or more of 'operation', 'operation:algorithm' and '*'",
    };
    // The text form joins grants by spaces, so a grant must not hold one.
    if list
        .iter()
        .any(|scope| scope.is_empty() || scope.contains(char::is_whitespace))
    {
        return Err(wrong);
    }
    list.join(" ").parse().map_err(|_| wrong)
}

/// A list of networks.
pub(super) fn networks(body: &Body<'_>, field: Field) -> Result<Option<Networks>, ApiError> {
    let Some(list) = body.texts(field)? else {
        return Ok(None);
    };
    let networks: Result<Vec<Network>, _> = list.iter().map(|text| text.parse()).collect();
    let networks = networks.and_then(Networks::try_from);
    networks.map(Some).map_err(|_| ApiError::WrongField {
        field,
        expected: "a list of at most 32 networks as in '192.0.2.0/24', with no bits set after the prefix",
    })
}

/// Looks the name of an operation up.
pub(super) fn operation(text: &str, field: Field) -> Result<Operation, ApiError> {
    Operation::from_name(text).map_err(|_| ApiError::UnknownOperation(field))
}
