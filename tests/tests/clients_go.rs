//! The unmodified Go SDK against real daemons: runs the suite in tests/go over plain HTTP and over TLS with a private
//! authority. Where there is no Go, or the module cannot be had, it says so; `CHANCEL_REQUIRE_GO=1` makes that a failure.

#[path = "clients/callers.rs"]
mod callers;

use callers::{Callers, say};
use chancel_tests::{Installation, Options, skipped};
use std::path::Path;
use std::process::Command;

fn go(arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"));
    command
}

/// Why the suite cannot run here.
fn obstacle() -> Option<String> {
    let version = match go(&["env", "GOVERSION"]).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => return Some("no Go on the PATH".to_owned()),
    };
    if !is_new_enough(&version) {
        return Some(format!("{version} is older than Go 1.21"));
    }
    // Everything that the suite is built of, before it is built: what fails after this is the suite's own failure.
    let output = go(&["list", "-deps", "-test", "."])
        .output()
        .expect("go was there just now");
    (!output.status.success()).then(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().map(str::trim).collect();
        format!("the SDK's module cannot be had: {}", said.join("; "))
    })
}

/// Whether a version such as `go1.26.1` is at least 1.21.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches("go").split('.').map(|part| {
        let digits = part.split(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap_or_default().parse().unwrap_or(0)
    });
    let (major, minor): (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (1, 21)
}

fn run_suite(name: &str, test: &str, options: Options) {
    if let Some(reason) = obstacle() {
        assert!(
            std::env::var_os("CHANCEL_REQUIRE_GO").is_none_or(|value| value != "1"),
            "{reason}"
        );
        skipped(test, &reason);
        return;
    }
    let installation = Installation::with(options);
    let callers = Callers::make(&installation);
    let mut command = go(&["test", "-count=1", "-v", "."]);
    let output = callers
        .tell(&mut command, &installation)
        .output()
        .expect("go was there just now");
    let text = String::from_utf8_lossy(&output.stdout);
    let count = |verdict: &str| text.lines().filter(|line| line.starts_with(verdict)).count();
    let (passed, failed) = (count("--- PASS: "), count("--- FAIL: "));
    say(&format!("{name}: {passed} passed, {failed} failed"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && failed == 0,
        "{name}:\n{text}\n{errors}"
    );
    assert!(passed > 0, "{name}: go reports no passed test:\n{text}");
}

#[test]
fn go_sdk_drives_every_route_over_http() {
    run_suite(
        "Go SDK over HTTP",
        "go_sdk_drives_every_route_over_http",
        Options::default(),
    );
}

#[test]
fn go_sdk_drives_every_route_over_tls() {
    let tls = Options {
        tls: true,
        ..Options::default()
    };
    run_suite("Go SDK over TLS", "go_sdk_drives_every_route_over_tls", tls);
}

#[test]
fn versions_of_go_are_compared_by_number() {
    for (version, enough) in [
        ("go1.9", false),
        ("go1.20.14", false),
        ("go1.21", true),
        ("go1.21rc2", true),
        ("go1.26.8", true),
        ("go2.0", true),
        ("devel", false),
    ] {
        assert_eq!(is_new_enough(version), enough, "{version}");
    }
}
