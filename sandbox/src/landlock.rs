//! Landlock: after this, the thread reaches the paths it named and no other file, whatever its user may do.
//!
//! The rules are the same on every kernel, and what is handled is every right the running kernel and the library both
//! know, each as a hard requirement. So the outcome is complete enforcement or an error; [`Enforced`] says what an older
//! kernel does not have. Only paths that are opened later are restricted: descriptors that are open stay usable.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    ptr,
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, make_bitflags,
};
use thiserror::Error;

/// The oldest Landlock we run with: Linux 5.19, older than the kernel of every distribution we support (Debian 12 has
/// 6.1). ABI 1 lacks the right to move files between directories (`REFER`) and always denies it; one rule set for
/// both cases would not be the same sandbox.
///
/// What ABI 2 lacks and later ones add, and why its absence is bearable:
/// - `TRUNCATE` (ABI 3): `truncate(2)` on a path outside the rules. It still needs write permission for this user, and
///   no filter of ours lists the call; `O_TRUNC` and `ftruncate` need a descriptor that Landlock let through.
/// - TCP `bind` and `connect` (ABI 4): a daemon that must not use TCP has no `socket` in its filter either.
/// - `IOCTL_DEV` (ABI 5): ioctls on devices that were opened, which needs a rule for the device first.
/// - `RESOLVE_UNIX` (ABI 9): connecting to Unix sockets by path, which file permissions and peer checks guard as well.
const OLDEST_ABI: ABI = ABI::V2;
/// The same as a number, to compare [`offered_abi`] with.
pub const OLDEST_OFFER: i32 = OLDEST_ABI as i32;

/// What may be done with a path and, if it is a directory, with everything beneath. Never to execute: no daemon starts
/// a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read files and list directories.
    ReadOnly,
    /// Read, write, create, rename and remove files and directories. No devices, sockets, pipes and symbolic links:
    /// data directories hold none.
    ReadWrite,
    /// Connect to a Unix socket. Kernels before ABI 9 do not restrict that and leave it to file permissions; on newer
    /// ones a socket without this access is out of reach.
    Connect,
}

/// What the running kernel enforces beyond the minimum, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforced {
    /// Truncating files by path is denied outside the rules (Linux 6.2).
    pub truncate: bool,
    /// ioctls on devices opened later are denied (Linux 6.10).
    pub device_ioctl: bool,
    /// Connecting to Unix sockets outside the rules is denied (Linux 7.1).
    pub connect_unix: bool,
    /// TCP `bind` and `connect` are denied: asked for, and Linux 6.7 or newer.
    pub tcp: bool,
}

/// Why the file system is not restricted.
#[derive(Debug, Error)]
pub enum LandlockError {
    /// The kernel was built or booted without it.
    #[error("the kernel does not offer Landlock (boot parameter lsm=landlock,…?)")]
    Unavailable(#[source] io::Error),
    /// It is there, and too old.
    #[error("Landlock is at ABI {0}; Linux 5.19 or newer (ABI 2) is required")]
    TooOld(i32),
    /// A path of the rules does not exist or is out of reach.
    #[error("{}: cannot be opened for a Landlock rule", .path.display())]
    PathUnavailable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel refused a right or a rule.
    #[error("Landlock refuses the rules")]
    Refused(#[from] RulesetError),
    /// The kernel took the rules and does not enforce all of them.
    #[error("Landlock is not fully enforced")]
    NotFullyEnforced,
}

/// Restricts the calling thread to `paths`, files or directories, and with `deny_tcp` takes away TCP `bind` and
/// `connect`.
///
/// **Call it before other threads are started**: a thread inherits the restriction when it starts, and threads that run
/// already are not touched (the kernel can do that from ABI 8 on only).
pub fn restrict_filesystem(paths: &[(&Path, Access)], deny_tcp: bool) -> Result<Enforced, LandlockError> {
    restrict_at(running_abi()?, paths, deny_tcp)
}

/// The part that can be tried with an older ABI than the running kernel's, which still offers all of it.
fn restrict_at(abi: ABI, paths: &[(&Path, Access)], deny_tcp: bool) -> Result<Enforced, LandlockError> {
    let handled = AccessFs::from_all(abi);
    let tcp = deny_tcp && abi >= ABI::V4;

    // Without this level the library would quietly leave out what it thinks the kernel lacks.
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(handled)?;
    if tcp {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    let mut ruleset = ruleset.create()?;
    for &(path, access) in paths {
        let unavailable = |source| LandlockError::PathUnavailable {
            path: path.to_path_buf(),
            source,
        };
        let file = open_path(path).map_err(unavailable)?;
        // Rights that only mean something for a directory are an error in a rule for a file.
        let possible = match file.metadata().map_err(unavailable)?.is_dir() {
            true => handled,
            false => AccessFs::from_file(abi),
        };
        let rights = rights(access) & possible;
        if !rights.is_empty() {
            ruleset = ruleset.add_rule(PathBeneath::new(file, rights))?;
        }
    }
    let status = ruleset.restrict_self()?;
    if status.ruleset != RulesetStatus::FullyEnforced || !status.no_new_privs {
        return Err(LandlockError::NotFullyEnforced);
    }
    Ok(Enforced {
        truncate: handled.contains(AccessFs::Truncate),
        device_ioctl: handled.contains(AccessFs::IoctlDev),
        connect_unix: handled.contains(AccessFs::ResolveUnix),
        tcp,
    })
}

/// The newest ABI that the kernel offers and the library knows.
fn running_abi() -> Result<ABI, LandlockError> {
    let version = offered_abi().map_err(LandlockError::Unavailable)?;
    match ABI::from(version) {
        abi if abi >= OLDEST_ABI => Ok(abi),
        _ => Err(LandlockError::TooOld(version)),
    }
}

/// The ABI that the kernel says it offers, for those who look at a host and restrict nothing; a daemon needs
/// [`OLDEST_OFFER`] at least.
///
/// # Errors
/// What the system said when it offers none.
pub fn offered_abi() -> io::Result<i32> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the kernel takes no attributes (null, size 0) and only returns its version.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<libc::c_void>(),
            0_usize,
            VERSION,
        )
    };
    if version < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(version).unwrap_or(i32::MAX))
}

fn rights(access: Access) -> BitFlags<AccessFs> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    match access {
        Access::ReadOnly => read,
        Access::ReadWrite => {
            read | make_bitflags!(AccessFs::{
                WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
            })
        }
        Access::Connect => AccessFs::ResolveUnix.into(),
    }
}

/// What [`Access::Connect`] is given for a socket whose daemon may be started anew: its service manager then removes the
/// directory that the socket lies in and makes it again, and a rule follows the old one. So it is the directory above, and
/// nothing further up where that is missing: there the rules fail, and do not open the more the less there is.
pub fn above_directory_of(socket: &Path) -> &Path {
    let directory = socket.parent().unwrap_or(socket);
    directory.parent().unwrap_or(directory)
}

/// Opens without reading permission and without side effects: a rule needs to know which file, no more.
fn open_path(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_CLOEXEC)
        .open(path)
}

#[cfg(test)]
mod tests;
