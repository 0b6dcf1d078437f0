//! The sandbox of the running daemons, seen from outside: what the kernel says of them, what it refuses them, what is in
//! their memory, and that they leave no core dump.
//!
//! No daemon has a door for tests. What they may do is tried in their own processes: root attaches to the running daemon
//! as a debugger does and has it execute a system call ([`injection`]), so that the answer is the kernel's to exactly
//! that process. Needs root, and x86_64 for the registers.

#[cfg(target_arch = "x86_64")]
mod confinement;
mod core_dumps;
#[cfg(target_arch = "x86_64")]
mod injection;
mod memory;
mod secrets;
mod status;
#[cfg(target_arch = "x86_64")]
mod system_calls;
