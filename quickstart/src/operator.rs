//! What an operator does once: make a tenant and an API key, with the `chancel` command line on the admin socket.
//! The API key is shown once, so it is stored in the state's `env` file, which later starts read.

use crate::problem::{Context, Problem};
use crate::state::{State, write_file};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tenant's and the API key's name.
const NAME: &str = "quickstart";

/// What clients need to know.
#[derive(Debug)]
pub struct Environment {
    /// The gateway's URL.
    pub url: String,
    /// The API key.
    pub api_key: String,
    /// The private authority's certificate, with `--tls`.
    pub authority: Option<PathBuf>,
}

impl Environment {
    /// Where it is stored.
    pub fn file(state: &State) -> PathBuf {
        state.path("env")
    }

    /// The API key of an earlier start.
    ///
    /// # Errors
    /// [`Problem::File`] when the file is there and cannot be read.
    pub fn stored_api_key(state: &State) -> Result<Option<String>, Problem> {
        let path = Self::file(state);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => Ok(api_key_in(&read.on("reading", &path)?)),
        }
    }

    /// Stores it as shell text, readable by the caller alone.
    ///
    /// # Errors
    /// [`Problem::File`] when it cannot be written.
    pub fn store(&self, state: &State) -> Result<(), Problem> {
        let mut lines = vec![
            ("QPHER_API_URL", self.url.clone()),
            ("QPHER_API_KEY", self.api_key.clone()),
            ("CHANCEL_STATE", state.root().to_string_lossy().into_owned()),
        ];
        if let Some(authority) = &self.authority {
            let path = authority.to_string_lossy();
            lines.push(("REQUESTS_CA_BUNDLE", path.clone().into_owned()));
            lines.push(("SSL_CERT_FILE", path.into_owned()));
        }
        let text: String = lines
            .into_iter()
            .map(|(name, value)| format!("export {name}={}\n", shell_quoted(&value)))
            .collect();
        write_file(&Self::file(state), text.as_bytes(), 0o600, None)
    }
}

fn api_key_in(text: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix("export QPHER_API_KEY="))
        .map(|value| value.trim_matches('\'').to_owned())
        .filter(|value| !value.is_empty())
}

/// A value as one word of a shell.
pub fn shell_quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:[]".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

/// Makes the tenant, or finds the one that an interrupted first start made, and an API key for it.
///
/// # Errors
/// [`Problem::CommandLine`] when the command line refuses.
pub fn make_api_key(state: &State, binaries: &Path) -> Result<String, Problem> {
    let chancel = CommandLine::new(state, binaries);
    let tenants = chancel.ask(&["tenant", "list"])?;
    let existing = tenants["tenants"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|tenant| tenant["name"] == NAME)
        .cloned();
    let tenant = match existing {
        Some(tenant) => tenant,
        None => chancel.ask(&["tenant", "create", NAME, "--plan", "enterprise"])?,
    };
    let id = tenant["id"]
        .as_str()
        .ok_or(Problem::Wrong("chancel tenant: its answer lacks the tenant's id"))?;
    let made = chancel.ask(&["api-key", "create", "--tenant", id, "--name", NAME])?;
    made["api_key"].as_str().map(str::to_owned).ok_or(Problem::Wrong(
        "chancel api-key create: its answer lacks the API key",
    ))
}

/// `chancel`, for the daemons of this state.
#[derive(Debug)]
pub struct CommandLine {
    binary: PathBuf,
    admin_socket: PathBuf,
    keyd_socket: PathBuf,
}

impl CommandLine {
    /// The one that lies beside the daemons.
    pub fn new(state: &State, binaries: &Path) -> Self {
        Self {
            binary: binaries.join("chancel"),
            admin_socket: state.admin_socket(),
            keyd_socket: state.keyd_socket(),
        }
    }

    /// Runs a command for its answer.
    ///
    /// # Errors
    /// [`Problem::CommandLine`] when it refuses, or answers no JSON.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value, Problem> {
        let answer = self.run(arguments)?;
        serde_json::from_slice(&answer)
            .map_err(|error| failed(arguments, format!("its answer is no JSON: {error}")))
    }

    /// Runs a command, and returns what it wrote.
    ///
    /// # Errors
    /// [`Problem::CommandLine`] when it refuses.
    pub fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Problem> {
        let output = Command::new(&self.binary)
            .arg("--admin-socket")
            .arg(&self.admin_socket)
            .arg("--keyd-socket")
            .arg(&self.keyd_socket)
            .arg("--json")
            .args(arguments)
            .output()
            .map_err(|error| failed(arguments, error.to_string()))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(failed(arguments, message));
        }
        Ok(output.stdout)
    }
}

fn failed(arguments: &[&str], message: String) -> Problem {
    Problem::CommandLine {
        arguments: arguments.join(" "),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_a_shell_and_the_way_back() {
        assert_eq!(shell_quoted("http://[::1]:8480"), "http://[::1]:8480");
        assert_eq!(
            shell_quoted("/home/o'neil/my state"),
            r"'/home/o'\''neil/my state'"
        );
        assert_eq!(shell_quoted(""), "''");
        let stored = format!("export A=b\nexport QPHER_API_KEY={}\n", shell_quoted("qph_x+y"));
        assert_eq!(api_key_in(&stored).as_deref(), Some("qph_x+y"));
        assert_eq!(api_key_in("export QPHER_API_KEY=''\n"), None);
    }
}
