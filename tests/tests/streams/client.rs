//! A client that sends streams by hand, so that how it does is seen.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

/// An answer as it came; `is_whole` unless it broke off.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    pub is_whole: bool,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.json()["error"]["error_code"], code);
    }

    #[track_caller]
    pub fn bytes(self) -> Vec<u8> {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        assert!(self.is_whole, "broken off");
        self.body
    }

    #[track_caller]
    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()["data"].clone()
    }
}

/// Posts a stream: everything is sent, and then the answer is read; or both at once.
pub fn post(address: &str, api_key: &str, path: &str, body: &[u8], at_once: bool) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .and_then(|()| stream.set_write_timeout(Some(Duration::from_secs(60))))
        .expect("a socket takes options");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nx-api-key: {api_key}\r\ncontent-type: application/octet-stream\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut sending = stream.try_clone().expect("a second handle");
    let send = move || {
        // A gateway that refuses may close before it has read everything.
        let _ = sending
            .write_all(head.as_bytes())
            .and_then(|()| sending.write_all(body));
        let _ = sending.shutdown(Shutdown::Write);
    };
    let mut received = Vec::new();
    thread::scope(|scope| {
        let sent = scope.spawn(send);
        if !at_once {
            sent.join().expect("a thread");
        }
        // A connection that is reset ends an answer, too.
        let _ = stream.read_to_end(&mut received);
    });
    parse(received)
}

pub fn parse(received: Vec<u8>) -> Answer {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.expect("the head of an answer") + 4;
    let head = String::from_utf8(received[..end].to_vec())
        .expect("text")
        .to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let body = received[end..].to_vec();
    Answer {
        status: status.expect("a status"),
        is_whole: length.and_then(|length| length.parse().ok()) == Some(body.len()),
        head,
        body,
    }
}

/// Posts a body in chunks.
pub fn chunked(address: &str, api_key: &str, path: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a socket takes options");
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nx-api-key: {api_key}\r\n\
         content-type: application/octet-stream; charset=binary\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    )
    .into_bytes();
    for chunk in body.chunks(10_000) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    stream.write_all(&request).expect("sent");
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    parse(received)
}

/// What a chunked body says, and whether its last chunk is there.
pub fn unchunked(mut body: &[u8]) -> (Vec<u8>, bool) {
    let mut whole = Vec::new();
    loop {
        let Some(end) = body.windows(2).position(|bytes| bytes == b"\r\n") else {
            return (whole, false);
        };
        let size = std::str::from_utf8(&body[..end]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        if size == 0 {
            return (whole, true);
        }
        let chunk = &body[end + 2..];
        whole.extend(&chunk[..size.min(chunk.len())]);
        match chunk.get(size + 2..) {
            Some(rest) => body = rest,
            None => return (whole, false),
        }
    }
}
