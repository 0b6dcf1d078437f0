//! Compiles the seccomp filter for the target, so that the gateway needs no parser for it at run time.

use std::path::Path;

fn main() -> Result<(), chancel_seccomp_compiler::CompileError> {
    chancel_seccomp_compiler::compile_for_target(Path::new("seccomp"))
}
