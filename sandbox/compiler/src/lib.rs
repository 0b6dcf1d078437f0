//! Turns a daemon's seccomp filter from JSON into BPF while the daemon is built.
//!
//! A daemon keeps its filter as data, an architecture a file (`seccomp/x86_64.json`), calls [`compile_for_target`] from
//! its `build.rs` and embeds the result with `include_bytes!(concat!(env!("OUT_DIR"), "/seccomp.bpf"))`. This crate is
//! a build dependency only: the JSON parser must not end up inside a daemon.
//!
//! It refuses every filter that is not an allow-list which kills the process, and every rule without a reason.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use seccompiler::{BpfProgram, TargetArch, compile_from_json, sock_filter};
use thiserror::Error;

mod review;

pub use review::Objection;

/// The one filter a file may hold. A daemon has one filter for all its threads, because a thread that is taken over
/// can make any other thread of the same process run its code.
pub const FILTER_NAME: &str = "daemon";

/// Why no BPF program was made.
#[derive(Debug, Error)]
pub enum CompileError {
    /// Cargo sets these variables for build scripts; outside of one they are missing.
    #[error("the environment variable {0} is not set: this function is for build scripts")]
    NotInBuildScript(&'static str),
    /// A filter file is named after its architecture.
    #[error("{}: not named after a supported architecture (x86_64.json, aarch64.json)", .0.display())]
    UnknownArchitecture(PathBuf),
    /// The JSON file could not be read.
    #[error("{}: cannot be read", .path.display())]
    Unreadable {
        /// The filter file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program could not be written.
    #[error("{}: cannot be written", .path.display())]
    Unwritable {
        /// The file for the BPF program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not the JSON of a filter.
    #[error("{}: not a filter", .path.display())]
    NotAFilter {
        /// The filter file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The filter is well-formed, but not one we ship.
    #[error("{}: {objection}", .path.display())]
    Rejected {
        /// The filter file.
        path: PathBuf,
        /// What is wrong with it.
        objection: Objection,
    },
    /// The compiler did not accept the filter: an unknown syscall, a condition out of range, too many rules.
    #[error("{}: does not compile: {source}", .path.display())]
    DoesNotCompile {
        /// The filter file.
        path: PathBuf,
        /// What the compiler said.
        source: seccompiler::Error,
    },
}

/// Compiles the filter for the architecture Cargo builds for, from `directory` into `$OUT_DIR/seccomp.bpf`.
///
/// For build scripts. Tells Cargo to run again when the filter changes.
pub fn compile_for_target(directory: &Path) -> Result<(), CompileError> {
    let variable = |name| env::var_os(name).ok_or(CompileError::NotInBuildScript(name));
    let architecture = variable("CARGO_CFG_TARGET_ARCH")?;
    let json_path = directory.join(architecture).with_extension("json");
    println!("cargo::rerun-if-changed={}", json_path.display());
    compile(&json_path, &Path::new(&variable("OUT_DIR")?).join("seccomp.bpf"))
}

/// Compiles one filter file, whose name says the architecture, and writes the program to `out`: eight bytes an
/// instruction, as the kernel's `struct sock_filter` of a little-endian machine (both architectures are).
pub fn compile(json_path: &Path, out: &Path) -> Result<(), CompileError> {
    let architecture = architecture_of(json_path)?;
    let json = fs::read(json_path).map_err(|source| CompileError::Unreadable {
        path: json_path.to_path_buf(),
        source,
    })?;
    let program = program(json_path, &json, architecture)?;
    let bytes: Vec<u8> = program.iter().flat_map(encode).collect();
    fs::write(out, bytes).map_err(|source| CompileError::Unwritable {
        path: out.to_path_buf(),
        source,
    })
}

fn architecture_of(json_path: &Path) -> Result<TargetArch, CompileError> {
    match json_path.file_stem().and_then(|stem| stem.to_str()) {
        Some("x86_64") => Ok(TargetArch::x86_64),
        Some("aarch64") => Ok(TargetArch::aarch64),
        _ => Err(CompileError::UnknownArchitecture(json_path.to_path_buf())),
    }
}

fn program(path: &Path, json: &[u8], architecture: TargetArch) -> Result<BpfProgram, CompileError> {
    let path = || path.to_path_buf();
    let filters =
        serde_json::from_slice(json).map_err(|source| CompileError::NotAFilter { path: path(), source })?;
    review::review(&filters).map_err(|objection| CompileError::Rejected {
        path: path(),
        objection,
    })?;
    // The program starts with a check of `seccomp_data.arch` that kills the process when it differs, which stops 32-bit
    // calls through `int 0x80`. x32 calls carry the same architecture, but their numbers have bit 30 set: no rule can
    // name one (the compiler's table has none), so the mismatch action takes them. The tests below hold both.
    let mut programs = compile_from_json(json, architecture)
        .map_err(|source| CompileError::DoesNotCompile { path: path(), source })?;
    programs
        .remove(FILTER_NAME)
        .ok_or_else(|| CompileError::Rejected {
            path: path(),
            objection: Objection::NotOneDaemonFilter,
        })
}

fn encode(instruction: &sock_filter) -> [u8; 8] {
    let [code_low, code_high] = instruction.code.to_le_bytes();
    let [k0, k1, k2, k3] = instruction.k.to_le_bytes();
    [
        code_low,
        code_high,
        instruction.jt,
        instruction.jf,
        k0,
        k1,
        k2,
        k3,
    ]
}

#[cfg(test)]
mod tests;
