//! The directory that a quickstart keeps: who may enter what, the lock, and the secrets. Whatever is found there is
//! kept, whatever is missing is made.

use crate::accounts::{Account, Accounts};
use crate::problem::{Context, Problem};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

/// Bytes of a Unix socket's path, without the NUL that ends it.
const SOCKET_PATH_LIMIT: usize = 107;
/// Bytes of a service token, of the key-encryption key and of the API key secret.
const SECRET_LEN: usize = 32;

/// An open, locked state directory.
#[derive(Debug)]
pub struct State {
    root: PathBuf,
    /// Held for as long as the quickstart runs; the kernel releases it however that ends.
    _lock: File,
}

/// A daemon's secrets: the file name below its directory.
pub mod secret {
    /// keyd's key-encryption key.
    pub const KEK: &str = "kek";
    /// policyd's key for the hashes of API keys.
    pub const API_KEY: &str = "api-key.secret";
    /// Shown by the gateway to keyd.
    pub const GATEWAY_TO_KEYD: &str = "gateway-keyd.token";
    /// Shown by the gateway to policyd.
    pub const GATEWAY_TO_POLICYD: &str = "gateway-policyd.token";
    /// Shown by policyd to keyd.
    pub const POLICYD_TO_KEYD: &str = "policyd-keyd.token";
}

impl State {
    /// Makes or opens the directory, locks it, and checks that the daemons can live in it.
    ///
    /// # Errors
    /// [`Problem`] when it is in use, unreachable for the daemons, of other accounts, or its path too long.
    pub fn open(root: &Path, accounts: &Accounts) -> Result<Self, Problem> {
        let root = std::path::absolute(root).on("finding", root)?;
        DirBuilder::new()
            .recursive(true)
            .mode(if accounts.separate { 0o711 } else { 0o700 })
            .create(&root)
            .on("making", &root)?;
        let root = root.canonicalize().on("finding", &root)?;
        if root.to_str().is_none() {
            return Err(Problem::PathNotText(root));
        }
        // Whoever owns the directory could put its own configuration and secrets in the place of these.
        owned_by(&root, geteuid().as_raw())?;
        if accounts.separate {
            if let Some(closed) = closed_ancestor(root.parent().unwrap_or(&root))? {
                return Err(Problem::Closed(closed));
            }
            set_mode(&root, 0o711)?;
        }
        let lock = lock(&root)?;
        let state = Self { root, _lock: lock };
        let longest = state.policyd_socket();
        if longest.as_os_str().len() > SOCKET_PATH_LIMIT {
            return Err(Problem::SocketPathTooLong {
                path: longest,
                limit: SOCKET_PATH_LIMIT,
            });
        }
        state.make_directories(accounts)?;
        Ok(state)
    }

    fn make_directories(&self, accounts: &Accounts) -> Result<(), Problem> {
        for open in ["etc", "run", "tls"] {
            self.directory(open, 0o755, None)?;
        }
        self.directory("log", 0o700, None)?;
        for (name, account) in [
            ("keyd", accounts.keyd),
            ("policyd", accounts.policyd),
            ("gateway", accounts.gateway),
        ] {
            self.directory(name, 0o700, Some(account))?;
            self.directory(&format!("run/{name}"), 0o755, Some(account))?;
        }
        self.directory("keyd/keys", 0o700, Some(accounts.keyd))?;
        self.directory("keyd/ledger", 0o750, Some(accounts.keyd))?;
        self.directory("policyd/ledger", 0o750, Some(accounts.policyd))
    }

    fn directory(&self, name: &str, mode: u32, owner: Option<Account>) -> Result<(), Problem> {
        let path = self.root.join(name);
        if let Err(error) = fs::create_dir(&path) {
            if error.kind() != std::io::ErrorKind::AlreadyExists {
                return Err(error).on("making", &path);
            }
        } else if let Some(account) = owner {
            chown(&path, Some(account.uid), Some(account.gid)).on("giving away", &path)?;
        }
        owned_by(
            &path,
            owner.map_or_else(|| geteuid().as_raw(), |account| account.uid),
        )?;
        set_mode(&path, mode)
    }

    /// Makes the secrets that are missing; those of a connection are the same at both its ends. Returns whether any
    /// was made.
    ///
    /// # Errors
    /// [`Problem`] when a file cannot be read or written.
    pub fn make_secrets(&self, accounts: &Accounts) -> Result<bool, Problem> {
        use secret::{API_KEY, GATEWAY_TO_KEYD, GATEWAY_TO_POLICYD, KEK, POLICYD_TO_KEYD};
        let (keyd, policyd, gateway) = (
            ("keyd", accounts.keyd),
            ("policyd", accounts.policyd),
            ("gateway", accounts.gateway),
        );
        let mut made = false;
        for (name, holders) in [
            (KEK, &[keyd][..]),
            (API_KEY, &[policyd]),
            (GATEWAY_TO_KEYD, &[keyd, gateway]),
            (GATEWAY_TO_POLICYD, &[policyd, gateway]),
            (POLICYD_TO_KEYD, &[keyd, policyd]),
        ] {
            made |= self.make_secret(name, holders)?;
        }
        Ok(made)
    }

    fn make_secret(&self, name: &str, holders: &[(&str, Account)]) -> Result<bool, Problem> {
        let paths: Vec<_> = holders
            .iter()
            .map(|(daemon, _)| self.root.join(daemon).join(name))
            .collect();
        if paths.iter().all(|path| path.exists()) {
            return Ok(false);
        }
        let mut bytes = [0; SECRET_LEN];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Problem::Random)?;
        for (path, (_, account)) in paths.iter().zip(holders) {
            write_file(path, &bytes, 0o600, Some(*account))?;
        }
        Ok(true)
    }

    /// A file or directory below the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where keyd listens.
    pub fn keyd_socket(&self) -> PathBuf {
        self.path("run/keyd/keyd.sock")
    }

    /// Where policyd listens for the gateway. The longest of the socket paths.
    pub fn policyd_socket(&self) -> PathBuf {
        self.path("run/policyd/policyd.sock")
    }

    /// Where policyd listens for the operator.
    pub fn admin_socket(&self) -> PathBuf {
        self.path("run/policyd/admin.sock")
    }

    /// Where policyd keeps the decision ledger.
    pub fn decisions(&self) -> PathBuf {
        self.path("policyd/ledger")
    }

    /// Where keyd keeps the use ledger.
    pub fn uses(&self) -> PathBuf {
        self.path("keyd/ledger")
    }

    /// Where the public half of the key is put that signs the ledgers' checkpoints.
    pub fn audit_key(&self) -> PathBuf {
        self.path("audit.pem")
    }

    /// Where the gateway writes the address it serves on.
    pub fn address_file(&self) -> PathBuf {
        self.path("run/gateway/address")
    }

    /// Where the gateway writes the address of health and metrics.
    pub fn monitor_address_file(&self) -> PathBuf {
        self.path("run/gateway/monitor-address")
    }
}

/// Takes the lock that tells a second quickstart on this state to keep off.
fn lock(root: &Path) -> Result<File, Problem> {
    let path = root.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .on("opening", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Problem::Running(root.to_owned())),
        Err(TryLockError::Error(error)) => Err(error).on("locking", &path),
    }
}

/// The first directory from the root down to `path` that accounts other than its owner cannot pass.
///
/// # Errors
/// [`Problem::File`] when one cannot be looked at.
pub fn closed_ancestor(path: &Path) -> Result<Option<PathBuf>, Problem> {
    let mut ancestors: Vec<_> = path.ancestors().collect();
    ancestors.reverse();
    for directory in ancestors {
        if fs::metadata(directory).on("reading", directory)?.mode() & 0o001 == 0 {
            return Ok(Some(directory.to_owned()));
        }
    }
    Ok(None)
}

fn owned_by(path: &Path, wanted: u32) -> Result<(), Problem> {
    let found = fs::metadata(path).on("reading", path)?.uid();
    if found == wanted {
        return Ok(());
    }
    Err(Problem::OtherOwner {
        path: path.to_owned(),
        found,
        wanted,
    })
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Problem> {
    fs::set_permissions(path, Permissions::from_mode(mode)).on("setting the mode of", path)
}

/// Writes a whole file beside its place and renames it there, so that an interrupted run leaves the old one or none.
///
/// # Errors
/// [`Problem::File`] when it cannot be written.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32, owner: Option<Account>) -> Result<(), Problem> {
    let beside = path.with_added_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).on("removing", &beside);
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&beside)
        .on("making", &beside)?;
    file.write_all(bytes).on("writing", &beside)?;
    // By descriptor: the directory may be another account's, which could put a link in the file's place.
    if let Some(account) = owner {
        fchown(&file, Some(account.uid), Some(account.gid)).on("giving away", &beside)?;
    }
    file.set_permissions(Permissions::from_mode(mode))
        .on("setting the mode of", &beside)?;
    file.sync_all().on("writing", &beside)?;
    fs::rename(&beside, path).on("renaming", path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::getegid;

    fn own_accounts() -> Accounts {
        let own = Account {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
        };
        Accounts {
            keyd: own,
            policyd: own,
            gateway: own,
            separate: false,
        }
    }

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("chancel-quickstart-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn secrets_are_made_once_and_are_the_same_at_both_ends() {
        let root = scratch("secrets");
        let accounts = own_accounts();
        let state = State::open(&root, &accounts).expect("state");
        assert!(state.make_secrets(&accounts).expect("secrets"));
        let read = |name: &str| fs::read(state.path(name)).expect("secret");
        let kek = read("keyd/kek");
        assert_eq!(kek.len(), SECRET_LEN);
        assert_eq!(
            read("keyd/gateway-keyd.token"),
            read("gateway/gateway-keyd.token")
        );
        assert_ne!(read("keyd/gateway-keyd.token"), read("keyd/policyd-keyd.token"));
        assert!(!state.make_secrets(&accounts).expect("secrets"));
        assert_eq!(read("keyd/kek"), kek);
        for entry in [
            "keyd/kek",
            "policyd/api-key.secret",
            "gateway/gateway-policyd.token",
        ] {
            assert_eq!(
                fs::metadata(state.path(entry)).expect("metadata").mode() & 0o777,
                0o600
            );
        }
        fs::remove_dir_all(&root).expect("clean up");
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let root = scratch("stranger");
        fs::create_dir(&root).expect("directory");
        if geteuid().is_root() {
            chown(&root, Some(65_534), None).expect("chown");
            let refused = State::open(&root, &own_accounts());
            assert!(matches!(refused, Err(Problem::OtherOwner { found: 65_534, .. })));
            fs::remove_dir_all(&root).expect("clean up");
        } else {
            fs::remove_dir_all(&root).expect("clean up");
            // The root directory is nobody's but root's.
            let refused = State::open(Path::new("/"), &own_accounts());
            assert!(matches!(refused, Err(Problem::OtherOwner { found: 0, .. })));
        }
    }

    #[test]
    fn a_second_quickstart_on_the_same_state_is_refused() {
        let root = scratch("lock");
        let accounts = own_accounts();
        let first = State::open(&root, &accounts).expect("state");
        assert!(matches!(State::open(&root, &accounts), Err(Problem::Running(_))));
        drop(first);
        State::open(&root, &accounts).expect("the lock goes with its holder");
        fs::remove_dir_all(&root).expect("clean up");
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_and_one_byte_less_is_not() {
        let accounts = own_accounts();
        let base = scratch("long");
        let rest = SOCKET_PATH_LIMIT - "/run/policyd/policyd.sock".len() - base.as_os_str().len() - 1;
        let longest = base.join("x".repeat(rest));
        State::open(&longest, &accounts).expect("just short enough");
        let refused = State::open(&base.join("x".repeat(rest + 1)), &accounts);
        assert!(matches!(refused, Err(Problem::SocketPathTooLong { .. })));
        fs::remove_dir_all(&base).expect("clean up");
    }
}
