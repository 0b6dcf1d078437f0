//! A keyd of its own: its files, its process, connections to it.

use chancel_wire::frame::{self, FrameBuffer};
use chancel_wire::hello::{Hello, Role, ServiceToken, WELCOME_LEN};
use chancel_wire::keyd::{KeydReply, KeydRequest};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Of the range that systemd documents as unused; no other suite takes it.
const ACCOUNT: u32 = 60_821;
const PATIENCE: Duration = Duration::from_secs(20);

/// The gateway's and policyd's service tokens.
const TOKENS: [(Role, &str, u8); 2] = [
    (Role::Gateway, "gateway.token", 7),
    (Role::Policyd, "policyd.token", 8),
];

pub(crate) struct Keyd {
    home: tempfile::TempDir,
    child: Option<Child>,
    mounted: bool,
}

impl Keyd {
    pub(crate) fn start(ledger_options: &str) -> Self {
        let mut keyd = Self::prepare(ledger_options);
        keyd.start_again();
        keyd
    }

    /// Its ledger on a file system of half a megabyte.
    pub(crate) fn on_a_small_disk() -> Self {
        let mut keyd = Self::prepare("");
        let ledger = keyd.path("ledger");
        fs::create_dir(&ledger).unwrap();
        let options = format!("size=512k,mode=0750,uid={ACCOUNT},gid={ACCOUNT}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "none"])
            .arg(&ledger)
            .status()
            .unwrap();
        assert!(mounted.success(), "root can mount");
        keyd.mounted = true;
        keyd.start_again();
        keyd
    }

    fn prepare(ledger_options: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        // A process of its own copies: one that forks while it writes a program keeps it busy.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_chancel-keyd"))
            .arg(at("chancel-keyd"))
            .status()
            .unwrap();
        assert!(copied.success());
        let secret = |name: &str, byte: u8| {
            fs::write(at(name), [byte; 32]).unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(0o600)).unwrap();
            chown(at(name), Some(ACCOUNT), Some(ACCOUNT)).unwrap();
        };
        secret("kek", 0x5a);
        for (_, name, byte) in TOKENS {
            secret(name, byte);
        }
        let config = format!(
            "socket = {:?}\nkey_directory = {:?}\ncached_keys = 8\nworkers = 2\ndangerous_shared_account = true\n\
             [kek]\nsource = \"file\"\npath = {:?}\ngeneration = 1\n\
             [gateway]\naccount = 0\ntoken_file = {:?}\n[policyd]\naccount = 0\ntoken_file = {:?}\n\
             [ledger]\ndirectory = {:?}\n{ledger_options}\n",
            at("keyd.sock"),
            at("keys"),
            at("kek"),
            at("gateway.token"),
            at("policyd.token"),
            at("ledger"),
        );
        fs::write(at("keyd.toml"), config).unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        chown(home.path(), Some(ACCOUNT), Some(ACCOUNT)).unwrap();
        Self {
            home,
            child: None,
            mounted: false,
        }
    }

    fn spawn(&self) -> Child {
        Command::new(self.path("chancel-keyd"))
            .arg("--config")
            .arg(self.path("keyd.toml"))
            .uid(ACCOUNT)
            .gid(ACCOUNT)
            .stdout(Stdio::null())
            .stderr(
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(self.path("log"))
                    .unwrap(),
            )
            .spawn()
            .unwrap()
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none());
        self.child = Some(self.spawn());
        let until = Instant::now() + PATIENCE;
        while Connection::open(&self.path("keyd.sock"), Role::Policyd).is_none() {
            assert!(Instant::now() < until, "{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it and returns what it said when it ended.
    pub(crate) fn refuses_to_start(&self) -> String {
        let before = self.log().len();
        let mut child = self.spawn();
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.code(), Some(1), "{}", self.log());
        self.log().get(before..).unwrap().to_owned()
    }

    /// Asks it to end and waits until it has, of its own accord.
    pub(crate) fn terminate(&mut self) {
        let mut child = self.child.take().unwrap();
        kill(pid(&child), Signal::SIGTERM).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{status:?} {}", self.log());
    }

    /// Kills it a while later, without warning.
    pub(crate) fn kill_after(&mut self, pause: Duration) -> JoinHandle<()> {
        let mut child = self.child.take().unwrap();
        thread::spawn(move || {
            thread::sleep(pause);
            child.kill().unwrap();
            child.wait().unwrap();
        })
    }

    pub(crate) fn connect(&self, role: Role) -> Connection {
        Connection::open(&self.path("keyd.sock"), role).unwrap()
    }

    /// The ledger's lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let mut segments: Vec<PathBuf> = fs::read_dir(self.path("ledger"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        segments.sort();
        let texts = segments.iter().map(|path| fs::read_to_string(path).unwrap());
        texts
            .flat_map(|text| {
                let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
                lines.collect::<Vec<_>>()
            })
            .collect()
    }

    pub(crate) fn fill_disk(&self) {
        let mut file = fs::File::create(self.path("ledger/filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    pub(crate) fn empty_disk(&self) {
        fs::remove_file(self.path("ledger/filler")).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Keyd {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(self.path("ledger")).status();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

pub(crate) struct Connection {
    stream: UnixStream,
    buffer: FrameBuffer,
}

impl Connection {
    fn open(socket: &Path, role: Role) -> Option<Self> {
        let token = TOKENS
            .iter()
            .find(|(of, ..)| *of == role)
            .map_or(ServiceToken::none(), |(_, _, byte)| {
                ServiceToken::from_bytes([*byte; 32])
            });
        let mut stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&Hello::new(role, token).to_bytes()).ok()?;
        stream.read_exact(&mut [0; WELCOME_LEN]).ok()?;
        Some(Self {
            stream,
            buffer: FrameBuffer::new(chancel_wire::limits::MAX_BATCH_FRAME_BODY),
        })
    }

    pub(crate) fn ask<T>(&mut self, request: &KeydRequest<'_>, take: impl FnOnce(KeydReply<'_>) -> T) -> T {
        self.try_ask(request, take).expect("keyd answers")
    }

    /// `None` when the connection ended before the answer.
    pub(crate) fn try_ask<T>(
        &mut self,
        request: &KeydRequest<'_>,
        take: impl FnOnce(KeydReply<'_>) -> T,
    ) -> Option<T> {
        self.stream.write_all(&frame::seal(1, 10_000, request)).ok()?;
        loop {
            if let Some(answer) = self.buffer.next_frame().unwrap() {
                return Some(take(chancel_wire::decode(answer.body).unwrap()));
            }
            match self.stream.read(self.buffer.spare()) {
                Ok(count) if count > 0 => self.buffer.filled(count),
                _ => return None,
            }
        }
    }
}
