//! What stands for a message that is too long to be held: ML-DSA's μ, or the digest that the composite makes of every
//! message. A signature over it is the one over the message.

use super::incoming::Pieces;
use crate::api::Signed;
use crate::error::ApiError;
use aws_lc_rs::digest::{Context, SHA512};
use chancel_domain::{Algorithm, HashFunction, Operation};
use chancel_pqc::Mu;
use hyper::body::Incoming;
use zeroize::Zeroizing;

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// What is signed, or was, when the message is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandIn {
    Mu,
    Sha512,
}

impl StandIn {
    /// Of an algorithm that has one. SLH-DSA reads the message twice, so it must be held.
    pub const fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::CompositeMlDsa65EcdsaP256 => Some(Self::Sha512),
            mu if mu.has_mu() => Some(Self::Mu),
            _ => None,
        }
    }

    /// What signing it is.
    pub const fn operation(self) -> Operation {
        match self {
            Self::Mu => Operation::SignMu,
            Self::Sha512 => Operation::SignHash,
        }
    }

    /// Reads the message to its end; `begun` is what was read of it before.
    pub async fn digest(
        self,
        algorithm: Algorithm,
        public_key: &[u8],
        context: Zeroizing<Vec<u8>>,
        begun: Zeroizing<Vec<u8>>,
        pieces: &mut Pieces<&mut Incoming>,
    ) -> Result<Signed, ApiError> {
        let mut state = match self {
            Self::Mu => {
                let mu = Mu::begin(algorithm, public_key, &context);
                State::Mu(mu.map_err(|_| ApiError::Internal)?)
            }
            Self::Sha512 => State::Sha512(Context::new(&SHA512)),
        };
        state.update(&begun);
        drop(begun);
        loop {
            let (piece, is_last) = pieces.segment(PIECE, 0).await?;
            state.update(&piece);
            if is_last {
                return Ok(state.finish(context));
            }
        }
    }
}

enum State {
    Mu(Mu),
    Sha512(Context),
}

impl State {
    fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Mu(mu) => mu.update(piece),
            Self::Sha512(hash) => hash.update(piece),
        }
    }

    fn finish(self, context: Zeroizing<Vec<u8>>) -> Signed {
        match self {
            Self::Mu(mu) => Signed::Mu(Zeroizing::new(mu.finish().to_vec())),
            Self::Sha512(hash) => Signed::Hash {
                function: HashFunction::Sha512,
                digest: Zeroizing::new(hash.finish().as_ref().to_vec()),
                context,
            },
        }
    }
}
