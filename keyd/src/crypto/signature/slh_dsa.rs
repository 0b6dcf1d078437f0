//! SLH-DSA (FIPS 205), all twelve parameter sets, by `fips205`. Milliseconds to seconds a signature, and a tenth more for
//! its check of the private key.

use crate::crypto::CryptoError;
use chancel_domain::{Algorithm, Content};
use fips205::traits::{KeyGen, SerDes, Signer};
use zeroize::{Zeroize, Zeroizing};

/// Calls a generic function for the parameter set of an algorithm; the sets of `fips205` are modules of the same shape.
macro_rules! by_set {
    ($algorithm:expr, $function:ident($($argument:expr),*)) => {
        by_set!(@ $algorithm, $function, ($($argument),*),
            SlhDsaSha2_128s slh_dsa_sha2_128s, SlhDsaSha2_128f slh_dsa_sha2_128f,
            SlhDsaSha2_192s slh_dsa_sha2_192s, SlhDsaSha2_192f slh_dsa_sha2_192f,
            SlhDsaSha2_256s slh_dsa_sha2_256s, SlhDsaSha2_256f slh_dsa_sha2_256f,
            SlhDsaShake128s slh_dsa_shake_128s, SlhDsaShake128f slh_dsa_shake_128f,
            SlhDsaShake192s slh_dsa_shake_192s, SlhDsaShake192f slh_dsa_shake_192f,
            SlhDsaShake256s slh_dsa_shake_256s, SlhDsaShake256f slh_dsa_shake_256f)
    };
    (@ $algorithm:expr, $function:ident, $arguments:tt, $($variant:ident $set:ident),*) => {
        match $algorithm {
            $(Algorithm::$variant => by_set!(@call $function, $set, $arguments),)*
            _ => Err(CryptoError::NotASignatureAlgorithm),
        }
    };
    (@call $function:ident, $set:ident, ($($argument:expr),*)) => {
        $function::<
            { fips205::$set::N }, { fips205::$set::SK_LEN }, { fips205::$set::SIG_LEN }, { fips205::$set::PK_LEN },
            fips205::$set::KG,
        >($($argument),*)
    };
}

pub(super) fn sign(
    algorithm: Algorithm,
    private_key: &[u8],
    content: &Content<'_>,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    by_set!(algorithm, sign_by(private_key, content))
}

/// SK.seed ‖ SK.prf ‖ PK.seed to the key pair (FIPS 205 Algorithm 18).
pub(super) fn expand(
    algorithm: Algorithm,
    seed: &[u8],
    private_key_out: &mut [u8],
) -> Result<Vec<u8>, CryptoError> {
    by_set!(algorithm, expand_by(seed, private_key_out))
}

fn sign_by<const N: usize, const SK: usize, const SIG: usize, const PK: usize, G>(
    private_key: &[u8],
    content: &Content<'_>,
) -> Result<Zeroizing<Vec<u8>>, CryptoError>
where
    G: KeyGen,
    G::PrivateKey: SerDes<ByteArray = [u8; SK]> + Signer<Signature = [u8; SIG]>,
{
    let mut bytes: [u8; SK] = private_key
        .try_into()
        .map_err(|_| CryptoError::WrongPrivateKeyLength)?;
    let key = G::PrivateKey::try_from_bytes(bytes).map_err(|_| CryptoError::PrivateKeyDamaged);
    bytes.zeroize();
    let key = key?;
    let signature = match *content {
        Content::Raw { message, context } => key.try_sign(message, context, true),
        Content::Hash {
            function,
            digest,
            context,
        } => key.try_hash_sign(digest, context, &function.oid(), true),
        Content::Mu { .. } => return Err(CryptoError::NotSigned),
    };
    signature
        .map(|signature| Zeroizing::new(signature.to_vec()))
        .map_err(|_| CryptoError::NotSigned)
}

fn expand_by<const N: usize, const SK: usize, const SIG: usize, const PK: usize, G>(
    seed: &[u8],
    private_key_out: &mut [u8],
) -> Result<Vec<u8>, CryptoError>
where
    G: KeyGen,
    G::PrivateKey: SerDes<ByteArray = [u8; SK]>,
    G::PublicKey: SerDes<ByteArray = [u8; PK]>,
{
    let mut parts = seed.chunks_exact(N).map(<&[u8; N]>::try_from);
    let (Some(Ok(sk_seed)), Some(Ok(sk_prf)), Some(Ok(pk_seed)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(CryptoError::WrongSeedLength);
    };
    if private_key_out.len() != SK {
        return Err(CryptoError::WrongPrivateKeyLength);
    }
    let (public_key, private_key) = G::keygen_from_seed(sk_seed, sk_prf, pk_seed);
    private_key_out.copy_from_slice(&*Zeroizing::new(private_key.into_bytes()));
    Ok(public_key.into_bytes().to_vec())
}
