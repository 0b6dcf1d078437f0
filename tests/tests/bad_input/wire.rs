//! HTTP by hand over TCP, so that anything at all can be sent, and what comes back is seen as it is.

use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

/// How long an answer may take before the test fails: beyond every time-out of the gateway.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A connection to the gateway.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    pub json: Value,
}

impl Connection {
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream
            .set_read_timeout(Some(ANSWER_WITHIN))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_WITHIN)))
            .and_then(|()| stream.set_nodelay(true))
            .expect("a socket takes options");
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends bytes; false when the gateway has closed.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a byte a second until all are sent or the gateway closes, beside what else is done here.
    pub fn drip(&self, bytes: &[u8]) {
        let mut stream = self.stream.try_clone().expect("a second handle on a socket");
        let bytes = bytes.to_vec();
        thread::spawn(move || {
            for byte in bytes {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_secs(1));
            }
        });
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next answer; `None` when the gateway closes instead.
    pub fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more() {
                assert!(
                    self.received.is_empty(),
                    "half a head: {:?}",
                    self.received.escape_ascii().to_string()
                );
                return None;
            }
        };
        let head = String::from_utf8(self.received[..end].to_vec()).expect("a head is text");
        let length = value(&head, "content-length").map_or(0, |text| text.parse().expect("a length"));
        while self.received.len() < end + length {
            assert!(self.read_more(), "an answer broke off: {head}");
        }
        let body = self.received[end..end + length].to_vec();
        self.received.drain(..end + length);
        Some(Answer {
            status: head
                .split(' ')
                .nth(1)
                .and_then(|text| text.parse().ok())
                .expect("a status"),
            json: serde_json::from_slice(&body).unwrap_or_default(),
            head,
            body,
        })
    }

    /// Everything until the gateway closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.received)
    }

    /// Whether the gateway closes without sending anything more.
    pub fn is_closed(&mut self) -> bool {
        self.received.is_empty() && !self.read_more()
    }

    /// Reads what there is; false when the gateway has closed.
    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(error) => panic!("waiting for the gateway: {error}"),
        }
    }
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.head, name)
    }

    /// The code of an error.
    pub fn code(&self) -> &str {
        self.json["error"]["error_code"].as_str().unwrap_or_default()
    }

    /// The text of an error.
    pub fn message(&self) -> &str {
        self.json["error"]["message"].as_str().unwrap_or_default()
    }

    /// The request id in the body.
    pub fn request_id(&self) -> &str {
        self.json["request_id"].as_str().unwrap_or_default()
    }
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// A request with its head in parts; everything may be replaced.
#[derive(Clone)]
pub struct Request {
    method: String,
    target: String,
    version: &'static str,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    framed: bool,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            headers: vec![(b"host".to_vec(), b"localhost".to_vec())],
            body: Vec::new(),
            framed: true,
        }
    }

    #[must_use]
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Sends the body as it is, without a length: the headers given say how it is framed.
    #[must_use]
    pub fn unframed(mut self) -> Self {
        self.framed = false;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} {}\r\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.headers {
            for part in [name.as_slice(), b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        if self.framed && (!self.body.is_empty() || self.method == "POST") {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
