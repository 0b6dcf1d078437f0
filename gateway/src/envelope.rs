//! The two shapes of an answer, written straight into one buffer:
//! `{"data":{…},"request_id":"…","timestamp":"…"}` and
//! `{"error":{"error_code":"…","message":"…"},"request_id":"…","timestamp":"…"}`.
//!
//! Values are numbers, short text, lists and base64, so a writer of a few lines does what a serializer would, and
//! base64 goes into the answer without a copy of the plaintext in between.

use crate::error::ApiError;
use crate::timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancel_domain::RequestId;
use zeroize::Zeroizing;

/// A finished answer, wiped when it has been sent: it may carry a plaintext.
pub type Json = Zeroizing<Vec<u8>>;

/// Room for everything of an envelope but its payload.
const FRAME: usize = 512;

/// The fields of an object that is being written.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

/// Writes a success envelope. `payload` is how many bytes of base64 text will come, so that the buffer is
/// large enough from the start: one that grows would leave copies behind.
pub fn success(request: RequestId, payload: usize, fields: impl FnOnce(&mut Object<'_>)) -> Json {
    let mut out = Zeroizing::new(Vec::with_capacity(FRAME + payload));
    object(&mut out, |envelope| {
        envelope.object("data", fields);
        trailer(envelope, request);
    });
    out
}

/// Writes an error envelope.
pub fn error(request: RequestId, error: &ApiError) -> Json {
    let mut out = Zeroizing::new(Vec::with_capacity(FRAME));
    object(&mut out, |envelope| {
        envelope.object("error", |object| write_error(object, error));
        trailer(envelope, request);
    });
    out
}

/// Writes what is said of an error.
pub fn write_error(object: &mut Object<'_>, error: &ApiError) {
    object.text("error_code", error.code().name());
    object.text("message", &error.to_string());
}

/// Bytes of base64 text for bytes of data.
pub const fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

fn trailer(envelope: &mut Object<'_>, request: RequestId) {
    envelope.text("request_id", &request.to_string());
    envelope.text("timestamp", &timestamp::now());
}

fn object(out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    let mut object = Object { out, empty: true };
    fields(&mut object);
    out.push(b'}');
}

impl Object<'_> {
    /// A field of text.
    pub fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        // NOTE(expect): text always serializes, and a Vec takes it.
        serde_json::to_writer(&mut *self.out, value).expect("text serializes into a Vec");
    }

    /// A field of text that may be absent, which is null.
    pub fn optional_text(&mut self, name: &'static str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => {
                self.name(name);
                self.out.extend_from_slice(b"null");
            }
        }
    }

    /// A field with a number that may be absent, which is null.
    pub fn optional_number(&mut self, name: &'static str, value: Option<u64>) {
        match value {
            Some(value) => self.number(name, value),
            None => self.optional_text(name, None),
        }
    }

    /// A field that is a list of texts.
    pub fn texts<'t>(&mut self, name: &'static str, values: impl IntoIterator<Item = &'t str>) {
        self.name(name);
        self.out.push(b'[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            // NOTE(expect): text always serializes, and a Vec takes it.
            serde_json::to_writer(&mut *self.out, value).expect("text serializes into a Vec");
        }
        self.out.push(b']');
    }

    /// A field that is a list of values which are JSON already.
    pub fn raw_list(&mut self, name: &'static str, values: &[String]) {
        self.name(name);
        self.out.push(b'[');
        self.out.extend_from_slice(values.join(",").as_bytes());
        self.out.push(b']');
    }

    /// An object whose fields are named by another daemon.
    pub fn pairs(&mut self, name: &'static str, pairs: &[(String, String)]) {
        let named: std::collections::BTreeMap<_, _> =
            pairs.iter().map(|(name, value)| (name, value)).collect();
        self.name(name);
        // NOTE(expect): text always serializes, and a Vec takes it.
        serde_json::to_writer(&mut *self.out, &named).expect("text serializes into a Vec");
    }

    /// Makes room for a secret, so that the buffer does not grow while it is written.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(FRAME + bytes);
    }

    /// A field of bytes, as base64.
    pub fn base64(&mut self, name: &'static str, value: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        let from = self.out.len();
        self.out.resize(from + base64_len(value.len()), 0);
        // NOTE(expect): the room is what padded base64 takes.
        STANDARD
            .encode_slice(value, &mut self.out[from..])
            .expect("the room is exact");
        self.out.push(b'"');
    }

    /// A field with a number.
    pub fn number(&mut self, name: &'static str, value: impl Into<u64>) {
        self.name(name);
        self.out.extend_from_slice(value.into().to_string().as_bytes());
    }

    /// A field that is true or false.
    pub fn boolean(&mut self, name: &'static str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A field that is an object.
    pub fn object(&mut self, name: &'static str, fields: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        object(self.out, fields);
    }

    /// A field that is a list of objects.
    pub fn list<T>(&mut self, name: &'static str, items: &[T], fields: impl Fn(&mut Object<'_>, &T)) {
        self.name(name);
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            object(self.out, |object| fields(object, item));
        }
        self.out.push(b']');
    }

    /// Names are ours and need no escaping.
    fn name(&mut self, name: &'static str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ID: RequestId = RequestId::from_bytes([0xab; 16]);

    #[test]
    fn a_success_is_the_json_it_should_be() {
        let written = success(ID, 100, |data| {
            data.base64("ciphertext", b"\x00\xff\xfe");
            data.base64("empty", b"");
            data.number("key_version", 7u32);
            data.text("name", "a \"b\"\n\u{1f}ä");
            data.boolean("valid", false);
            data.object("plan", |plan| plan.text("name", "free"));
            data.list("keys", &[1u32, 2], |key, number| key.number("n", *number));
            data.list("none", &[0u32; 0], |_, _| {});
            data.optional_text("absent", None);
            data.optional_number("some", Some(3));
            data.texts("texts", ["a\"", "b"]);
            data.raw_list("raw", &["{\"a\":1}".to_owned(), "{}".to_owned()]);
            data.pairs("saw", &[("b\"".to_owned(), "2".to_owned())]);
        });
        let parsed: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(
            parsed["data"],
            json!({"ciphertext": "AP/+", "empty": "", "key_version": 7, "name": "a \"b\"\n\u{1f}ä", "valid": false,
                   "plan": {"name": "free"}, "keys": [{"n": 1}, {"n": 2}], "none": [],
                   "absent": null, "some": 3, "texts": ["a\"", "b"], "raw": [{"a": 1}, {}], "saw": {"b\"": "2"}})
        );
        assert_eq!(parsed["request_id"], "abababab-abab-abab-abab-abababababab");
        assert!(parsed["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn an_error_has_code_and_message() {
        let parsed: Value = serde_json::from_slice(&error(ID, &ApiError::SymmetricKeyLength(20))).unwrap();
        let error = json!({"error_code": "ERR_KEM_010", "message": "Invalid symmetric key length: 20 bytes"});
        assert_eq!(parsed["error"], error);
    }

    #[test]
    fn a_buffer_with_its_payload_announced_does_not_grow() {
        let payload = vec![7; 100_000];
        let written = success(ID, base64_len(payload.len()), |data| {
            data.base64("plaintext", &payload);
            data.number("key_version", u32::MAX);
            data.text("algorithm", "SLH-DSA-SHA2-128s");
        });
        assert!(written.len() <= FRAME + base64_len(payload.len()));
    }
}
