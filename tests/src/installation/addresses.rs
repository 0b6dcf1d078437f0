//! Where an installation is reached, and clients that do.

use super::Installation;
use crate::http::Client;
use crate::metrics::Metrics;
use crate::{Api, ApiKey, certificates};
use std::fs;
use std::path::PathBuf;

impl Installation {
    /// Where the API is, such as `127.0.0.1:40123`. Changes when the gateway is restarted.
    pub fn address(&self) -> String {
        self.address_file("address")
            .expect("the gateway wrote where it listens")
    }

    fn address_file(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.layout.path(&format!("run/gateway/{name}"))).ok()?;
        let address = text.trim();
        (!address.is_empty()).then(|| address.to_owned())
    }

    /// The API's base URL.
    pub fn url(&self) -> String {
        self.base_url(&self.address())
    }

    /// The same, unless the gateway is away at this moment.
    pub fn try_url(&self) -> Option<String> {
        self.address_file("address")
            .map(|address| self.base_url(&address))
    }

    fn base_url(&self, address: &str) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// The base URL of health and metrics.
    pub fn monitor_url(&self) -> Option<String> {
        self.address_file("monitor-address")
            .map(|address| format!("http://{address}"))
    }

    /// The certificate (PEM) that clients must trust, when the gateway speaks TLS.
    pub fn authority_file(&self) -> PathBuf {
        certificates::authority_file(&self.layout)
    }

    /// A client of the API with some API key, or none.
    pub fn client(&self, api_key: Option<&str>) -> Client {
        self.client_of(self.url(), api_key)
    }

    fn client_of(&self, url: String, api_key: Option<&str>) -> Client {
        if self.options.tls {
            Client::trusting(url, api_key, &self.authority_file())
        } else {
            Client::plain(url, api_key)
        }
    }

    /// The API for the holder of an API key.
    pub fn api(&self, api_key: &ApiKey) -> Api {
        Api::new(self.client(Some(&api_key.text)))
    }

    /// The same, unless the gateway is away at this moment.
    pub fn try_api(&self, api_key: &ApiKey) -> Option<Api> {
        let url = self.try_url()?;
        Some(Api::new(self.client_of(url, Some(&api_key.text))))
    }

    /// The counters of all three daemons, from the gateway.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn metrics(&self) -> Metrics {
        let monitor = self
            .monitor_url()
            .expect("the gateway wrote where it is monitored");
        let answer = Client::plain(monitor, None)
            .get("/metrics")
            .expect("the gateway answers");
        Metrics::parse(&answer.text)
    }
}
