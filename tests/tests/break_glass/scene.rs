//! An installation with a caller that the gateway knows, and policyd away.

use chancel_domain::tenant::Name;
use chancel_ledger::LedgerName;
use chancel_tests::api::{Failure, KEM, Made, SIGNATURE};
use chancel_tests::{Api, ApiKey, Daemon, Installation, Tenant};
use chancel_wire::keyd::{BreakGlassCommand, BreakGlassState, KeydError, KeydReply, KeydRequest};
use serde_json::Value;

/// Ends a test that needs root, with a visible note.
#[macro_export]
macro_rules! needs_root {
    ($system:expr, $test:literal) => {
        chancel_tests::needs_separate_accounts!($system, $test);
    };
}

#[derive(Debug)]
pub struct Scene {
    pub system: Installation,
    pub tenant: Tenant,
    pub api_key: ApiKey,
    pub api: Api,
    pub sealed: Made,
    pub signature: Made,
}

impl Scene {
    /// A caller that the gateway has seen do everything.
    pub fn new() -> Self {
        Self::over(Installation::new())
    }

    pub fn over(system: Installation) -> Self {
        let (tenant, api_key) = system.tenant_with_api_key("in need");
        let api = system.api(&api_key);
        for algorithm in [KEM, SIGNATURE] {
            api.first_key(algorithm);
        }
        let sealed = api.encrypt(b"m").expect("encrypted");
        let signature = api.sign(b"m").expect("signed");
        let scene = Self {
            system,
            tenant,
            api_key,
            api,
            sealed,
            signature,
        };
        scene.see_all();
        scene
    }

    /// Does everything that the gateway may need to have seen.
    pub fn see_all(&self) {
        assert_eq!(self.api.decrypt(&self.sealed).expect("decrypted"), b"m");
        assert!(self.api.verify(b"m", &self.signature).expect("an answer"));
    }

    pub fn open(&self, time: &str) -> Value {
        self.system.cli(&[
            "break-glass",
            "open",
            "--for",
            time,
            "--reason",
            "policyd's disk is full",
        ])
    }

    /// Whether uses are refused as they are without break-glass.
    pub fn is_shut(&self) -> bool {
        is_503(self.api.sign(b"m").map(|_| ())) && is_503(self.api.decrypt(&self.sealed).map(|_| ()))
    }

    /// Waits until a use works: the gateway may have to find out first that policyd is away.
    #[track_caller]
    pub fn wait_open(&self) {
        self.system
            .until("a use in break-glass", || self.api.sign(b"m").ok());
    }

    /// The records of uses in break-glass.
    pub fn uses(&self) -> Vec<Value> {
        let records = self.system.records(LedgerName::Uses);
        records
            .kind("use")
            .filter(|record| record["break_glass"] == true)
            .cloned()
            .collect()
    }

    /// The records of break-glass itself, by what they say.
    pub fn events(&self) -> Vec<String> {
        let records = self.system.records(LedgerName::Uses);
        records
            .kind("break-glass")
            .map(|record| record["what"].as_str().expect("what happened").to_owned())
            .collect()
    }

    pub fn without_policyd(self) -> Self {
        self.system.kill9(Daemon::Policyd);
        self
    }
}

pub fn is_503(outcome: Result<(), Failure>) -> bool {
    outcome.is_err_and(|failure| failure.code() == (503, "ERR_SERVICE_001"))
}

/// Commands keyd directly, as root.
#[track_caller]
pub fn command(system: &Installation, command: BreakGlassCommand) -> Result<BreakGlassState, KeydError> {
    let mut peer = system.operator_at_keyd();
    let body = peer.ask(&KeydRequest::BreakGlass(command)).expect("keyd answers");
    match body.keyd() {
        KeydReply::BreakGlass(state) => Ok(state),
        KeydReply::Refused(error) => Err(error),
        other => panic!("not an answer to that: {other:?}"),
    }
}

pub fn open_for(milliseconds: u64) -> BreakGlassCommand {
    BreakGlassCommand::Open {
        for_ms: milliseconds,
        reason: Name::try_from("a test".to_owned()).expect("a name"),
    }
}
