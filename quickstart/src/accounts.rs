//! Which account each daemon runs under. Root gives each its own, so that the kernel keeps them apart; anybody else
//! can only give them their own account, and is told what that weakens.

use crate::problem::Problem;
use nix::unistd::{Uid, User, getegid, geteuid};

/// The uid and gid of one daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The accounts of a run.
#[derive(Debug)]
pub struct Accounts {
    /// chancel-keyd's.
    pub keyd: Account,
    /// chancel-policyd's.
    pub policyd: Account,
    /// chancel-gateway's.
    pub gateway: Account,
    /// Whether the three differ, and differ from the caller.
    pub separate: bool,
}

/// Numeric accounts for a machine without the packages' own: an otherwise unused range (systemd's documentation of uid
/// ranges lists 60578 to 61183 as such), so nothing has to be added to the user database.
const FIRST_UID: u32 = 60_801;

const NAMES: [&str; 3] = ["chancel-keyd", "chancel-policyd", "chancel-gateway"];

impl Accounts {
    /// Chooses them.
    ///
    /// # Errors
    /// [`Problem::AccountTaken`] when a numeric one is in use, [`Problem::Accounts`] when that cannot be found out.
    pub fn choose() -> Result<Self, Problem> {
        if !geteuid().is_root() {
            let own = Account {
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
            };
            return Ok(Self {
                keyd: own,
                policyd: own,
                gateway: own,
                separate: false,
            });
        }
        let [keyd, policyd, gateway] = match Self::named()? {
            Some(named) => named,
            None => Self::numeric()?,
        };
        Ok(Self {
            keyd,
            policyd,
            gateway,
            separate: true,
        })
    }

    fn named() -> Result<Option<[Account; 3]>, Problem> {
        let mut found = Vec::with_capacity(NAMES.len());
        for name in NAMES {
            if let Some(user) = User::from_name(name).map_err(Problem::Accounts)? {
                found.push(Account {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                });
            }
        }
        Ok(found.try_into().ok())
    }

    fn numeric() -> Result<[Account; 3], Problem> {
        let accounts = [0, 1, 2].map(|offset| Account {
            uid: FIRST_UID + offset,
            gid: FIRST_UID + offset,
        });
        for account in accounts {
            if let Some(user) = User::from_uid(Uid::from_raw(account.uid)).map_err(Problem::Accounts)? {
                return Err(Problem::AccountTaken {
                    uid: account.uid,
                    name: user.name,
                });
            }
        }
        Ok(accounts)
    }
}
