//! A caller who writes down what it asked and what it was answered.

use chancel_tests::http::{Answer, Client};
use serde_json::{Map, Value, json};
use std::cell::RefCell;

const JSON: &str = "application/json";
const STREAM: &str = "application/octet-stream";

/// A caller whose requests are remembered with their answers.
pub struct Caller<'a> {
    pub client: Client,
    pub said: &'a RefCell<Vec<Value>>,
}

impl Caller<'_> {
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.client.post(path, body).expect("an answer");
        self.note("POST", path, json!({"media": JSON, "json": body}), answer)
    }

    pub fn post_stream(&self, path: &str, body: &[u8]) -> (Value, Vec<u8>) {
        let (answer, bytes) = self.client.post_stream(path, body).expect("an answer");
        (self.note("POST", path, json!({"media": STREAM}), answer), bytes)
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.client.get(path).expect("an answer");
        self.note("GET", path, Value::Null, answer)
    }

    pub fn delete(&self, path: &str) -> Value {
        let answer = self.client.delete(path).expect("an answer");
        self.note("DELETE", path, Value::Null, answer)
    }

    /// Remembers an exchange; returns the `data`, or of a refusal everything.
    fn note(&self, method: &str, path: &str, sent: Value, answer: Answer) -> Value {
        let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers: Map<_, _> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value).into()))
            .collect();
        self.said.borrow_mut().push(json!({
            "method": method, "path": path, "sent": sent, "status": answer.status,
            "media": answer.header("content-type"), "headers": headers, "json": answer.json,
        }));
        let mut whole = answer.json;
        match whole.get_mut("data") {
            Some(data) => data.take(),
            None => whole,
        }
    }
}
