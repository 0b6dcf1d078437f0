//! Why a command was not done: a code for scripts and a sentence for people, which says what to do next.

use crate::arguments::CONFIG_DIRECTORY;
use crate::certificate::NotAChain;
use crate::command::Unfit;
use crate::host::program::ProgramFailed;
use chancel_domain::TenantId;
use chancel_ledger::NotAnAuditKey;
use chancel_link::CallError;
use chancel_wire::admin::AdminError;
use chancel_wire::keyd::KeydError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Whom a command speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// chancel-policyd, on its admin socket.
    Policyd,
    /// chancel-keyd.
    Keyd,
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policyd => "policyd",
            Self::Keyd => "keyd",
        })
    }
}

impl Daemon {
    /// Whom it lets in.
    const fn admits(self) -> &'static str {
        match self {
            Self::Policyd => "are you root or in its admin group",
            Self::Keyd => "are you root: it lets in nobody else",
        }
    }
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no such socket.
    #[error("{}: {source} (is {daemon} running?)", path.display())]
    NoSocket {
        /// Whose.
        daemon: Daemon,
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon did not answer.
    #[error("{daemon} did not answer: {source} (is it running, and {}?)", daemon.admits())]
    NoAnswer {
        /// Which.
        daemon: Daemon,
        /// Why.
        source: CallError,
    },
    /// The daemon answered something else: another version, presumably.
    #[error("{0}'s answer makes no sense; is it of the same version as this program?")]
    Unintelligible(Daemon),
    /// policyd said no.
    #[error("{error}{}", advice(*error))]
    Refused {
        /// Why.
        error: AdminError,
    },
    /// keyd said no.
    #[error("keyd: {error}{}", keyd_advice(*error))]
    KeydRefused {
        /// Why.
        error: KeydError,
    },
    /// Too long for this installation.
    #[error("nothing was opened: {}", longest(*longest_s))]
    BreakGlassTime {
        /// The longest time, seconds.
        longest_s: u64,
    },
    /// The name that was typed is not the tenant's.
    #[error("that is not the tenant's name; nothing was deleted")]
    NotConfirmed,
    /// Not a rule.
    #[error("--from and --until are the same minute; leave both out to deny at every hour")]
    EmptyWindow,
    /// More networks than a set may have.
    #[error("too many networks: 32 at most")]
    TooManyNetworks,
    /// A file or directory could not be read.
    #[error("{}: {source}", path.display())]
    NotRead {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file with a public key could not be used.
    #[error("{}: {source}; `chancel audit public-key` writes the right one", path.display())]
    NotAnAuditKey {
        /// Which.
        path: PathBuf,
        /// Why.
        source: NotAnAuditKey,
    },
    /// Verification found something; all of it was printed.
    #[error(
        "the ledgers are NOT sound: {0} findings; keep the files as they are, and see docs/operations/audit.md"
    )]
    NotSound(u64),
    /// A directory without a ledger: nothing was checked, which is not the same as sound.
    #[error("{}: no ledger in it", .0.display())]
    NoLedger(PathBuf),
    /// The system has no room for the program's runtime.
    #[error("cannot start: {0}")]
    NotStarted(#[source] io::Error),
    /// A file with no public key of ML-DSA.
    #[error("{}: no ML-DSA public key in PEM or DER; name the algorithm of a raw one with --algorithm", .0.display())]
    NotAnMlDsaKey(PathBuf),
    /// There is a tenant, so the first one is made.
    #[error(
        "there is a tenant already: {tenant:?}; nothing was made. An API key for it: \
         chancel api-key create --tenant {id} --name NAME; another tenant: chancel tenant create NAME"
    )]
    AlreadyInitialised {
        /// Its name.
        tenant: String,
        /// Its id.
        id: TenantId,
    },
    /// The tenant was made, and its API key was not.
    #[error(
        "the tenant was made and its API key was not: {source}; go on with \
         chancel api-key create --tenant {tenant} --name first"
    )]
    HalfInitialised {
        /// Whose API key is missing.
        tenant: TenantId,
        /// Why.
        source: Box<Failure>,
    },
    /// A file holds no certificate chain.
    #[error("{}: {source}; chancel tls import brings another", path.display())]
    NotAChain {
        /// Which.
        path: PathBuf,
        /// Why.
        source: NotAChain,
    },
    /// A certificate and a key that the gateway could not use.
    #[error("nothing was changed: {0}")]
    Unfit(#[from] Unfit),
    /// The key was not sealed, or not for certain.
    #[error("the certificate is the one of before: {0} (are you root?)")]
    NotSealed(#[from] ProgramFailed),
    /// Another configuration directory than the one that is sealed for.
    #[error(
        "nothing was changed: keys are sealed for {CONFIG_DIRECTORY} alone; an installation elsewhere has both files \
         where [tls] of its gateway.toml says"
    )]
    SealedElsewhere,
    /// Somebody else is at it.
    #[error("nothing was changed: another import, or a start of the gateway, has {} locked; try again", .0.display())]
    Locked(PathBuf),
    /// Both are in place, and the gateway was not told.
    #[error("the certificate is in place, and the gateway was not told: {0}")]
    NotReloaded(String),
    /// Both are in place, the gateway was told, and serves something else.
    #[error(
        "the certificate is in place and the gateway was told, and does not serve it: {0}; \
         journalctl -u chancel-gateway says more"
    )]
    NotServed(String),
    /// A file or directory could not be written.
    #[error("{}: {source} (are you root?)", path.display())]
    NotStored {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Checks that failed; all of them were printed.
    #[error("{0} to mend on this host; what to do stands under each FAIL")]
    NotWell(usize),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    NotWritten(#[source] io::Error),
}

/// What to do about it, where that is not plain.
const fn advice(error: AdminError) -> &'static str {
    match error {
        AdminError::LedgerUnwritable => {
            ", so nothing was changed; make room on its disk (docs/operations/audit.md), it recovers by itself"
        }
        AdminError::TooManyDenyRules => "; remove one with `chancel policy rules remove`",
        AdminError::PlanLimit => "; see `chancel tenant usage`, revoke one or change the plan",
        AdminError::Storage => "; policyd's log says how",
        _ => "",
    }
}

fn longest(longest_s: u64) -> String {
    match longest_s {
        0 => "break-glass is switched off in keyd's configuration".to_owned(),
        longest_s => {
            format!("break-glass is opened for at most {longest_s} s here; try again with --for {longest_s}s")
        }
    }
}

const fn keyd_advice(error: KeydError) -> &'static str {
    match error {
        KeydError::LedgerUnwritable => {
            ", so nothing was done; make room on its disk (docs/operations/audit.md), it recovers by itself"
        }
        KeydError::NotForThisPeer => "; only root's account may",
        _ => "",
    }
}

impl Failure {
    /// The failure's code; part of the interface.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSocket { .. } => "no-socket",
            Self::NoAnswer { .. } => "no-answer",
            Self::Unintelligible(_) => "unintelligible",
            Self::Refused { error } => match error {
                AdminError::Malformed => "malformed",
                AdminError::TenantNotFound => "tenant-not-found",
                AdminError::ApiKeyNotFound => "api-key-not-found",
                AdminError::NameTaken => "name-taken",
                AdminError::ApiKeyRevoked => "api-key-revoked",
                AdminError::PlanLimit => "plan-limit",
                AdminError::Storage => "storage",
                AdminError::LedgerUnwritable => "ledger-unwritable",
                AdminError::DenyRuleNotFound => "deny-rule-not-found",
                AdminError::TooManyDenyRules => "too-many-deny-rules",
                AdminError::NotForOperators => "not-for-operators",
            },
            Self::KeydRefused {
                error: KeydError::LedgerUnwritable,
            } => "ledger-unwritable",
            Self::KeydRefused { .. } => "keyd-refused",
            Self::BreakGlassTime { .. } => "break-glass-time",
            Self::NotConfirmed => "not-confirmed",
            Self::EmptyWindow => "empty-window",
            Self::TooManyNetworks => "too-many-networks",
            Self::NotRead { .. } => "not-read",
            Self::NotAnAuditKey { .. } => "not-an-audit-key",
            Self::NotSound(_) => "not-sound",
            Self::NoLedger(_) => "no-ledger",
            Self::NotStarted(_) => "not-started",
            Self::NotWritten(_) => "not-written",
            Self::AlreadyInitialised { .. } => "already-initialised",
            Self::HalfInitialised { .. } => "half-initialised",
            Self::NotAChain { .. } => "not-a-chain",
            Self::Unfit(_) => "unfit",
            Self::NotSealed(_) | Self::SealedElsewhere => "not-sealed",
            Self::Locked(_) => "locked",
            Self::NotReloaded(_) => "not-reloaded",
            Self::NotServed(_) => "not-served",
            Self::NotStored { .. } => "not-stored",
            Self::NotWell(_) => "not-well",
            Self::NotAnMlDsaKey(_) => "not-an-ml-dsa-key",
        }
    }
}
