//! What a certificate chain says, as an operator wants to know it. Reads and judges nothing: whether a chain and a key
//! can be used is `command/tls/pair.rs`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use serde::Serialize;
use std::net::IpAddr;
use x509_cert::Certificate as X509;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Days are counted down, as people do.
const DAY: i64 = 24 * 3600;
/// RFC 7468.
const PEM_LINE: usize = 64;

/// A chain: the gateway's own certificate first, then those it was issued by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    own: Certificate,
    /// The others, in their order.
    issuers: Vec<Certificate>,
}

/// One certificate. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose, as RFC 4514 writes names.
    pub subject: String,
    /// What a client may have called to be satisfied with it.
    pub names: Vec<CertifiedName>,
    /// By whom.
    pub issuer: String,
    /// The first second in which it counts.
    pub not_before: i64,
    /// The last.
    pub not_after: i64,
}

/// A name that a certificate is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertifiedName {
    /// In DNS, perhaps with a `*`.
    Dns(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text is no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAChain {
    /// No certificate at all.
    #[error("no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// PEM is begun and not ended, or not base64.
    #[error("PEM that is damaged")]
    DamagedPem,
    /// That one cannot be read; counted from 1.
    #[error("certificate {0} of it is no X.509 certificate")]
    NotX509(usize),
}

/// A certificate as it is printed.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    subject: String,
    names: Vec<String>,
    issuer: String,
    self_signed: bool,
    not_before: String,
    not_after: String,
    days_left: i64,
    /// How many certificates the file holds.
    chain_length: usize,
}

/// Reads the certificates of a PEM text.
///
/// # Errors
/// [`NotAChain`].
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, NotAChain> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, pem::Error>>()
        .map_err(|_| NotAChain::DamagedPem)?;
    if found.is_empty() {
        return Err(NotAChain::NoCertificate);
    }
    Ok(found)
}

/// Writes certificates as a PEM text, which then holds nothing else: a file they were read from may hold the key, too.
pub fn pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        let body = STANDARD.encode(certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for start in (0..body.len()).step_by(PEM_LINE) {
            text.push_str(&body[start..body.len().min(start + PEM_LINE)]);
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

impl Chain {
    /// Reads what a PEM text says.
    ///
    /// # Errors
    /// [`NotAChain`].
    pub fn parse(pem: &[u8]) -> Result<Self, NotAChain> {
        Self::of(&certificates(pem)?)
    }

    /// Reads what certificates say.
    ///
    /// # Errors
    /// [`NotAChain`].
    pub fn of(certificates: &[CertificateDer<'_>]) -> Result<Self, NotAChain> {
        let mut read = (1..)
            .zip(certificates)
            .map(|(number, der)| Certificate::parse(der).ok_or(NotAChain::NotX509(number)));
        let own = read.next().ok_or(NotAChain::NoCertificate)??;
        Ok(Self {
            own,
            issuers: read.collect::<Result<_, _>>()?,
        })
    }

    /// The gateway's own.
    pub const fn own(&self) -> &Certificate {
        &self.own
    }

    /// All of them, the gateway's own first.
    pub fn all(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.own).chain(&self.issuers)
    }

    /// Whether it ends in a certificate that vouches for itself: then nobody trusts it who was not given it, and
    /// whoever is given the file can.
    pub fn ends_in_itself(&self) -> bool {
        self.issuers.last().unwrap_or(&self.own).is_self_signed()
    }

    /// As it is printed.
    pub fn shown(&self, now: Timestamp) -> Shown {
        let own = &self.own;
        Shown {
            subject: own.subject.clone(),
            names: own.names.iter().map(ToString::to_string).collect(),
            issuer: own.issuer.clone(),
            self_signed: own.is_self_signed(),
            not_before: time(own.not_before),
            not_after: time(own.not_after),
            days_left: own.days_left(now),
            chain_length: 1 + self.issuers.len(),
        }
    }
}

impl Certificate {
    fn parse(der: &[u8]) -> Option<Self> {
        let certificate = X509::from_der(der).ok()?;
        let body = certificate.tbs_certificate();
        let validity = body.validity();
        let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
        Some(Self {
            subject: body.subject().to_string(),
            // An extension that cannot be read certifies no name, to this program as to clients.
            names: body
                .get_extension::<SubjectAltName>()
                .ok()
                .flatten()
                .map(|(_, names)| names.0.iter().filter_map(CertifiedName::of).collect())
                .unwrap_or_default(),
            issuer: body.issuer().to_string(),
            not_before: seconds(validity.not_before)?,
            not_after: seconds(validity.not_after)?,
        })
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whole days until it expires; negative when it has.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.not_after - now.as_second()).div_euclid(DAY)
    }

    /// Days from its beginning to its end.
    pub const fn lifetime_days(&self) -> i64 {
        (self.not_after - self.not_before).div_euclid(DAY)
    }

    /// Whether a client that called this name is satisfied.
    pub fn covers(&self, called: &str) -> bool {
        let address: Option<IpAddr> = called.parse().ok();
        self.names.iter().any(|name| match (name, address) {
            (CertifiedName::Address(certified), Some(address)) => *certified == address,
            (CertifiedName::Dns(certified), None) => certified.eq_ignore_ascii_case(called),
            _ => false,
        })
    }
}

impl CertifiedName {
    fn of(name: &GeneralName) -> Option<Self> {
        match name {
            GeneralName::DnsName(name) => Some(Self::Dns(name.to_string())),
            GeneralName::IpAddress(bytes) => match *bytes.as_bytes() {
                [a, b, c, d] => Some(Self::Address([a, b, c, d].into())),
                ref bytes => <[u8; 16]>::try_from(bytes)
                    .ok()
                    .map(|octets| Self::Address(octets.into())),
            },
            _ => None,
        }
    }
}

impl std::fmt::Display for CertifiedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Shown {
    /// The rows that people read.
    pub fn table(&self) -> crate::output::Table {
        let mut table = crate::output::Table::without_heading();
        table.row(&["subject", &self.subject]);
        let names = if self.names.is_empty() {
            "NONE: clients refuse it".to_owned()
        } else {
            self.names.join(" ")
        };
        table.row(&["names", &names]);
        let issuer = match self.self_signed {
            true => "itself (self-signed: clients must be given it)",
            false => &self.issuer,
        };
        table.row(&["issuer", issuer]);
        table.row(&["not before", &self.not_before]);
        table.row(&["not after", &self.not_after]);
        table.row(&["days left", &self.days_left()]);
        table.row(&["certificates", &self.chain_length.to_string()]);
        table
    }

    /// In one line.
    pub fn line(&self) -> String {
        let kind = if self.self_signed { "self-signed" } else { "issued" };
        format!("{kind}, until {}: {} days left", self.not_after, self.days_left())
    }

    fn days_left(&self) -> String {
        match self.days_left {
            days if days < 0 => "EXPIRED".to_owned(),
            days => days.to_string(),
        }
    }
}

/// A second as it is printed.
pub fn time(unix_s: i64) -> String {
    crate::output::time(unix_s.saturating_mul(1000))
}

#[cfg(test)]
mod tests;
