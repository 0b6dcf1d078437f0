//! The HTTP API as a caller uses it, with what tests compare as values.

use crate::http::{Answer, Client};
use crate::wait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fmt;

/// The API for the holder of one API key.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
}

/// Why a call gave nothing.
#[derive(Debug)]
pub enum Failure {
    /// An error envelope, or something that is none.
    Refused(Box<Answer>),
    /// No answer at all.
    NoAnswer(Box<ureq::Error>),
}

impl Failure {
    /// The answer that refused.
    ///
    /// # Panics
    /// When there was no answer.
    #[track_caller]
    pub fn answer(&self) -> &Answer {
        match self {
            Self::Refused(answer) => answer,
            Self::NoAnswer(error) => panic!("no answer: {error}"),
        }
    }

    /// The error's status and code; 0 and nothing when there was no answer.
    pub fn code(&self) -> (u16, &str) {
        match self {
            Self::Refused(answer) => (answer.status, answer.error_code()),
            Self::NoAnswer(_) => (0, ""),
        }
    }
}

/// Bytes and the version of the key that made them.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// A ciphertext or a signature.
    pub bytes: Vec<u8>,
    /// The key's version.
    pub version: u64,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Made({} bytes, version {})", self.bytes.len(), self.version)
    }
}

/// A key as the API shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its version.
    pub version: u64,
    /// `active`, `retired` or `archived`.
    pub status: String,
    /// Its public key.
    pub public_key: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key(version {}, {})", self.version, self.status)
    }
}

/// Names that clients send.
pub const KEM: &str = "Kyber768";
/// As above.
pub const SIGNATURE: &str = "Dilithium3";

impl Api {
    /// With a client that sends the API key.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Posts, and returns the `data` of a success.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        data(self.client.post(path, body))
    }

    /// Gets, and returns the `data` of a success.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        data(self.client.get(path))
    }

    /// Deletes, and returns the `data` of a success.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn delete(&self, path: &str) -> Result<Value, Failure> {
        data(self.client.delete(path))
    }

    /// The same API, with an `Idempotency-Key` in each request.
    #[must_use]
    pub fn idempotent(&self, key: &str) -> Self {
        Self::new(self.client.clone().with_header("idempotency-key", key))
    }

    /// Makes the first key of an algorithm.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn generate(&self, algorithm: &str) -> Result<Key, Failure> {
        self.post("/api/v1/kms/keys/generate", &json!({"algorithm": algorithm}))
            .map(|data| key(&data))
    }

    /// Makes the first key of an algorithm for a test to begin with. A busy machine may say 503 first, and may have made
    /// the key all the same.
    ///
    /// # Panics
    /// When there is still no key after [`wait::PATIENCE`].
    pub fn first_key(&self, algorithm: &str) -> Key {
        wait::until("a first key", || match self.generate(algorithm) {
            Ok(key) => Some(key),
            Err(failure) => match failure.code() {
                (503, _) => None,
                (409, _) => self.keys(algorithm).ok()?.into_iter().next(),
                _ => panic!("no key: {failure:?}"),
            },
        })
    }

    /// Makes the next version of a key.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn rotate(&self, algorithm: &str) -> Result<u64, Failure> {
        self.post("/api/v1/kms/keys/rotate", &json!({"algorithm": algorithm}))
            .map(|data| version(&data))
    }

    /// Takes a version one step through its life: `retire`, `archive`, `restore`, `cancel-destruction`.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn step(&self, step: &str, algorithm: &str, version: u64) -> Result<Key, Failure> {
        let body = json!({"algorithm": algorithm, "key_version": version});
        self.post(&format!("/api/v1/kms/keys/{step}"), &body)
            .map(|data| key(&data))
    }

    /// Sets a date for a version's destruction; `None` for the usual one.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn destroy(&self, algorithm: &str, version: u64, days: Option<u32>) -> Result<Key, Failure> {
        let days = days.map_or_else(String::new, |days| format!("&days={days}"));
        self.delete(&format!("/api/v1/kms/keys/{version}?algorithm={algorithm}{days}"))
            .map(|data| key(&data))
    }

    /// One version.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn key(&self, algorithm: &str, version: u64) -> Result<Key, Failure> {
        self.get(&format!("/api/v1/kms/keys/{version}?algorithm={algorithm}"))
            .map(|data| key(&data))
    }

    /// All keys of an algorithm.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn keys(&self, algorithm: &str) -> Result<Vec<Key>, Failure> {
        let data = self.get(&format!("/api/v1/kms/keys?algorithm={algorithm}"))?;
        Ok(data["keys"].as_array().into_iter().flatten().map(key).collect())
    }

    /// Encrypts with the active key.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn encrypt(&self, plaintext: &[u8]) -> Result<Made, Failure> {
        self.post("/api/v1/kem/encrypt", &json!({"plaintext": encoded(plaintext)}))
            .map(|data| made(&data, "ciphertext"))
    }

    /// Decrypts.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn decrypt(&self, ciphertext: &Made) -> Result<Vec<u8>, Failure> {
        let body = json!({"ciphertext": encoded(&ciphertext.bytes), "key_version": ciphertext.version});
        self.post("/api/v1/kem/decrypt", &body)
            .map(|data| decoded(&data["plaintext"]))
    }

    /// Signs with the active key.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn sign(&self, message: &[u8]) -> Result<Made, Failure> {
        self.post("/api/v1/signature/sign", &json!({"message": encoded(message)}))
            .map(|data| made(&data, "signature"))
    }

    /// Whether a signature verifies.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn verify(&self, message: &[u8], signature: &Made) -> Result<bool, Failure> {
        let body = json!({
            "message": encoded(message),
            "signature": encoded(&signature.bytes),
            "key_version": signature.version,
        });
        self.post("/api/v1/signature/verify", &body)
            .map(|data| data["valid"].as_bool().expect("verify says yes or no"))
    }
}

/// Checks that a call was refused with a status and a code, in a whole envelope, and returns the answer.
///
/// # Panics
/// When it was not.
#[track_caller]
pub fn refused<T: fmt::Debug>(outcome: Result<T, Failure>, status: u16, code: &str) -> Answer {
    match outcome {
        Err(Failure::Refused(answer)) => {
            assert_eq!(
                (answer.status, answer.error_code()),
                (status, code),
                "{}",
                answer.text
            );
            assert!(answer.is_error_envelope(), "{}", answer.text);
            *answer
        }
        other => panic!("not refused with {status} {code}: {other:?}"),
    }
}

/// Standard base64, as the API takes it.
pub fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a base64 string in an answer.
///
/// # Panics
/// When it is none.
#[track_caller]
pub fn decoded(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("no string: {value}"));
    STANDARD.decode(text).expect("answers are in standard base64")
}

fn data(answer: Result<Answer, ureq::Error>) -> Result<Value, Failure> {
    let mut answer = answer.map_err(|error| Failure::NoAnswer(Box::new(error)))?;
    if answer.status < 400 && answer.json["data"].is_object() {
        Ok(answer.json["data"].take())
    } else {
        Err(Failure::Refused(Box::new(answer)))
    }
}

#[track_caller]
fn version(data: &Value) -> u64 {
    data["key_version"]
        .as_u64()
        .expect("an answer names the key version")
}

#[track_caller]
fn made(data: &Value, field: &str) -> Made {
    Made {
        bytes: decoded(&data[field]),
        version: version(data),
    }
}

#[track_caller]
fn key(data: &Value) -> Key {
    Key {
        version: version(data),
        status: data["status"].as_str().unwrap_or_default().to_owned(),
        public_key: data["public_key"]
            .as_str()
            .map_or_else(Vec::new, |_| decoded(&data["public_key"])),
    }
}
