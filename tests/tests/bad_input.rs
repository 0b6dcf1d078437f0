//! What no client of ours sends: malformed bodies, heads and framing, sent by hand. Each gets the documented envelope,
//! nothing else is disturbed by it, and nothing of what a caller sends is in any log.

#[path = "bad_input/bodies.rs"]
mod bodies;
#[path = "bad_input/framing.rs"]
mod framing;
#[path = "bad_input/heads.rs"]
mod heads;
#[path = "bad_input/logs.rs"]
mod logs;
#[path = "bad_input/wire.rs"]
mod wire;

use chancel_tests::api::{KEM, SIGNATURE};
use chancel_tests::shared::{Common, Shared};
use chancel_tests::{Daemon, Installation, Options};
use std::sync::OnceLock;
use wire::{Answer, Connection, Request};

const ENCRYPT: &str = "/api/v1/kem/encrypt";
const LIST: &str = "/api/v1/kms/keys";

/// The installation that these tests share, and an API key of a tenant that has a key of each algorithm.
struct Target {
    installation: Shared<'static>,
    api_key: &'static str,
    address: String,
}

impl Target {
    fn get() -> Self {
        static COMMON: Common = Common::new();
        static API_KEY: OnceLock<String> = OnceLock::new();
        let installation = COMMON.join_or(|| {
            Installation::with(Options {
                log: "debug",
                ..Options::default()
            })
        });
        let api_key = API_KEY.get_or_init(|| {
            let (_, key) = installation.tenant_with_api_key("bad input");
            for algorithm in [KEM, SIGNATURE] {
                installation.api(&key).first_key(algorithm);
            }
            key.text
        });
        let address = installation.address();
        Self {
            installation,
            api_key,
            address,
        }
    }

    fn connect(&self) -> Connection {
        Connection::open(&self.address)
    }

    /// A request with a valid API key.
    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, path).header("x-api-key", self.api_key)
    }

    fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Request {
        self.request("POST", path)
            .header("content-type", "application/json")
            .body(body)
    }

    /// Sends a request on a connection of its own.
    fn send(&self, request: &Request) -> Answer {
        self.send_bytes(&request.bytes())
    }

    fn send_bytes(&self, bytes: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.send(bytes);
        connection.answer().expect("an answer")
    }

    /// Fails unless the connection takes another request.
    #[track_caller]
    fn still_works_on(&self, connection: &mut Connection, what: &str) {
        connection.send(&self.request("GET", LIST).bytes());
        let answer = connection
            .answer()
            .unwrap_or_else(|| panic!("closed after {what}"));
        assert_eq!(answer.status, 200, "after {what}: {answer:?}");
        assert_eq!(answer.json["data"]["total"], 2, "after {what}");
    }

    /// Fails unless all daemons are the processes that were started, and work.
    #[track_caller]
    fn still_works(&self, what: &str) {
        self.still_works_on(&mut self.connect(), what);
        for daemon in Daemon::ALL {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.installation.pid(daemon)));
            let status = status.unwrap_or_default();
            assert!(!status.contains("State:\tZ"), "{daemon:?} ended after {what}");
            assert!(status.contains("State:"), "{daemon:?} is gone after {what}");
        }
    }
}

/// Fails unless this is a complete error envelope with that status and code.
#[track_caller]
fn is_refused(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!(
        (answer.status, answer.code()),
        (status, code),
        "{what}: {} {}",
        answer.head,
        String::from_utf8_lossy(&answer.body)
    );
    is_enveloped(answer, what);
}

/// Fails unless an error has everything that an error has.
#[track_caller]
fn is_enveloped(answer: &Answer, what: &str) {
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{what}: {answer:?}"
    );
    assert!(answer.code().starts_with("ERR_"), "{what}: {answer:?}");
    assert!(!answer.message().is_empty(), "{what}: {answer:?}");
    assert!(is_uuid(answer.request_id()), "{what}: {answer:?}");
    assert_eq!(
        answer.header("x-request-id"),
        Some(answer.request_id()),
        "{what}: {answer:?}"
    );
    let timestamp = answer.json["timestamp"].as_str().unwrap_or_default();
    assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{what}: {answer:?}");
    assert!(answer.json["data"].is_null(), "{what}: {answer:?}");
}

fn is_uuid(text: &str) -> bool {
    let hyphens = |at| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| {
            if hyphens(at) {
                byte == b'-'
            } else {
                byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
            }
        })
}
