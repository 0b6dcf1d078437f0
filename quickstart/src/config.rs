//! The daemons' three configuration files, as docs/configuration.md describes them. Written anew at each start: they
//! follow from the state directory, the accounts and the addresses.

use crate::accounts::{Account, Accounts};
use crate::problem::Problem;
use crate::state::{State, secret, write_file};
use nix::sys::resource::{Resource, getrlimit};
use std::net::SocketAddr;
use std::path::Path;

/// Where the gateway listens and with which certificate.
#[derive(Debug)]
pub struct Serving {
    /// The API.
    pub listen: SocketAddr,
    /// Whether the gateway speaks TLS.
    pub tls: bool,
}

/// Writes all three.
///
/// # Errors
/// [`Problem::File`] when one cannot be written.
pub fn write(state: &State, accounts: &Accounts, serving: &Serving) -> Result<(), Problem> {
    for (name, text) in [
        ("etc/keyd.toml", keyd(state, accounts)),
        ("etc/policyd.toml", policyd(state, accounts)),
        ("etc/gateway.toml", gateway(state, accounts, serving)),
    ] {
        write_file(&state.path(name), text.as_bytes(), 0o644, None)?;
    }
    Ok(())
}

/// A path as a TOML string, whose escapes are those of JSON. `State::open` made sure that it is text.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

/// A section that names the account at the other end of a connection, and this end's copy of its token.
fn peer(section: &str, account: Account, token: &Path, socket: Option<&Path>) -> String {
    let socket = socket.map_or_else(String::new, |path| format!("socket = {}\n", quoted(path)));
    format!(
        "\n[{section}]\n{socket}account = {}\ntoken_file = {}\n",
        account.uid,
        quoted(token)
    )
}

/// The section on a daemon's ledger.
fn ledger(directory: &Path) -> String {
    format!("\n[ledger]\ndirectory = {}\n", quoted(directory))
}

/// keyd's own default, and the bytes that it locks for each.
const CACHED_KEYS: u64 = 1024;
const CACHED_KEY_LEN: u64 = 4096;

/// How many expanded keys keyd may hold in locked memory: its default, or half of what the limit of this session lets
/// it lock, which some containers set low.
fn cached_keys() -> u64 {
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(_, hard)| hard);
    (limit / 2 / CACHED_KEY_LEN).clamp(4, CACHED_KEYS)
}

fn keyd(state: &State, accounts: &Accounts) -> String {
    let own = state.path("keyd");
    let shared = if accounts.separate {
        ""
    } else {
        "dangerous_shared_account = true\n"
    };
    let mut text = format!(
        "socket = {}\nkey_directory = {}\ncached_keys = {}\n{shared}\n[kek]\nsource = \"file\"\npath = {}\ngeneration = 1\n",
        quoted(&state.keyd_socket()),
        quoted(&own.join("keys")),
        cached_keys(),
        quoted(&own.join(secret::KEK)),
    );
    text += &ledger(&state.uses());
    text += &peer(
        "gateway",
        accounts.gateway,
        &own.join(secret::GATEWAY_TO_KEYD),
        None,
    );
    text += &peer(
        "policyd",
        accounts.policyd,
        &own.join(secret::POLICYD_TO_KEYD),
        None,
    );
    text
}

fn policyd(state: &State, accounts: &Accounts) -> String {
    let own = state.path("policyd");
    let mut text = format!(
        "socket = {}\nadmin_socket = {}\ndatabase = {}\napi_key_secret_file = {}\n",
        quoted(&state.policyd_socket()),
        quoted(&state.admin_socket()),
        quoted(&own.join("chancel.db")),
        quoted(&own.join(secret::API_KEY)),
    );
    text += &ledger(&state.decisions());
    text += &peer(
        "gateway",
        accounts.gateway,
        &own.join(secret::GATEWAY_TO_POLICYD),
        None,
    );
    let keyd_socket = state.keyd_socket();
    text += &peer(
        "keyd",
        accounts.keyd,
        &own.join(secret::POLICYD_TO_KEYD),
        Some(&keyd_socket),
    );
    text
}

fn gateway(state: &State, accounts: &Accounts, serving: &Serving) -> String {
    let own = state.path("gateway");
    let mut text = format!(
        "listen = \"{}\"\naddress_file = {}\nmonitor_listen = \"127.0.0.1:0\"\nmonitor_address_file = {}\n",
        serving.listen,
        quoted(&state.address_file()),
        quoted(&state.monitor_address_file()),
    );
    if serving.tls {
        text += &format!(
            "\n[tls]\ncertificate_file = {}\nkey_file = {}\n",
            quoted(&own.join("tls.crt")),
            quoted(&own.join("tls.key")),
        );
    }
    let (policyd_socket, keyd_socket) = (state.policyd_socket(), state.keyd_socket());
    text += &peer(
        "policyd",
        accounts.policyd,
        &own.join(secret::GATEWAY_TO_POLICYD),
        Some(&policyd_socket),
    );
    text += &peer(
        "keyd",
        accounts.keyd,
        &own.join(secret::GATEWAY_TO_KEYD),
        Some(&keyd_socket),
    );
    text
}
