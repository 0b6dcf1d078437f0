//! The Python environment of the tests: `$CHANCEL_VENV`, which `./dev test` sets. Without it, the same function of
//! dev.d/setup.sh makes or finds one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in the workspace")
}

/// The environment with the pinned packages.
pub fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| match std::env::var_os("CHANCEL_VENV") {
        Some(directory) => directory.into(),
        None => make_environment(),
    })
}

fn make_environment() -> PathBuf {
    let script = r#"
        set -euo pipefail
        root=$PWD
        cache=$HOME/.cache/chancel
        fail() { printf '%s\n' "$*" >&2; exit 1; }
        . dev.d/setup.sh
        mkdir -p "$cache"
        exec 9>"$cache/venv.lock"
        flock 9
        python_environment
    "#;
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(repository())
        .output()
        .expect("bash can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "no Python environment for the SDK: {said}"
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
