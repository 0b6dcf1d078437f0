//! Tests of the Landlock rules, each in a thread of its own: the restriction stays with the thread and ends with it.

use std::{
    fs,
    io::ErrorKind,
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use super::*;

/// A directory that is removed at the end, with `read-only/file`, `read-write/file` and `outside/file`.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("chancel-landlock-{}-{name}", std::process::id()));
        for directory in ["read-only", "read-write", "outside"] {
            fs::create_dir_all(root.join(directory)).expect("directory");
            fs::write(root.join(directory).join("file"), "text").expect("file");
        }
        Self(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("clean up");
    }
}

/// Runs `check` in a thread that was restricted to `paths`.
fn confined<R: Send>(
    paths: &[(&Path, Access)],
    deny_tcp: bool,
    check: impl FnOnce(Enforced) -> R + Send,
) -> R {
    thread::scope(|scope| {
        let thread = scope.spawn(|| check(restrict_filesystem(paths, deny_tcp).expect("restricted")));
        thread.join().expect("thread")
    })
}

fn denied<T>(outcome: io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == ErrorKind::PermissionDenied)
}

#[test]
fn a_directory_is_read_written_or_out_of_reach() {
    let tree = Tree::new("directories");
    let (read_only, read_write) = (tree.path("read-only"), tree.path("read-write"));
    confined(
        &[(&read_only, Access::ReadOnly), (&read_write, Access::ReadWrite)],
        false,
        |_| {
            assert!(denied(fs::read("/etc/passwd")));
            assert!(denied(fs::read(tree.path("outside/file"))));
            assert!(denied(fs::read_dir("/proc/self/fd")));

            assert_eq!(fs::read_dir(&read_only).expect("lists").count(), 1);
            assert_eq!(fs::read_to_string(read_only.join("file")).expect("reads"), "text");
            assert!(denied(fs::write(read_only.join("file"), "x")));
            assert!(denied(fs::write(read_only.join("new"), "x")));
            assert!(denied(fs::remove_file(read_only.join("file"))));

            fs::write(read_write.join("temporary"), "x").expect("creates");
            fs::rename(read_write.join("temporary"), read_write.join("file")).expect("replaces");
            fs::create_dir(read_write.join("below")).expect("creates a directory");
            fs::rename(read_write.join("file"), read_write.join("below/file"))
                .expect("moves between directories");
            fs::write(read_write.join("below/file"), "").expect("truncates");
            fs::remove_file(read_write.join("below/file")).expect("removes");
            fs::remove_dir(read_write.join("below")).expect("removes a directory");
            assert!(denied(std::os::unix::fs::symlink(
                "/etc",
                read_write.join("link")
            )));
            assert!(denied(UnixListener::bind(read_write.join("socket"))));
        },
    );
}

#[test]
fn a_file_is_a_rule_of_its_own() {
    let tree = Tree::new("files");
    let (read_only, read_write) = (tree.path("read-only/file"), tree.path("read-write/file"));
    confined(
        &[(&read_only, Access::ReadOnly), (&read_write, Access::ReadWrite)],
        false,
        |_| {
            assert_eq!(fs::read_to_string(&read_only).expect("reads"), "text");
            assert!(denied(fs::write(&read_only, "x")));
            fs::write(&read_write, "x").expect("writes and truncates");
            assert!(
                denied(fs::read_dir(tree.path("read-write"))),
                "the directory around it is not covered"
            );
            assert!(
                denied(fs::remove_file(&read_write)),
                "removing belongs to the directory"
            );
        },
    );
}

#[test]
fn nothing_is_executed() {
    let program = Path::new("/bin/true");
    confined(&[(Path::new("/"), Access::ReadOnly)], false, |_| {
        fs::read(program).expect("reads");
        assert!(denied(std::process::Command::new(program).status()));
    });
}

#[test]
fn without_rules_nothing_is_reachable_and_threads_inherit_it() {
    confined(&[], false, |_| {
        assert!(denied(fs::read("/etc/passwd")));
        let inherited = thread::spawn(|| denied(fs::read("/etc/passwd")));
        assert!(inherited.join().expect("inner thread"));
    });
}

#[test]
fn open_descriptors_stay_usable() {
    let mut file = File::open("/etc/passwd").expect("opens");
    confined(&[], false, |_| {
        let mut text = String::new();
        io::Read::read_to_string(&mut file, &mut text).expect("reads");
        assert!(!text.is_empty());
    });
}

#[test]
fn tcp_is_denied_where_the_kernel_can() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("address");
    confined(&[], true, |enforced| {
        assert_eq!(enforced.tcp, running_abi().expect("available") >= ABI::V4);
        assert_eq!(denied(TcpListener::bind("127.0.0.1:0")), enforced.tcp);
        assert_eq!(denied(TcpStream::connect(address)), enforced.tcp);
    });
    confined(&[], false, |enforced| {
        assert!(!enforced.tcp);
        TcpStream::connect(address).expect("connects when not denied");
    });
}

/// On every kernel a listed socket is reachable; only newer ones refuse one that is not listed.
#[test]
fn a_unix_socket_is_reachable_when_it_is_listed() {
    let tree = Tree::new("sockets");
    let (listed, unlisted) = (tree.path("listed.sock"), tree.path("unlisted.sock"));
    let _listeners = (
        UnixListener::bind(&listed).expect("binds"),
        UnixListener::bind(&unlisted).expect("binds"),
    );
    confined(&[(&listed, Access::Connect)], false, |enforced| {
        UnixStream::connect(&listed).expect("connects");
        assert_eq!(denied(UnixStream::connect(&unlisted)), enforced.connect_unix);
        assert!(denied(fs::read(tree.path("outside/file"))));
    });
}

#[test]
fn a_missing_path_is_an_error_that_names_it() {
    let missing = Path::new("/nonexistent/chancel");
    match restrict_filesystem(&[(missing, Access::ReadOnly)], false) {
        Err(LandlockError::PathUnavailable { path, .. }) => assert_eq!(path, missing),
        other => panic!("{other:?}"),
    }
    fs::read("/etc/passwd").expect("a failed attempt restricts nothing");
}

#[test]
fn what_lies_above_a_socket_does_not_depend_on_what_is_there() {
    let above = |socket| above_directory_of(Path::new(socket));
    assert_eq!(above("/run/chancel-policyd/policyd.sock"), Path::new("/run"));
    assert_eq!(
        above("/nonexistent/chancel/keyd/keyd.sock"),
        Path::new("/nonexistent/chancel")
    );
    assert_eq!(above("/keyd.sock"), Path::new("/"));
    let missing = above("/nonexistent/chancel/keyd/keyd.sock");
    match restrict_filesystem(&[(missing, Access::Connect)], false) {
        Err(LandlockError::PathUnavailable { path, .. }) => assert_eq!(path, missing),
        other => panic!("{other:?}"),
    }
}

/// The rules as the kernels of Debian 12 (ABI 2) and Ubuntu 24.04 (ABI 4) get them, and the oldest with device ioctls.
#[test]
fn the_rules_are_complete_at_older_abis() {
    for (abi, truncate, device_ioctl, tcp) in [
        (ABI::V2, false, false, false),
        (ABI::V4, true, false, true),
        (ABI::V5, true, true, true),
    ] {
        if running_abi().expect("available") < abi {
            continue;
        }
        let tree = Tree::new(&format!("abi-{abi}"));
        let (directory, file) = (tree.path("read-write"), tree.path("read-only/file"));
        let paths = [
            (directory.as_path(), Access::ReadWrite),
            (&file, Access::ReadOnly),
            (&file, Access::Connect),
        ];
        thread::scope(|scope| {
            let confined = scope.spawn(|| {
                let enforced = restrict_at(abi, &paths, true).expect("fully enforced");
                assert_eq!(
                    enforced,
                    Enforced {
                        truncate,
                        device_ioctl,
                        connect_unix: false,
                        tcp
                    }
                );
                assert!(denied(fs::read("/etc/passwd")));
                assert!(denied(fs::write(&file, "x")));
                fs::create_dir(directory.join("below")).expect("creates a directory");
                fs::rename(directory.join("file"), directory.join("below/file"))
                    .expect("moves between directories");
                assert_eq!(denied(TcpListener::bind("127.0.0.1:0")), tcp);
            });
            confined.join().expect("thread");
        });
    }
}
