//! Who is at the other end of a Unix socket, as the kernel recorded it when the peer connected (or listened).
//!
//! Credentials are the peer's at that moment: a pid may have been reused since, so decide by uid and groups and use the
//! pid for the log only.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use nix::sys::socket::{getsockopt, sockopt};

/// The kernel's record of the process at the other end of a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Process id, for the log. It proves nothing: the process may be gone and its id taken.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// Reads the peer's process, user and group (`SO_PEERCRED`).
pub fn peer_credentials(fd: impl AsFd) -> io::Result<PeerCredentials> {
    let credentials = getsockopt(&fd, sockopt::PeerCredentials)?;
    Ok(PeerCredentials {
        pid: credentials.pid(),
        uid: credentials.uid(),
        gid: credentials.gid(),
    })
}

/// Reads the peer's supplementary groups (`SO_PEERGROUPS`).
pub fn peer_groups(fd: impl AsFd) -> io::Result<Vec<u32>> {
    // The usual daemon has none or one. The kernel answers ERANGE with the size it needs, and a process may have 65,536.
    let mut groups: Vec<libc::gid_t> = vec![0; 16];
    loop {
        let capacity = size_of_val(groups.as_slice());
        let mut length = libc::socklen_t::try_from(capacity).map_err(io::Error::other)?;
        // SAFETY: `groups` is writable for `length` bytes, which is its size; `length` outlives the call.
        let outcome = unsafe {
            libc::getsockopt(
                fd.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let error = io::Error::last_os_error();
        let count = usize::try_from(length).map_err(io::Error::other)? / size_of::<libc::gid_t>();
        match outcome {
            0 => {
                groups.truncate(count);
                return Ok(groups);
            }
            // Growth is required, or a kernel that asks for less than it was given would keep this loop alive.
            _ if error.raw_os_error() == Some(libc::ERANGE) && count > groups.len() => {
                groups.resize(count, 0)
            }
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, net::TcpListener, os::unix::net::UnixStream, process, thread};

    use nix::unistd::{getegid, geteuid};

    use super::*;

    #[test]
    fn the_peer_of_a_socket_pair_is_this_process() {
        let (one, _other) = UnixStream::pair().expect("socket pair");
        let credentials = peer_credentials(&one).expect("credentials");
        assert_eq!(i64::from(credentials.pid), i64::from(process::id()));
        assert_eq!(credentials.uid, geteuid().as_raw());
        assert_eq!(credentials.gid, getegid().as_raw());
    }

    #[test]
    fn a_file_has_no_peer() {
        let file = File::open("/proc/self/status").expect("open");
        assert_eq!(
            peer_credentials(&file).expect_err("not a socket").raw_os_error(),
            Some(libc::ENOTSOCK)
        );
        assert_eq!(
            peer_groups(&file).expect_err("not a socket").raw_os_error(),
            Some(libc::ENOTSOCK)
        );
    }

    #[test]
    fn a_tcp_socket_has_no_groups() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        peer_groups(&listener).expect_err("TCP carries no credentials");
    }

    #[test]
    fn groups_are_the_supplementary_groups() {
        let (one, _other) = UnixStream::pair().expect("socket pair");
        let ours: Vec<u32> = nix::unistd::getgroups()
            .expect("groups")
            .into_iter()
            .map(|group| group.as_raw())
            .collect();
        assert_eq!(peer_groups(&one).expect("groups"), ours);
    }

    /// More groups than the first buffer holds. Setting them needs a privilege, so an unprivileged run proves less.
    #[test]
    fn more_groups_than_the_first_buffer_holds() {
        let many: Vec<u32> = (1000..1100).collect();
        let found = thread::spawn({
            let many = many.clone();
            move || {
                // The raw call changes this thread only; the C library's would change every test's.
                // SAFETY: the pointer and the count describe `many`.
                let set = unsafe { libc::syscall(libc::SYS_setgroups, many.len(), many.as_ptr()) };
                (set == 0).then(|| {
                    let (one, _other) = UnixStream::pair().expect("socket pair");
                    peer_groups(&one).expect("groups")
                })
            }
        })
        .join()
        .expect("thread");
        match found {
            Some(found) => assert_eq!(found, many),
            None => assert!(!geteuid().is_root(), "root must be able to set groups"),
        }
    }
}
