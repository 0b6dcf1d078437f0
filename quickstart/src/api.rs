//! Chancel's HTTP API as a client sees it: JSON over HTTP, with the API key in a header.

use crate::problem::Problem;
use rustls::crypto::aws_lc_rs;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const TIMEOUT: Duration = Duration::from_secs(15);
/// The API's answers are small; a public key or a signature is the largest thing in them.
const LARGEST_ANSWER: u64 = 4 << 20;

/// A client of one gateway.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    url: String,
    key: String,
}

/// A status and a JSON body.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    request: String,
}

impl Answer {
    /// The `data` of a success.
    ///
    /// # Errors
    /// [`Problem::Refused`] for anything else.
    pub fn data(mut self) -> Result<Value, Problem> {
        if self.status < 400 && self.body["data"].is_object() {
            Ok(self.body["data"].take())
        } else {
            Err(self.refused())
        }
    }

    /// The code of an error; empty when there is none.
    pub fn error_code(&self) -> &str {
        self.body["error"]["error_code"].as_str().unwrap_or_default()
    }

    /// This answer as the reason to stop.
    pub fn refused(self) -> Problem {
        Problem::Refused {
            request: self.request,
            status: self.status,
            body: self.body.to_string(),
        }
    }
}

impl Api {
    /// A client that trusts the given authority (PEM) and no other; `None` for plain HTTP.
    ///
    /// # Errors
    /// [`Problem::Certificates`] when the authority's certificate is none.
    pub fn new(url: String, key: String, authority: Option<&[u8]>) -> Result<Self, Problem> {
        Ok(Self {
            agent: agent(authority)?,
            url,
            key,
        })
    }

    /// Posts a JSON object.
    ///
    /// # Errors
    /// [`Problem::Http`] when there is no answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, Problem> {
        let request = format!("POST {path}");
        let sent = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("x-api-key", &self.key)
            .header("content-type", "application/json")
            .send(body.to_string());
        answer(request, sent)
    }

    /// Gets a resource.
    ///
    /// # Errors
    /// [`Problem::Http`] when there is no answer.
    pub fn get(&self, path: &str) -> Result<Answer, Problem> {
        let request = format!("GET {path}");
        let sent = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("x-api-key", &self.key)
            .call();
        answer(request, sent)
    }
}

/// Whether a URL answers with a success.
pub fn answers(url: &str) -> bool {
    agent(None).is_ok_and(|agent| {
        agent
            .get(url)
            .call()
            .is_ok_and(|response| response.status().is_success())
    })
}

fn answer(
    request: String,
    sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Answer, Problem> {
    let read = sent.and_then(|mut response| {
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_string()?;
        Ok((status, text))
    });
    let (status, text) = read.map_err(|error| Problem::Http {
        request: request.clone(),
        source: Box::new(error),
    })?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer {
        status,
        body,
        request,
    })
}

fn agent(authority: Option<&[u8]>) -> Result<Agent, Problem> {
    let mut tls =
        TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()));
    if let Some(pem) = authority {
        let certificate =
            Certificate::from_pem(pem).map_err(|error| Problem::Certificates(error.to_string()))?;
        tls = tls.root_certs(RootCerts::new_with_certs(&[certificate]));
    }
    Ok(Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        // The gateway is on this machine: a proxy from the environment is not asked.
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into())
}
