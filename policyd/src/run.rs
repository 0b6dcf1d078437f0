//! Starting policyd, step by step. A step that fails ends the process: there is no smaller policyd to fall back
//! to.

mod parts;

use crate::config::Config;
use crate::events::Events;
use crate::plans::PlanTable;
use crate::record::Recorder;
use crate::store::{Reader, Store, StoreError};
use crate::thread;
use crate::usage::{self, ReplayError, Usage};
use chancel_ledger::{Event, Ledger, LedgerName, OpenError};
use chancel_link::{BindError, Listener};
use chancel_sandbox::landlock::above_directory_of;
use chancel_sandbox::{Access, Confinement, ConfinementError};
use chancel_service::config::ConfigError;
use chancel_service::ledger_directory::{self, LedgerDirectoryError};
use chancel_service::log::{JOURNAL_SOCKET, LogOpenedBefore};
use chancel_service::manager::Manager;
use chancel_service::secret_file::SecretFileError;
use nix::unistd::geteuid;
use parts::{Secrets, Sockets};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// policyd's seccomp filter, compiled from seccomp/ARCH.json at build time.
const SECCOMP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/seccomp.bpf"));

/// Anybody may knock: who is let in is decided by the kernel's word on the peer, before a byte is read.
const SOCKET_MODE: u32 = 0o666;

/// How long changes of keys that are under way may take when policyd stops. What does not finish is a reservation
/// that the next start rolls back.
const STOP_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Why policyd did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] LogOpenedBefore),
    /// Running as root is refused: policyd has no use for it.
    #[error("refusing to run as root: give policyd an account of its own")]
    Root,
    /// A service token or the API key secret was refused.
    #[error("secret file: {0}")]
    Secret(#[from] SecretFileError),
    /// The database could not be opened or brought up to date.
    #[error("database {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// A socket could not be taken.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// The database has no directory of its own.
    #[error("{}: the database needs a directory of its own", .0.display())]
    NoDirectory(PathBuf),
    /// The sandbox could not be applied in full.
    #[error(transparent)]
    Confinement(#[from] ConfinementError),
    /// The plans file was refused.
    #[error("plans: {0}")]
    Plans(#[source] ConfigError),
    /// The directory of the decision ledger was refused.
    #[error(transparent)]
    LedgerDirectory(#[from] LedgerDirectoryError),
    /// The decision ledger could not be opened.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// A thread could not be started.
    #[error("thread: {0}")]
    Thread(#[source] io::Error),
    /// Usage could not be counted from the ledger.
    #[error("usage: {0}")]
    Usage(#[from] ReplayError),
    /// The service manager that started policyd cannot be told anything.
    #[error("service manager: {0}")]
    Manager(#[source] io::Error),
    /// The runtime or its signals could not be set up.
    #[error("runtime: {0}")]
    Runtime(#[source] io::Error),
}

/// Runs policyd until it is told to stop.
///
/// # Errors
/// [`StartError`]; once started it ends only by signal.
pub fn run(config: &Path) -> Result<(), StartError> {
    // 1. Configuration and log.
    let config: Config = chancel_service::config::load(config)?;
    chancel_service::log::init("chancel-policyd", config.log)?;
    if geteuid().is_root() {
        return Err(StartError::Root);
    }

    // 2. Secrets.
    let secrets = Secrets::read(&config)?;

    // 3. The database, with its schema brought up to date; the plans; the ledger.
    let database = |source| StartError::Database {
        path: config.database.clone(),
        source,
    };
    let opened = Store::open(&config.database).map_err(database)?;
    let plans = PlanTable::load(config.plans_file.as_deref()).map_err(StartError::Plans)?;
    ledger_directory::prepare(&config.ledger.directory)?;
    let options = config.ledger.options(LedgerName::Decisions);
    let (ledger, syncer, found) = Ledger::open(&config.ledger.directory, options)?;
    if let Some(repair) = found.repaired {
        tracing::warn!(
            dropped = repair.dropped,
            "half a record at the end of the ledger was dropped"
        );
    }

    // 4. The sockets.
    let sockets = Sockets {
        service: Listener::bind(&config.socket, SOCKET_MODE)?,
        admin: Listener::bind(&config.admin_socket, SOCKET_MODE)?,
    };

    // 5. No core dumps, no ptrace, no capabilities, no files but in the directories of database, ledger and plans.
    //    These hold for one thread and are inherited by the threads it makes, so they come before the threads.
    let directory = directory_of(&config.database)?;
    let mut filesystem = vec![
        (directory, Access::ReadWrite),
        (config.ledger.directory.as_path(), Access::ReadWrite),
        (above_directory_of(&config.keyd.socket), Access::Connect),
    ];
    // The directory and not the file: editors put another file in its place.
    if let Some(above) = config.plans_file.as_deref().and_then(Path::parent) {
        filesystem.push((above, Access::ReadOnly));
    }
    let manager = Manager::connect().map_err(StartError::Manager)?;
    let journal = Path::new(JOURNAL_SOCKET);
    if journal.exists() {
        filesystem.push((journal, Access::Connect));
    }
    let confinement = Confinement {
        filesystem: &filesystem,
        deny_tcp: true,
        seccomp: SECCOMP,
    };
    let restricted = confinement.restrict_this_thread()?;

    // 6. All threads there will ever be: this one, which serves, the one that writes, the one that syncs the ledger and
    //    the one that reads it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(StartError::Runtime)?;
    let store = opened.start().map_err(database)?;
    let syncing = thread::running("ledger", move || syncer.run(|_, _| {})).map_err(StartError::Thread)?;
    let events = Events::start(config.ledger.directory.clone()).map_err(StartError::Thread)?;
    // Before anybody is served: what was counted in memory when the last process ended.
    let counted = runtime.block_on(usage::catch_up(&ledger, &store.writer))?;
    let mut signals = {
        let _inside = runtime.enter();
        let of = |kind| signal(kind).map_err(StartError::Runtime);
        (
            of(SignalKind::terminate())?,
            of(SignalKind::interrupt())?,
            of(SignalKind::hangup())?,
        )
    };

    // 7. seccomp on all of them.
    let landlock = restricted.landlock();
    let sandboxed = restricted.seal()?;
    let recorder = Recorder::new(ledger.clone());
    if recorder.started(&format!("{landlock:?}")).is_err() {
        tracing::error!("the start could not be recorded: the ledger cannot be written");
    }
    tracing::info!(?landlock, socket = %config.socket.display(), admin_socket = %config.admin_socket.display(),
        "ready");

    // 8. Serve until told to stop; then finish what is under way.
    let writer_thread = store.writer_thread;
    let outcome = runtime.block_on(async {
        let parts = parts::assemble(
            &config,
            secrets,
            parts::Stores {
                reader: store.reader,
                writer: store.writer,
                recorder: recorder.clone(),
                plans: Arc::new(plans),
                usage: Arc::new(Usage::since(counted)),
                events,
            },
            &sandboxed,
        );
        let plans = parts.plans.clone();
        let locks = parts.locks.clone();
        let recording = recorder.clone();
        let reader = parts.reader.clone();
        let manager = &manager;
        let stop = async move {
            let mut pulse = pin!(alive(manager, &reader));
            let name = loop {
                tokio::select! {
                    () = &mut pulse => {}
                    _ = signals.0.recv() => break "SIGTERM",
                    _ = signals.1.recv() => break "SIGINT",
                    _ = signals.2.recv() => {
                        if plans.reload() {
                            recording.plans_read();
                        }
                    }
                }
            };
            tracing::info!(signal = name, "stopping");
            manager.stopping();
        };
        let outcome = parts.serve(sockets, || manager.ready("serving"), stop).await;
        if timeout(STOP_PATIENCE, locks.close()).await.is_err() {
            tracing::warn!("changes of keys under way were not finished in time");
        }
        outcome
    });
    drop(runtime);

    // 9. The ledger's last word, and all of it on the disk.
    if ledger.append(&Event::Stop).is_err() {
        tracing::error!("the stop could not be recorded: the ledger cannot be written");
    }
    ledger.stop();
    if syncing.join().is_err() {
        tracing::error!("the ledger's thread panicked");
    }

    // 10. The write-ahead log goes into the database, which is then one file.
    writer_thread.finish().map_err(database)?;
    tracing::info!("stopped");
    outcome.map_err(StartError::Runtime)
}

/// Tells the service manager that policyd lives, on the thread that answers, which asks the database meanwhile.
async fn alive(manager: &Manager, reader: &Reader) {
    let Some(pulse) = manager.pulse() else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(pulse).await;
        // Whether it can be asked is another matter, and no reason to be killed; that it does not hang is the matter here.
        let _ = reader.look(|view| view.probe());
        manager.alive();
    }
}

fn directory_of(database: &Path) -> Result<&Path, StartError> {
    database
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
        .ok_or_else(|| StartError::NoDirectory(database.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_link::server::DRAIN_TIMEOUT;
    use std::time::Duration;

    #[test]
    fn the_unit_waits_longer_than_stopping_takes() {
        let unit = include_str!("../../packaging/systemd/chancel-policyd.service");
        let seconds = unit
            .lines()
            .find_map(|line| line.strip_prefix("TimeoutStopSec="))
            .unwrap();
        assert!(Duration::from_secs(seconds.parse().unwrap()) > DRAIN_TIMEOUT + STOP_PATIENCE);
    }
}
