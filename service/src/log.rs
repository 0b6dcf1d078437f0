//! The daemon's log: the journal when the service manager connected one, a line on standard error otherwise.
//!
//! Nothing here decides what is logged; events carry no payloads, keys or values a caller sent. No colours: a log is read
//! by more than terminals, and the feature would bring a dependency.

use std::{env, ffi::OsStr, fmt, io, panic, thread};

use nix::sys::stat::fstat;
use serde::Deserialize;
use thiserror::Error;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{Registry, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

/// The least severe events that are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What failed.
    Error,
    /// What may fail soon, or was attempted and refused.
    Warn,
    /// What an operator wants to know of an undisturbed day.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
    /// Everything.
    Trace,
}

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To the journal over its own socket, `/run/systemd/journal/socket`, with fields. A sandbox must leave that open.
    Journal,
    /// To standard error as text.
    StandardError,
}

/// Why there is no log.
#[derive(Debug, Error)]
#[error("a log was opened before")]
pub struct LogOpenedBefore(#[source] tracing_subscriber::util::TryInitError);

/// The journal's socket, which [`Destination::Journal`] writes to.
pub const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// Opens the log of the process, once. In the journal, fields of events are called `CHANCEL_…` in capitals. From then
/// on the log has the place of a panic, and not its message, which may quote a value. No backtrace either: printing one
/// takes system calls that a sandbox forbids.
pub fn init(identifier: &str, level: Level) -> Result<Destination, LogOpenedBefore> {
    let destination = open(identifier, level)?;
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, thread = thread::current().name(), "panic");
    }));
    Ok(destination)
}

fn open(identifier: &str, level: Level) -> Result<Destination, LogOpenedBefore> {
    if standard_error_is_the_journal() {
        // Without the socket, standard error still ends in the journal, as plain lines.
        if let Ok(journal) = tracing_journald::layer() {
            let journal = journal
                .with_syslog_identifier(identifier.to_owned())
                .with_field_prefix(Some("CHANCEL".to_owned()))
                .with_priority_mappings(priorities());
            let subscriber = Registry::default().with(LevelFilter::from(level)).with(journal);
            subscriber.try_init().map_err(LogOpenedBefore)?;
            return Ok(Destination::Journal);
        }
    }
    lines(level, io::stderr).try_init().map_err(LogOpenedBefore)?;
    Ok(Destination::StandardError)
}

/// Whether the service manager connected standard error to the journal: it says to which file, and that must still be
/// the one, or the variable was only inherited.
fn standard_error_is_the_journal() -> bool {
    fstat(io::stderr())
        .is_ok_and(|stat| names(env::var_os("JOURNAL_STREAM").as_deref(), stat.st_dev, stat.st_ino))
}

/// The variable's form is `device:inode`, both decimal.
fn names(journal_stream: Option<&OsStr>, device: u64, inode: u64) -> bool {
    journal_stream
        .and_then(OsStr::to_str)
        .and_then(|text| text.split_once(':'))
        .is_some_and(|(left, right)| left.parse() == Ok(device) && right.parse() == Ok(inode))
}

/// The library's own mapping makes `info` a notice and `debug` informational, one too high each.
fn priorities() -> PriorityMappings {
    PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        ..PriorityMappings::new()
    }
}

fn lines<W>(level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .compact()
        // Reports a failed write by one that panics when it fails, too: on a full disk each event would.
        .log_internal_errors(false)
        .with_max_level(LevelFilter::from(level))
        .with_writer(writer)
        .finish()
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        LevelFilter::from(*self).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::unix::fs::MetadataExt,
        process::{Command, ExitStatus, Stdio},
    };

    use super::*;

    #[test]
    fn the_variable_must_name_this_very_file() {
        let named = |text: &str| names(Some(OsStr::new(text)), 9, 4711);
        assert!(named("9:4711"));
        for other in ["9:4712", "8:4711", "9", ":", "9:", ":4711", "9:4711:1", "x:y", ""] {
            assert!(!named(other), "{other}");
        }
        assert!(!names(None, 9, 4711));
    }

    /// Set in the process that plays the daemon for the tests below.
    const CHILD: &str = "CHANCEL_TEST_LOG_CHILD";

    #[test]
    fn child() {
        if env::var_os(CHILD).is_none() {
            return;
        }
        let destination = init("chancel-test", Level::Info).expect("first");
        tracing::info!(tenant = "acme", "a line\nwith a break and \u{1b}[31mcolour");
        tracing::debug!("must not appear");
        tracing::error!(?destination, "an error");
        init("chancel-test", Level::Info).expect_err("second");
        thread::spawn(|| panic!("a secret")).join().expect_err("panicked");
    }

    fn run_child(journal_stream: &str, stderr: File) -> ExitStatus {
        Command::new(env::current_exe().expect("own path"))
            .args(["--exact", "--nocapture", "log::tests::child"])
            .env(CHILD, "1")
            .env("JOURNAL_STREAM", journal_stream)
            .stdout(Stdio::null())
            .stderr(stderr)
            .status()
            .expect("runs")
    }

    /// What the child wrote to its standard error.
    fn output(journal_stream: impl FnOnce(&File) -> String) -> String {
        let path = env::temp_dir().join(format!(
            "chancel-log-{}-{:?}",
            std::process::id(),
            thread::current().id()
        ));
        let file = File::create(&path).expect("creates");
        let status = run_child(&journal_stream(&file), file);
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::remove_file(&path).expect("clean up");
        assert!(status.success(), "{text}");
        text
    }

    #[test]
    fn a_panic_is_logged_by_its_place_and_not_by_its_message() {
        let text = output(|_| "1:1".to_owned());
        assert!(
            text.contains("ERROR") && text.contains("panic place=\"service/src/log.rs:"),
            "{text}"
        );
        assert!(!text.contains("a secret"), "{text}");
    }

    /// A write to /dev/full fails as one to a full disk does; the child would die of the panic.
    #[test]
    fn a_full_disk_silences_the_log_and_nothing_else() {
        let full = File::options().write(true).open("/dev/full").expect("opens");
        assert!(run_child("1:1", full).success());
    }

    #[test]
    fn lines_go_to_standard_error_without_colours_and_below_the_level() {
        let text = output(|_| "1:1".to_owned());
        assert!(
            text.contains("INFO") && text.contains("a line") && text.contains("tenant=\"acme\""),
            "{text}"
        );
        assert!(
            text.contains("an error") && text.contains("StandardError"),
            "{text}"
        );
        assert!(!text.contains("must not appear"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    /// The variable is right and there may be no journal: then the lines must not be lost.
    #[test]
    fn a_missing_journal_loses_nothing() {
        let text = output(|file| {
            let metadata = file.metadata().expect("metadata");
            format!("{}:{}", metadata.dev(), metadata.ino())
        });
        let in_journal = std::path::Path::new(JOURNAL_SOCKET).exists();
        assert_eq!(text.contains("an error"), !in_journal, "{text}");
    }
}
