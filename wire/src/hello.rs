//! The first bytes of a connection: who calls, in which version, with which service token.
//!
//! Fixed sizes, no parsing before authentication. The token is compared in constant time, and the transport's
//! own proof (peer credentials, a certificate) is checked first and beside it: one alone never suffices.

use crate::limits::PROTOCOL_VERSION;
use aws_lc_rs::constant_time;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a [`Hello`].
pub const HELLO_LEN: usize = 4 + 2 + 1 + TOKEN_LEN;
/// Bytes of a welcome.
pub const WELCOME_LEN: usize = 4 + 2;
/// Bytes of a service token.
pub const TOKEN_LEN: usize = 32;

const MAGIC: [u8; 4] = *b"CHNC";

/// Which process calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// chancel-gateway.
    Gateway,
    /// chancel-policyd.
    Policyd,
    /// The operator's command line, on policyd's admin socket; as root, on keyd's.
    Operator,
}

impl Role {
    const fn code(self) -> u8 {
        match self {
            Self::Gateway => 1,
            Self::Policyd => 2,
            Self::Operator => 3,
        }
    }

    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Policyd => "policyd",
            Self::Operator => "operator",
        }
    }
}

/// A service token: 32 random bytes shared by the two ends of a kind of connection. Wiped when dropped,
/// never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ServiceToken([u8; TOKEN_LEN]);

impl ServiceToken {
    /// Takes the bytes of a token.
    pub const fn from_bytes(bytes: [u8; TOKEN_LEN]) -> Self {
        Self(bytes)
    }

    /// What operators send: their socket is guarded by peer credentials alone.
    pub const fn none() -> Self {
        Self([0; TOKEN_LEN])
    }

    /// Whether a received hello carries this token; takes the same time wherever they differ.
    pub fn matches(&self, hello: &Hello) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &hello.token.0).is_ok()
    }
}

impl std::fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceToken(..)")
    }
}

/// What a caller says first.
#[derive(Debug)]
pub struct Hello {
    /// Who it says it is.
    pub role: Role,
    token: ServiceToken,
}

/// Why the first bytes are no hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not this protocol at all.
    #[error("not a Chancel connection")]
    WrongMagic,
    /// Another version; both numbers are meant for the log.
    #[error("peer speaks protocol version {0}, this side speaks {PROTOCOL_VERSION}")]
    WrongVersion(u16),
    /// A role this version does not know.
    #[error("unknown role")]
    UnknownRole,
}

impl Hello {
    /// A hello to send.
    pub const fn new(role: Role, token: ServiceToken) -> Self {
        Self { role, token }
    }

    /// `magic ‖ version u16 ‖ role u8 ‖ token`.
    pub fn to_bytes(&self) -> [u8; HELLO_LEN] {
        let mut bytes = [0; HELLO_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        bytes[6] = self.role.code();
        bytes[7..].copy_from_slice(&self.token.0);
        bytes
    }

    /// Reads a received hello. The token in it is not yet checked: see [`ServiceToken::matches`].
    ///
    /// # Errors
    /// [`HelloError`] for bytes that are no hello of this version.
    pub fn parse(bytes: &[u8; HELLO_LEN]) -> Result<Self, HelloError> {
        let [m0, m1, m2, m3, v0, v1, role, token @ ..] = bytes;
        check_version([*m0, *m1, *m2, *m3, *v0, *v1])?;
        let role = [Role::Gateway, Role::Policyd, Role::Operator]
            .into_iter()
            .find(|known| known.code() == *role)
            .ok_or(HelloError::UnknownRole)?;
        Ok(Self {
            role,
            token: ServiceToken(*token),
        })
    }
}

/// What a server answers when it accepts a hello: `magic ‖ version u16`. A refusal is a closed connection.
pub fn welcome() -> [u8; WELCOME_LEN] {
    let mut bytes = [0; WELCOME_LEN];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..].copy_from_slice(&PROTOCOL_VERSION.to_be_bytes());
    bytes
}

/// Checks a received welcome.
///
/// # Errors
/// [`HelloError`] for anything but the welcome of this version.
pub fn check_version(bytes: [u8; WELCOME_LEN]) -> Result<(), HelloError> {
    let [m0, m1, m2, m3, v0, v1] = bytes;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(HelloError::WrongMagic);
    }
    match u16::from_be_bytes([v0, v1]) {
        PROTOCOL_VERSION => Ok(()),
        other => Err(HelloError::WrongVersion(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_round_trips_and_each_wrong_field_is_refused() {
        let token = ServiceToken::from_bytes([9; 32]);
        let bytes = Hello::new(Role::Policyd, token.clone()).to_bytes();
        let parsed = Hello::parse(&bytes).unwrap();
        assert_eq!(parsed.role, Role::Policyd);
        assert!(token.matches(&parsed));
        assert!(!ServiceToken::none().matches(&parsed));
        for (index, error) in [
            (0, HelloError::WrongMagic),
            (5, HelloError::WrongVersion(PROTOCOL_VERSION ^ 0xff)),
            (6, HelloError::UnknownRole),
        ] {
            let mut wrong = bytes;
            wrong[index] ^= 0xff;
            assert_eq!(Hello::parse(&wrong).unwrap_err(), error);
        }
    }

    #[test]
    fn a_welcome_is_accepted_and_nothing_else() {
        assert_eq!(check_version(welcome()), Ok(()));
        assert_eq!(check_version([0; WELCOME_LEN]), Err(HelloError::WrongMagic));
    }

    #[test]
    fn tokens_are_not_printed() {
        let hello = Hello::new(Role::Gateway, ServiceToken::from_bytes([0x41; 32]));
        assert!(!format!("{hello:?}").contains("65"));
    }
}
