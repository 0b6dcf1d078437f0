//! Other programs, started directly: no shell, no word of ours that it could take for anything else.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// Why a program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFailed {
    /// It is not there, or may not be started.
    #[error("{program} cannot be started: {source}")]
    NotStarted {
        /// Which.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It ended otherwise than well.
    #[error("{program}: {said}")]
    Ended {
        /// Which.
        program: &'static str,
        /// Its last line on standard error, or how it ended.
        said: String,
    },
}

/// Runs a program with what it reads on standard input, and returns what it wrote. That may be a secret, so it is wiped
/// when it is dropped.
///
/// # Errors
/// [`ProgramFailed`].
pub fn run(
    program: &'static str,
    arguments: &[&str],
    input: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ProgramFailed> {
    let not_started = |source| ProgramFailed::NotStarted { program, source };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(not_started)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who ends without having read everything says why itself. The pipe is closed by the drop.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(not_started)?;
    let written = Zeroizing::new(output.stdout);
    if output.status.success() {
        return Ok(written);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(ProgramFailed::Ended {
        program,
        said: said.map_or_else(|| output.status.to_string(), str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_reads_and_writes_goes_through_and_what_it_complains_of_is_told() {
        assert_eq!(*run("cat", &[], b"a secret").unwrap(), b"a secret");
        let failed = run("cat", &["/nowhere/at/all"], b"").unwrap_err();
        assert!(failed.to_string().contains("/nowhere/at/all"), "{failed}");
        let quiet = run("false", &[], b"").unwrap_err();
        assert!(quiet.to_string().contains("exit status: 1"), "{quiet}");
        let absent = run("chancel-no-such-program", &[], b"").unwrap_err();
        assert!(matches!(absent, ProgramFailed::NotStarted { .. }));
    }
}
