//! The unmodified Python SDK and its `qpher` command against real daemons: runs the suite in tests/python over plain
//! HTTP, over TLS with a private authority, and while parts of the installation are broken.

#[path = "clients/callers.rs"]
mod callers;
#[path = "clients/python.rs"]
mod python;

use callers::{Callers, say};
use chancel_tests::api::{KEM, SIGNATURE};
use chancel_tests::{Daemon, Installation, Options};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the suite, or the part of it that is about a fault; says its summary.
fn run_suite(name: &str, installation: &Installation, callers: &Callers, fault: Option<&str>) {
    let mut command = Command::new(python::environment().join("bin/python"));
    command
        .args(["-m", "pytest", "-q", "--color=no", "-m"])
        .arg(if fault.is_some() { "fault" } else { "not fault" })
        .current_dir(python::repository().join("tests/python"))
        .env("CHANCEL_TEST_FAULT", fault.unwrap_or_default())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("PYTEST_ADDOPTS");
    let output = callers
        .tell(&mut command, installation)
        .output()
        .expect("the environment has a Python");
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text.lines().last().unwrap_or_default();
    say(&format!("{name}: {summary}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}:\n{text}\n{errors}");
    assert!(
        passed(summary) > 0,
        "{name}: pytest reports no passed test:\n{text}"
    );
}

/// The number before `passed` in pytest's last line.
fn passed(summary: &str) -> usize {
    let before = summary
        .split_once(" passed")
        .map_or("", |(before, _)| before)
        .rsplit([' ', ',']);
    before
        .into_iter()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[test]
fn python_sdk_and_command_drive_every_route_over_http() {
    let installation = Installation::new();
    let callers = Callers::make(&installation);
    run_suite("Python SDK over HTTP", &installation, &callers, None);
}

#[test]
fn python_sdk_and_command_drive_every_route_over_tls() {
    let installation = Installation::with(Options {
        tls: true,
        ..Options::default()
    });
    let callers = Callers::make(&installation);
    run_suite("Python SDK over TLS", &installation, &callers, None);
}

#[test]
fn python_sdk_sees_typed_errors_while_parts_are_broken() {
    let installation = Installation::new();
    let callers = Callers::make(&installation);
    let api = installation.api(&callers.main);
    for algorithm in [KEM, SIGNATURE] {
        api.first_key(algorithm);
    }
    let run = |fault: &str| {
        let name = format!("Python SDK, {fault}");
        run_suite(&name, &installation, &callers, Some(fault));
    };

    for daemon in [Daemon::Policyd, Daemon::Keyd] {
        installation.sigstop(daemon);
        run(&format!("{} frozen", daemon.stem()));
        installation.sigcont(daemon);
        installation.wait_ready();

        installation.stop(daemon);
        run(&format!("{} away", daemon.stem()));
        if daemon == Daemon::Policyd {
            installation.start(daemon);
            installation.wait_ready();
        }
    }
    damage_the_key_file(&installation);
    installation.start(Daemon::Keyd);
    installation.wait_ready();
    run("key file damaged");
}

/// Flips the last bit of the signature key's file: the one whose seed is half as long.
fn damage_the_key_file(installation: &Installation) {
    let directory = installation.layout().key_directory();
    let mut files: Vec<PathBuf> = walk(&directory);
    // What is no key of a tenant: the audit key, the check value of the key-encryption key.
    files.retain(|file| file.parent() != Some(&directory));
    files.sort_by_key(|file| fs::metadata(file).map_or(u64::MAX, |meta| meta.len()));
    let mut bytes = fs::read(&files[0]).expect("a key file");
    *bytes.last_mut().expect("a key file has bytes") ^= 1;
    fs::write(&files[0], bytes).expect("the key file can be changed");
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the key directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .collect()
}
