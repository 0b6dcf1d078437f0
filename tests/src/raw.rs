//! The protocol between the daemons, spoken by hand: whole requests, and any bytes at all.

use crate::metrics::Metrics;
use chancel_wire::frame::{self, FrameBuffer};
use chancel_wire::hello::{Hello, Role, ServiceToken, WELCOME_LEN, check_version};
use chancel_wire::keyd::{KeydError, KeydReply, KeydRequest, UseInput};
use chancel_wire::permit::SignedPermit;
use chancel_wire::policyd::{Ask, Caller, PolicydReply, PolicydRequest};
use chancel_wire::{decode, encode};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long an answer may take before the test fails: no claim, only an end to waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// What requests say of how long they wait: long, so that a busy machine does not decide what is answered.
const BUDGET_MS: u32 = 15_000;

/// One end of a connection, before or after the hello.
#[derive(Debug)]
pub struct Line {
    stream: UnixStream,
}

/// A connection past its hello.
pub struct Peer {
    stream: UnixStream,
    received: FrameBuffer,
    last: u64,
}

/// An answer's body, still encoded: what it decodes to borrows from it.
#[derive(Debug)]
pub struct Body(pub Vec<u8>);

impl Line {
    /// Over a connected stream.
    pub fn over(stream: UnixStream) -> Self {
        stream
            .set_read_timeout(Some(ANSWER_WITHIN))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_WITHIN)))
            .expect("a socket takes time-outs");
        Self { stream }
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// When the other side has closed.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Whether the other side closes, without having sent a byte. Anything it sends, and silence, are `false`.
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(count) => count == 0,
            Err(error) => is_closing(&error),
        }
    }

    /// Introduces itself.
    ///
    /// # Errors
    /// When the other side closes instead of welcoming.
    pub fn hello(self, role: Role, token: &ServiceToken) -> io::Result<Peer> {
        self.hello_bytes(&Hello::new(role, token.clone()).to_bytes())
    }

    /// Introduces itself with any bytes.
    ///
    /// # Errors
    /// When the other side closes instead of welcoming.
    pub fn hello_bytes(mut self, hello: &[u8]) -> io::Result<Peer> {
        self.send(hello)?;
        let mut welcome = [0; WELCOME_LEN];
        self.stream.read_exact(&mut welcome)?;
        check_version(welcome).map_err(io::Error::other)?;
        Ok(Peer {
            stream: self.stream,
            received: FrameBuffer::new(chancel_wire::limits::MAX_BATCH_FRAME_BODY),
            last: 0,
        })
    }
}

impl Peer {
    /// Sends any bytes.
    ///
    /// # Errors
    /// When the other side has closed.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request, and returns its number.
    ///
    /// # Errors
    /// When the other side has closed.
    pub fn send<T: serde::Serialize>(&mut self, request: &T) -> io::Result<u64> {
        self.last += 1;
        self.send_bytes(&frame::seal(self.last, BUDGET_MS, request))?;
        Ok(self.last)
    }

    /// The next answer, with the number of its request.
    ///
    /// # Errors
    /// `UnexpectedEof` when the other side closes.
    pub fn receive(&mut self) -> io::Result<(u64, Body)> {
        loop {
            match self.received.next_frame() {
                Ok(Some(frame)) => return Ok((frame.correlation, Body(frame.body.to_vec()))),
                Ok(None) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
            let count = match self.stream.read(self.received.spare()) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if is_closing(&error) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(error),
            };
            self.received.filled(count);
        }
    }

    /// Whether the other side closes, without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.receive()
            .is_err_and(|error| error.kind() == ErrorKind::UnexpectedEof)
    }

    /// Sends a request and waits for its answer; answers to other requests are dropped.
    ///
    /// # Errors
    /// When the other side closes.
    pub fn ask<T: serde::Serialize>(&mut self, request: &T) -> io::Result<Body> {
        let sent = self.send(request)?;
        loop {
            let (number, body) = self.receive()?;
            if number == sent {
                return Ok(body);
            }
        }
    }

    /// Sends an encoded request, which may be none, and waits for its answer.
    ///
    /// # Errors
    /// When the other side closes.
    pub fn ask_bytes(&mut self, body: &[u8]) -> io::Result<Body> {
        self.last += 1;
        let mut bytes = frame::seal_ping(self.last).to_vec();
        let length = u32::try_from(bytes.len() - 4 + body.len()).expect("a frame is small");
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes[12..16].copy_from_slice(&BUDGET_MS.to_be_bytes());
        bytes.extend_from_slice(body);
        self.send_bytes(&bytes)?;
        self.receive().map(|(_, body)| body)
    }

    /// Asks keyd to use a key.
    ///
    /// # Errors
    /// Why keyd did not.
    #[track_caller]
    pub fn use_key(&mut self, permit: &SignedPermit, input: &[u8]) -> Result<Vec<u8>, KeydError> {
        let request = KeydRequest::Use {
            permit: permit.clone(),
            input,
        };
        let body = self.ask(&request).expect("keyd answers");
        match body.keyd() {
            KeydReply::Output(output) => Ok(output.to_vec()),
            KeydReply::Refused(error) => Err(error),
            other => panic!("not an answer to that: {other:?}"),
        }
    }

    /// Why keyd refuses a request.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn refusal(&mut self, request: &KeydRequest<'_>) -> KeydError {
        let body = self.ask(request).expect("keyd answers");
        match body.keyd() {
            KeydReply::Refused(error) => error,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// keyd's counters.
    #[track_caller]
    pub fn keyd_metrics(&mut self) -> Metrics {
        let body = self.ask(&KeydRequest::Metrics).expect("keyd answers");
        match body.keyd() {
            KeydReply::Metrics(samples) => Metrics::of(samples),
            other => panic!("not an answer to that: {other:?}"),
        }
    }

    /// policyd's counters.
    #[track_caller]
    pub fn policyd_metrics(&mut self) -> Metrics {
        let body = self.ask(&PolicydRequest::Metrics).expect("policyd answers");
        match body.policyd() {
            PolicydReply::Metrics(samples) => Metrics::of(samples),
            other => panic!("not an answer to that: {other:?}"),
        }
    }

    /// Asks policyd what the gateway would ask for a caller.
    #[track_caller]
    pub fn ask_policyd(&mut self, api_key: &str, ask: Ask) -> PolicydReply {
        let mut request = [0; 16];
        aws_lc_rs::rand::fill(&mut request).expect("randomness");
        let request = PolicydRequest::Ask {
            caller: Caller {
                api_key,
                request: chancel_domain::RequestId::from_bytes(request),
                source: IpAddr::V4(Ipv4Addr::LOCALHOST),
                idempotency_key: None,
            },
            ask,
        };
        self.ask(&request).expect("policyd answers").policyd()
    }
}

impl Body {
    /// As an answer of keyd.
    #[track_caller]
    pub fn keyd(&self) -> KeydReply<'_> {
        decode(&self.0).expect("an answer of keyd")
    }

    /// As an answer of policyd.
    #[track_caller]
    pub fn policyd(&self) -> PolicydReply {
        decode(&self.0).expect("an answer of policyd")
    }
}

/// The input of an operation, as it travels and as permits are bound to it.
pub fn input(input: &UseInput<'_>) -> Vec<u8> {
    encode(input)
}

/// A Unix socket whose other end was closed says so in more than one way.
fn is_closing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
    )
}
