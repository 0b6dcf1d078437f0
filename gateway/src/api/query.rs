//! Query strings: `name=value` pairs, percent-encoded. Nothing in them is required to be ours; what is, counts
//! once.

use super::Field;
use crate::error::ApiError;
use std::borrow::Cow;

/// A query string.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// The query of a URL; none is an empty one.
    pub fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// All pairs, decoded.
    pub fn pairs(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
    }

    /// Takes these fields and no others, where one that is misspelt would be left out of account.
    ///
    /// # Errors
    /// [`ApiError::UnknownField`] for a name that is not among them.
    pub fn only(self, fields: &[Field]) -> Result<(), ApiError> {
        let is_known = |name: &str| fields.iter().any(|field| field.name() == name);
        if self.pairs().all(|(name, _)| is_known(&name)) {
            Ok(())
        } else {
            Err(ApiError::UnknownField)
        }
    }

    /// The value of a field.
    ///
    /// # Errors
    /// [`ApiError::DuplicateField`] when it is there twice.
    pub fn value(self, field: Field) -> Result<Option<Cow<'a, str>>, ApiError> {
        let mut values = self.pairs().filter(|(name, _)| name == field.name());
        let value = values.next().map(|(_, value)| value);
        match values.next() {
            None => Ok(value),
            Some(_) => Err(ApiError::DuplicateField(field)),
        }
    }
}

/// Undoes percent-encoding. What is malformed stays as it is: it then matches no name we know.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        match (byte, ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = ahead;
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_nonsense_stays_harmless() {
        let query = Query::new(Some("&a=1&b=%41+%4d&c&=d&%zz=%4&e=%ff"));
        let pairs: Vec<_> = query
            .pairs()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(pairs, ["a=1", "b=A M", "c=", "=d", "%zz=%4", "e=\u{fffd}"]);
    }

    #[test]
    fn a_field_counts_once() {
        let value = |text: &'static str| Query::new(Some(text)).value(Field::Status);
        assert_eq!(value("status=active"), Ok(Some("active".into())));
        assert_eq!(value("status="), Ok(Some("".into())));
        assert_eq!(value("x=1"), Ok(None));
        assert_eq!(
            value("status=a&st%61tus=b"),
            Err(ApiError::DuplicateField(Field::Status))
        );
        assert_eq!(Query::new(None).value(Field::Status), Ok(None));
    }
}
