//! A small HTTP client: blocking, with kept connections, no retries, no proxies, and every status an answer.

use rustls::crypto::aws_lc_rs;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const TIMEOUT: Duration = Duration::from_secs(20);
const LARGEST_ANSWER: u64 = 16 << 20;

/// A client of one base URL.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    api_key: Option<String>,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: ureq::http::HeaderMap,
    /// The body as text; what is none is replaced.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub json: Value,
}

impl Client {
    /// A client for plain HTTP.
    pub fn plain(base: String, api_key: Option<&str>) -> Self {
        Self::new(base, api_key, None)
    }

    /// A client that trusts the certificate authority in a PEM file, and no other.
    pub fn trusting(base: String, api_key: Option<&str>, authority: &Path) -> Self {
        let pem = fs::read(authority).expect("the authority's certificate");
        Self::new(base, api_key, Some(&pem))
    }

    fn new(base: String, api_key: Option<&str>, authority: Option<&[u8]>) -> Self {
        let mut tls =
            TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()));
        if let Some(pem) = authority {
            let certificate = Certificate::from_pem(pem).expect("a certificate");
            tls = tls.root_certs(RootCerts::new_with_certs(&[certificate]));
        }
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        Self {
            agent,
            base,
            api_key: api_key.map(str::to_owned),
            headers: Vec::new(),
        }
    }

    /// The same client, sending one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, ureq::Error> {
        self.post_bytes(path, body.to_string().as_bytes())
    }

    /// Posts anything, saying that it is JSON.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> Result<Answer, ureq::Error> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        for (name, value) in self.all_headers() {
            request = request.header(name, value);
        }
        Answer::read(request.send(body)?)
    }

    /// Posts a stream; returns the answer and its bytes.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn post_stream(&self, path: &str, body: &[u8]) -> Result<(Answer, Vec<u8>), ureq::Error> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/octet-stream");
        for (name, value) in self.all_headers() {
            request = request.header(name, value);
        }
        Answer::with_bytes(request.send(body)?)
    }

    /// Gets.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn get(&self, path: &str) -> Result<Answer, ureq::Error> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in self.all_headers() {
            request = request.header(name, value);
        }
        Answer::read(request.call()?)
    }

    /// Deletes.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn delete(&self, path: &str) -> Result<Answer, ureq::Error> {
        let mut request = self.agent.delete(format!("{}{path}", self.base));
        for (name, value) in self.all_headers() {
            request = request.header(name, value);
        }
        Answer::read(request.call()?)
    }

    fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let api_key = self.api_key.as_deref().map(|text| ("x-api-key", text));
        let others = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        api_key.into_iter().chain(others)
    }
}

impl Answer {
    fn read(response: ureq::http::Response<ureq::Body>) -> Result<Self, ureq::Error> {
        Self::with_bytes(response).map(|(answer, _)| answer)
    }

    fn with_bytes(mut response: ureq::http::Response<ureq::Body>) -> Result<(Self, Vec<u8>), ureq::Error> {
        let bytes = response
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_vec()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answer = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
        };
        Ok((answer, bytes))
    }

    /// The code in an error's envelope; empty where there is none.
    pub fn error_code(&self) -> &str {
        self.json["error"]["error_code"].as_str().unwrap_or_default()
    }

    /// The request's id, as the body states it.
    pub fn request_id(&self) -> &str {
        self.json["request_id"].as_str().unwrap_or_default()
    }

    /// A header's text; `None` where there is none.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether this is a whole error envelope, as docs/api.md describes it.
    pub fn is_error_envelope(&self) -> bool {
        let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        self.status >= 400
            && self.error_code().starts_with("ERR_")
            && text(&self.json["error"]["message"])
            && text(&self.json["request_id"])
            && text(&self.json["timestamp"])
    }
}
