//! ML-DSA (FIPS 204): AWS-LC where it can, `fips204` for the rest.

use super::{Verdict, VerifyError};
use aws_lc_rs::signature::{self, ParsedPublicKey};
use chancel_domain::{Algorithm, Content};
use fips204::traits::{SerDes, Verifier};
use fips204::{ml_dsa_44, ml_dsa_65, ml_dsa_87};

/// The parameter sets of `fips204` are modules of the same shape.
macro_rules! by_fips204 {
    ($set:ident, $public_key:expr, $content:expr, $signature:expr) => {{
        let key = $public_key.try_into().ok().and_then(|key| $set::PublicKey::try_from_bytes(key).ok());
        let key = key.ok_or(VerifyError::PublicKeyRejected)?;
        let Ok(signature) = $signature.try_into() else {
            return Ok(Verdict::Invalid);
        };
        Ok(Verdict::from(match *$content {
            Content::Raw { message, context } => key.verify(message, signature, context),
            Content::Hash { function, digest, context } => {
                key.hash_verify(digest, signature, context, &function.oid())
            }
            // The function is made for the standard's own vectors of an external μ, which is just what this is.
            #[expect(deprecated, reason = "so marked because it separates no domains; whoever made the mu did")]
            Content::Mu { mu } => mu.try_into().is_ok_and(|mu| key.verify_mu(mu, signature)),
        }))
    }};
}

pub(super) fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    content: &Content<'_>,
    signature: &[u8],
) -> Result<Verdict, VerifyError> {
    if signature.len() != algorithm.spec().output_len {
        // Whatever the key: one of the right length is never refused.
        return Ok(Verdict::Invalid);
    }
    if let Content::Raw { message, context: [] } = content {
        return without_context(algorithm, public_key, message, signature);
    }
    match algorithm {
        Algorithm::MlDsa44 => by_fips204!(ml_dsa_44, public_key, content, signature),
        Algorithm::MlDsa65 => by_fips204!(ml_dsa_65, public_key, content, signature),
        _ => by_fips204!(ml_dsa_87, public_key, content, signature),
    }
}

fn without_context(
    algorithm: Algorithm,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<Verdict, VerifyError> {
    let parameters = match algorithm {
        Algorithm::MlDsa44 => &signature::ML_DSA_44,
        Algorithm::MlDsa65 => &signature::ML_DSA_65,
        _ => &signature::ML_DSA_87,
    };
    let key = ParsedPublicKey::new(parameters, public_key).map_err(|_| VerifyError::PublicKeyRejected)?;
    Ok(Verdict::from(key.verify_sig(message, signature).is_ok()))
}

/// An ML-DSA-65 signature over a message with a context string, by `fips204`: half of a composite one.
pub(super) fn verify_65_with_context(
    public_key: &[u8],
    message: &[u8],
    context: &[u8],
    signature: &[u8],
) -> Result<Verdict, VerifyError> {
    by_fips204!(
        ml_dsa_65,
        public_key,
        &Content::Raw { message, context },
        signature
    )
}
