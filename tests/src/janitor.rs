//! The test's end of the janitor (src/bin/janitor.rs): a process that outlives the test however that ends, and then
//! ends the installation's daemons and removes its directory. Installations that several tests share are never dropped,
//! and a test that is killed drops nothing at all.

use crate::binaries;
use nix::unistd::Pid;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Leaves work behind for when this process is gone.
#[derive(Debug)]
pub(crate) struct Janitor {
    child: Child,
    orders: Mutex<Option<ChildStdin>>,
}

impl Janitor {
    pub(crate) fn start(root: &Path) -> Self {
        let program = binaries::own("chancel-janitor");
        let mut child = Command::new(&program)
            .arg(root)
            // Not reached by Ctrl-C: it has to clean up after it.
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("starting {}: {error}", program.display()));
        let orders = Mutex::new(child.stdin.take());
        Self { child, orders }
    }

    /// A daemon was started.
    pub(crate) fn started(&self, pid: Pid) {
        self.order(&format!("started {pid}"));
    }

    /// A daemon was waited for: its pid may be somebody else's by now.
    pub(crate) fn ended(&self, pid: Pid) {
        self.order(&format!("ended {pid}"));
    }

    /// The directory is to stay, for somebody to look at.
    pub(crate) fn keep(&self) {
        self.order("keep");
    }

    fn order(&self, line: &str) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = orders.as_mut() {
            writeln!(orders, "{line}").expect("the janitor listens");
        }
    }

    /// Has it clean up now, and waits for that.
    pub(crate) fn finish(&mut self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.child.wait();
    }
}
