//! A tenant with keys in every state.

use chancel_tests::api::{Failure, KEM, SIGNATURE};
use chancel_tests::{Api, ApiKey, Daemon, Installation, Tenant};
use std::fs;

pub const CONFLICT: (u16, &str) = (409, "ERR_CONFLICT_003");
pub const NOT_FOUND: (u16, &str) = (404, "ERR_NOT_FOUND_001");
pub const DESTROYED: (u16, &str) = (404, "ERR_KMS_004");

#[derive(Debug)]
pub struct Party {
    pub tenant: Tenant,
    pub api_key: ApiKey,
    pub api: Api,
}

impl Party {
    pub fn new(system: &Installation, name: &str) -> Self {
        let (tenant, api_key) = system.tenant_with_api_key(name);
        let api = system.api(&api_key);
        for algorithm in [KEM, SIGNATURE] {
            api.first_key(algorithm);
        }
        Self { tenant, api_key, api }
    }

    pub fn state(&self, version: u64) -> String {
        self.api.key(KEM, version).expect("the key is readable").status
    }

    /// The files of the tenant's private keys.
    pub fn files(&self, system: &Installation) -> Vec<String> {
        let directory = system.layout().key_directory().join(self.tenant.id.to_string());
        let mut names: Vec<_> = fs::read_dir(directory)
            .expect("the tenant's directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    /// Has the date of everything that waits for destruction come, and waits until the version is destroyed.
    pub fn destroy_now(&self, system: &Installation, version: u64) {
        let was = self.state(version);
        assert_eq!(was, "pending_destruction");
        system.stop(Daemon::Policyd);
        let id = self.tenant.id.to_string().replace('-', "");
        let changed = system.change_rows(&format!(
            "UPDATE keys SET destroy_at_ms = created_at_ms + 1
             WHERE tenant_id = x'{id}' AND state = 'pending_destruction' AND version = {version}"
        ));
        assert_eq!(changed, 1);
        system.start(Daemon::Policyd);
        system.until("the key to be destroyed", || {
            is_destroyed(self.api.key(KEM, version).map(|key| key.status)).then_some(())
        });
    }
}

/// A destroyed key answers with a code of its own.
pub fn is_destroyed(outcome: Result<String, Failure>) -> bool {
    outcome.is_err_and(|failure| failure.code() == DESTROYED)
}
