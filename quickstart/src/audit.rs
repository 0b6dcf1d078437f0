//! What the ledgers say of the demonstration: one request as both saw it, and whether both are sound. Read with
//! `chancel audit`, as an operator would.

use crate::api::Api;
use crate::operator::{CommandLine, shell_quoted};
use crate::problem::Problem;
use crate::say;
use crate::state::State;
use nix::unistd::geteuid;
use serde_json::Value;
use std::path::Path;

/// Shows the signature's two records and verifies both ledgers.
///
/// # Errors
/// [`Problem`] when one lacks its record, or is not sound.
pub fn run(api: &Api, state: &State, binaries: &Path) -> Result<(), Problem> {
    let chancel = CommandLine::new(state, binaries);
    let own = api.get("/api/v1/tenants/")?.data()?;
    let tenant = own["tenants"][0]["id"]
        .as_str()
        .ok_or(Problem::Wrong("tenants: the answer lacks the tenant's id"))?;
    let decision = newest(&chancel, &state.decisions(), tenant, "allow")?;
    let used = newest(&chancel, &state.uses(), tenant, "use")?;
    if decision["request"] != used["request"] || decision["permit"] != used["permit"] {
        return Err(Problem::Wrong(
            "audit: the ledgers do not agree on who signed last, and with which permit",
        ));
    }
    say(
        "audit",
        &format!(
            "the signature is record {} of the decisions and {} of the uses: request {}",
            decision["seq"],
            used["seq"],
            used["request"].as_str().unwrap_or("-")
        ),
    );

    let verified = verify(&chancel, state)?;
    let signatures = match verified["signatures_checked"] == true {
        true => "checkpoints and chains",
        false => "chains (keyd says its audit key to root alone)",
    };
    say(
        "",
        &format!(
            "{signatures} of both ledgers are sound, and {} uses have their permit each",
            verified["agreed"]
        ),
    );
    Ok(())
}

/// The newest record of a tenant's signatures.
fn newest(chancel: &CommandLine, directory: &Path, tenant: &str, kind: &str) -> Result<Value, Problem> {
    let directory = directory.to_string_lossy();
    let mut found = chancel.ask(&[
        "audit",
        "query",
        "--directory",
        &directory,
        "--tenant",
        tenant,
        "--operation",
        "sign",
        "--kind",
        kind,
        "--limit",
        "1",
    ])?;
    match found["records"][0].take() {
        Value::Null => Err(Problem::Wrong("audit: a ledger lacks the record of a signature")),
        record => Ok(record),
    }
}

fn verify(chancel: &CommandLine, state: &State) -> Result<Value, Problem> {
    let (decisions, uses) = (state.decisions(), state.uses());
    let key = state.audit_key();
    let (decisions, uses) = (decisions.to_string_lossy(), uses.to_string_lossy());
    let key_text = key.to_string_lossy();
    let mut arguments = vec!["audit", "verify", "--decisions", &decisions, "--uses", &uses];
    if geteuid().is_root() {
        chancel.run(&["audit", "public-key", "--output", &key_text])?;
        arguments.extend(["--public-key", &key_text]);
    } else {
        arguments.push("--chain-only");
    }
    chancel.ask(&arguments)
}

/// The command line with which somebody verifies later.
pub fn command(state: &State, binaries: &Path) -> String {
    let quoted = |path: &Path| shell_quoted(&path.to_string_lossy());
    let key = match geteuid().is_root() {
        true => format!("--public-key {}", quoted(&state.audit_key())),
        false => "--chain-only".to_owned(),
    };
    format!(
        "{} audit verify --decisions {} --uses {} {key}",
        quoted(&binaries.join("chancel")),
        quoted(&state.decisions()),
        quoted(&state.uses()),
    )
}
