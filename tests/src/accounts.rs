//! The accounts that daemons and attackers run under.
//!
//! As root: uids 60811 to 60814, one each for keyd, policyd, the gateway and a stranger. systemd's documentation of uid
//! ranges lists 60578 to 61183 as unused, the quickstart takes 60801 to 60803, and installations that run at the same
//! time share these. Otherwise everything has the caller's own uid.

use nix::unistd::{getegid, geteuid};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const FIRST: u32 = 60_811;

/// A uid, and the gid of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Who runs as whom.
#[derive(Debug, Clone, Copy)]
pub struct Accounts {
    /// chancel-keyd's.
    pub keyd: Account,
    /// chancel-policyd's.
    pub policyd: Account,
    /// chancel-gateway's.
    pub gateway: Account,
    /// Of no daemon.
    pub stranger: Account,
    separate: bool,
}

impl Accounts {
    /// Those of this run.
    pub fn choose() -> Self {
        let separate = geteuid().is_root();
        let account = |offset: u32| {
            if separate {
                Account {
                    uid: FIRST + offset,
                    gid: FIRST + offset,
                }
            } else {
                Account {
                    uid: geteuid().as_raw(),
                    gid: getegid().as_raw(),
                }
            }
        };
        Self {
            keyd: account(0),
            policyd: account(1),
            gateway: account(2),
            stranger: account(3),
            separate,
        }
    }

    /// Whether the accounts differ, so that the kernel keeps them apart.
    pub const fn separate(&self) -> bool {
        self.separate
    }
}

impl Account {
    /// Has a command run as this account, without supplementary groups.
    pub fn applied_to(self, command: &mut Command) -> &mut Command {
        if geteuid().is_root() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file to this account.
    pub fn own(self, path: &Path) {
        if geteuid().is_root() {
            chown(path, Some(self.uid), Some(self.gid))
                .unwrap_or_else(|error| panic!("giving {} away: {error}", path.display()));
        }
    }
}
