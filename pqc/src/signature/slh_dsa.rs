//! SLH-DSA (FIPS 205), all twelve parameter sets, by `slh-dsa`; keyd signs with `fips205`.

use super::{Verdict, VerifyError};
use chancel_domain::{Algorithm, Content};
use slh_dsa::{
    ParameterSet, Sha2_128f, Sha2_128s, Sha2_192f, Sha2_192s, Sha2_256f, Sha2_256s, Shake128f, Shake128s,
    Shake192f, Shake192s, Shake256f, Shake256s, Signature, VerifyingKey,
};

pub(super) fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    content: &Content<'_>,
    signature: &[u8],
) -> Result<Verdict, VerifyError> {
    let verify = match algorithm {
        Algorithm::SlhDsaSha2_128s => verify_by::<Sha2_128s>,
        Algorithm::SlhDsaSha2_128f => verify_by::<Sha2_128f>,
        Algorithm::SlhDsaSha2_192s => verify_by::<Sha2_192s>,
        Algorithm::SlhDsaSha2_192f => verify_by::<Sha2_192f>,
        Algorithm::SlhDsaSha2_256s => verify_by::<Sha2_256s>,
        Algorithm::SlhDsaSha2_256f => verify_by::<Sha2_256f>,
        Algorithm::SlhDsaShake128s => verify_by::<Shake128s>,
        Algorithm::SlhDsaShake128f => verify_by::<Shake128f>,
        Algorithm::SlhDsaShake192s => verify_by::<Shake192s>,
        Algorithm::SlhDsaShake192f => verify_by::<Shake192f>,
        Algorithm::SlhDsaShake256s => verify_by::<Shake256s>,
        Algorithm::SlhDsaShake256f => verify_by::<Shake256f>,
        _ => return Err(VerifyError::PublicKeyRejected),
    };
    verify(public_key, content, signature)
}

fn verify_by<P: ParameterSet>(
    public_key: &[u8],
    content: &Content<'_>,
    signature: &[u8],
) -> Result<Verdict, VerifyError> {
    let key = VerifyingKey::<P>::try_from(public_key).map_err(|_| VerifyError::PublicKeyRejected)?;
    let Ok(signature) = Signature::<P>::try_from(signature) else {
        return Ok(Verdict::Invalid);
    };
    let oid;
    // M′ of FIPS 205 Algorithms 24 and 25, in parts.
    let (domain, context, oid, content): (_, _, &[u8], _) = match *content {
        Content::Raw { message, context } => ([0], context, &[], message),
        Content::Hash {
            function,
            digest,
            context,
        } => {
            oid = function.oid();
            ([1], context, &oid, digest)
        }
        Content::Mu { .. } => return Ok(Verdict::Invalid),
    };
    let Ok(context_len) = u8::try_from(context.len()) else {
        return Ok(Verdict::Invalid);
    };
    let parts: [&[u8]; 5] = [&domain, &[context_len], context, oid, content];
    Ok(Verdict::from(key.slh_verify_internal(&parts, &signature).is_ok()))
}
