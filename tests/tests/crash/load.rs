//! Callers that work without pause, remember what was acknowledged, and tolerate only what they may be told.

use crate::is_typed_503;
use chancel_tests::api::{Failure, KEM, Made, SIGNATURE};
use chancel_tests::{Api, ApiKey, Daemon, Installation};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What happened so far, for whoever waits.
#[derive(Debug, Default)]
pub struct Progress {
    stop: AtomicBool,
    /// Whole rounds of everything, without an error, by each caller.
    rounds: [AtomicU64; CALLERS],
    unavailable: AtomicU64,
    unanswered: AtomicU64,
}

pub const CALLERS: usize = 4;

impl Progress {
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Rounds of each caller.
    pub fn rounds(&self) -> [u64; CALLERS] {
        std::array::from_fn(|caller| self.rounds[caller].load(Ordering::Acquire))
    }

    /// How often a caller heard a typed 503.
    pub fn unavailable(&self) -> u64 {
        self.unavailable.load(Ordering::Acquire)
    }

    /// How often a caller heard nothing.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Acquire)
    }
}

/// One caller: a tenant of its own, and all it was told.
#[derive(Debug)]
pub struct Caller<'a> {
    system: &'a Installation,
    api_key: ApiKey,
    /// Kept for its connection; `None` after the gateway did not answer.
    api: Option<Api>,
    /// The daemon that is killed: only a dying gateway may leave a call unanswered.
    killed: Daemon,
    ciphertexts: Vec<(Vec<u8>, Made)>,
    signatures: Vec<(Vec<u8>, Made)>,
    versions: Vec<u64>,
}

impl<'a> Caller<'a> {
    pub fn new(system: &'a Installation, killed: Daemon, number: usize) -> Self {
        let (_, api_key) = system.tenant_with_api_key(&format!("caller {number}"));
        let api = system.api(&api_key);
        for algorithm in [KEM, SIGNATURE] {
            api.first_key(algorithm);
        }
        Self {
            system,
            api_key,
            api: Some(api),
            killed,
            ciphertexts: Vec::new(),
            signatures: Vec::new(),
            versions: vec![1],
        }
    }

    /// Works until told to stop.
    pub fn work(&mut self, number: usize, progress: &Progress) {
        let mut count = 0u64;
        while !progress.stop.load(Ordering::Acquire) {
            count += 1;
            if self.round(count, progress).is_some() {
                progress.rounds[number].fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Everything once; `None` when something was not answered with a success.
    fn round(&mut self, count: u64, progress: &Progress) -> Option<()> {
        let text = format!("{} {count}", self.api_key.tenant).into_bytes();
        let made = self.call(progress, |api| api.encrypt(&text))?;
        self.ciphertexts.push((text.clone(), made));
        let signature = self.call(progress, |api| api.sign(&text))?;
        self.signatures.push((text, signature));
        // Something from long ago, and a new version from time to time.
        let (plaintext, earlier) = self.ciphertexts[(count as usize * 7) % self.ciphertexts.len()].clone();
        let opened = self.call(progress, |api| api.decrypt(&earlier))?;
        assert_eq!(opened, plaintext);
        let (message, earlier) = self.signatures[(count as usize * 5) % self.signatures.len()].clone();
        assert!(self.call(progress, |api| api.verify(&message, &earlier))?);
        if count.is_multiple_of(10) {
            let version = self.call(progress, |api| api.rotate(KEM))?;
            self.versions.push(version);
        }
        Some(())
    }

    /// Calls once. Anything but a success, a typed 503, or silence of a gateway that is killed fails the test.
    fn call<T>(&mut self, progress: &Progress, call: impl Fn(&Api) -> Result<T, Failure>) -> Option<T> {
        let api = match self.api.take().or_else(|| self.system.try_api(&self.api_key)) {
            Some(api) => api,
            None => {
                thread::sleep(Duration::from_millis(5));
                return None;
            }
        };
        match call(&api) {
            Ok(value) => {
                self.api = Some(api);
                Some(value)
            }
            Err(Failure::Refused(answer)) => {
                assert!(is_typed_503(&answer), "{} {}", answer.status, answer.text);
                self.api = Some(api);
                progress.unavailable.fetch_add(1, Ordering::Release);
                // As a caller that was told to come again does, if sooner.
                thread::sleep(Duration::from_millis(5));
                None
            }
            Err(Failure::NoAnswer(error)) => {
                assert_eq!(
                    self.killed,
                    Daemon::Gateway,
                    "the gateway gave no answer: {error}"
                );
                progress.unanswered.fetch_add(1, Ordering::Release);
                thread::sleep(Duration::from_millis(5));
                None
            }
        }
    }

    /// Checks that all it was told holds, and returns how many things those were.
    pub fn check(&self) -> usize {
        let api = self.system.api(&self.api_key);
        for (plaintext, made) in &self.ciphertexts {
            assert_eq!(
                &api.decrypt(made).expect("an acknowledged ciphertext opens"),
                plaintext
            );
        }
        for (message, made) in &self.signatures {
            assert!(
                api.verify(message, made)
                    .expect("an acknowledged signature can be checked"),
                "an acknowledged signature verifies"
            );
        }
        let listed = api.keys(KEM).expect("a list");
        for version in &self.versions {
            assert!(
                listed.iter().any(|key| key.version == *version),
                "acknowledged version {version} is there"
            );
        }
        assert_eq!(listed.iter().filter(|key| key.status == "active").count(), 1);
        self.ciphertexts.len() + self.signatures.len() + self.versions.len()
    }
}
