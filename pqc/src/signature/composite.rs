//! The composite of ML-DSA-65 and ECDSA on P-256 (draft-ietf-lamps-pq-composite-sigs, id-MLDSA65-ECDSA-P256-SHA512): both
//! halves sign one representative, and both must be valid. keyd signs with liboqs and AWS-LC; here `fips204` and `p256` check.

use super::{Verdict, VerifyError, ml_dsa};
use aws_lc_rs::digest::{SHA512, digest};
use chancel_domain::{Content, HashFunction};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};

/// The draft's name of the algorithm inside what is signed (§6), which is the context string of the ML-DSA half too.
pub const LABEL: &[u8] = b"COMPSIG-MLDSA65-ECDSA-P256-SHA512";
/// What every representative begins with (§2.2).
const PREFIX: &[u8] = b"CompositeAlgorithmSignatures2025";
/// ML-DSA-65's public key and signature, which come first.
const ML_DSA_PUBLIC_KEY_LEN: usize = 1952;
const ML_DSA_SIGNATURE_LEN: usize = 3309;

/// M′ of the draft (§4.2): what both halves sign. `None` for content that no composite signs.
pub fn representative(content: &Content<'_>) -> Option<Vec<u8>> {
    let hashed;
    let (digest, context) = match *content {
        Content::Raw { message, context } => {
            hashed = digest(&SHA512, message);
            (hashed.as_ref(), context)
        }
        // The draft hashes with SHA-512 itself: a digest by it stands for its message.
        Content::Hash {
            function: HashFunction::Sha512,
            digest,
            context,
        } => (digest, context),
        Content::Hash { .. } | Content::Mu { .. } => return None,
    };
    let context_len = u8::try_from(context.len()).ok()?;
    Some([PREFIX, LABEL, &[context_len], context, digest].concat())
}

pub(super) fn verify(
    public_key: &[u8],
    content: &Content<'_>,
    signature: &[u8],
) -> Result<Verdict, VerifyError> {
    let rejected = VerifyError::PublicKeyRejected;
    let (ml_dsa_key, point) = public_key
        .split_at_checked(ML_DSA_PUBLIC_KEY_LEN)
        .ok_or(rejected)?;
    let ecdsa_key = VerifyingKey::from_sec1_bytes(point).map_err(|_| rejected)?;
    let (Some(representative), Some((ml_dsa, ecdsa))) = (
        representative(content),
        signature.split_at_checked(ML_DSA_SIGNATURE_LEN),
    ) else {
        return Ok(Verdict::Invalid);
    };
    // Both are always looked at: which half is wrong is not to be told from the time it takes.
    let first = ml_dsa::verify_65_with_context(ml_dsa_key, &representative, LABEL, ml_dsa)?;
    let second = Signature::from_der(ecdsa)
        .is_ok_and(|signature| ecdsa_key.verify(&representative, &signature).is_ok());
    Ok(Verdict::from(first == Verdict::Valid && second))
}
