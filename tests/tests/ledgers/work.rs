//! Some work for the ledgers to be about.

use chancel_tests::api::{KEM, SIGNATURE};
use chancel_tests::{Api, ApiKey, Installation, Tenant};

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

    /// Some of everything: allowed, denied, refused, changed.
    pub fn work(&self, system: &Installation, rounds: usize) {
        let verifier = system.api(&system.api_key(&self.tenant, "verify"));
        for _ in 0..rounds {
            let sealed = self.api.encrypt(b"m").expect("encrypted");
            assert_eq!(self.api.decrypt(&sealed).expect("decrypted"), b"m");
            let signature = self.api.sign(b"m").expect("signed");
            assert!(self.api.verify(b"m", &signature).expect("an answer"));
            assert!(verifier.sign(b"m").is_err(), "out of its scopes");
            let mut damaged = sealed;
            damaged.bytes.reverse();
            assert!(self.api.decrypt(&damaged).is_err());
        }
        self.api.rotate(KEM).expect("a version");
    }
}
