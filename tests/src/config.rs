//! The daemons' configuration files, as docs/configuration.md describes them.

use crate::accounts::{Account, Accounts};
use crate::installation::Daemon;
use crate::layout::{Layout, write};
use chancel_ledger::LedgerName;
use std::path::Path;

/// What tests may want otherwise.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether the gateway speaks TLS, with a certificate of a private authority.
    pub tls: bool,
    /// Expanded keys that keyd keeps.
    pub cached_keys: usize,
    /// How much the daemons log.
    pub log: &'static str,
    /// Lines for the top of a daemon's file.
    pub extra: Vec<(Daemon, String)>,
    /// Lines for the section on a daemon's ledger.
    pub ledger: Vec<(LedgerName, String)>,
    /// Sections for the end of a daemon's file.
    pub sections: Vec<(Daemon, String)>,
    /// What the file with the plans' terms says at first; `None` for no such file.
    pub plans: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: false,
            cached_keys: 256,
            log: "info",
            extra: Vec::new(),
            ledger: Vec::new(),
            sections: Vec::new(),
            plans: None,
        }
    }
}

/// Writes the three files.
pub(crate) fn write_all(layout: &Layout, accounts: &Accounts, options: &Options) {
    for daemon in Daemon::ALL {
        let mut text = String::new();
        for (_, lines) in options.extra.iter().filter(|(of, _)| *of == daemon) {
            text += lines;
            text.push('\n');
        }
        text += &format!("log = \"{}\"\n", options.log);
        text += &match daemon {
            Daemon::Keyd => keyd(layout, accounts, options),
            Daemon::Policyd => policyd(layout, accounts, options),
            Daemon::Gateway => gateway(layout, accounts, options),
        };
        for (_, section) in options.sections.iter().filter(|(of, _)| *of == daemon) {
            text.push('\n');
            text += section;
        }
        write(&path(layout, daemon), text.as_bytes());
    }
    if let Some(plans) = &options.plans {
        write(&layout.plans_file(), plans.as_bytes());
    }
}

/// Where a daemon's file is.
pub(crate) fn path(layout: &Layout, daemon: Daemon) -> std::path::PathBuf {
    layout.path(&format!("etc/{}.toml", daemon.stem()))
}

/// A path as a TOML string, whose escapes are those of JSON.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_str().expect("temporary paths are text")).to_string()
}

/// A section that names the other end of a connection, and this end's copy of its token.
fn peer(section: &str, account: Account, token: &Path, socket: Option<&Path>) -> String {
    let socket = socket.map_or_else(String::new, |path| format!("socket = {}\n", quoted(path)));
    format!(
        "\n[{section}]\n{socket}account = {}\ntoken_file = {}\n",
        account.uid,
        quoted(token)
    )
}

/// The section on a daemon's ledger.
fn ledger(layout: &Layout, options: &Options, name: LedgerName) -> String {
    let mut text = format!("\n[ledger]\ndirectory = {}\n", quoted(&layout.ledger(name)));
    for (_, lines) in options.ledger.iter().filter(|(of, _)| *of == name) {
        text += lines;
        text.push('\n');
    }
    text
}

fn keyd(layout: &Layout, accounts: &Accounts, options: &Options) -> String {
    let own = layout.path("keyd");
    format!(
        "socket = {}\nkey_directory = {}\ncached_keys = {}\ndangerous_shared_account = {}\n\n[kek]\nsource = \"file\"\npath = {}\ngeneration = 1\n",
        quoted(&layout.keyd_socket()),
        quoted(&layout.key_directory()),
        options.cached_keys,
        accounts.keyd.uid == accounts.gateway.uid,
        quoted(&own.join("kek")),
    ) + &ledger(layout, options, LedgerName::Uses)
        + &peer("gateway", accounts.gateway, &own.join("gateway-keyd.token"), None)
        + &peer("policyd", accounts.policyd, &own.join("policyd-keyd.token"), None)
}

fn policyd(layout: &Layout, accounts: &Accounts, options: &Options) -> String {
    let own = layout.path("policyd");
    let plans = options.plans.as_ref().map_or_else(String::new, |_| {
        format!("plans_file = {}\n", quoted(&layout.plans_file()))
    });
    format!(
        "{plans}socket = {}\nadmin_socket = {}\ndatabase = {}\napi_key_secret_file = {}\n",
        quoted(&layout.policyd_socket()),
        quoted(&layout.admin_socket()),
        quoted(&layout.database()),
        quoted(&own.join("api-key.secret")),
    ) + &ledger(layout, options, LedgerName::Decisions)
        + &peer(
            "gateway",
            accounts.gateway,
            &own.join("gateway-policyd.token"),
            None,
        )
        + &peer(
            "keyd",
            accounts.keyd,
            &own.join("policyd-keyd.token"),
            Some(&layout.keyd_socket()),
        )
}

fn gateway(layout: &Layout, accounts: &Accounts, options: &Options) -> String {
    let own = layout.path("gateway");
    let mut text = format!(
        "listen = \"127.0.0.1:0\"\nmonitor_listen = \"127.0.0.1:0\"\naddress_file = {}\nmonitor_address_file = {}\n",
        quoted(&layout.path("run/gateway/address")),
        quoted(&layout.path("run/gateway/monitor-address")),
    );
    if options.tls {
        text += &format!(
            "\n[tls]\ncertificate_file = {}\nkey_file = {}\n",
            quoted(&own.join("tls.crt")),
            quoted(&own.join("tls.key")),
        );
    }
    text + &peer(
        "policyd",
        accounts.policyd,
        &own.join("gateway-policyd.token"),
        Some(&layout.policyd_socket()),
    ) + &peer(
        "keyd",
        accounts.keyd,
        &own.join("gateway-keyd.token"),
        Some(&layout.keyd_socket()),
    )
}
