//! Accepting connections: what the kernel says of the peer first, then its hello; only both together make an
//! [`AuthenticatedPeer`], and no request is read without one.
//!
//! The transport now is [`unix`]; networked transports become modules beside it and features of the build.

mod stop;
pub mod unix;

pub use stop::{Stop, Stopper, stop};

use crate::config::Peer;
use chancel_service::secret_file::{self, SecretFileError};
use chancel_wire::hello::{Hello, HelloError, Role, ServiceToken};

/// A process that may connect, as configured.
#[derive(Debug)]
pub struct Expected {
    role: Role,
    uid: u32,
    token: ServiceToken,
}

impl Expected {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// [`SecretFileError`] when the token file is refused.
    pub fn load(role: Role, peer: &Peer) -> Result<Self, SecretFileError> {
        let token = secret_file::read_exact_32(&peer.token_file)?;
        Ok(Self {
            role,
            uid: peer.account.uid(),
            token: ServiceToken::from_bytes(*token),
        })
    }
}

/// The account of the host's operator, who needs no token: whoever is root here can read every token there is.
const OPERATOR_UID: u32 = 0;

/// All processes that may connect, besides the operator's.
#[derive(Debug)]
pub struct Admission(Vec<Expected>);

/// Whose processes run under an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AccountOf {
    /// The gateway or policyd.
    Daemon,
    /// The operator.
    Operator,
}

/// Why a connection was refused. The peer is told nothing: the connection closes.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No expected process runs under that account.
    #[error("no process of this account may connect")]
    WrongAccount,
    /// That account holds its share of connections already.
    #[error("this account has too many connections")]
    TooManyConnections,
    /// No hello, or half of one, in time.
    #[error("no hello in time")]
    NoHello,
    /// The first bytes were no hello of this version.
    #[error("{0}")]
    BadHello(#[from] HelloError),
    /// The role and the account do not belong together, or the token is not that role's.
    #[error("role and service token do not match the account")]
    WrongToken,
}

impl Refusal {
    /// Its name in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WrongAccount => "wrong-account",
            Self::TooManyConnections => "too-many-connections",
            Self::NoHello => "no-hello",
            Self::BadHello(_) => "bad-hello",
            Self::WrongToken => "wrong-token",
        }
    }
}

/// A peer whose account the kernel vouched for and whose token matched.
#[derive(Debug, Clone, Copy)]
pub struct AuthenticatedPeer {
    role: Role,
    uid: u32,
    pid: i32,
}

impl AuthenticatedPeer {
    /// For tests of what comes after authentication.
    #[cfg(test)]
    pub(crate) const fn of_role(role: Role) -> Self {
        Self {
            role,
            uid: OPERATOR_UID,
            pid: 0,
        }
    }

    /// Which process it is.
    pub const fn role(self) -> Role {
        self.role
    }

    /// Its account.
    pub const fn uid(self) -> u32 {
        self.uid
    }

    /// Its process id, for the log.
    pub const fn pid(self) -> i32 {
        self.pid
    }
}

impl Admission {
    /// Admits these and no others.
    pub const fn new(expected: Vec<Expected>) -> Self {
        Self(expected)
    }

    /// Whose account this is; `None` when none of its processes may connect at all. Asked before a byte is read.
    fn account(&self, uid: u32) -> Option<AccountOf> {
        if self.0.iter().any(|expected| expected.uid == uid) {
            Some(AccountOf::Daemon)
        } else {
            (uid == OPERATOR_UID).then_some(AccountOf::Operator)
        }
    }

    /// The one place where a peer becomes authenticated.
    fn admit(&self, uid: u32, pid: i32, hello: &Hello) -> Result<AuthenticatedPeer, Refusal> {
        let admitted = match hello.role {
            Role::Operator => uid == OPERATOR_UID,
            role @ (Role::Gateway | Role::Policyd) => self.0.iter().any(|expected| {
                expected.role == role && expected.uid == uid && expected.token.matches(hello)
            }),
        };
        if admitted {
            Ok(AuthenticatedPeer {
                role: hello.role,
                uid,
                pid,
            })
        } else {
            Err(Refusal::WrongToken)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: u32 = 61_001;

    fn admission() -> Admission {
        Admission::new(vec![Expected {
            role: Role::Gateway,
            uid: GATEWAY,
            token: ServiceToken::from_bytes([7; 32]),
        }])
    }

    #[test]
    fn root_alone_is_the_operator_and_is_nobody_else() {
        let admission = admission();
        let operator = Hello::new(Role::Operator, ServiceToken::none());
        assert_eq!(admission.account(OPERATOR_UID), Some(AccountOf::Operator));
        assert_eq!(
            admission.admit(OPERATOR_UID, 1, &operator).unwrap().role(),
            Role::Operator
        );
        for token in [ServiceToken::none(), ServiceToken::from_bytes([7; 32])] {
            let hello = Hello::new(Role::Operator, token.clone());
            assert!(
                admission.admit(GATEWAY, 1, &hello).is_err(),
                "the gateway's account"
            );
            let hello = Hello::new(Role::Gateway, token);
            assert!(
                admission.admit(OPERATOR_UID, 1, &hello).is_err(),
                "root as the gateway"
            );
        }
    }

    #[test]
    fn account_role_and_token_must_all_fit() {
        let admission = admission();
        let hello = |role, byte| Hello::new(role, ServiceToken::from_bytes([byte; 32]));
        assert!(admission.admit(GATEWAY, 1, &hello(Role::Gateway, 7)).is_ok());
        for (uid, role, byte) in [
            (GATEWAY, Role::Gateway, 8),
            (GATEWAY, Role::Policyd, 7),
            (GATEWAY + 1, Role::Gateway, 7),
        ] {
            assert!(admission.admit(uid, 1, &hello(role, byte)).is_err());
        }
        assert_eq!(admission.account(GATEWAY), Some(AccountOf::Daemon));
        assert_eq!(admission.account(GATEWAY + 1), None);
    }
}
