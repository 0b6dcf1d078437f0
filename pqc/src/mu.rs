//! ML-DSA's message representative μ (FIPS 204 Algorithm 7, step 6): whoever signs μ need not see the message.

use chancel_domain::Algorithm;
use chancel_domain::content::{MAX_CONTEXT, MU_LEN};
use shake::{ExtendableOutput, Shake256, Update};

/// Computes μ of a message that comes in pieces.
pub struct Mu(Shake256);

/// Why there is no μ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMu {
    /// Only ML-DSA has one.
    #[error("only ML-DSA has a mu")]
    NotMlDsa,
    /// The public key is not as long as the algorithm's.
    #[error("the public key does not have the algorithm's length")]
    WrongPublicKeyLength,
    /// The context string is too long.
    #[error("the context string is longer than {MAX_CONTEXT} bytes")]
    ContextTooLong,
}

impl Mu {
    /// Begins: μ depends on the public key and on the context string.
    ///
    /// # Errors
    /// [`NoMu`].
    pub fn begin(algorithm: Algorithm, public_key: &[u8], context: &[u8]) -> Result<Self, NoMu> {
        if !algorithm.has_mu() {
            return Err(NoMu::NotMlDsa);
        }
        if public_key.len() != algorithm.spec().public_key_len {
            return Err(NoMu::WrongPublicKeyLength);
        }
        let context_len = u8::try_from(context.len()).map_err(|_| NoMu::ContextTooLong)?;
        let mut of_key = Shake256::default();
        of_key.update(public_key);
        let mut hash = Shake256::default();
        hash.update(&output(of_key));
        hash.update(&[0, context_len]);
        hash.update(context);
        Ok(Self(hash))
    }

    /// The next piece of the message.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The 64 bytes.
    pub fn finish(self) -> [u8; MU_LEN] {
        output(self.0)
    }
}

/// 64 bytes of SHAKE256 (FIPS 202).
fn output(hash: Shake256) -> [u8; MU_LEN] {
    let mut bytes = [0; MU_LEN];
    hash.finalize_xof_into(&mut bytes);
    bytes
}
