//! An installation of policyd in a temporary directory, under an account of its own where the tests may choose
//! one (as root), and the two kinds of peer that talk to it.

use chancel_domain::tenant::Name;
use chancel_domain::{ApiKeyId, Plan, RequestId, Scopes, TenantId, TenantStatus};
use chancel_link::{Client, Endpoint};
use chancel_wire::admin::{AdminError, AdminReply, AdminRequest, TenantRecord};
use chancel_wire::hello::{Role, ServiceToken};
use chancel_wire::policyd::{Ask, Caller, PolicydReply, PolicydRequest};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, geteuid};
use rusqlite::Connection;
use serde::Serialize;
use std::fs::{self, File, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// policyd's account when the tests run as root: it refuses to be root itself.
const ACCOUNT: u32 = 61002;
const TOKEN: [u8; 32] = [0x21; 32];
const PATIENCE: Duration = Duration::from_secs(10);

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

pub struct Installation {
    directory: TempDir,
    account: Uid,
}

impl Installation {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let account = if geteuid().is_root() {
            Uid::from_raw(ACCOUNT)
        } else {
            geteuid()
        };
        let installation = Self { directory, account };
        installation.lay_out();
        installation
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn lay_out(&self) {
        fs::set_permissions(self.directory.path(), Permissions::from_mode(0o755)).unwrap();
        for directory in ["run", "data", "etc"] {
            fs::create_dir(self.path(directory)).unwrap();
            self.give(&self.path(directory));
        }
        for (file, contents) in [
            ("gateway.token", TOKEN),
            ("keyd.token", [3; 32]),
            ("secret", [4; 32]),
        ] {
            let path = self.path("etc").join(file);
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            self.give(&path);
        }
        let root = self.directory.path().display();
        let config = format!(
            r#"
socket = "{root}/run/policyd.sock"
admin_socket = "{root}/run/admin.sock"
database = "{root}/data/chancel.db"
api_key_secret_file = "{root}/etc/secret"
log = "debug"

[gateway]
account = {gateway}
token_file = "{root}/etc/gateway.token"

[keyd]
socket = "{root}/run/keyd.sock"
account = {account}
token_file = "{root}/etc/keyd.token"
"#,
            gateway = geteuid(),
            account = self.account,
        );
        fs::write(self.path("policyd.toml"), config).unwrap();
        // The account may not reach the directory that Cargo builds in.
        fs::copy(
            env!("CARGO_BIN_EXE_chancel-policyd"),
            self.path("chancel-policyd"),
        )
        .unwrap();
    }

    fn give(&self, path: &Path) {
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
        let earlier = self.log().matches("run: ready").count();
        let mut process = self.spawn();
        let until = Instant::now() + PATIENCE;
        while self.log().matches("run: ready").count() == earlier {
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
        let files = fs::read_dir(self.path("data")).unwrap();
        files
            .flat_map(|file| fs::read(file.unwrap().path()).unwrap())
            .collect()
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
        Operator(self.client("run/admin.sock", Role::Operator, ServiceToken::none()))
    }

    pub fn gateway(&self) -> Gateway {
        Gateway(self.client("run/policyd.sock", Role::Gateway, ServiceToken::from_bytes(TOKEN)))
    }

    pub fn kernel_status(&self) -> String {
        fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap()
    }

    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn stop(mut self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
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

async fn call<T: Serialize>(client: &Client, request: &T) -> chancel_link::Answer {
    client.call(request, PATIENCE).await.expect("policyd answers")
}

pub struct Gateway(Client);

impl Gateway {
    pub async fn ask(&self, api_key: &str, ask: Ask) -> PolicydReply {
        let caller = Caller {
            api_key,
            request: RequestId::from_bytes([5; 16]),
            source: IpAddr::from([192, 0, 2, 1]),
        };
        call(&self.0, &PolicydRequest::Ask { caller, ask })
            .await
            .decode()
            .unwrap()
    }

    pub async fn health(&self) -> PolicydReply {
        call(&self.0, &PolicydRequest::Health).await.decode().unwrap()
    }
}

pub struct Operator(Client);

impl Operator {
    pub async fn ask(&self, request: AdminRequest) -> AdminReply {
        call(&self.0, &request).await.decode().unwrap()
    }

    pub async fn refusal(&self, request: AdminRequest) -> AdminError {
        match self.ask(request).await {
            AdminReply::Failed(error) => error,
            reply => panic!("done: {reply:?}"),
        }
    }

    pub async fn tenant(&self, called: &str, plan: Plan) -> TenantRecord {
        match self
            .ask(AdminRequest::CreateTenant {
                name: name(called),
                plan,
            })
            .await
        {
            AdminReply::Tenant(tenant) => tenant,
            reply => panic!("no tenant: {reply:?}"),
        }
    }

    pub async fn set_status(&self, tenant: TenantId, status: TenantStatus) {
        match self.ask(AdminRequest::SetTenantStatus { tenant, status }).await {
            AdminReply::Tenant(changed) => assert_eq!(changed.status, status),
            reply => panic!("not set: {reply:?}"),
        }
    }

    pub fn wanted(&self, tenant: TenantId, scopes: &str) -> AdminRequest {
        AdminRequest::CreateApiKey {
            tenant,
            name: name("key"),
            scopes: scopes.parse().unwrap(),
            expires_at_ms: None,
        }
    }

    pub async fn api_key(&self, tenant: TenantId, scopes: &str) -> (ApiKeyId, String) {
        match self.ask(self.wanted(tenant, scopes)).await {
            AdminReply::ApiKey(record, text) => (record.id, text.0),
            reply => panic!("no API key: {reply:?}"),
        }
    }

    pub async fn api_key_until(&self, tenant: TenantId, expires_at_ms: Option<i64>) -> String {
        let request = AdminRequest::CreateApiKey {
            tenant,
            name: name("key"),
            scopes: Scopes::all(),
            expires_at_ms,
        };
        match self.ask(request).await {
            AdminReply::ApiKey(_, text) => text.0,
            reply => panic!("no API key: {reply:?}"),
        }
    }
}
