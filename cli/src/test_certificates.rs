//! Certificates for tests, made by another library than the one that reads them.

use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::time::{Duration, UNIX_EPOCH};

const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A chain of one certificate, and its key, as PEM texts.
pub struct Made {
    pub chain: String,
    pub key: String,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// A private authority.
pub struct Authority {
    parameters: CertificateParams,
    key: KeyPair,
}

/// A second.
pub fn at(unix_s: i64) -> Timestamp {
    Timestamp::from_second(unix_s).expect("a time")
}

fn parameters(common_name: &str, names: &[&str], from: Timestamp, until: Timestamp) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("names");
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let time = |time: Timestamp| UNIX_EPOCH + Duration::from_secs(time.as_second().unsigned_abs());
    parameters.not_before = time(from).into();
    parameters.not_after = time(until).into();
    parameters
}

/// From the last full second on.
fn now() -> Timestamp {
    at(Timestamp::now().as_second())
}

impl Made {
    /// Vouched for by itself, from now on.
    pub fn self_signed(names: &[&str]) -> Self {
        Self::self_signed_from(names, now())
    }

    /// The same, from another time on.
    pub fn self_signed_from(names: &[&str], from: Timestamp) -> Self {
        let until = from + LIFETIME;
        let key = KeyPair::generate().expect("a key");
        let made = parameters("test gateway", names, from, until)
            .self_signed(&key)
            .expect("a certificate");
        Self {
            chain: made.pem(),
            key: key.serialize_pem(),
            from,
            until,
        }
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut parameters = parameters("test authority", &[], now(), now() + LIFETIME);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            parameters,
            key: KeyPair::generate().expect("a key"),
        }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.parameters
            .self_signed(&self.key)
            .expect("a certificate")
            .pem()
    }

    /// A certificate for a gateway, without its own.
    pub fn issue(&self, names: &[&str]) -> Made {
        let (from, until) = (now(), now() + LIFETIME);
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::from_params(&self.parameters, &self.key);
        let made = parameters("test gateway", names, from, until)
            .signed_by(&key, &issuer)
            .expect("a certificate");
        Made {
            chain: made.pem(),
            key: key.serialize_pem(),
            from,
            until,
        }
    }
}
