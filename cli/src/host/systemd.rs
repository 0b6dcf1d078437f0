//! systemd's word on units and on the clock, through its own programs.

use super::Look;
use super::program::{self, ProgramFailed};
use std::collections::BTreeMap;
use std::path::Path;

/// A host of another kind, or a container.
const NOT_HERE: &str = "systemd does not run here";

const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,ActiveEnterTimestamp,NRestarts,MainPID,LimitMEMLOCK,\
    LimitNOFILE,LimitCORE";

/// keyd's service.
pub const KEYD: &str = "chancel-keyd.service";
/// policyd's service.
pub const POLICYD: &str = "chancel-policyd.service";
/// The gateway's service.
pub const GATEWAY: &str = "chancel-gateway.service";
/// All units, in the order in which they start.
pub const UNITS: [&str; 4] = ["chancel-keyd.socket", KEYD, POLICYD, GATEWAY];

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its whole name.
    pub name: String,
    /// `loaded`, or `not-found`.
    pub load_state: String,
    /// `active`, `failed`, …
    pub active_state: String,
    /// `running`, `listening`, `auto-restart`, …
    pub sub_state: String,
    /// Since when it is active; empty for never.
    pub since: String,
    /// How often systemd has had to start it anew.
    pub restarts: u64,
    /// Its main process, while there is one.
    pub pid: Option<u32>,
    /// Bytes it may lock in memory; `None` for no limit.
    pub memlock: Option<u64>,
    /// Files it may have open.
    pub open_files: Option<u64>,
    /// Bytes of a core dump.
    pub core: Option<u64>,
}

/// Whether systemd is this host's service manager.
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Asks for units, in that order.
pub fn units(names: &[&str]) -> Look<Vec<Unit>> {
    if !is_running() {
        return Look::Unseen(NOT_HERE.to_owned());
    }
    let mut arguments = vec!["show", "--timestamp=utc", "--property", PROPERTIES, "--"];
    arguments.extend(names);
    text("systemctl", &arguments).map(|text| parse(&text)).into()
}

/// Whether the clock is set by others.
pub fn is_clock_synchronised() -> Look<bool> {
    if !is_running() {
        return Look::Unseen(NOT_HERE.to_owned());
    }
    text(
        "timedatectl",
        &["show", "--property", "NTPSynchronized", "--value"],
    )
    .map(|text| text.trim() == "yes")
    .into()
}

fn text(program: &'static str, arguments: &[&str]) -> Result<String, ProgramFailed> {
    let written = program::run(program, arguments, b"")?;
    Ok(String::from_utf8_lossy(&written).into_owned())
}

/// Lines of `Name=value`, an empty line between units.
fn parse(text: &str) -> Vec<Unit> {
    text.split("\n\n")
        .map(|block| block.lines().filter_map(|line| line.split_once('=')).collect())
        .filter(|unit: &BTreeMap<&str, &str>| unit.contains_key("Id"))
        .map(|unit| {
            let word = |name| unit.get(name).copied().unwrap_or_default();
            // "infinity" is no number.
            let number = |name| word(name).parse::<u64>().ok();
            Unit {
                name: word("Id").to_owned(),
                load_state: word("LoadState").to_owned(),
                active_state: word("ActiveState").to_owned(),
                sub_state: word("SubState").to_owned(),
                since: word("ActiveEnterTimestamp").to_owned(),
                restarts: number("NRestarts").unwrap_or(0),
                pid: word("MainPID").parse().ok().filter(|pid| *pid != 0),
                memlock: number("LimitMEMLOCK"),
                open_files: number("LimitNOFILE"),
                core: number("LimitCORE"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_systemctl_shows_them() {
        let text = "Id=chancel-keyd.socket\nLoadState=loaded\nActiveState=active\nSubState=listening\n\
            ActiveEnterTimestamp=Mon 2026-01-05 10:00:00 UTC\nLimitMEMLOCK=8388608\n\n\
            MainPID=812\nNRestarts=2\nLimitMEMLOCK=8388608\nLimitNOFILE=infinity\nLimitCORE=0\n\
            Id=chancel-keyd.service\nLoadState=loaded\nActiveState=active\nSubState=running\n\
            ActiveEnterTimestamp=Mon 2026-01-05 10:00:00 UTC\n\n\
            MainPID=0\nNRestarts=0\nId=chancel-x.service\nLoadState=not-found\nActiveState=inactive\n\
            SubState=dead\nActiveEnterTimestamp=\n";
        let units = parse(text);
        let [socket, keyd, absent] = &units[..] else {
            panic!("{units:?}");
        };
        assert_eq!((socket.pid, socket.sub_state.as_str()), (None, "listening"));
        assert_eq!((keyd.pid, keyd.restarts), (Some(812), 2));
        assert_eq!(
            (keyd.memlock, keyd.open_files, keyd.core),
            (Some(8 << 20), None, Some(0))
        );
        assert_eq!(keyd.since, "Mon 2026-01-05 10:00:00 UTC");
        assert_eq!((absent.load_state.as_str(), absent.pid), ("not-found", None));
        assert!(parse("").is_empty());
    }
}
