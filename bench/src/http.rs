//! The smallest HTTP/1.1 client that will do: requests are bytes made beforehand, answers are a status and as many
//! bytes as `Content-Length` says. It shares the machine with what it measures, so it does nothing else.

use crate::problem::Problem;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Head and body of the largest answer: a signature, or a public key.
const LARGEST_ANSWER: usize = 128 << 10;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Where the gateway is, whom to trust for it, and how to authenticate to it.
#[derive(Clone)]
pub struct Gateway {
    address: SocketAddr,
    tls: TlsConnector,
    api_key: String,
}

/// A request, ready to be sent.
#[derive(Clone)]
pub struct Request {
    path: String,
    bytes: Arc<[u8]>,
}

/// One answer, in the connection's buffer.
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// One kept-alive connection.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Box<[u8]>,
}

impl Gateway {
    /// A gateway whose certificate an authority (PEM) has signed; TLS 1.3 only.
    ///
    /// # Errors
    /// [`Problem::Certificate`] or [`Problem::Wrong`] when the authority's certificate is none.
    pub fn new(address: SocketAddr, authority: &[u8], api_key: String) -> Result<Self, Problem> {
        let certificate = CertificateDer::from_pem_slice(authority)
            .map_err(|error| Problem::Wrong(format!("the authority's certificate: {error}")))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address,
            tls: TlsConnector::from(Arc::new(config)),
            api_key,
        })
    }

    /// A request without a body.
    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path, "")
    }

    /// A request with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Request {
        self.request("POST", path, &body.to_string())
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Request {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\nuser-agent: chancel-bench\r\ncontent-length: {}\r\n\r\n",
            self.api_key,
            body.len()
        );
        Request {
            path: path.to_owned(),
            bytes: [head.as_bytes(), body.as_bytes()].concat().into(),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Problem::Connection`].
    pub async fn connect(&self) -> Result<Connection, Problem> {
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(Problem::Connection)?;
        stream.set_nodelay(true).map_err(Problem::Connection)?;
        // NOTE(expect): a constant.
        let name = ServerName::try_from("localhost").expect("a host name");
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(Problem::Connection)?;
        Ok(Connection {
            stream,
            buffer: vec![0; LARGEST_ANSWER].into(),
        })
    }
}

impl Connection {
    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// [`Problem::Connection`] or [`Problem::NotHttp`]; the connection is then of no more use.
    pub async fn exchange(&mut self, request: &Request) -> Result<Answer<'_>, Problem> {
        self.stream
            .write_all(&request.bytes)
            .await
            .map_err(Problem::Connection)?;
        self.stream.flush().await.map_err(Problem::Connection)?;
        let mut filled = 0;
        let mut head = None;
        loop {
            let count = self
                .stream
                .read(&mut self.buffer[filled..])
                .await
                .map_err(Problem::Connection)?;
            if count == 0 {
                return Err(Problem::NotHttp("it ended early"));
            }
            filled += count;
            if head.is_none() {
                head = Head::parse(&self.buffer[..filled])?;
            }
            let Some(head) = &head else { continue };
            let end = head.length + head.content_length;
            if filled > end {
                return Err(Problem::NotHttp("it is longer than it says"));
            }
            if filled == end {
                return Ok(Answer {
                    status: head.status,
                    body: &self.buffer[head.length..end],
                });
            }
            if end > self.buffer.len() {
                return Err(Problem::NotHttp("it is too long"));
            }
        }
    }

    /// Sends a request and returns the `data` of its answer, which must be a success.
    ///
    /// # Errors
    /// [`Problem`] when there is none.
    pub async fn ask(&mut self, request: &Request) -> Result<Value, Problem> {
        let answer = self.exchange(request).await?;
        let body: Option<Value> = serde_json::from_slice(answer.body).ok();
        match body.map(|mut body| body["data"].take()) {
            Some(data) if answer.status < 300 && data.is_object() => Ok(data),
            _ => Err(answer.refused(request)),
        }
    }
}

impl Answer<'_> {
    /// This answer as a failure.
    pub fn refused(&self, request: &Request) -> Problem {
        let shown = &self.body[..self.body.len().min(300)];
        Problem::Status {
            path: request.path.clone(),
            status: self.status,
            body: String::from_utf8_lossy(shown).into_owned(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: usize,
    content_length: usize,
}

impl Head {
    /// `None` while it is incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Problem> {
        let Some(end) = bytes
            .windows(END_OF_HEAD.len())
            .position(|four| four == END_OF_HEAD)
        else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| Problem::NotHttp("its head is no text"))?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
            .ok_or(Problem::NotHttp("it has no status"))?;
        let content_length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .ok_or(Problem::NotHttp("it does not say how long it is"))?;
        Ok(Some(Self {
            status,
            length: end + END_OF_HEAD.len(),
            content_length,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\nCONTENT-LENGTH: 17\r\n\r\n{";
        let expected = Head {
            status: 200,
            length: whole.len() - 1,
            content_length: 17,
        };
        assert_eq!(Head::parse(whole).expect("head"), Some(expected));
        for length in 0..whole.len() - 1 {
            assert_eq!(
                Head::parse(&whole[..length]).expect("incomplete"),
                None,
                "{length}"
            );
        }
        for wrong in [
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n",
            "HTTP/1.1 2\r\ncontent-length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert!(Head::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
