//! Runs a program on a kernel that seems to lack something: `chancel-hobbled SYSCALL[,SYSCALL] PROGRAM [ARGUMENT …]`
//! makes the named system calls fail with ENOSYS and then becomes the program.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

const NUMBERS: [(&str, i64); 6] = [
    ("landlock_create_ruleset", libc::SYS_landlock_create_ruleset),
    ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
    ("seccomp", libc::SYS_seccomp),
    ("memfd_secret", libc::SYS_memfd_secret),
    ("mlock", libc::SYS_mlock),
    ("mlock2", libc::SYS_mlock2),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [missing, program, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: chancel-hobbled SYSCALL[,SYSCALL] PROGRAM [ARGUMENT …]");
        return ExitCode::from(2);
    };
    let number = |name: &str| {
        let known = NUMBERS.iter().find(|(known, _)| *known == name);
        (known.expect("a system call of the table").1, Vec::new())
    };
    let filter = SeccompFilter::new(
        missing.split(',').map(number).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        std::env::consts::ARCH
            .try_into()
            .expect("an architecture that has filters"),
    )
    .expect("a filter");
    let program_of_filter: BpfProgram = filter.try_into().expect("a program");
    apply_filter(&program_of_filter).expect("the filter is applied");
    eprintln!("{}", Command::new(program).args(rest).exec());
    ExitCode::FAILURE
}
