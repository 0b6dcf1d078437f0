//! Whether a certificate chain and a private key can be given to the gateway. Pure: bytes in, a proof or a reason out.
//! The decision is the TLS library's own, the same that the gateway asks, so what passes here does not fail there.

use crate::certificate::{Chain, NotAChain, certificates, time};
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

/// A chain whose first certificate is of the key that it was checked with, and counts now.
#[derive(Debug)]
pub struct Pair {
    chain: Chain,
    certificates: Vec<CertificateDer<'static>>,
}

/// Why the two cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The first file.
    #[error("the certificate file: {0}")]
    Chain(#[from] NotAChain),
    /// The key is under a passphrase, and a daemon has nobody to ask for it.
    #[error(
        "the key is encrypted, and nobody is there to type its passphrase when the gateway starts; \
         take it off: openssl pkey -in KEY.pem -out PLAIN.pem (systemd-creds seals the key afterwards)"
    )]
    EncryptedKey,
    /// The second file has no private key.
    #[error("the key file: no private key in PEM form (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// Of a kind that TLS does not use, or damaged.
    #[error("the key is damaged, or none that TLS can sign with: RSA, ECDSA or Ed25519 is wanted")]
    UnusableKey,
    /// A certificate that the TLS library does not take.
    #[error("the certificate cannot be used for TLS; X.509 version 3 is wanted")]
    UnusableCertificate,
    /// Two that do not belong together.
    #[error("the certificate is of another key; give the key that it was requested with")]
    OtherKey,
    /// The right one is there, in the wrong place.
    #[error(
        "the certificate of this key is number {0} of the file; put it first, and after it those it was issued by"
    )]
    NotFirst(usize),
    /// It does not count any more.
    #[error("the certificate has expired, at {0}; have it renewed")]
    Expired(String),
    /// It does not count yet.
    #[error("the certificate counts from {0} on only; is this host's clock right (timedatectl)?")]
    NotYet(String),
    /// No client would accept it.
    #[error(
        "the certificate names no host (subjectAltName), so every client refuses it; have it issued with names"
    )]
    NoNames,
}

impl Pair {
    /// Checks both files' contents.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn check(chain_pem: &[u8], key_pem: &[u8], now: Timestamp) -> Result<Self, Unfit> {
        let certificates = certificates(chain_pem)?;
        let chain = Chain::of(&certificates)?;
        let key = private_key(key_pem)?;
        belongs(&certificates, &key)?;
        let own = chain.own();
        if now.as_second() > own.not_after {
            return Err(Unfit::Expired(time(own.not_after)));
        }
        if now.as_second() < own.not_before {
            return Err(Unfit::NotYet(time(own.not_before)));
        }
        if own.names.is_empty() {
            return Err(Unfit::NoNames);
        }
        Ok(Self { chain, certificates })
    }

    /// What the chain says.
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The chain, as it is served.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// What will not keep the gateway from serving, and some clients from connecting.
    pub fn doubts(&self) -> Vec<String> {
        let all: Vec<_> = self.chain.all().collect();
        let mut doubts: Vec<String> = all
            .windows(2)
            .zip(1..)
            .filter(|(pair, _)| pair[0].issuer != pair[1].subject)
            .map(|(pair, number)| {
                format!(
                    "certificate {number} of the chain was issued by {}, and the one after it is of {}: \
                     clients may not find their way",
                    pair[0].issuer, pair[1].subject
                )
            })
            .collect();
        if all.len() == 1 && !self.chain.own().is_self_signed() {
            doubts.push(format!(
                "the chain is the gateway's certificate alone, without that of {}: clients that do not have it \
                 refuse the connection, unless that is a root they trust",
                self.chain.own().issuer
            ));
        }
        doubts
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Unfit> {
    // The old form says so in a header, the new one in its label.
    let says = |text: &[u8]| pem.windows(text.len()).any(|at| at == text);
    if says(b"BEGIN ENCRYPTED PRIVATE KEY") || says(b"Proc-Type: 4,ENCRYPTED") {
        return Err(Unfit::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| Unfit::NoKey)
}

fn belongs(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>) -> Result<(), Unfit> {
    let signing_key = default_provider()
        .key_provider
        .load_private_key(key.clone_key())
        .map_err(|_| Unfit::UnusableKey)?;
    let is_of = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], signing_key.clone()).keys_match()
    };
    let Some(own) = chain.first() else {
        return Err(NotAChain::NoCertificate.into());
    };
    match is_of(own) {
        Ok(()) => Ok(()),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let elsewhere = chain.iter().zip(1..).find(|(other, _)| is_of(other).is_ok());
            Err(elsewhere.map_or(Unfit::OtherKey, |(_, number)| Unfit::NotFirst(number)))
        }
        Err(_) => Err(Unfit::UnusableCertificate),
    }
}

#[cfg(test)]
mod tests;
