//! Tests of the compiler: what it refuses, and what the programs it makes do with a call. The second needs no kernel:
//! a small interpreter runs the few BPF instructions that occur.

use super::*;

/// `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64` and `AUDIT_ARCH_I386` of linux/audit.h.
const X86_64: u32 = 0xc000_003e;
const AARCH64: u32 = 0xc000_00b7;
const I386: u32 = 0x4000_0003;
const X32_BIT: u32 = 0x4000_0000;
const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

const GOOD: &str = r#"{"daemon": {"mismatch_action": "kill_process", "filter_action": "allow", "filter": [
    {"syscall": "read", "comment": "requests"},
    {"syscall": "write", "comment": "only to the log", "args": [
        {"index": 0, "type": "dword", "op": "eq", "val": 2, "comment": "stderr"}]}]}}"#;

fn compiled(json: &str, architecture: TargetArch) -> Result<BpfProgram, CompileError> {
    program(Path::new("x86_64.json"), json.as_bytes(), architecture)
}

fn objection(json: &str) -> Objection {
    match compiled(json, TargetArch::x86_64) {
        Err(CompileError::Rejected { objection, .. }) => objection,
        other => panic!("expected an objection, got {other:?}"),
    }
}

/// Runs a program on a call, as the kernel would.
fn verdict(program: &[sock_filter], architecture: u32, number: u32, first_argument: u64) -> u32 {
    let mut data = [0; 64];
    data[0..4].copy_from_slice(&number.to_le_bytes());
    data[4..8].copy_from_slice(&architecture.to_le_bytes());
    data[16..24].copy_from_slice(&first_argument.to_le_bytes());
    let (mut accumulator, mut at) = (0_u32, 0_usize);
    loop {
        let instruction = &program[at];
        let operand = instruction.k;
        at += 1;
        let jump = |taken| usize::from(if taken { instruction.jt } else { instruction.jf });
        match instruction.code {
            0x20 => {
                let offset = operand as usize;
                accumulator = u32::from_le_bytes(data[offset..offset + 4].try_into().expect("four bytes"));
            }
            0x05 => at += operand as usize,
            0x15 => at += jump(accumulator == operand),
            0x06 => return operand,
            other => panic!("the filter uses an instruction this test does not know: {other:#x}"),
        }
    }
}

#[test]
fn allows_what_is_listed_and_kills_the_rest() {
    let program = compiled(GOOD, TargetArch::x86_64).expect("compiles");
    assert_eq!(verdict(&program, X86_64, 0, 7), ALLOW, "read");
    assert_eq!(verdict(&program, X86_64, 1, 2), ALLOW, "write to stderr");
    assert_eq!(
        verdict(&program, X86_64, 1, 3),
        KILL_PROCESS,
        "write to anything else"
    );
    assert_eq!(verdict(&program, X86_64, 59, 0), KILL_PROCESS, "execve");
}

#[test]
fn kills_foreign_architectures_and_x32() {
    let program = compiled(GOOD, TargetArch::x86_64).expect("compiles");
    // Number 0 and 3 are `read` on x86_64 and on i386.
    for number in [0, 3] {
        assert_eq!(verdict(&program, I386, number, 0), KILL_PROCESS);
        assert_eq!(verdict(&program, AARCH64, number, 0), KILL_PROCESS);
        assert_eq!(verdict(&program, X86_64, X32_BIT | number, 0), KILL_PROCESS);
    }
}

#[test]
fn knows_the_numbers_of_the_other_architecture() {
    let program = compiled(GOOD, TargetArch::aarch64).expect("compiles");
    assert_eq!(verdict(&program, AARCH64, 63, 0), ALLOW, "read");
    assert_eq!(verdict(&program, AARCH64, 0, 0), KILL_PROCESS, "io_setup");
    assert_eq!(verdict(&program, X86_64, 63, 0), KILL_PROCESS);
}

#[test]
fn refuses_what_is_not_an_allow_list_that_kills() {
    assert_eq!(
        objection(&GOOD.replace("kill_process", "log")),
        Objection::MismatchDoesNotKill
    );
    assert_eq!(
        objection(&GOOD.replace("kill_process", "kill_thread")),
        Objection::MismatchDoesNotKill
    );
    assert_eq!(
        objection(&GOOD.replace("allow", "log")),
        Objection::MatchDoesNotAllow
    );
    assert_eq!(
        objection(&GOOD.replace("daemon", "main")),
        Objection::NotOneDaemonFilter
    );
    assert_eq!(objection("{}"), Objection::NotOneDaemonFilter);
}

#[test]
fn refuses_a_rule_without_a_reason() {
    let blank = GOOD.replace(r#""requests""#, r#"" ""#);
    assert_eq!(objection(&blank), Objection::NoReason("read".into()));
    let missing = GOOD.replace(r#", "comment": "requests""#, "");
    assert_eq!(objection(&missing), Objection::NoReason("read".into()));
}

#[test]
fn refuses_redundant_rules() {
    let twice = GOOD.replace(
        r#"{"syscall": "read""#,
        r#"{"syscall": "read", "comment": "again"}, {"syscall": "read""#,
    );
    assert_eq!(objection(&twice), Objection::Redundant("read".into()));
    let widened = GOOD.replace(
        r#"{"syscall": "read""#,
        r#"{"syscall": "write", "comment": "to anything"}, {"syscall": "read""#,
    );
    assert_eq!(objection(&widened), Objection::Redundant("write".into()));
}

#[test]
fn refuses_an_unknown_syscall_and_an_unknown_architecture() {
    let unknown = GOOD.replace(r#""read""#, r#""reed""#);
    assert!(matches!(
        compiled(&unknown, TargetArch::x86_64),
        Err(CompileError::DoesNotCompile { .. })
    ));
    let riscv = compile(Path::new("seccomp/riscv64.json"), Path::new("unused"));
    assert!(matches!(riscv, Err(CompileError::UnknownArchitecture(_))));
}

#[test]
fn writes_eight_little_endian_bytes_an_instruction() {
    let directory = env::temp_dir().join(format!("chancel-seccomp-compiler-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("temporary directory");
    let (json, bpf) = (directory.join("x86_64.json"), directory.join("seccomp.bpf"));
    fs::write(&json, GOOD).expect("write the filter");
    compile(&json, &bpf).expect("compiles");
    let bytes = fs::read(&bpf).expect("read the program");
    fs::remove_dir_all(&directory).expect("clean up");
    assert_eq!(
        bytes.len(),
        compiled(GOOD, TargetArch::x86_64).expect("compiles").len() * 8
    );
    // ld [4] (the architecture); jeq AUDIT_ARCH_X86_64
    assert_eq!(bytes[..8], [0x20, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(bytes[8..16], [0x15, 0, 1, 0, 0x3e, 0, 0, 0xc0]);
}
