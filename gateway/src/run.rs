//! Starting the gateway, step by step. A step that fails ends the process: there is no smaller gateway to fall
//! back to, and no flag that leaves a step out.

mod address;
mod service_manager;
mod threads;

use crate::config::{Config, Peer, Protection, Unprotected};
use crate::helpers::Helpers;
use crate::http::proxies::Proxies;
use crate::http::response::Response;
use crate::http::tls::{self, TlsError};
use crate::http::{self, Place, Served, Site};
use crate::keyd_client::KeydClient;
use crate::known_callers::{KnownCallers, NoRandomness};
use crate::limits::{Limits, MAX_CONNECTIONS, MAX_MONITOR_CONNECTIONS, MAX_STREAMS_OF_A_TENANT};
use crate::metrics::{Connections, Metrics};
use crate::monitor::Monitor;
use crate::pipeline::break_glass::BreakGlass;
use crate::pipeline::rate_limit::RateLimits;
use crate::pipeline::unknown_sources::UnknownSources;
use crate::pipeline::{self, Gateway};
use crate::policyd_client::PolicydClient;
use crate::shares::{MOST_OF_A_TENANT, Shares};
use address::{AddressError, Listening};
use chancel_link::{Client, Endpoint};
use chancel_sandbox::landlock::above_directory_of;
use chancel_sandbox::{Access, Confinement, ConfinementError, Sandboxed};
use chancel_service::config::ConfigError;
use chancel_service::log::{Destination, JOURNAL_SOCKET, LogOpenedBefore};
use chancel_service::manager::Manager;
use chancel_service::secret_file::{self, SecretFileError};
use chancel_wire::hello::{Role, ServiceToken};
use hyper::Request;
use hyper::body::Incoming;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::geteuid;
use rustls::crypto::aws_lc_rs::default_provider;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// The gateway's seccomp filter, compiled from seccomp/ARCH.json at build time.
const SECCOMP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/seccomp.bpf"));

/// How often full token buckets are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Descriptors beside one for each connection.
const OTHER_DESCRIPTORS: u64 = 64;

/// Why the gateway did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The API would be served in the clear.
    #[error(transparent)]
    Unprotected(#[from] Unprotected),
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] LogOpenedBefore),
    /// Running as root is refused: the gateway has no use for it.
    #[error("refusing to run as root: give the gateway an account of its own")]
    Root,
    /// A service token was refused.
    #[error("service token: {0}")]
    Token(#[from] SecretFileError),
    /// Certificate or key were refused.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The random generator does not work.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// An address could not be taken or told.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A number of serving threads that cannot be.
    #[error("workers: from 1 to {} serving threads", threads::MOST_WORKERS)]
    Workers,
    /// There are not enough descriptors.
    #[error("descriptors: {0} are needed, and the system gives {1}")]
    Descriptors(u64, u64),
    /// The system did not say how many descriptors there are.
    #[error("descriptors: {0}")]
    DescriptorsUnknown(nix::Error),
    /// The sandbox could not be applied in full.
    #[error(transparent)]
    Confinement(#[from] ConfinementError),
    /// The service manager that started the gateway cannot be told anything.
    #[error("service manager: {0}")]
    Manager(#[source] io::Error),
    /// The runtime or its signals could not be set up.
    #[error("runtime: {0}")]
    Runtime(#[from] io::Error),
}

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// [`StartError`]; once started it ends only by signal.
pub fn run(config: &Path) -> Result<(), StartError> {
    // 1. Configuration and log.
    let config: Config = chancel_service::config::load(config)?;
    let log = chancel_service::log::init("chancel-gateway", config.log)?;
    if geteuid().is_root() {
        return Err(StartError::Root);
    }
    // The usual hook prints what the panic says, which may quote a request, and looks for symbols in files that
    // the sandbox has put out of reach. Where it happened is enough.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a thread panicked");
    }));
    if config.protection()? == Protection::Dangerous {
        tracing::warn!(listen = %config.listen, "plain HTTP: API keys and payloads can be read on their way");
    }
    if !config.monitor_listen.ip().is_loopback() {
        tracing::warn!(listen = %config.monitor_listen, "the monitor asks nobody for a key and is reachable");
    }
    allow_descriptors()?;

    // 2. Secrets.
    let policyd_token = token(&config.policyd)?;
    let keyd_token = token(&config.keyd)?;
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let (certificates, tls) = tls.map(watch::channel).unzip();

    // What looks at the system when it is first used is used now: the cryptographic library asks for devices,
    // and the buckets count the cores, both by way of files that step 4 puts out of reach.
    default_provider()
        .secure_random
        .fill(&mut [0; 1])
        .map_err(|_| NoRandomness)?;
    let shared = Shared {
        rates: Arc::default(),
        callers: Arc::new(KnownCallers::new()?),
        sources: Arc::default(),
        break_glass: Arc::default(),
        proxies: Arc::new(Proxies::new(config.trusted_proxies.clone(), config.proxy_header)),
        limits: Arc::default(),
        shares: Shares::of(MOST_OF_A_TENANT),
        stream_bytes: Shares::of(MAX_STREAMS_OF_A_TENANT),
        metrics: Arc::default(),
    };
    let workers = match config.workers {
        None => threads::cores().clamp(1, threads::MOST_WORKERS),
        Some(workers @ 1..=threads::MOST_WORKERS) => workers,
        Some(_) => return Err(StartError::Workers),
    };

    // 3. Addresses.
    let manager = Manager::connect().map_err(StartError::Manager)?;
    let Listening { api, monitor } = address::take_both(&config, &manager)?;
    let api_address = api.local_addr()?;
    let monitor_address = monitor.as_ref().map(TcpListener::local_addr).transpose()?;

    // 4. No core dumps, no ptrace, no capabilities, no files, no TCP connections to others. These hold for one
    //    thread and are inherited by the threads it makes, so they come before the threads.
    let mut filesystem = vec![
        (above_directory_of(&config.policyd.socket), Access::Connect),
        (above_directory_of(&config.keyd.socket), Access::Connect),
    ];
    if log == Destination::Journal {
        filesystem.push((Path::new(JOURNAL_SOCKET), Access::Connect));
    }
    // For a new certificate. The directories and not the files: others are put in their place.
    let files = config
        .tls
        .iter()
        .flat_map(|tls| [&tls.certificate_file, &tls.key_file]);
    filesystem.extend(files.filter_map(|file| Some((file.parent()?, Access::ReadOnly))));
    filesystem.dedup();
    let confinement = Confinement {
        filesystem: &filesystem,
        deny_tcp: true,
        seccomp: SECCOMP,
    };
    let restricted = confinement.restrict_this_thread()?;

    // 5. All threads there will ever be, and the signals.
    let serving = threads::start(workers)?;
    let helpers = Helpers::start(workers)?;
    let runtime = threads::runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        )
    };

    // 6. seccomp on all of them.
    let landlock = restricted.landlock();
    let sandboxed = restricted.seal()?;
    tracing::info!(listen = %api_address, monitor_listen = monitor_address.map(display), tls = tls.is_some(), workers,
        ?landlock, "ready");

    // 7. Serve until told to stop; then finish what is under way.
    let api = Site {
        listener: api,
        tls,
        most_connections: MAX_CONNECTIONS,
    };
    let monitor = monitor.map(|listener| Site {
        listener,
        tls: None,
        most_connections: MAX_MONITOR_CONNECTIONS,
    });
    let outcome = runtime.block_on(async {
        let tokens = Tokens {
            policyd: policyd_token,
            keyd: keyd_token,
        };
        let places: Vec<_> = serving
            .iter()
            .map(|thread| {
                let gateway = gateway(&config, &tokens, &shared, &helpers, thread, &sandboxed);
                Place::new(thread.clone(), Api(gateway))
            })
            .collect();
        // NOTE(expect): there are one or more serving threads, or the gateway would not have started.
        let first = places
            .first()
            .expect("at least one thread serves")
            .served()
            .0
            .clone();
        let mut pulse = pin!(async {
            service_manager::say_ready(&manager, &first, api_address).await;
            service_manager::say_alive(&manager, &serving).await
        });
        let (stop, stopped) = watch::channel(false);
        let stopping = async {
            let name = loop {
                tokio::select! {
                    _ = signals.0.recv() => break "SIGTERM",
                    _ = signals.1.recv() => break "SIGINT",
                    _ = signals.2.recv() => reload(&config, certificates.as_ref()),
                    () = &mut pulse => {}
                }
            };
            tracing::info!(signal = name, "stopping");
            manager.stopping();
            stop.send_replace(true);
        };
        let ((), served) = tokio::join!(stopping, serve(places, first.clone(), api, monitor, stopped));
        served
    });
    tracing::info!("stopped");
    Ok(outcome?)
}

/// Takes another certificate for the connections to come; those that stand go on with theirs. One that cannot be used
/// changes nothing.
fn reload(config: &Config, certificates: Option<&watch::Sender<TlsAcceptor>>) {
    let (Some(files), Some(certificates)) = (&config.tls, certificates) else {
        return tracing::warn!("SIGHUP: there is no certificate to read again");
    };
    match tls::acceptor(files) {
        Ok(acceptor) => {
            certificates.send_replace(acceptor);
            tracing::info!("certificate read again");
        }
        Err(error) => tracing::error!(%error, "the certificate was not read again; the one before goes on"),
    }
}

/// What all serving threads share.
struct Shared {
    rates: Arc<RateLimits>,
    callers: Arc<KnownCallers>,
    sources: Arc<UnknownSources>,
    break_glass: Arc<BreakGlass>,
    proxies: Arc<Proxies>,
    limits: Arc<Limits>,
    shares: Arc<Shares>,
    stream_bytes: Arc<Shares>,
    metrics: Arc<Metrics>,
}

/// The gateway's tokens for the other daemons.
struct Tokens {
    policyd: ServiceToken,
    keyd: ServiceToken,
}

/// Puts the gateway of one serving thread together. The connections it opens are its first look at anything
/// outside, which is why it wants to see the proof of the sandbox.
fn gateway(
    config: &Config,
    tokens: &Tokens,
    shared: &Shared,
    helpers: &Helpers,
    thread: &Handle,
    _: &Sandboxed,
) -> Arc<Gateway> {
    let _inside = thread.enter();
    let client = |peer: &Peer, token: &ServiceToken| {
        let endpoint = Endpoint::Unix {
            path: peer.socket.clone(),
            uid: peer.account.uid(),
        };
        Client::new(endpoint, Role::Gateway, token.clone())
    };
    Arc::new(Gateway {
        policyd: PolicydClient::new(client(&config.policyd, &tokens.policyd)),
        keyd: KeydClient::new(client(&config.keyd, &tokens.keyd)),
        rates: shared.rates.clone(),
        callers: shared.callers.clone(),
        sources: shared.sources.clone(),
        break_glass: shared.break_glass.clone(),
        proxies: shared.proxies.clone(),
        limits: shared.limits.clone(),
        shares: shared.shares.clone(),
        stream_bytes: shared.stream_bytes.clone(),
        helpers: helpers.clone(),
        metrics: shared.metrics.clone(),
    })
}

async fn serve(
    places: Vec<Place<Api>>,
    gateway: Arc<Gateway>,
    api: Site,
    monitor: Option<Site>,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            // The sender outlives this; were it gone, stopping would be right, too.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    };
    let sweep = async {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            gateway.rates.sweep();
        }
    };
    let monitored = Monitor {
        gateway: gateway.clone(),
        connections: Arc::new(Connections::default()),
    };
    let here = [Place::new(Handle::current(), monitored)];
    let both = async {
        tokio::try_join!(http::serve(api, &places, until_stopped()), async {
            match monitor {
                Some(monitor) => http::serve(monitor, &here, until_stopped()).await,
                None => Ok(()),
            }
        },)
    };
    tokio::select! {
        served = both => served.map(|_| ()),
        () = sweep => Ok(()),
    }
}

/// The API as a site.
#[derive(Clone)]
struct Api(Arc<Gateway>);

impl Served for Api {
    async fn respond(&self, request: Request<Incoming>, source: IpAddr) -> Response {
        pipeline::respond(&self.0, request, source).await
    }

    fn connections(&self) -> &Connections {
        &self.0.metrics.connections
    }
}

fn token(peer: &Peer) -> Result<ServiceToken, SecretFileError> {
    secret_file::read_exact_32(&peer.token_file).map(|bytes| ServiceToken::from_bytes(*bytes))
}

/// Raises the number of descriptors to what the connections need.
fn allow_descriptors() -> Result<(), StartError> {
    let connections = u64::try_from(MAX_CONNECTIONS + MAX_MONITOR_CONNECTIONS).unwrap_or(u64::MAX);
    let needed = connections + OTHER_DESCRIPTORS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(StartError::DescriptorsUnknown)?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(StartError::Descriptors(needed, hard));
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard).map_err(StartError::DescriptorsUnknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DRAIN_TIMEOUT;

    #[test]
    fn the_unit_waits_longer_than_stopping_takes() {
        let unit = include_str!("../../packaging/systemd/chancel-gateway.service");
        let seconds = unit
            .lines()
            .find_map(|line| line.strip_prefix("TimeoutStopSec="))
            .unwrap();
        assert!(Duration::from_secs(seconds.parse().unwrap()) > DRAIN_TIMEOUT);
    }
}
