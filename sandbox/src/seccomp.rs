//! Seccomp: after this, every thread of the process may make the system calls its filter lists; any other one ends the
//! process with SIGSYS.
//!
//! Filters are JSON files, compiled into the daemon while it is built (`chancel-seccomp-compiler`). Nothing is parsed or
//! compiled here but the fixed-size instructions.

use std::io;

use seccompiler::sock_filter;
use thiserror::Error;

/// Why no filter is in force.
#[derive(Debug, Error)]
pub enum SeccompError {
    /// The program has no instruction, or a part of one.
    #[error("{0} bytes are not a whole number of instructions")]
    PartialInstruction(usize),
    /// The kernel takes 4,096 instructions at most.
    #[error("{0} instructions are more than the kernel takes (4096)")]
    TooLong(usize),
    /// The program does not begin with the check for this machine's architecture.
    #[error("the filter was not compiled for this architecture")]
    ForeignArchitecture,
    /// A thread runs under another filter or cannot take this one; no thread has it.
    #[error("thread {0} cannot take the filter")]
    ThreadRefused(i64),
    /// The kernel refused the program.
    #[error("the kernel refuses the filter")]
    Refused(#[source] io::Error),
    /// The library refused the program.
    #[error("the filter cannot be installed")]
    NotInstallable(#[source] seccompiler::Error),
}

/// A compiled filter that is fit for this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Vec<sock_filter>);

/// `BPF_MAXINSNS` of linux/bpf_common.h.
const MAX_INSTRUCTIONS: usize = 4096;
/// Load the word at an offset of `struct seccomp_data`; the architecture is the second word.
const LOAD_WORD: u16 = 0x20;
const ARCHITECTURE_OFFSET: u32 = 4;
/// Jump if the loaded word equals the operand.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `AUDIT_ARCH_*` of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const THIS_ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const THIS_ARCHITECTURE: u32 = 0xc000_00b7;

impl Filter {
    /// Reads the program the compiler wrote: eight bytes an instruction, little-endian.
    ///
    /// A program for another architecture would kill the process at its first call; saying so is kinder.
    pub fn parse(program: &[u8]) -> Result<Self, SeccompError> {
        let (instructions, rest) = program.as_chunks::<8>();
        if instructions.is_empty() || !rest.is_empty() {
            return Err(SeccompError::PartialInstruction(program.len()));
        }
        if instructions.len() > MAX_INSTRUCTIONS {
            return Err(SeccompError::TooLong(instructions.len()));
        }
        let filter: Vec<sock_filter> = instructions.iter().map(decode).collect();
        match filter.as_slice() {
            [load, check, ..]
                if (load.code, load.k) == (LOAD_WORD, ARCHITECTURE_OFFSET)
                    && (check.code, check.k) == (JUMP_IF_EQUAL, THIS_ARCHITECTURE) =>
            {
                Ok(Self(filter))
            }
            _ => Err(SeccompError::ForeignArchitecture),
        }
    }

    /// Puts the filter on every thread of the process, or on none. It cannot be taken off.
    pub fn install_on_all_threads(&self) -> Result<(), SeccompError> {
        seccompiler::apply_filter_all_threads(&self.0).map_err(|error| match error {
            seccompiler::Error::ThreadSync(thread) => SeccompError::ThreadRefused(thread),
            seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => {
                SeccompError::Refused(source)
            }
            other => SeccompError::NotInstallable(other),
        })
    }
}

/// Reads a compiled filter and puts it on every thread of the process. Daemons use [`crate::Confinement`], which does
/// this last.
pub fn install_on_all_threads(program: &[u8]) -> Result<(), SeccompError> {
    Filter::parse(program)?.install_on_all_threads()
}

fn decode(&[code_low, code_high, jt, jf, k0, k1, k2, k3]: &[u8; 8]) -> sock_filter {
    sock_filter {
        code: u16::from_le_bytes([code_low, code_high]),
        jt,
        jf,
        k: u32::from_le_bytes([k0, k1, k2, k3]),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        env, fs,
        path::{Path, PathBuf},
        process, thread,
    };

    use super::*;

    const ALLOW_EVERYTHING: [u8; 8] = [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f];

    fn compiled() -> Vec<u8> {
        let json = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/filter")
            .join(env::consts::ARCH)
            .with_extension("json");
        let out: PathBuf = env::temp_dir().join(format!(
            "chancel-filter-{}-{:?}",
            process::id(),
            thread::current().id()
        ));
        chancel_seccomp_compiler::compile(&json, &out).expect("compiles");
        let program = fs::read(&out).expect("reads");
        fs::remove_file(&out).expect("clean up");
        program
    }

    #[test]
    fn a_compiled_filter_is_read_instruction_by_instruction() {
        let program = compiled();
        let filter = Filter::parse(&program).expect("fit");
        assert_eq!(filter.0.len() * 8, program.len());
        assert_eq!(filter.0[1].k, THIS_ARCHITECTURE);
        assert_eq!(filter.0[1].code, JUMP_IF_EQUAL);
    }

    #[test]
    fn a_part_of_an_instruction_is_refused() {
        let program = compiled();
        for length in [0, 7, 9, program.len() - 1] {
            assert!(
                matches!(Filter::parse(&program[..length]), Err(SeccompError::PartialInstruction(found)) if found == length)
            );
        }
    }

    #[test]
    fn a_program_the_kernel_cannot_take_is_refused() {
        let mut program = compiled();
        program.resize(MAX_INSTRUCTIONS * 8, 0);
        Filter::parse(&program).expect("4096 instructions are fit");
        program.resize((MAX_INSTRUCTIONS + 1) * 8, 0);
        assert!(matches!(
            Filter::parse(&program),
            Err(SeccompError::TooLong(4097))
        ));
    }

    #[test]
    fn a_program_without_the_check_of_the_architecture_is_refused() {
        assert!(matches!(
            Filter::parse(&ALLOW_EVERYTHING),
            Err(SeccompError::ForeignArchitecture)
        ));
        let mut foreign = compiled();
        foreign[12] ^= 1;
        assert!(matches!(
            Filter::parse(&foreign),
            Err(SeccompError::ForeignArchitecture)
        ));
        assert!(matches!(
            install_on_all_threads(&foreign),
            Err(SeccompError::ForeignArchitecture)
        ));
    }
}
