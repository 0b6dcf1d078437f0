//! Starting keyd, step by step. A step that fails ends the process: there is no smaller keyd to fall back to.

use crate::audit_key::{AuditKey, AuditKeyError};
use crate::break_glass::BreakGlass;
use crate::config::Config;
use crate::connection::DRAIN_TIMEOUT;
use crate::crypto::{self, CryptoError};
use crate::dispatch::{Keyd, Parts};
use crate::kek::{Kek, KekError};
use crate::kek_check::{self, KekCheckError};
use crate::keydir::{KeyDirectory, KeyDirectoryError};
use crate::keyring::Keyring;
use crate::listen::{self, Admission, Expected, unix};
use crate::pool::Pools;
use crate::pulse::Pulse;
use crate::use_ledger::{StartDetails, UseLedger, UseLedgerError};
use chancel_ledger::{Sync, Syncer};
use chancel_sandbox::landlock::Enforced;
use chancel_sandbox::process::{self, ProcessError};
use chancel_sandbox::{Access, Confinement, ConfinementError, SecretArena, SecretMemoryError};
use chancel_service::config::ConfigError;
use chancel_service::log::{Destination, JOURNAL_SOCKET, LogOpenedBefore};
use chancel_service::manager::Manager;
use chancel_service::secret_file::SecretFileError;
use chancel_wire::hello::Role;
use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};

/// keyd's seccomp filter, compiled from seccomp/ARCH.json at build time.
const SECCOMP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/seccomp.bpf"));

/// Bytes of locked memory for one secret: the largest expanded private key of the registry fits.
const SECRET_SLOT: usize = 5120;

/// Workers for policyd's requests, which mostly wait for the disk.
const POLICYD_WORKERS: usize = 4;

/// Workers a core for the gateway's requests, where each waits for the disk: then the disk is what they share, and more
/// of them share one sync.
const WAITING_WORKERS: usize = 8;

/// Why keyd did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] LogOpenedBefore),
    /// A service token was refused.
    #[error("service token: {0}")]
    Token(#[from] SecretFileError),
    /// There is no key-encryption key.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The key-encryption key is another one than before.
    #[error(transparent)]
    KekCheck(#[from] KekCheckError),
    /// The key directory was refused.
    #[error(transparent)]
    KeyDirectory(#[from] KeyDirectoryError),
    /// The ledger was refused.
    #[error(transparent)]
    Ledger(#[from] UseLedgerError),
    /// There is no audit key.
    #[error(transparent)]
    AuditKey(#[from] AuditKeyError),
    /// The cryptographic libraries do not work.
    #[error(transparent)]
    Crypto(CryptoError),
    /// The socket could not be bound.
    #[error("socket {0}: {1}")]
    Socket(PathBuf, io::Error),
    /// No locked memory was to be had.
    #[error(transparent)]
    SecretMemory(#[from] SecretMemoryError),
    /// Core dumps and tracing could not be forbidden.
    #[error(transparent)]
    Inspection(#[from] ProcessError),
    /// The sandbox could not be applied in full.
    #[error(transparent)]
    Confinement(#[from] ConfinementError),
    /// A thread could not be started.
    #[error("starting threads: {0}")]
    Threads(io::Error),
    /// The service manager that started keyd cannot be told anything.
    #[error("service manager: {0}")]
    Manager(io::Error),
    /// Signals could not be set up.
    #[error("signals: {0}")]
    Signals(nix::Error),
    /// The boundary between the daemons is their accounts.
    #[error(
        "keyd, policyd and the gateway must run under accounts of their own, none of them root's; \
         `dangerous_shared_account = true` gives that up"
    )]
    SharedAccount,
    /// Running as root is refused: a key daemon has no use for it.
    #[error("refusing to run as root: give keyd an account of its own")]
    Root,
}

/// Runs keyd until it is told to stop.
///
/// # Errors
/// [`StartError`]; once started it ends only by signal.
pub fn run(config: &Path) -> Result<(), StartError> {
    // 1. No core dumps, no ptrace: before the first secret is read. Then configuration, log, secrets: everything
    //    that is read from outside the key directory.
    process::forbid_inspection()?;
    let config: Config = chancel_service::config::load(config)?;
    let log = chancel_service::log::init("chancel-keyd", config.log)?;
    if nix::unistd::geteuid().is_root() {
        return Err(StartError::Root);
    }
    if config.shares_accounts(nix::unistd::geteuid().as_raw()) {
        if !config.dangerous_shared_account {
            return Err(StartError::SharedAccount);
        }
        tracing::warn!(
            "daemons share an account: the gateway's code can reach key files; only for trying out"
        );
    }
    let admission = Admission::new(vec![
        Expected::load(Role::Gateway, &config.gateway)?,
        Expected::load(Role::Policyd, &config.policyd)?,
    ]);
    // Two more than the cache has: the key-encryption key's slot and the audit key's.
    let arena = SecretArena::new(config.cached_keys.get().saturating_add(2), SECRET_SLOT)?;
    let kek = Kek::obtain(&config.kek, &arena)?;
    let directory = KeyDirectory::open(&config.key_directory)?;
    let root = directory.root().to_owned();
    crypto::init().map_err(StartError::Crypto)?;
    // Before anything is opened or made under it.
    let is_confirmed = kek_check::is_confirmed(&kek, &directory)?;
    let keyring = Keyring::new(kek, directory, arena);
    if !is_confirmed {
        keyring.try_kek()?;
    }
    let audit_key = AuditKey::obtain(&keyring)?;
    if !is_confirmed {
        keyring.store_kek_check()?;
    }
    let (uses, syncer) = UseLedger::open(&config.ledger)?;
    // Asked here, for Landlock hides the limits of a control group.
    let cores = thread::available_parallelism().map_or(1, usize::from);

    // 2. The socket, and the one of the service manager.
    let manager = Arc::new(Manager::connect().map_err(StartError::Manager)?);
    let listener =
        unix::take(&config.socket).map_err(|error| StartError::Socket(config.socket.clone(), error))?;

    // 3. Signals are taken by this thread alone; threads made below inherit the mask.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block().map_err(StartError::Signals)?;

    // 4. No capabilities, no files but the key directory and the ledger's. These hold for one thread and are inherited
    //    by the threads it makes, so they come before the threads.
    let mut filesystem = vec![
        (root.as_path(), Access::ReadWrite),
        (config.ledger.directory.as_path(), Access::ReadWrite),
    ];
    if log == Destination::Journal {
        filesystem.push((Path::new(JOURNAL_SOCKET), Access::Connect));
    }
    let confinement = Confinement {
        filesystem: &filesystem,
        deny_tcp: true,
        seccomp: SECCOMP,
    };
    let restricted = confinement.restrict_this_thread()?;

    // 5. All threads there will ever be.
    let per_core = match config.ledger.sync {
        Sync::EveryRecord => WAITING_WORKERS,
        Sync::Within(_) => 1,
    };
    let workers = config
        .workers
        .map_or(cores.saturating_mul(per_core), NonZeroUsize::get)
        .min(256);
    let running = Arc::new(Barrier::new(
        workers + POLICYD_WORKERS + Pools::FIXED_WORKERS + unix::CONNECTIONS + 2,
    ));
    let keyd = Arc::new(Keyd::new(Parts {
        keyring,
        audit_key,
        uses,
        break_glass: BreakGlass::new(config.break_glass.longest()),
    }));
    let pools = Pools::start(&keyd, workers, POLICYD_WORKERS, &running).map_err(StartError::Threads)?;
    let pools = Arc::new(pools);
    let (stopper, stop) = listen::stop().map_err(StartError::Threads)?;
    let served = unix::start(listener, admission, &pools, &running, stop).map_err(StartError::Threads)?;
    let pulse = Pulse::new(&manager, &pools);
    let syncing = start_syncer(syncer, &keyd, pulse, &running).map_err(StartError::Threads)?;
    running.wait();

    // 6. seccomp on all of them; with its proof, keyd begins to answer.
    let landlock = restricted.landlock();
    let sandboxed = restricted.seal()?;
    keyd.uses().started(start_details(&keyd, landlock));
    keyd.open(sandboxed);
    tracing::info!(
        kek_source = keyd.keyring().kek().source(),
        secret_memory = keyd.keyring().secret_memory(),
        ?landlock,
        ledger = keyd.uses().health().name(),
        socket = %config.socket.display(),
        "ready"
    );

    manager.ready(&format!(
        "serving; key-encryption key from {}, keys in {}",
        keyd.keyring().kek().source(),
        keyd.keyring().secret_memory()
    ));

    // 7. Until told to stop. Peers hear of it and go; what they had sent is answered. What was acknowledged is on disk. The
    //    ledger gets its last lines and a checkpoint over all of them.
    let signal = signals.wait().map_err(StartError::Signals)?;
    tracing::info!(%signal, "stopping");
    manager.stopping();
    pools.finish_slow();
    drop(stopper);
    if served.recv_timeout(DRAIN_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
        tracing::warn!("requests under way were not finished in time");
    }
    keyd.uses().stop();
    if syncing.join().is_err() {
        tracing::error!("the ledger's last lines may be missing");
    }
    Ok(())
}

fn start_syncer(
    syncer: Syncer,
    keyd: &Arc<Keyd>,
    mut pulse: Pulse,
    running: &Arc<Barrier>,
) -> io::Result<JoinHandle<()>> {
    let (keyd, running) = (Arc::clone(keyd), Arc::clone(running));
    thread::Builder::new().name("ledger".to_owned()).spawn(move || {
        running.wait();
        syncer.run(|_, at_end| {
            // Nobody could start another thread in this one's place. The log has the panic.
            let _ = catch_unwind(AssertUnwindSafe(|| keyd.look_after(at_end)));
            pulse.feel();
        });
    })
}

/// What the ledger says of this process: what it is confined by and which keys it holds, none of them a secret.
fn start_details(keyd: &Keyd, landlock: Enforced) -> StartDetails {
    let kek = keyd.keyring().kek();
    vec![
        ("seccomp", "all threads".to_owned()),
        ("landlock_truncate", landlock.truncate.to_string()),
        ("landlock_device_ioctl", landlock.device_ioctl.to_string()),
        ("landlock_connect_unix", landlock.connect_unix.to_string()),
        ("landlock_tcp", landlock.tcp.to_string()),
        ("secret_memory", keyd.keyring().secret_memory().to_owned()),
        ("kek_source", kek.source().to_owned()),
        ("kek_generation", kek.generation().to_string()),
        ("audit_key_sha256", keyd.audit_key().fingerprint()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_wire::limits::{BATCH_DEADLINE, SLOW_DEADLINE};
    use std::time::Duration;

    #[test]
    fn the_unit_waits_longer_than_stopping_takes() {
        let unit = include_str!("../../packaging/systemd/chancel-keyd.service");
        let seconds = unit
            .lines()
            .find_map(|line| line.strip_prefix("TimeoutStopSec="))
            .unwrap();
        assert!(
            Duration::from_secs(seconds.parse().unwrap()) > SLOW_DEADLINE + BATCH_DEADLINE + DRAIN_TIMEOUT
        );
    }
}
