//! Other programs, started directly: no shell, no word of ours that it could take for anything else.

use super::secret;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;
use zeroize::Zeroizing;

/// Why a program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFailed {
    /// It is not there, or may not be started.
    #[error("{program} cannot be started: {source}")]
    NotStarted {
        /// Which.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended otherwise than well.
    #[error("{program}: {said}")]
    Ended {
        /// Which.
        program: String,
        /// Its last line on standard error, or how it ended.
        said: String,
    },
}

/// Runs a program with what it reads on standard input, and returns what it wrote. What goes either way may be a secret:
/// no copy of it outlives this but what is returned, which is wiped when it is dropped.
///
/// # Errors
/// [`ProgramFailed`].
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProgramFailed> {
    let not_started = |source| ProgramFailed::NotStarted {
        program: program.to_owned(),
        source,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(not_started)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // All three pipes at once: a program may fill one while it waits for another.
    let (written, said) = thread::scope(|scope| {
        // Who ends without having read everything says why itself. The pipe is closed by the drop.
        scope.spawn(|| stdin.map(|mut pipe| pipe.write_all(input)));
        let said = scope.spawn(|| stderr.map(secret::read_to_end));
        let written = stdout.map(secret::read_to_end);
        (written, said.join().ok().flatten())
    });
    let (written, said) = (
        written.transpose().map_err(not_started)?.unwrap_or_default(),
        said.transpose().map_err(not_started)?.unwrap_or_default(),
    );
    let status = child.wait().map_err(not_started)?;
    if status.success() {
        return Ok(written);
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(ProgramFailed::Ended {
        program: program.to_owned(),
        said: said.map_or_else(|| status.to_string(), str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_reads_and_writes_goes_through_and_what_it_complains_of_is_told() {
        // More than pipes hold.
        let secret = vec![b's'; 1 << 20];
        assert_eq!(*run("cat", &[], &secret).unwrap(), secret);
        let failed = run("cat", &["/nowhere/at/all"], b"").unwrap_err();
        assert!(failed.to_string().contains("/nowhere/at/all"), "{failed}");
        let quiet = run("false", &[], b"").unwrap_err();
        assert!(quiet.to_string().contains("exit status: 1"), "{quiet}");
        let absent = run("chancel-no-such-program", &[], b"").unwrap_err();
        assert!(matches!(absent, ProgramFailed::NotStarted { .. }));
    }
}
