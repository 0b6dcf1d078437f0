//! A process that tests start under the account of an attacker, so that the kernel's word on it is real.
//!
//! `connect SOCKET` connects to a Unix socket and passes bytes between it and standard input, which is a socket as well;
//! it ends when the other side has closed. `read FILE` prints a file. `rest` prints a dot and does nothing until it is
//! ended.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (verb, target) = (arguments.next(), arguments.next());
    let done = match (verb.as_deref().and_then(|verb| verb.to_str()), target) {
        (Some("connect"), Some(socket)) => connect(Path::new(&socket)),
        (Some("read"), Some(file)) => read(Path::new(&file)),
        (Some("rest"), None) => rest(),
        _ => Err(io::Error::other(
            "usage: chancel-attacker connect SOCKET | read FILE | rest",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn rest() -> io::Result<()> {
    io::stdout().write_all(b".")?;
    io::stdout().flush()?;
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

fn read(file: &Path) -> io::Result<()> {
    io::stdout().write_all(&std::fs::read(file)?)
}

fn connect(socket: &Path) -> io::Result<()> {
    let test = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let daemon = UnixStream::connect(socket)?;
    let (from_test, to_daemon) = (test.try_clone()?, daemon.try_clone()?);
    thread::spawn(move || pass(from_test, to_daemon));
    pass(daemon, test);
    Ok(())
}

/// Passes bytes on until there are none, then passes on that.
fn pass(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
