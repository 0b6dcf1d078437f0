//! What the attacker has to work with: two tenants with keys, their API keys, a connection to each daemon.

use chancel_domain::{Algorithm, Content, KeyVersion, Operation, TenantId};
use chancel_pqc::Purpose;
use chancel_tests::actor::{Actor, Held};
use chancel_tests::raw::{Peer, input};
use chancel_tests::shared::Common;
use chancel_tests::{ApiKey, Daemon, Installation, Metrics, Options, Shared, Tenant};
use chancel_wire::hello::Role;
use chancel_wire::keyd::{KeydError, UseInput};
use chancel_wire::permit::{PayloadDigest, SignedPermit};
use chancel_wire::policyd::{Ask, KeyView, Outcome, PolicydReply, Verdict};
use std::path::PathBuf;
use std::sync::OnceLock;

static SYSTEM: Common = Common::new();
static VICTIMS: OnceLock<[Victim; 2]> = OnceLock::new();

pub const USES: &str = "chancel_keyd_key_uses_total";
pub const PERMITS_REFUSED: &str = "chancel_keyd_permits_refused_total";
pub const REQUESTS_REFUSED: &str = "chancel_keyd_requests_refused_total";
pub const CONNECTIONS_REFUSED: &str = "chancel_keyd_connections_refused_total";

/// A tenant that is attacked, or whose holder attacks.
#[derive(Debug)]
pub struct Victim {
    pub tenant: Tenant,
    pub api_key: ApiKey,
    pub kem: KeyView,
    pub signature: KeyView,
}

/// keyd and policyd, used by this test alone, and connections as the gateway's.
pub struct Scene {
    pub system: Shared<'static>,
    pub attacker: Actor,
    pub keyd: Held<Peer>,
    pub policyd: Held<Peer>,
}

fn make() -> Installation {
    let installation = Installation::prepare(Options::default());
    installation.start(Daemon::Keyd);
    installation.start(Daemon::Policyd);
    installation.wait_compared();
    installation
}

/// The installation, for this test alone.
pub fn system() -> Shared<'static> {
    SYSTEM.alone_or(make)
}

pub fn scene() -> Scene {
    let system = system();
    let attacker = system.attacker_in_gateway();
    let keyd = connect(&system, Daemon::Keyd);
    let mut policyd = connect(&system, Daemon::Policyd);
    VICTIMS.get_or_init(|| ["tenant A", "tenant B"].map(|name| Victim::make(&system, &mut policyd, name)));
    Scene {
        system,
        attacker,
        keyd,
        policyd,
    }
}

/// The path of a daemon's socket, and of the gateway's token for it.
pub fn way_to(system: &Installation, daemon: Daemon) -> (PathBuf, PathBuf) {
    let layout = system.layout();
    match daemon {
        Daemon::Keyd => (layout.keyd_socket(), layout.path("gateway/gateway-keyd.token")),
        Daemon::Policyd => (
            layout.policyd_socket(),
            layout.path("gateway/gateway-policyd.token"),
        ),
        Daemon::Gateway => panic!("the gateway has no socket of this kind"),
    }
}

/// A connection as the gateway's, to keyd or policyd.
pub fn connect(system: &Installation, daemon: Daemon) -> Held<Peer> {
    let (socket, token) = way_to(system, daemon);
    let attacker = system.attacker_in_gateway();
    attacker
        .peer(&socket, Role::Gateway, &attacker.token(&token))
        .expect("the gateway's account and token are welcome")
}

/// A connection as policyd's to keyd: not the attacker's, but what proves that keyd does not rely on policyd alone.
pub fn connect_as_policyd(system: &Installation) -> Held<Peer> {
    let policyd = system.actor(system.accounts().policyd);
    let token = policyd.token(&system.layout().path("policyd/policyd-keyd.token"));
    policyd
        .peer(&system.layout().keyd_socket(), Role::Policyd, &token)
        .expect("policyd's account and token are welcome")
}

impl Victim {
    fn make(system: &Installation, policyd: &mut Peer, name: &str) -> Self {
        let (tenant, api_key) = system.tenant_with_api_key(name);
        let mut generate = |algorithm| match policyd.ask_policyd(&api_key.text, Ask::GenerateKey(algorithm)) {
            PolicydReply::Judged {
                verdict: Verdict::Done(Outcome::Key(key)),
                ..
            } => key,
            other => panic!("no key was made: {other:?}"),
        };
        let kem = generate(Algorithm::MlKem768);
        let signature = generate(Algorithm::MlDsa65);
        Self {
            tenant,
            api_key,
            kem,
            signature,
        }
    }

    /// A ciphertext of this tenant's, as the gateway makes it.
    pub fn ciphertext(&self, plaintext: &[u8]) -> Vec<u8> {
        seal(&self.kem, self.tenant.id, plaintext)
    }
}

fn seal(key: &KeyView, tenant: TenantId, plaintext: &[u8]) -> Vec<u8> {
    chancel_pqc::seal(
        Purpose::Data,
        key.algorithm,
        key.version,
        &key.public_key,
        tenant,
        b"",
        plaintext,
    )
    .expect("a sealed envelope")
}

/// The input of a signature.
pub fn sign_input(message: &[u8]) -> Vec<u8> {
    input(&UseInput::Sign(Content::raw(message)))
}

/// The input of a decryption.
pub fn decrypt_input(ciphertext: &[u8]) -> Vec<u8> {
    input(&UseInput::Decrypt { ciphertext, aad: b"" })
}

/// What asking for the use of a key comes to on the wire.
pub fn use_of(operation: Operation, payload: &[u8]) -> Ask {
    let algorithm = match operation {
        Operation::Sign => Algorithm::MlDsa65,
        _ => Algorithm::MlKem768,
    };
    Ask::Use {
        operation,
        algorithm,
        version: Some(KeyVersion::FIRST),
        payload: Some(PayloadDigest::of(payload)),
        batch: None,
    }
}

impl Scene {
    pub fn a(&self) -> &'static Victim {
        &VICTIMS.get().expect("made with the scene")[0]
    }

    pub fn b(&self) -> &'static Victim {
        &VICTIMS.get().expect("made with the scene")[1]
    }

    /// A genuine permit, got as the gateway gets it: with an API key that somebody sent.
    #[track_caller]
    pub fn permit(&mut self, api_key: &ApiKey, operation: Operation, input: &[u8]) -> SignedPermit {
        self.permit_for(api_key, use_of(operation, input))
    }

    /// The same for a question that is put otherwise.
    #[track_caller]
    pub fn permit_for(&mut self, api_key: &ApiKey, ask: Ask) -> SignedPermit {
        match self.policyd.ask_policyd(&api_key.text, ask) {
            PolicydReply::Judged {
                verdict: Verdict::Granted {
                    permit: Some(permit), ..
                },
                ..
            } => permit,
            other => panic!("policyd gave no permit: {other:?}"),
        }
    }

    /// A genuine permit of tenant A's to sign, and its input.
    #[track_caller]
    pub fn permit_to_sign(&mut self, message: &[u8]) -> (SignedPermit, Vec<u8>) {
        let input = sign_input(message);
        let api_key = &self.a().api_key;
        (self.permit(api_key, Operation::Sign, &input), input)
    }

    /// Tries a permit that must be refused: for that reason, counted once under it, and without a key being used.
    #[track_caller]
    pub fn refused(&mut self, permit: &SignedPermit, input: &[u8], error: KeydError, reason: &str) {
        let before = self.keyd.keyd_metrics();
        assert_eq!(self.keyd.use_key(permit, input), Err(error));
        let after = self.keyd.keyd_metrics();
        assert_counted(&before, &after, PERMITS_REFUSED, reason, 1);
        assert_eq!(before.sum(USES), after.sum(USES), "a key was used");
    }

    /// Tries a permit that must work: the control without which the refusals prove nothing.
    #[track_caller]
    pub fn works(&mut self, permit: &SignedPermit, input: &[u8]) -> Vec<u8> {
        let before = self.keyd.keyd_metrics();
        let output = self.keyd.use_key(permit, input).expect("a genuine permit works");
        let after = self.keyd.keyd_metrics();
        assert_eq!(before.sum(USES) + 1, after.sum(USES), "uses are counted");
        assert_eq!(before.sum(PERMITS_REFUSED), after.sum(PERMITS_REFUSED));
        output
    }
}

/// A counter rose under one reason by so much, and under no other.
#[track_caller]
pub fn assert_counted(before: &Metrics, after: &Metrics, name: &str, reason: &str, times: u64) {
    let labels = [("reason", reason)];
    assert_eq!(
        after.value(name, &labels) - before.value(name, &labels),
        times,
        "{name}{{reason=\"{reason}\"}}"
    );
    assert_eq!(
        after.sum(name) - before.sum(name),
        times,
        "{name} under another reason"
    );
}
