//! The parts of a running policyd, and how they hang together.

use crate::admin::Admin;
use crate::api_keys::{ApiKeyChanges, ApiKeyHasher};
use crate::ask::Asks;
use crate::checkpoints;
use crate::config::Config;
use crate::events::Events;
use crate::idempotency::Idempotency;
use crate::keyd::{Keyd, KeydState, Watch};
use crate::keys::{KeyLocks, Lifecycle, Reconciler, Sweeper};
use crate::metrics::Metrics;
use crate::permit::PermitIssuer;
use crate::plans::PlanTable;
use crate::policies::PolicyChanges;
use crate::record::Recorder;
use crate::service::Service;
use crate::store::{Reader, Writer};
use crate::tenants::TenantChanges;
use crate::usage::{self, Usage};
use chancel_link::{Admission, Client, Endpoint, Expected, Listener, OperatorRule, Refusals};
use chancel_sandbox::Sandboxed;
use chancel_service::secret_file::{SecretFileError, read_exact_32};
use chancel_wire::hello::{Role, ServiceToken};
use nix::unistd::geteuid;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long the first permit key is waited for.
const FIRST_PERMIT_KEY: Duration = Duration::from_millis(500);

/// What was read from secret files.
pub(super) struct Secrets {
    hasher: ApiKeyHasher,
    gateway_token: ServiceToken,
    keyd_token: ServiceToken,
}

impl Secrets {
    pub(super) fn read(config: &Config) -> Result<Self, SecretFileError> {
        let token = |path: &Path| read_exact_32(path).map(|bytes| ServiceToken::from_bytes(*bytes));
        Ok(Self {
            hasher: ApiKeyHasher::new(&*read_exact_32(&config.api_key_secret_file)?),
            gateway_token: token(&config.gateway.token_file)?,
            keyd_token: token(&config.keyd.token_file)?,
        })
    }
}

/// The two sockets, taken.
pub(super) struct Sockets {
    pub(super) service: Listener,
    pub(super) admin: Listener,
}

/// What is kept on the disk.
pub(super) struct Stores {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) recorder: Recorder,
    pub(super) plans: Arc<PlanTable>,
    pub(super) usage: Arc<Usage>,
    pub(super) events: Events,
}

/// Everything that serves.
pub(super) struct Parts {
    service: Service,
    admin: Admin,
    refusals: Arc<Refusals>,
    gateway: Admission,
    operators: Admission,
    watch: Watch,
    sweeper: Sweeper,
    keyd: Keyd,
    usage: Arc<Usage>,
    pub(super) reader: Arc<Reader>,
    writer: Writer,
    recorder: Recorder,
    pub(super) plans: Arc<PlanTable>,
    pub(super) locks: Arc<KeyLocks>,
}

/// Puts the parts together, on the proof that the sandbox holds. Inside the runtime: it starts connecting to keyd.
pub(super) fn assemble(config: &Config, secrets: Secrets, stores: Stores, _sandboxed: &Sandboxed) -> Parts {
    let Stores {
        reader,
        writer,
        recorder,
        plans,
        usage,
        events,
    } = stores;
    let endpoint = Endpoint::Unix {
        path: config.keyd.socket.clone(),
        uid: config.keyd.account.uid(),
    };
    let keyd = Keyd::new(Client::new(endpoint, Role::Policyd, secrets.keyd_token));
    let reader = Arc::new(reader);
    let hasher = Arc::new(secrets.hasher);
    let locks = Arc::new(KeyLocks::new());
    let lifecycle = Arc::new(Lifecycle::new(
        keyd.clone(),
        reader.clone(),
        writer.clone(),
        recorder.clone(),
        locks.clone(),
    ));
    let reconciler = Arc::new(Reconciler::new(keyd.clone(), reader.clone(), lifecycle.clone()));
    let issuer = Arc::new(PermitIssuer::default());
    let state = Arc::new(KeydState::default());
    let refusals = Arc::new(Refusals::new());
    let api_keys = ApiKeyChanges {
        writer: writer.clone(),
        hasher: hasher.clone(),
        recorder: recorder.clone(),
    };
    let tenants = TenantChanges {
        writer: writer.clone(),
        recorder: recorder.clone(),
        plans: plans.clone(),
    };
    let policies = PolicyChanges {
        writer: writer.clone(),
        recorder: recorder.clone(),
    };
    let expected = Expected {
        role: Role::Gateway,
        uid: config.gateway.account.uid(),
        token: secrets.gateway_token,
    };
    let operators = OperatorRule {
        uids: vec![0, geteuid().as_raw()],
        gid: config.admin_group.map(|group| group.gid()),
    };
    Parts {
        service: Service {
            asks: Asks {
                reader: reader.clone(),
                idempotency: Idempotency::new(&hasher),
                hasher,
                issuer: issuer.clone(),
                lifecycle: lifecycle.clone(),
                api_keys: api_keys.clone(),
                tenants: tenants.clone(),
                policies: policies.clone(),
                events,
                plans: plans.clone(),
                usage: usage.clone(),
                recorder: recorder.clone(),
                metrics: Arc::new(Metrics::default()),
            },
            keyd: state.clone(),
            reconciler: reconciler.clone(),
            refusals: refusals.clone(),
        },
        admin: Admin {
            reader: reader.clone(),
            tenants,
            api_keys,
            policies,
            plans: plans.clone(),
            usage: usage.clone(),
            recorder: recorder.clone(),
            keyd: state.clone(),
            reconciler: reconciler.clone(),
        },
        refusals,
        gateway: Admission::Services(vec![expected]),
        operators: Admission::Operators(operators),
        watch: Watch {
            keyd: keyd.clone(),
            issuer,
            reconciler,
            state: state.clone(),
            recorder: recorder.clone(),
        },
        sweeper: Sweeper {
            reader: reader.clone(),
            writer: writer.clone(),
            lifecycle,
            keyd: state.clone(),
        },
        keyd,
        usage,
        reader,
        writer,
        recorder,
        plans,
        locks,
    }
}

impl Parts {
    /// Serves both sockets until `stop` resolves, then until what is under way is answered. Before the first request there is
    /// a permit key, unless keyd is away; then `ready` is called.
    pub(super) async fn serve(
        self,
        sockets: Sockets,
        ready: impl FnOnce(),
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let issuer = self.watch.issuer.clone();
        let following = tokio::spawn(self.watch.run());
        let first = async {
            while issuer.key_age().is_none() {
                sleep(FIRST_PERMIT_KEY / 100).await;
            }
        };
        if timeout(FIRST_PERMIT_KEY, first).await.is_err() {
            tracing::warn!("keyd is away; serving without it");
        }
        ready();
        let (stopper, stopped) = watch::channel(false);
        // Those who write at the end are told when nobody can ask for anything any more.
        let (ender, ended) = watch::channel(false);
        let ledger = self.recorder.ledger().clone();
        let flushing = tokio::spawn(usage::flush_until_stopped(
            self.usage,
            ledger.clone(),
            self.writer,
            ended.clone(),
        ));
        let sweeping = tokio::spawn(self.sweeper.run(ended.clone()));
        let checking = tokio::spawn(checkpoints::write_until_stopped(ledger, self.keyd, ended));
        let is_stopped = |mut stopped: watch::Receiver<bool>| async move {
            // A sender that is gone stops as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let service = sockets.service.serve(
            self.gateway,
            Arc::new(self.service),
            self.refusals.clone(),
            is_stopped(stopped.clone()),
        );
        let admin = sockets.admin.serve(
            self.operators,
            Arc::new(self.admin),
            self.refusals,
            is_stopped(stopped),
        );
        let stopping = async {
            stop.await;
            // Both servers have gone already when nobody listens.
            let _ = stopper.send(true);
            Ok(())
        };
        let outcome = tokio::try_join!(service, admin, stopping);
        let _ = ender.send(true);
        for ending in [flushing, sweeping, checking] {
            if ending.await.is_err() {
                tracing::error!("a task panicked");
            }
        }
        following.abort();
        outcome.map(|_| ())
    }
}
