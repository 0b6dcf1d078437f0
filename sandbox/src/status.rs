//! What the kernel says of a thread in `/proc/thread-self/status`: the check that a restriction holds that does not ask
//! the code which applied it.
//!
//! The file is opened before the sandbox closes and read again afterwards: Landlock does not touch open descriptors, and
//! the kernel writes the text at each read.

use std::{
    fs::File,
    io::{self, Read, Seek},
};

use thiserror::Error;

/// Why the status of the thread is not known.
#[derive(Debug, Error)]
pub enum StatusError {
    /// `/proc` is not mounted, or not for us.
    #[error("/proc/thread-self/status cannot be read")]
    Unreadable(#[source] io::Error),
    /// A line is missing or not a number.
    #[error("/proc/thread-self/status has no usable line \"{0}\"")]
    LineMissing(&'static str),
}

/// The status file of the thread that opened it.
#[derive(Debug)]
pub(crate) struct StatusFile(File);

/// The lines we judge by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// Threads of the process.
    pub threads: u64,
    /// Whether new privileges are given up.
    pub no_new_privs: bool,
    /// 0 for none, 1 for strict, 2 for a filter.
    pub seccomp_mode: u64,
    /// Capability masks: inheritable, permitted, effective, ambient.
    pub capabilities: [(&'static str, u64); 4],
}

impl StatusFile {
    /// Opens the status of the calling thread.
    pub(crate) fn open() -> Result<Self, StatusError> {
        File::open("/proc/thread-self/status")
            .map(Self)
            .map_err(StatusError::Unreadable)
    }

    /// Reads the status as it is now, with nothing but `lseek` and `read`, which every filter must allow anyhow.
    pub(crate) fn read(&mut self) -> Result<Status, StatusError> {
        self.0.rewind().map_err(StatusError::Unreadable)?;
        // Through `take`, because reading a file to its end directly first asks for its size: another syscall.
        let mut text = String::with_capacity(4096);
        (&self.0)
            .take(1 << 20)
            .read_to_string(&mut text)
            .map_err(StatusError::Unreadable)?;
        Status::parse(&text)
    }
}

impl Status {
    fn parse(text: &str) -> Result<Self, StatusError> {
        let number = |name, radix| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .and_then(|value| u64::from_str_radix(value.trim(), radix).ok())
                .ok_or(StatusError::LineMissing(name))
        };
        let mask = |name| Ok((name, number(name, 16)?));
        Ok(Self {
            threads: number("Threads", 10)?,
            no_new_privs: number("NoNewPrivs", 10)? == 1,
            seccomp_mode: number("Seccomp", 10)?,
            capabilities: [mask("CapInh")?, mask("CapPrm")?, mask("CapEff")?, mask("CapAmb")?],
        })
    }

    /// The first set that still holds a capability.
    pub(crate) fn remaining_capabilities(&self) -> Option<(&'static str, u64)> {
        self.capabilities.into_iter().find(|(_, mask)| *mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tx\nThreads:\t3\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n\
        CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n\
        Seccomp:\t2\nSeccomp_filters:\t1\n";

    #[test]
    fn parses_the_lines_we_judge_by() {
        let status = Status::parse(TEXT).expect("parses");
        assert_eq!(
            (status.threads, status.no_new_privs, status.seccomp_mode),
            (3, true, 2)
        );
        assert_eq!(status.remaining_capabilities(), Some(("CapPrm", 0x1ff_ffff_ffff)));
    }

    #[test]
    fn a_missing_or_broken_line_is_an_error() {
        let missing = Status::parse(&TEXT.replace("CapAmb", "CapXyz"));
        assert!(matches!(missing, Err(StatusError::LineMissing("CapAmb"))));
        let broken = Status::parse(&TEXT.replace("Threads:\t3", "Threads:\tthree"));
        assert!(matches!(broken, Err(StatusError::LineMissing("Threads"))));
    }

    #[test]
    fn reads_the_running_thread_more_than_once() {
        let mut file = StatusFile::open().expect("opens");
        let first = file.read().expect("reads");
        assert!(first.threads >= 1);
        assert_eq!(file.read().expect("reads again").seccomp_mode, first.seccomp_mode);
    }
}
