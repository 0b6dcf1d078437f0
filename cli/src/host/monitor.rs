//! The gateway's monitor, asked over a plain connection on this host: one short question needs no HTTP library.

use super::Look;
use super::listener::reachable;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The monitor gives the other daemons 800 ms.
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer is a line.
const MAX_ANSWER: u64 = 64 << 10;

/// What `/readyz` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// `ready` or `unavailable`: whether requests are answered.
    pub status: String,
    /// `ready`, `without keyd` or `unavailable`.
    pub policyd: String,
    /// `ready` or `unavailable`.
    pub keyd: String,
}

impl Readiness {
    /// Whether requests are answered.
    pub fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

/// Asks `/readyz`.
pub fn readiness(monitor: SocketAddr) -> Look<Readiness> {
    ask(reachable(monitor))
        .map_err(|error| format!("{monitor}: {error}"))
        .into()
}

fn ask(monitor: SocketAddr) -> io::Result<Readiness> {
    let mut connection = TcpStream::connect_timeout(&monitor, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    // In one piece, as `write!` does not.
    let question = format!("GET /readyz HTTP/1.1\r\nHost: {monitor}\r\nConnection: close\r\n\r\n");
    connection.write_all(question.as_bytes())?;
    let mut answer = String::new();
    connection.take(MAX_ANSWER).read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other("what answers there is not the gateway's monitor"))
}

fn parse(answer: &str) -> Option<Readiness> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 ")
        .then(|| serde_json::from_str(body).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn an_answer_of_either_status_is_read_and_anothers_is_not() {
        let body = r#"{"status":"unavailable","policyd":"without keyd","keyd":"unavailable"}"#;
        let answer =
            format!("HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\r\n{body}");
        let readiness = parse(&answer).unwrap();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.policyd, "without keyd");
        assert_eq!(parse("HTTP/1.1 200 OK\r\n\r\n<html>"), None);
        assert_eq!(parse("SSH-2.0-OpenSSH_9.2\r\n"), None);
    }

    #[test]
    fn the_question_goes_over_a_connection_and_nobody_there_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            // Whoever closes without having read everything resets the connection.
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            let body = r#"{"status":"ready","policyd":"ready","keyd":"ready"}"#;
            write!(connection, "HTTP/1.1 200 OK\r\n\r\n{body}").unwrap();
            String::from_utf8(asked).unwrap()
        });
        assert!(readiness(address).seen().unwrap().is_ready());
        assert!(served.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        let Look::Unseen(reason) = readiness(address) else {
            panic!("nobody listens there any more");
        };
        assert!(reason.starts_with("127.0.0.1:"), "{reason}");
    }
}
