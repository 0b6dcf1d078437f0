//! The directory of an installation: who may enter what, and the secrets. As docs/configuration.md asks, each secret
//! belongs to the daemon that reads it, and the two ends of a connection have a copy each.

use crate::accounts::{Account, Accounts};
use chancel_ledger::LedgerName;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes of a Unix socket's path, without the NUL that ends it.
const SOCKET_PATH_LIMIT: usize = 107;
/// Bytes of each secret.
pub const SECRET_LEN: usize = 32;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the directory with everything but configuration files.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn make(accounts: &Accounts) -> Self {
        let layout = Self {
            root: make_root(&std::env::temp_dir()),
        };
        assert!(
            layout.policyd_socket().as_os_str().len() <= SOCKET_PATH_LIMIT,
            "{} is too long for a socket: set TMPDIR to a short path",
            layout.policyd_socket().display()
        );
        set_mode(&layout.root, 0o711);
        for open in ["etc", "run", "bin", "tls", "plans"] {
            layout.directory(open, 0o755, None);
        }
        layout.directory("log", 0o700, None);
        for (name, account) in [
            ("keyd", accounts.keyd),
            ("policyd", accounts.policyd),
            ("gateway", accounts.gateway),
            ("stranger", accounts.stranger),
        ] {
            layout.directory(name, 0o700, Some(account));
            layout.directory(&format!("run/{name}"), 0o755, Some(account));
            layout.directory(&format!("{name}/cwd"), 0o700, Some(account));
        }
        layout.directory("keyd/keys", 0o700, Some(accounts.keyd));
        layout.directory("keyd/ledger", 0o700, Some(accounts.keyd));
        layout.directory("policyd/ledger", 0o700, Some(accounts.policyd));
        layout.make_secrets(accounts);
        layout
    }

    fn make_secrets(&self, accounts: &Accounts) {
        let (keyd, policyd, gateway) = (
            ("keyd", accounts.keyd),
            ("policyd", accounts.policyd),
            ("gateway", accounts.gateway),
        );
        for (name, holders) in [
            ("kek", &[keyd][..]),
            ("api-key.secret", &[policyd]),
            ("gateway-keyd.token", &[keyd, gateway]),
            ("gateway-policyd.token", &[policyd, gateway]),
            ("policyd-keyd.token", &[keyd, policyd]),
        ] {
            let mut secret = [0; SECRET_LEN];
            aws_lc_rs::rand::fill(&mut secret).expect("randomness");
            for (daemon, account) in holders {
                write_private(&self.path(&format!("{daemon}/{name}")), &secret, *account);
            }
        }
    }

    fn directory(&self, name: &str, mode: u32, owner: Option<Account>) {
        let path = self.root.join(name);
        fs::create_dir(&path).unwrap_or_else(|error| panic!("making {}: {error}", path.display()));
        if let Some(owner) = owner {
            owner.own(&path);
        }
        set_mode(&path, mode);
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Something below it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where keyd listens.
    pub fn keyd_socket(&self) -> PathBuf {
        self.path("run/keyd/keyd.sock")
    }

    /// Where policyd listens for the gateway. The longest of the socket paths.
    pub fn policyd_socket(&self) -> PathBuf {
        self.path("run/policyd/policyd.sock")
    }

    /// Where policyd listens for operators.
    pub fn admin_socket(&self) -> PathBuf {
        self.path("run/policyd/admin.sock")
    }

    /// Where key files are.
    pub fn key_directory(&self) -> PathBuf {
        self.path("keyd/keys")
    }

    /// policyd's database.
    pub fn database(&self) -> PathBuf {
        self.path("policyd/chancel.db")
    }

    /// The file with the terms of the plans, where a test wants one.
    pub fn plans_file(&self) -> PathBuf {
        self.path("plans/plans.toml")
    }

    /// Where policyd's decisions or keyd's uses are recorded.
    pub fn ledger(&self, name: LedgerName) -> PathBuf {
        match name {
            LedgerName::Decisions => self.path("policyd/ledger"),
            LedgerName::Uses => self.path("keyd/ledger"),
        }
    }
}

/// `chancel-` and random letters below the temporary directory, or below /tmp where that is too deep for a socket.
fn make_root(temporary: &Path) -> PathBuf {
    let temporary = if temporary.as_os_str().len() > 60 {
        Path::new("/tmp")
    } else {
        temporary
    };
    let made = tempfile::Builder::new()
        .prefix("chancel-")
        .tempdir_in(temporary)
        .unwrap_or_else(|error| panic!("no directory below {}: {error}", temporary.display()));
    made.keep()
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8], owner: Account) {
    write(path, bytes);
    owner.own(path);
    set_mode(path, 0o600);
}

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
}

/// Makes a directory for one owner; used for what tests put beside an installation.
pub fn make_private_directory(path: &Path, owner: Account) {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .unwrap_or_else(|error| panic!("making {}: {error}", path.display()));
    owner.own(path);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("mode of {}: {error}", path.display()));
}
