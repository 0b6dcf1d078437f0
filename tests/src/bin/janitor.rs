//! Cleans up after a test, however it ended: `chancel-janitor DIRECTORY`, with orders on standard input, a line each.
//! When the input ends, daemons that were started and not ended are killed, and the directory is removed unless an order
//! says to keep it.
//!
//! A pid is only signalled while its command line names the directory, so never another process's.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const POLLS: u32 = 500;
const POLL: Duration = Duration::from_millis(10);

fn main() {
    let Some(root) = std::env::args_os().nth(1) else {
        eprintln!("usage: chancel-janitor DIRECTORY");
        std::process::exit(2);
    };
    let root = Path::new(&root);
    let mut running = BTreeSet::new();
    let mut keep = false;
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("started", pid)) => running.extend(pid.parse::<i32>()),
            Some(("ended", pid)) => running.retain(|running| Ok(*running) != pid.parse()),
            _ => keep |= line == "keep",
        }
    }
    for pid in &running {
        if is_of(*pid, root) {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }
    let mut polls = 0;
    while polls < POLLS && running.iter().any(|pid| is_of(*pid, root)) {
        thread::sleep(POLL);
        polls += 1;
    }
    if !keep {
        let _ = fs::remove_dir_all(root);
    }
}

/// Whether the process runs and was started with something below the directory as an argument. One that is dead and not
/// waited for has no command line.
fn is_of(pid: i32, root: &Path) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        line.split(|byte| *byte == 0)
            .any(|word| word.starts_with(root.as_os_str().as_encoded_bytes()))
    })
}
