//! Request bodies: one JSON object whose known fields are taken out, each at most once, and whose other
//! fields are skipped.
//!
//! All operations share this one reader. It takes any value for any field, so that a wrong type is reported
//! by the field's name, in our words, and never by a library that quotes what it found.

use super::Field;
use super::field::FIELDS;
use crate::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancel_domain::batch::MAX_BATCH;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// The known fields of a body. Text borrows from the received bytes where JSON escapes permit; where they do
/// not, the copy is wiped.
pub struct Body<'a> {
    values: [Option<Value<'a>>; FIELDS.len()],
    /// Whether there were names that no row of the table has.
    has_others: bool,
}

impl Default for Body<'_> {
    fn default() -> Self {
        Self {
            values: std::array::from_fn(|_| None),
            has_others: false,
        }
    }
}

enum Value<'a> {
    /// Counts as absent, but not twice.
    Null,
    Text(Text<'a>),
    Number(u64),
    /// A list of nothing but text.
    Texts(Vec<Text<'a>>),
    /// An object, in a field that is one.
    Object(Box<Body<'a>>),
    /// A list of values that are read later, each by itself, in a field that is one.
    Items(Vec<&'a RawValue>),
    Other,
}

/// Values of a list; a longer one is not read as one.
const MOST_VALUES: usize = 256;

struct Text<'a>(Cow<'a, str>);

impl Drop for Text<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

impl<'a> Body<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ApiError::NotJson`], [`ApiError::NotAnObject`], [`ApiError::DuplicateField`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ApiError> {
        let mut problem = None;
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let body = BodySeed(&mut problem)
            .deserialize(&mut json)
            .and_then(|body| json.end().map(|()| body));
        match (problem, body) {
            (Some(problem), _) => Err(problem),
            (None, Ok(body)) => Ok(body),
            (None, Err(error)) => Err(ApiError::NotJson {
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// The bytes of a field that must be there, as base64.
    ///
    /// # Errors
    /// [`ApiError::MissingField`], [`ApiError::WrongField`], [`ApiError::NotBase64`].
    pub fn bytes(&self, field: Field) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        self.optional_bytes(field)?.ok_or(ApiError::MissingField(field))
    }

    /// The bytes of a field that may be absent.
    ///
    /// # Errors
    /// [`ApiError::WrongField`], [`ApiError::NotBase64`].
    pub fn optional_bytes(&self, field: Field) -> Result<Option<Zeroizing<Vec<u8>>>, ApiError> {
        let Some(text) = self.text(field)? else {
            return Ok(None);
        };
        // Room for all of it from the start: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len().div_ceil(4) * 3));
        STANDARD
            .decode_vec(text, &mut bytes)
            .map_err(|_| ApiError::NotBase64(field))?;
        Ok(Some(bytes))
    }

    /// The text of a field that may be absent.
    ///
    /// # Errors
    /// [`ApiError::WrongField`] for anything but text.
    pub fn text(&self, field: Field) -> Result<Option<&str>, ApiError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(&text.0)),
            Some(_) => Err(ApiError::WrongField {
                field,
                expected: "a string",
            }),
        }
    }

    /// The number of a field that may be absent, from 0 to 4,294,967,295.
    ///
    /// # Errors
    /// [`ApiError::WrongField`] for anything else.
    pub fn number(&self, field: Field) -> Result<Option<u32>, ApiError> {
        let wrong = ApiError::WrongField {
            field,
            expected: "an integer from 0 to 4294967295",
        };
        match self.value(field) {
            None => Ok(None),
            Some(Value::Number(number)) => u32::try_from(*number).map(Some).map_err(|_| wrong),
            Some(_) => Err(wrong),
        }
    }

    /// The texts of a field that may be absent.
    ///
    /// # Errors
    /// [`ApiError::WrongField`] for anything but a list of texts.
    pub fn texts(&self, field: Field) -> Result<Option<Vec<&str>>, ApiError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Texts(texts)) => Ok(Some(texts.iter().map(|text| &*text.0).collect())),
            Some(_) => Err(ApiError::WrongField {
                field,
                expected: "a list of at most 256 strings",
            }),
        }
    }

    /// The fields of a field that may be absent.
    ///
    /// # Errors
    /// [`ApiError::WrongField`] for anything but an object.
    pub fn object(&self, field: Field) -> Result<Option<&Self>, ApiError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(ApiError::WrongField {
                field,
                expected: "an object",
            }),
        }
    }

    /// The values of a field that must be there, unread; of too many, only more than a batch has.
    ///
    /// # Errors
    /// [`ApiError::MissingField`], [`ApiError::WrongField`] for anything but a list.
    pub fn items(&self, field: Field) -> Result<&[&'a RawValue], ApiError> {
        match self.value(field) {
            None => Err(ApiError::MissingField(field)),
            Some(Value::Items(items)) => Ok(items),
            Some(_) => Err(ApiError::WrongField {
                field,
                expected: "a list of objects",
            }),
        }
    }

    /// Takes these fields and no others, where one that is misspelt would grant more, or forbid more, than was meant.
    ///
    /// # Errors
    /// [`ApiError::UnknownField`] for a field that is not among them.
    pub fn only(&self, fields: &[Field]) -> Result<(), ApiError> {
        let is_foreign = |(field, _): &(Field, _)| self.names(*field) && !fields.contains(field);
        if self.has_others || FIELDS.iter().any(is_foreign) {
            return Err(ApiError::UnknownField);
        }
        Ok(())
    }

    /// Whether a field is there, be it as null.
    pub const fn names(&self, field: Field) -> bool {
        // NOTE(index): one place for each row of the table, in its order.
        self.values[field as usize].is_some()
    }

    fn value(&self, field: Field) -> Option<&Value<'a>> {
        // NOTE(index): one place for each row of the table, in its order.
        self.values[field as usize]
            .as_ref()
            .filter(|value| !matches!(value, Value::Null))
    }
}

struct BodySeed<'p>(&'p mut Option<ApiError>);

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = Body<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Body<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// What JSON syntax permits and a body does not.
macro_rules! not_an_object {
    ($($visit:ident($type:ty)),+) => {
        $(fn $visit<E: serde::de::Error>(self, _: $type) -> Result<Self::Value, E> {
            *self.0 = Some(ApiError::NotAnObject);
            Err(E::custom("not an object"))
        })+
    };
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = Body<'de>;

    not_an_object!(
        visit_bool(bool),
        visit_u64(u64),
        visit_i64(i64),
        visit_f64(f64),
        visit_str(&str)
    );

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        *self.0 = Some(ApiError::NotAnObject);
        Err(E::custom("not an object"))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, _: S) -> Result<Self::Value, S::Error> {
        *self.0 = Some(ApiError::NotAnObject);
        Err(S::Error::custom("not an object"))
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Body<'de>, M::Error> {
        fields(self.0, map)
    }
}

fn fields<'de, M: MapAccess<'de>>(problem: &mut Option<ApiError>, mut map: M) -> Result<Body<'de>, M::Error> {
    let mut body = Body::default();
    while let Some(field) = map.next_key_seed(NameSeed)? {
        let value = map.next_value_seed(match field {
            Some(field) if field.is_object() => ValueSeed::Object(problem),
            Some(Field::Items) => ValueSeed::Items,
            _ => ValueSeed::Plain,
        })?;
        let Some(field) = field else {
            body.has_others = true;
            continue;
        };
        let place = &mut body.values[field as usize];
        if place.is_some() {
            *problem = Some(ApiError::DuplicateField(field));
            return Err(M::Error::custom("duplicate field"));
        }
        *place = Some(value);
    }
    Ok(body)
}

struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Option<Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Field>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Option<Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<Field>, E> {
        Ok(Field::from_name(name))
    }
}

enum ValueSeed<'p> {
    /// For a field that is neither of the two below.
    Plain,
    /// For a field that is an object: where to say what is wrong inside.
    Object(&'p mut Option<ApiError>),
    /// For a field that is a list of values to be read later.
    Items,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Text(Cow::Owned(text.to_owned()))))
    }

    // Read value by value, not by `IgnoredAny`, which knows no limit of depth.
    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Value<'de>, S::Error> {
        if matches!(self, Self::Items) {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                if items.len() <= MAX_BATCH.into() {
                    items.push(item);
                }
            }
            return Ok(Value::Items(items));
        }
        let mut texts = Some(Vec::new());
        while let Some(value) = seq.next_element_seed(ValueSeed::Plain)? {
            match (value, &mut texts) {
                (Value::Text(text), Some(texts)) if texts.len() < MOST_VALUES => texts.push(text),
                _ => texts = None,
            }
        }
        Ok(texts.map_or(Value::Other, Value::Texts))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value<'de>, M::Error> {
        if let Self::Object(problem) = self {
            return fields(problem, map).map(|body| Value::Object(Box::new(body)));
        }
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(ValueSeed::Plain)?;
        }
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests;
