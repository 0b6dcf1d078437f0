//! A gateway in this process between a scripted policyd, a scripted keyd and raw HTTP.
#![allow(
    dead_code,
    reason = "each test file is a crate of its own and uses its own part"
)]

use chancel_domain::plan::Rate;
use chancel_domain::{Algorithm, ApiKeyId, KeyHandle, KeyState, KeyVersion, Operation, TenantId};
use chancel_gateway::helpers::Helpers;
use chancel_gateway::http::proxies::{Proxies, ProxyHeader};
use chancel_gateway::http::response::Response;
use chancel_gateway::http::{Place, Served, Site, serve};
use chancel_gateway::keyd_client::KeydClient;
use chancel_gateway::known_callers::KnownCallers;
use chancel_gateway::metrics::Connections;
use chancel_gateway::pipeline::{self, Gateway};
use chancel_gateway::policyd_client::PolicydClient;
use chancel_gateway::shares::Shares;
use chancel_link::{
    Admission, AuthenticatedPeer, Client, Endpoint, Expected, Handled, Handler, Incoming, Listener, Refusals,
    Reply,
};
use chancel_wire::hello::{Role, ServiceToken};
use chancel_wire::keyd::{BreakGlassClaims, BreakGlassState, KeydError, KeydHealth, KeydReply, KeydRequest};
use chancel_wire::permit::{PermitClaims, PermitKey, SignedPermit};
use chancel_wire::policyd::{Ask, KeyView, PolicydFailure, PolicydReply, PolicydRequest, Subject, Verdict};
use hyper::Request;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Every API key is good, unless it ends in `unknown`.
pub const API_KEY: &str = "qph_test";

/// The tenant that policyd finds behind every API key.
pub const TENANT: TenantId = TenantId::from_bytes([0x11; 16]);

pub type Judge = dyn Fn(&Ask) -> Verdict + Send + Sync;
type Work = dyn Fn(&[u8]) -> Result<Vec<u8>, KeydError> + Send + Sync;

/// What the two daemons do.
pub struct Script {
    /// How policyd judges.
    pub judge: Box<Judge>,
    /// What keyd makes of an input.
    pub work: Box<Work>,
    /// The rate that policyd gives with every caller.
    pub rate: Option<Rate>,
    /// The tenant that policyd finds behind every API key.
    pub tenant: TenantId,
    /// Where the API key may be used.
    pub networks: &'static str,
    /// Whose word on where a request comes from the gateway believes.
    pub trusted_proxies: &'static str,
    /// Connections the gateway takes.
    pub most_connections: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            judge: Box::new(granted),
            work: Box::new(|_| Ok(b"output".to_vec())),
            rate: None,
            tenant: TENANT,
            networks: "",
            trusted_proxies: "",
            most_connections: 100,
        }
    }
}

/// A running system.
pub struct Scene {
    pub address: SocketAddr,
    pub gateway: Arc<Gateway>,
    /// What policyd was asked.
    pub asked: Arc<Mutex<Vec<Ask>>>,
    /// Whom policyd heard of: API key or its absence, source and idempotency key of each question and identification.
    pub callers: Arc<Mutex<Vec<Heard>>>,
    /// How often keyd was asked to use a key.
    pub uses: Arc<AtomicUsize>,
    /// What keyd was asked to do without a permit.
    pub claims: Arc<Mutex<Vec<BreakGlassClaims>>>,
    /// Whether policyd answers.
    pub policyd: Arc<Conduct>,
    /// Whether keyd says that break-glass is open.
    pub break_glass: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    served: Option<tokio::task::JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
    directory: TempDir,
}

impl Scene {
    pub fn start(script: Script) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let _inside = runtime.enter();
        let (asked, uses) = (Arc::default(), Arc::<AtomicUsize>::default());
        let (callers, conduct) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::<Conduct>::default());
        let (claims, break_glass) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let policyd = Policyd {
            judge: script.judge,
            subject: Subject {
                tenant: script.tenant,
                api_key: ApiKeyId::from_bytes([2; 16]),
                api_key_version: 1,
                rate: script.rate,
                expires_at_ms: None,
                networks: script.networks.parse().expect("networks"),
            },
            asked: Arc::clone(&asked),
            callers: callers.clone(),
            conduct: conduct.clone(),
        };
        let keyd = Keyd {
            work: script.work,
            uses: uses.clone(),
            claims: claims.clone(),
            break_glass: break_glass.clone(),
        };
        listen(&directory.path().join("policyd"), policyd);
        listen(&directory.path().join("keyd"), keyd);
        let gateway = Arc::new(Gateway {
            policyd: PolicydClient::new(client(&directory.path().join("policyd"))),
            keyd: KeydClient::new(client(&directory.path().join("keyd"))),
            rates: Default::default(),
            callers: Arc::new(KnownCallers::new().expect("randomness")),
            sources: Default::default(),
            break_glass: Default::default(),
            proxies: Arc::new(Proxies::new(
                script.trusted_proxies.parse().expect("networks"),
                ProxyHeader::default(),
            )),
            shares: Shares::of(4),
            stream_bytes: Shares::of(1 << 20),
            helpers: Helpers::start(1).unwrap(),
            limits: Default::default(),
            metrics: Default::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let (stop, mut stopped) = watch::channel(false);
        let site = Site {
            listener,
            tls: None,
            most_connections: script.most_connections,
        };
        let api = Api(gateway.clone());
        let served = runtime.spawn(async move {
            let stopped = async {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            let here = [Place::new(Handle::current(), api)];
            serve(site, &here, stopped).await.expect("a runtime is there");
        });
        drop(_inside);
        Self {
            address,
            gateway,
            asked,
            callers,
            uses,
            claims,
            policyd: conduct,
            break_glass,
            stop,
            served: Some(served),
            runtime,
            directory,
        }
    }

    /// Sends a request with a good API key; returns status and body.
    pub fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let answer = self.raw(&request(method, path, body));
        (answer.status, answer.json())
    }

    /// Sends a request with a good API key and further headers, each with its line's end.
    pub fn with_headers(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let request = request(method, path, body);
        self.raw(&request.replacen("host: test\r\n", &format!("host: test\r\n{headers}"), 1))
    }

    /// Sends bytes on a connection of their own and reads one answer.
    pub fn raw(&self, bytes: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).expect("the request fits");
        Answer::read(&mut stream)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the gateway listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a time-out");
        stream
    }

    /// Tells the gateway to stop; nothing waits for it.
    pub fn begin_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the gateway has stopped.
    pub fn wait_until_stopped(&mut self) {
        let served = self.served.take().expect("it runs");
        self.runtime.block_on(served).expect("no panic");
    }

    pub fn uses(&self) -> usize {
        self.uses.load(Ordering::SeqCst)
    }
}

/// A request with a good API key.
pub fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nx-api-key: {API_KEY}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A response as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            assert_eq!(
                stream.read(&mut byte).expect("an answer"),
                1,
                "closed after {bytes:?}"
            );
            bytes.push(byte[0]);
        }
        let head = String::from_utf8(bytes).expect("text").to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).expect("a length");
        let length = length
            .split("\r\n")
            .next()
            .expect("a line")
            .parse()
            .expect("a number");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("a whole body");
        let status = head[9..12].parse().expect("a status");
        Self { status, head, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn code(&self) -> String {
        let json = self.json();
        json["error"]["error_code"].as_str().unwrap_or("none").to_owned()
    }
}

/// The grant that fits a question about a key.
pub fn granted(ask: &Ask) -> Verdict {
    if let Ask::Rewrap {
        algorithm,
        version,
        target_algorithm,
        target_version,
        payload,
        batch: None,
    } = ask
    {
        let use_key = Ask::Use {
            operation: Operation::Rewrap,
            algorithm: *algorithm,
            version: Some(*version),
            payload: Some(*payload),
            batch: None,
        };
        let Verdict::Granted {
            key: source, permit, ..
        } = granted(&use_key)
        else {
            panic!("a grant");
        };
        let target = key(
            *target_algorithm,
            target_version.unwrap_or(KeyVersion::new(2).expect("a version")),
        );
        return Verdict::Granted {
            key: source,
            permit,
            target: Some(target),
        };
    }
    let Ask::Use {
        algorithm,
        version,
        payload,
        operation,
        batch: None,
    } = ask
    else {
        panic!("no grant for {ask:?}");
    };
    let key = key(*algorithm, version.unwrap_or(KeyVersion::FIRST));
    let permit = payload.map(|payload| {
        PermitKey::from_bytes([3; 32]).sign(&PermitClaims {
            epoch: 1,
            serial: 1,
            expires_at_ms: 1,
            tenant: TENANT,
            api_key: ApiKeyId::from_bytes([2; 16]),
            api_key_version: 1,
            request: chancel_domain::RequestId::from_bytes([0; 16]),
            operation: *operation,
            algorithm: *algorithm,
            key_version: key.version,
            key: key.handle,
            payload,
            target: None,
            batch: None,
        })
    });
    Verdict::Granted {
        key,
        permit,
        target: None,
    }
}

pub fn key(algorithm: Algorithm, version: KeyVersion) -> KeyView {
    KeyView {
        algorithm,
        version,
        state: KeyState::Active,
        handle: KeyHandle::from_bytes([9; 16]),
        public_key: vec![7; 12],
        created_at_ms: 0,
        last_used_at_ms: None,
        destroy_at_ms: None,
    }
}

#[derive(Clone)]
struct Api(Arc<Gateway>);

impl Served for Api {
    async fn respond(&self, request: Request<hyper::body::Incoming>, source: IpAddr) -> Response {
        pipeline::respond(&self.0, request, source).await
    }

    fn connections(&self) -> &Connections {
        &self.0.metrics.connections
    }
}

/// What policyd hears of who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub source: IpAddr,
    pub idempotency_key: Option<String>,
}

/// How policyd behaves.
#[derive(Debug, Default)]
pub struct Conduct(AtomicUsize);

impl Conduct {
    const ANSWERS: usize = 0;
    const HANGS: usize = 1;
    const FAILS: usize = 2;

    pub fn answer(&self) {
        self.0.store(Self::ANSWERS, Ordering::SeqCst);
    }

    /// It takes questions and never answers.
    pub fn hang(&self) {
        self.0.store(Self::HANGS, Ordering::SeqCst);
    }

    /// Its database fails.
    pub fn fail(&self) {
        self.0.store(Self::FAILS, Ordering::SeqCst);
    }
}

struct Policyd {
    judge: Box<Judge>,
    subject: Subject,
    asked: Arc<Mutex<Vec<Ask>>>,
    callers: Arc<Mutex<Vec<Heard>>>,
    conduct: Arc<Conduct>,
}

impl Handler for Policyd {
    type Turn = ();

    fn handle(&self, _: &AuthenticatedPeer, request: Incoming<'_>, (): &mut ()) -> Handled {
        match self.conduct.0.load(Ordering::SeqCst) {
            Conduct::HANGS => return Handled::later(std::future::pending()),
            Conduct::FAILS => return Handled::now(&PolicydReply::Failed(PolicydFailure::Storage)),
            _ => {}
        }
        let subject = self.subject.clone();
        let decoded = chancel_wire::decode(request.body);
        if let Ok(PolicydRequest::Ask { caller, .. } | PolicydRequest::Identify(caller)) = &decoded {
            self.callers.lock().expect("no panic").push(Heard {
                source: caller.source,
                idempotency_key: caller.idempotency_key.map(str::to_owned),
            });
        }
        match decoded {
            Ok(PolicydRequest::Ask { caller, .. } | PolicydRequest::Identify(caller))
                if caller.api_key.ends_with("unknown") =>
            {
                Handled::now(&PolicydReply::Unauthenticated)
            }
            Ok(PolicydRequest::Identify(_)) => Handled::now(&PolicydReply::Identified(subject)),
            Ok(PolicydRequest::Ask { ask, .. }) => {
                let verdict = (self.judge)(&ask);
                self.asked.lock().expect("no panic").push(ask);
                Handled::now(&PolicydReply::Judged { subject, verdict })
            }
            _ => Handled::now(&PolicydReply::Failed(PolicydFailure::Malformed)),
        }
    }

    fn overloaded(&self) -> Reply {
        Reply::new(&PolicydReply::Failed(PolicydFailure::Overloaded))
    }
}

struct Keyd {
    work: Box<Work>,
    uses: Arc<AtomicUsize>,
    claims: Arc<Mutex<Vec<BreakGlassClaims>>>,
    break_glass: Arc<AtomicBool>,
}

impl Handler for Keyd {
    type Turn = ();

    fn handle(&self, _: &AuthenticatedPeer, request: Incoming<'_>, (): &mut ()) -> Handled {
        let open = self.break_glass.load(Ordering::SeqCst);
        let (permit, input) = match chancel_wire::decode(request.body) {
            Ok(KeydRequest::Use { permit, input }) => (permit, input),
            Ok(KeydRequest::UseInBreakGlass { .. }) if !open => {
                return Handled::now(&KeydReply::Refused(KeydError::BreakGlassClosed));
            }
            Ok(KeydRequest::UseInBreakGlass { claims, .. }) => {
                self.claims.lock().expect("no panic").push(claims);
                return Handled::now(&KeydReply::Output(b"output"));
            }
            Ok(KeydRequest::Health) => return Handled::now(&KeydReply::Healthy(health(open))),
            _ => return Handled::now(&KeydReply::Refused(KeydError::Malformed)),
        };
        self.uses.fetch_add(1, Ordering::SeqCst);
        let claims = SignedPermit::unverified_claims(&permit).expect("a permit");
        assert_eq!(
            claims.payload,
            chancel_wire::permit::PayloadDigest::of(input),
            "bound to this input"
        );
        match (self.work)(input) {
            Ok(output) => Handled::now(&KeydReply::Output(&output)),
            Err(error) => Handled::now(&KeydReply::Refused(error)),
        }
    }

    fn overloaded(&self) -> Reply {
        Reply::new(&KeydReply::Refused(KeydError::Overloaded))
    }
}

fn health(open: bool) -> KeydHealth {
    KeydHealth {
        kek_source: "file".to_owned(),
        secret_memory: "locked pages".to_owned(),
        version: "0".to_owned(),
        break_glass: BreakGlassState {
            remaining_ms: u64::from(open) * 1000,
            uses: 0,
            longest_ms: 300_000,
        },
        ledger: "writable".to_owned(),
    }
}

fn own_uid(path: &Path) -> u32 {
    std::fs::metadata(path.parent().expect("a directory"))
        .expect("it exists")
        .uid()
}

fn token() -> ServiceToken {
    ServiceToken::from_bytes([7; 32])
}

fn listen<H: Handler>(path: &Path, handler: H) {
    let listener = Listener::bind(path, 0o600).expect("the path is free");
    let admission = Admission::Services(vec![Expected {
        role: Role::Gateway,
        uid: own_uid(path),
        token: token(),
    }]);
    let served = listener.serve(
        admission,
        Arc::new(handler),
        Arc::new(Refusals::new()),
        std::future::pending(),
    );
    tokio::spawn(served);
}

fn client(path: &Path) -> Client {
    let endpoint = Endpoint::Unix {
        path: path.to_owned(),
        uid: own_uid(path),
    };
    Client::new(endpoint, Role::Gateway, token())
}
