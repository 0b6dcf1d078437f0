//! CPU time of processes, as the scheduler counts it: nanoseconds of user and system time of all threads of a
//! process, ended ones included. Work of the kernel on nobody's behalf (interrupts) is charged to whoever ran.

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::time::Duration;

/// The CPU clock of a process or thread.
#[derive(Debug, Clone, Copy)]
pub struct CpuClock(ClockId);

impl CpuClock {
    /// Another process's. Needs no privilege.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of_process(pid: u32) -> nix::Result<Self> {
        // NOTE(expect): Linux's pids end at 4,194,304.
        let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
        ClockId::pid_cpu_clock_id(pid).map(Self)
    }

    /// This process's.
    pub const fn of_this_process() -> Self {
        Self(ClockId::CLOCK_PROCESS_CPUTIME_ID)
    }

    /// The calling thread's.
    pub const fn of_this_thread() -> Self {
        Self(ClockId::CLOCK_THREAD_CPUTIME_ID)
    }

    /// CPU time used so far.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn read(self) -> nix::Result<Duration> {
        let time = clock_gettime(self.0)?;
        // NOTE(expect): a CPU clock starts at 0.
        Ok(Duration::from_nanos(
            u64::try_from(time.num_nanoseconds()).expect("not negative"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::time::Instant;

    #[test]
    fn work_counts_and_sleep_does_not() {
        let thread = CpuClock::of_this_thread();
        let process = CpuClock::of_process(std::process::id()).expect("own clock");
        let (before, process_before) = (thread.read().expect("time"), process.read().expect("time"));
        std::thread::sleep(Duration::from_millis(50));
        let asleep = thread.read().expect("time") - before;
        assert!(asleep < Duration::from_millis(20), "{asleep:?} while asleep");
        let started = Instant::now();
        while thread.read().expect("time") - before < Duration::from_millis(60) {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "the clock stands still"
            );
            black_box(started);
        }
        let all = process.read().expect("time") - process_before;
        assert!(all >= Duration::from_millis(40), "{all:?} of the process");
    }

    #[test]
    fn a_process_that_is_not_there_has_no_clock() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let pid = child.id();
        child.wait().expect("waited");
        assert!(CpuClock::of_process(pid).is_err());
    }
}
