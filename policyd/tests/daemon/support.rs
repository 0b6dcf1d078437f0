//! An installation of policyd in a temporary directory, under an account of its own where the tests may choose
//! one (as root), and the two kinds of peer that talk to it.

use crate::peers::{Gateway, Operator};
use chancel_domain::tenant::Name;
use chancel_ledger::{Record, Records, verify};
use chancel_link::{Client, Endpoint};
use chancel_wire::hello::{Role, ServiceToken};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, geteuid};
use rusqlite::Connection;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// policyd's account when the tests run as root: it refuses to be root itself.
const ACCOUNT: u32 = 61002;
const GATEWAY_TOKEN: [u8; 32] = [0x21; 32];
pub const KEYD_TOKEN: [u8; 32] = [3; 32];
/// The key of the API keys' hashes.
pub const SECRET: [u8; 32] = [4; 32];
pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub fn name(text: &str) -> Name {
    Name::try_from(text.to_owned()).unwrap()
}

/// Waits until something is so, within reason.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub struct Installation {
    directory: TempDir,
    account: Uid,
}

impl Installation {
    pub fn new() -> Self {
        Self::with("10ms")
    }

    /// With a ledger that is synced in this way.
    pub fn with(sync: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let account = if geteuid().is_root() {
            Uid::from_raw(ACCOUNT)
        } else {
            geteuid()
        };
        let installation = Self { directory, account };
        installation.lay_out(sync);
        installation
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn lay_out(&self, sync: &str) {
        fs::set_permissions(self.directory.path(), Permissions::from_mode(0o755)).unwrap();
        for directory in ["run", "data", "ledger", "etc"] {
            fs::create_dir(self.path(directory)).unwrap();
            self.give(&self.path(directory));
        }
        fs::set_permissions(self.path("ledger"), Permissions::from_mode(0o750)).unwrap();
        for (file, contents) in [
            ("gateway.token", GATEWAY_TOKEN),
            ("keyd.token", KEYD_TOKEN),
            ("secret", SECRET),
        ] {
            let path = self.path("etc").join(file);
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            self.give(&path);
        }
        self.write_plans("");
        let root = self.directory.path().display();
        let config = format!(
            r#"
socket = "{root}/run/policyd.sock"
admin_socket = "{root}/run/admin.sock"
database = "{root}/data/chancel.db"
api_key_secret_file = "{root}/etc/secret"
plans_file = "{root}/etc/plans.toml"
log = "debug"

[ledger]
directory = "{root}/ledger"
sync = "{sync}"
reserve_bytes = 65536

[gateway]
account = {peer}
token_file = "{root}/etc/gateway.token"

[keyd]
socket = "{root}/run/keyd.sock"
account = {peer}
token_file = "{root}/etc/keyd.token"
"#,
            peer = geteuid(),
        );
        fs::write(self.path("policyd.toml"), config).unwrap();
        // The account may not reach the directory that Cargo builds in. Copied by another process: a child that another
        // test starts meanwhile would hold the file open for writing, and it could not be run.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_chancel-policyd"))
            .arg(self.path("chancel-policyd"))
            .status();
        assert!(copied.unwrap().success());
    }

    /// The account that policyd runs under.
    pub fn account(&self) -> u32 {
        self.account.as_raw()
    }

    /// Replaces the file with the plans' terms.
    pub fn write_plans(&self, text: &str) {
        fs::write(self.path("etc/plans.toml"), text).unwrap();
        self.give(&self.path("etc/plans.toml"));
    }

    pub fn give(&self, path: &Path) {
        chown(path, Some(self.account.as_raw()), Some(self.account.as_raw())).unwrap();
    }

    fn spawn(&self) -> Child {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut command = Command::new(self.path("chancel-policyd"));
        command.arg("--config").arg(self.path("policyd.toml")).stderr(log);
        if geteuid().is_root() {
            command.uid(self.account.as_raw()).gid(self.account.as_raw());
        }
        command.spawn().unwrap()
    }

    pub fn start(&self) -> Policyd<'_> {
        let earlier = self.said("run: ready");
        let mut process = self.spawn();
        let until = Instant::now() + PATIENCE;
        while self.said("run: ready") == earlier {
            assert!(
                process.try_wait().unwrap().is_none(),
                "policyd ended:\n{}",
                self.log()
            );
            assert!(Instant::now() < until, "policyd is not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        Policyd {
            process,
            installation: self,
        }
    }

    /// Starts what must refuse to; returns its exit code and what it said.
    pub fn start_in_vain(&self) -> (Option<i32>, String) {
        let status = self.spawn().wait().unwrap();
        (status.code(), self.log())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How often the log says something.
    pub fn said(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    pub fn database(&self) -> Connection {
        Connection::open(self.path("data/chancel.db")).unwrap()
    }

    pub fn chown_database(&self) {
        for file in fs::read_dir(self.path("data")).unwrap() {
            self.give(&file.unwrap().path());
        }
    }

    pub fn database_files(&self) -> Vec<String> {
        let files = fs::read_dir(self.path("data")).unwrap();
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    pub fn everything_on_disk(&self) -> Vec<u8> {
        ["data", "ledger"]
            .iter()
            .flat_map(|directory| fs::read_dir(self.path(directory)).unwrap())
            .flat_map(|file| fs::read(file.unwrap().path()).unwrap())
            .collect()
    }

    /// The records of the decision ledger that meet a condition, each as `wanted` makes it.
    pub fn records<T>(&self, mut wanted: impl FnMut(&Record<'_>) -> Option<T>) -> Vec<T> {
        let mut records = Records::of(&self.path("ledger")).unwrap();
        let mut found = Vec::new();
        while let Some(line) = records.next_line().unwrap() {
            if line.is_whole {
                found.extend(wanted(&Record::parse(line.bytes).unwrap()));
            }
        }
        found
    }

    /// Holds that nothing is wrong with the decision ledger's chain.
    pub fn check_ledger(&self) {
        let report = verify::verify(&self.path("ledger"), None, None).unwrap();
        assert!(report.is_sound(), "{:?}", report.findings);
        assert!(report.decisions.records > 0);
    }
}

pub struct Policyd<'a> {
    process: Child,
    installation: &'a Installation,
}

impl Policyd<'_> {
    fn client(&self, socket: &str, role: Role, token: ServiceToken) -> Client {
        let endpoint = Endpoint::Unix {
            path: self.installation.path(socket),
            uid: self.installation.account.as_raw(),
        };
        Client::new(endpoint, role, token)
    }

    pub fn operator(&self) -> Operator {
        Operator::new(self.client("run/admin.sock", Role::Operator, ServiceToken::none()))
    }

    pub fn gateway(&self) -> Gateway {
        let token = ServiceToken::from_bytes(GATEWAY_TOKEN);
        Gateway::new(self.client("run/policyd.sock", Role::Gateway, token))
    }

    pub fn kernel_status(&self) -> String {
        fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap()
    }

    /// Its memory.
    pub fn resident_kib(&self) -> u64 {
        self.kib_of("VmRSS:")
    }

    /// The most it ever had.
    pub fn most_resident_kib(&self) -> u64 {
        self.kib_of("VmHWM:")
    }

    fn kib_of(&self, label: &str) -> u64 {
        let status = self.kernel_status();
        let line = status.lines().find_map(|line| line.strip_prefix(label)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    pub fn stop(mut self, signal: Signal) {
        self.signal(signal);
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", self.installation.log());
    }
}

impl Drop for Policyd<'_> {
    fn drop(&mut self) {
        // It has ended already where a test ended it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
