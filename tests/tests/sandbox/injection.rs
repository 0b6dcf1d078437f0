//! Having a running process execute a system call of the test's choice: attach, point the registers at a `syscall`
//! instruction in its own code, step over it, look at the result. Seccomp and Landlock apply as to any other call of that
//! thread. The thread goes on afterwards as if nothing had been.

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// What came of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this; errors are negative.
    Returned(i64),
    /// The kernel killed the process with this signal instead. It has been waited for.
    Killed(Signal),
}

impl Outcome {
    /// A result that is no error.
    pub fn succeeded(self) -> bool {
        matches!(self, Self::Returned(value) if value >= 0)
    }

    /// An error number.
    pub fn failed_with(self, errno: i32) -> bool {
        self == Self::Returned(-i64::from(errno))
    }

    /// The end that seccomp gives.
    pub fn was_killed_by_seccomp(self) -> bool {
        self == Self::Killed(Signal::SIGSYS)
    }
}

/// An argument of a system call.
#[derive(Debug, Clone, Copy)]
pub enum Argument<'a> {
    /// A number.
    Number(u64),
    /// The address of this text, NUL-terminated, in the process.
    Text(&'a str),
    /// The address of so many zero bytes, at most 256.
    Zeroes,
}

/// A system call to try.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub number: i64,
    pub arguments: Vec<Argument<'a>>,
}

/// A call with arguments.
pub fn call<'a>(number: i64, arguments: &[Argument<'a>]) -> Call<'a> {
    Call {
        number,
        arguments: arguments.to_vec(),
    }
}

/// A process whose main thread is stopped.
struct Attached {
    pid: Pid,
    registers: user_regs_struct,
}

/// Has the main thread of a process, which must be a child of this one, execute a system call.
pub fn inject(pid: Pid, call: &Call<'_>) -> Outcome {
    let attached = Attached::to(pid);
    let outcome = attached.execute(call);
    if let Outcome::Returned(_) = outcome {
        attached.release();
    }
    outcome
}

impl Attached {
    fn to(pid: Pid) -> Self {
        ptrace::attach(pid).unwrap_or_else(|error| panic!("attaching to {pid}: {error}"));
        match wait(pid) {
            WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
            other => panic!("not stopped: {other:?}"),
        }
        let registers = ptrace::getregs(pid).expect("registers");
        Self { pid, registers }
    }

    fn execute(&self, call: &Call<'_>) -> Outcome {
        let mut registers = self.registers;
        registers.rip = syscall_instruction(self.pid);
        registers.rax = call.number as u64;
        // No system call is under way that would be begun again instead.
        registers.orig_rax = u64::MAX;
        // Below what the thread uses of its stack, with its red zone.
        let mut room = (self.registers.rsp - 16_384) & !15;
        let slots = [
            &mut registers.rdi,
            &mut registers.rsi,
            &mut registers.rdx,
            &mut registers.r10,
            &mut registers.r8,
            &mut registers.r9,
        ];
        for (slot, argument) in slots.into_iter().zip(&call.arguments) {
            *slot = match argument {
                Argument::Number(number) => *number,
                Argument::Text(text) => self.place(&mut room, text.as_bytes()),
                Argument::Zeroes => self.place(&mut room, &[0; 256]),
            };
        }
        ptrace::setregs(self.pid, registers).expect("registers");
        ptrace::step(self.pid, None).expect("a step");
        match wait(self.pid) {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                let after = ptrace::getregs(self.pid).expect("registers");
                assert_eq!(after.rip, registers.rip + 2, "one instruction was executed");
                Outcome::Returned(after.rax as i64)
            }
            WaitStatus::Signaled(_, signal, core_dumped) => {
                assert!(!core_dumped, "a core dump was left");
                Outcome::Killed(signal)
            }
            other => panic!("neither done nor dead: {other:?}"),
        }
    }

    /// Puts bytes and a NUL on the stack.
    fn place(&self, room: &mut u64, bytes: &[u8]) -> u64 {
        let mut padded = bytes.to_vec();
        padded.resize((bytes.len() / 8 + 1) * 8, 0);
        *room -= (padded.len() as u64).next_multiple_of(16);
        for (index, word) in padded.chunks_exact(8).enumerate() {
            let word = i64::from_ne_bytes(word.try_into().expect("eight bytes"));
            let address = *room + 8 * index as u64;
            ptrace::write(self.pid, address as *mut libc::c_void, word).expect("the stack can be written");
        }
        *room
    }

    /// Lets the thread go on where it was.
    fn release(&self) {
        ptrace::setregs(self.pid, self.registers).expect("registers");
        ptrace::detach(self.pid, None).expect("detached");
    }
}

fn wait(pid: Pid) -> WaitStatus {
    waitpid(pid, Some(WaitPidFlag::__WALL)).expect("the traced process can be waited for")
}

/// The address of a `syscall` instruction in the process's code.
fn syscall_instruction(pid: Pid) -> u64 {
    const SYSCALL: [u8; 2] = [0x0f, 0x05];
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the process's memory");
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process's mappings");
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((from, to)) = range.split_once('-') else {
            continue;
        };
        if !rights.contains('x') || line.ends_with("[vsyscall]") {
            continue;
        }
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (from, to) = (address(from), address(to));
        let mut code = vec![0; (to - from) as usize];
        if memory.read_exact_at(&mut code, from).is_err() {
            continue;
        }
        if let Some(offset) = code.windows(2).position(|bytes| bytes == SYSCALL) {
            return from + offset as u64;
        }
    }
    panic!("no system call instruction in {pid}");
}
