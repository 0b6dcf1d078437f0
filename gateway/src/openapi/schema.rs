//! What a value is, in the words of the tables, and the same as JSON Schema.

use crate::api::Field;
use crate::error::Code;
use serde_json::{Map, Value, json};

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub enum Schema {
    /// Bytes, as standard base64.
    Bytes,
    /// Bytes, as base64url: the standard alphabet's `+` is a space in a query.
    BytesInQuery,
    /// Any text.
    Text,
    /// One text.
    Constant(&'static str),
    /// One of some texts, which no table has.
    OneOf(&'static [&'static str]),
    /// Texts by names that another daemon chooses.
    TextByName,
    /// A UUID.
    Id,
    /// An instant, RFC 3339.
    Time,
    /// An instant, or null.
    TimeOrNull,
    /// True or false.
    Boolean,
    /// A number that nothing bounds but its type.
    Count,
    /// The same, or null.
    CountOrNull,
    /// A number in a range.
    Number(u64, u64),
    /// One of the named schemas of [`super::names`].
    Named(&'static str),
    /// A list of this many values at most.
    List(&'static Self, usize),
    /// An object in an answer.
    Object(&'static [Property]),
    /// An object in a request, with no other fields than these.
    Fields(&'static [Takes]),
    /// The same with exactly one of them.
    OneField(&'static [Takes]),
}

/// A field that a request may have.
#[derive(Debug, Clone, Copy)]
pub struct Takes {
    /// Which.
    pub field: Field,
    /// What is in it.
    pub schema: Schema,
    /// Whether it has to be there.
    pub required: bool,
    /// What its absence means, where that is a value.
    pub default: Option<&'static str>,
}

/// A property that an answer may have.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub schema: Schema,
    /// Whether it is always there.
    pub always: bool,
}

/// A field that has to be there.
pub const fn must(field: Field, schema: Schema) -> Takes {
    Takes {
        field,
        schema,
        required: true,
        default: None,
    }
}

/// A field that may be absent.
pub const fn may(field: Field, schema: Schema) -> Takes {
    Takes {
        required: false,
        ..must(field, schema)
    }
}

/// A field whose absence means a value.
pub const fn may_be(field: Field, schema: Schema, default: &'static str) -> Takes {
    Takes {
        default: Some(default),
        ..may(field, schema)
    }
}

/// A property that is always there.
pub const fn always(name: &'static str, schema: Schema) -> Property {
    Property {
        name,
        schema,
        always: true,
    }
}

/// A property that is there where it applies.
pub const fn sometimes(name: &'static str, schema: Schema) -> Property {
    Property {
        always: false,
        ..always(name, schema)
    }
}

impl Schema {
    /// As JSON Schema.
    pub fn json(self) -> Value {
        match self {
            Self::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Self::BytesInQuery => json!({"type": "string", "contentEncoding": "base64url"}),
            Self::Text => json!({"type": "string"}),
            Self::Constant(text) => json!({"type": "string", "const": text}),
            Self::OneOf(texts) => json!({"type": "string", "enum": texts}),
            Self::TextByName => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Self::Id => json!({"type": "string", "format": "uuid"}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
            Self::TimeOrNull => json!({"type": ["string", "null"], "format": "date-time"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Count => json!({"type": "integer", "minimum": 0}),
            Self::CountOrNull => json!({"type": ["integer", "null"], "minimum": 0}),
            Self::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Self::Named(name) => reference("schemas", name),
            Self::List(of, usize::MAX) => json!({"type": "array", "items": of.json()}),
            Self::List(of, most) => json!({"type": "array", "items": of.json(), "maxItems": most}),
            Self::Object(properties) => object(properties),
            Self::Fields(fields) => closed(fields_object(fields)),
            Self::OneField(fields) => {
                let mut object = closed(fields_object(fields));
                object["minProperties"] = 1.into();
                object["maxProperties"] = 1.into();
                object
            }
        }
    }
}

/// A reference to a component.
pub fn reference(section: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{section}/{name}")})
}

/// An object in an answer. Later versions may add to it, so nothing says that it has no other properties.
pub fn object<'a>(properties: impl IntoIterator<Item = &'a Property>) -> Value {
    let (mut all, mut required) = (Map::new(), Vec::new());
    for property in properties {
        all.insert(property.name.to_owned(), property.schema.json());
        if property.always {
            required.push(property.name);
        }
    }
    written(all, &required)
}

/// An object in a request.
pub fn fields_object<'a>(fields: impl IntoIterator<Item = &'a Takes>) -> Value {
    let (mut all, mut required) = (Map::new(), Vec::new());
    for takes in fields {
        all.insert(takes.field.name().to_owned(), takes.json());
        if takes.required {
            required.push(takes.field.name());
        }
    }
    written(all, &required)
}

/// Says that an object has no other properties.
pub fn closed(mut object: Value) -> Value {
    object["additionalProperties"] = false.into();
    object
}

fn written(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut object = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

impl Takes {
    /// The code for text in it that is not base64; `None` where it need not be.
    pub const fn encoding(&self) -> Option<Code> {
        match self.schema {
            Schema::Bytes | Schema::BytesInQuery => Some(self.field.invalid_encoding()),
            _ => None,
        }
    }

    /// Its value, and what its absence means.
    pub fn json(&self) -> Value {
        let mut schema = self.schema.json();
        if let Some(default) = self.default {
            schema["default"] = default.into();
        }
        schema
    }
}
