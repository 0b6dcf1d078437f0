//! The real `chancel`, as an operator runs it.

use crate::installation::Installation;
use chancel_domain::{ApiKeyId, TenantId};
use serde_json::Value;
use std::process::{Command, Output};

/// A tenant that a test made.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
}

/// An API key that a test made.
#[derive(Clone)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What callers send.
    pub text: String,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({})", self.id)
    }
}

impl Installation {
    /// Runs `chancel --json` with arguments.
    ///
    /// # Errors
    /// What it said on standard error, when it failed.
    pub fn try_cli(&self, arguments: &[&str]) -> Result<Value, String> {
        let output = self.cli_output(arguments);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }

    /// The same, of which the test expects success.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> Value {
        self.try_cli(arguments)
            .unwrap_or_else(|error| panic!("chancel {}: {error}", arguments.join(" ")))
    }

    /// The same, with the whole of what came out. Root's commands over keyd's socket work as well.
    pub fn cli_output(&self, arguments: &[&str]) -> Output {
        Command::new(self.binaries().join("chancel"))
            .env_clear()
            .arg("--admin-socket")
            .arg(self.layout().admin_socket())
            .arg("--keyd-socket")
            .arg(self.layout().keyd_socket())
            .arg("--json")
            .args(arguments)
            .output()
            .expect("chancel can be started")
    }

    /// Makes a tenant with a plan, such as `enterprise`.
    #[track_caller]
    pub fn tenant(&self, name: &str, plan: &str) -> Tenant {
        let made = self.cli(&["tenant", "create", name, "--plan", plan]);
        Tenant {
            id: parsed(&made["id"]),
            name: name.to_owned(),
        }
    }

    /// Makes an API key with scopes, such as `*` or `sign verify:ML-DSA-65`.
    #[track_caller]
    pub fn api_key(&self, tenant: &Tenant, scopes: &str) -> ApiKey {
        self.api_key_with(tenant, scopes, &[])
    }

    /// The same with further arguments.
    #[track_caller]
    pub fn api_key_with(&self, tenant: &Tenant, scopes: &str, further: &[&str]) -> ApiKey {
        let id = tenant.id.to_string();
        let mut arguments = vec![
            "api-key", "create", "--tenant", &id, "--name", "test", "--scopes", scopes,
        ];
        arguments.extend(further);
        made(&self.cli(&arguments), tenant.id)
    }

    /// Makes an operator's API key.
    #[track_caller]
    pub fn operator_key(&self) -> ApiKey {
        let answer = self.cli(&["operator-key", "create", "--name", "operator", "--scopes", "*"]);
        made(&answer, TenantId::OPERATORS)
    }

    /// Calls that count in this month.
    #[track_caller]
    pub fn calls(&self, tenant: &Tenant) -> u64 {
        let usage = self.cli(&["tenant", "usage", &tenant.id.to_string()]);
        usage["calls"]
            .as_u64()
            .unwrap_or_else(|| panic!("no count: {usage}"))
    }

    /// A new tenant of the plan without limits, with an API key for everything.
    #[track_caller]
    pub fn tenant_with_api_key(&self, name: &str) -> (Tenant, ApiKey) {
        let tenant = self.tenant(name, "enterprise");
        let api_key = self.api_key(&tenant, "*");
        (tenant, api_key)
    }
}

#[track_caller]
fn made(answer: &Value, tenant: TenantId) -> ApiKey {
    ApiKey {
        id: parsed(&answer["id"]),
        tenant,
        text: answer["api_key"].as_str().expect("an API key's text").to_owned(),
    }
}

#[track_caller]
fn parsed<T: std::str::FromStr>(value: &Value) -> T {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no id in the answer: {value}"))
}
