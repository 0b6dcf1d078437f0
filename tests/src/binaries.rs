//! Where the programs are: the shipped ones in `$CHANCEL_BIN_DIR` or, without it, where `./dev build` leaves them; the
//! tests' own beside the running test.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The directory with `chancel` and the daemons.
///
/// # Panics
/// When one of them is not there.
pub fn shipped() -> PathBuf {
    let directory = match env::var_os("CHANCEL_BIN_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => beside_tests()
            .parent()
            .map(|target| target.join("dist"))
            .unwrap_or_default(),
    };
    for name in ["chancel-keyd", "chancel-policyd", "chancel-gateway", "chancel"] {
        let path = directory.join(name);
        assert!(
            path.is_file(),
            "{} is not there: run `./dev build` (or set CHANCEL_BIN_DIR)",
            path.display()
        );
    }
    directory
}

/// A program of this crate. Cargo builds it with the tests.
pub fn own(name: &str) -> PathBuf {
    beside_tests().join(name)
}

/// `TARGET/PROFILE`: the running test is `TARGET/PROFILE/deps/NAME-HASH`, a documentation test is elsewhere.
fn beside_tests() -> PathBuf {
    let own = env::current_exe().expect("a running program has a path");
    own.ancestors()
        .find(|ancestor| ancestor.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        .expect("tests run from cargo's target directory")
        .to_owned()
}

/// A program where every account can reach it: itself, or a copy of it when the original is out of reach.
///
/// # Panics
/// When it cannot be copied.
pub fn reachable(program: &Path, copies: &Path) -> PathBuf {
    if program.ancestors().skip(1).all(is_passable) {
        return program.to_owned();
    }
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _whole = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let copy = copies.join(program.file_name().expect("a program has a name"));
    if !copy.exists() {
        fs::create_dir_all(copies).expect("directory for copies");
        // By another process: a descriptor of this one, open for writing, could be in a child that another thread forks
        // at this moment, and the kernel runs no program that somebody has open for writing.
        let copied = Command::new("install")
            .args(["-m", "755"])
            .args([program, &copy])
            .status();
        assert!(
            copied.is_ok_and(|status| status.success()),
            "copying {}",
            program.display()
        );
    }
    copy
}

fn is_passable(directory: &Path) -> bool {
    directory.as_os_str().is_empty() || fs::metadata(directory).is_ok_and(|meta| meta.mode() & 0o001 != 0)
}
