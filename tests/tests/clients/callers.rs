//! What the suites of tests/python and tests/go are told: where Chancel is, and API keys of every standing, all made by
//! the real `chancel` command. tests/python/conftest.py says what each is for.

use chancel_tests::{ApiKey, Installation, Tenant};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::Duration;

const ENTERPRISE: [&str; 11] = [
    "other",
    "lifecycle",
    "generate",
    "aliases",
    "versions",
    "retired_kem",
    "retired_signature",
    "empty",
    "cli",
    "cli_lifecycle",
    "algorithms",
];
const FREE: [&str; 2] = ["free", "limited"];

/// The suites' environment for an installation without tenants.
pub struct Callers {
    /// The API key of the main tenant, for everything.
    pub main: ApiKey,
    others: Map<String, Value>,
}

impl Callers {
    /// Makes all tenants and API keys.
    pub fn make(installation: &Installation) -> Self {
        let (tenant, main) = installation.tenant_with_api_key("client tests main");
        let mut others = Map::new();
        let mut tell = |name: &str, text: String| others.insert(name.to_owned(), text.into());
        let expires = Timestamp::now() + SignedDuration::from_secs(1);
        tell("expired", expiring(installation, &tenant, expires));
        for (names, plan) in [(&ENTERPRISE[..], "enterprise"), (&FREE[..], "free")] {
            for name in names {
                let tenant = installation.tenant(&format!("client tests {name}"), plan);
                tell(name, installation.api_key(&tenant, "*").text);
            }
        }
        let (suspended, key) = installation.tenant_with_api_key("client tests suspended");
        installation.cli(&["tenant", "suspend", &suspended.id.to_string()]);
        tell("suspended", key.text);
        tell("verify_only", installation.api_key(&tenant, "verify").text);
        tell(
            "signatures_only",
            installation.api_key(&tenant, "*:Dilithium3").text,
        );
        for (name, command) in [("revoked", "revoke"), ("rotated", "rotate")] {
            let key = installation.api_key(&tenant, "*");
            let (tenant, id) = (tenant.id.to_string(), key.id.to_string());
            installation.cli(&["api-key", command, "--tenant", &tenant, "--id", &id]);
            tell(name, key.text);
        }
        while Timestamp::now() <= expires {
            thread::sleep(Duration::from_millis(50));
        }
        Self { main, others }
    }

    /// Gives a command the suites' environment.
    pub fn tell<'a>(&self, command: &'a mut Command, installation: &Installation) -> &'a mut Command {
        command
            .env("CHANCEL_TEST_URL", installation.url())
            .env("CHANCEL_TEST_KEY", &self.main.text)
            .env("CHANCEL_TEST_KEYS", Value::from(self.others.clone()).to_string());
        // No proxy, and no authority but our own.
        for name in [
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
        ] {
            command.env_remove(name);
        }
        for name in ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
            command.env_remove(name);
            if installation.url().starts_with("https:") {
                command.env(name, installation.authority_file());
            }
        }
        command.env_remove("SSL_CERT_DIR").env_remove("CURL_CA_BUNDLE")
    }
}

fn expiring(installation: &Installation, tenant: &Tenant, at: Timestamp) -> String {
    let (tenant, at) = (tenant.id.to_string(), at.to_string());
    let made = installation.cli(&[
        "api-key",
        "create",
        "--tenant",
        &tenant,
        "--name",
        "expired",
        "--expires",
        &at,
    ]);
    made["api_key"].as_str().expect("an API key's text").to_owned()
}

/// Says a line past the test harness's capture.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
