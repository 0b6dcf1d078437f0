//! ML-DSA (FIPS 204). liboqs signs messages; `ml-dsa` signs what it cannot, digests and an external μ. liboqs cannot make a
//! key from a seed either; AWS-LC can, in the encoding of FIPS 204 §7.2 that both sign with.
//!
//! The verification of liboqs is never called: on CPUs with AVX2 it accepts invalid signatures.

use crate::crypto::CryptoError;
use aws_lc_rs::encoding::{AsRawBytes, PqdsaPrivateKeyRaw};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{self, KeyPair, PqdsaKeyPair};
use chancel_domain::{Algorithm, Content};
use ml_dsa::signature::rand_core::{TryCryptoRng, TryRng};
use ml_dsa::{B32, ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use oqs::sig::Sig;
use zeroize::{Zeroize, Zeroizing};

pub(super) fn sign(
    algorithm: Algorithm,
    private_key: &[u8],
    content: &Content<'_>,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    if let Content::Raw { message, context } = *content {
        return sign_message(algorithm, private_key, message, context);
    }
    match algorithm {
        Algorithm::MlDsa44 => sign_digest::<MlDsa44>(private_key, content),
        Algorithm::MlDsa65 => sign_digest::<MlDsa65>(private_key, content),
        _ => sign_digest::<MlDsa87>(private_key, content),
    }
}

/// By liboqs.
pub(super) fn sign_message(
    algorithm: Algorithm,
    private_key: &[u8],
    message: &[u8],
    context: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let sig = library(algorithm)?;
    let private_key = sig
        .secret_key_from_bytes(private_key)
        .ok_or(CryptoError::WrongPrivateKeyLength)?;
    sig.sign_with_ctx_str(message, context, private_key)
        .map(|signature| Zeroizing::new(signature.into_vec()))
        .map_err(|_| CryptoError::NotSigned)
}

/// By `ml-dsa`.
#[expect(
    deprecated,
    reason = "the expanded form is what the cache holds; the file holds the seed"
)]
fn sign_digest<P: MlDsaParams>(
    private_key: &[u8],
    content: &Content<'_>,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let encoded = private_key
        .try_into()
        .map_err(|_| CryptoError::WrongPrivateKeyLength)?;
    let key = ExpandedSigningKey::<P>::from_expanded(encoded);
    let signature = match *content {
        Content::Hash {
            function,
            digest,
            context,
        } => {
            let context_len = [u8::try_from(context.len()).map_err(|_| CryptoError::NotSigned)?];
            let mut randomness = B32::default();
            rand::fill(&mut randomness).map_err(|_| CryptoError::RandomnessUnavailable)?;
            // M′ of FIPS 204 Algorithm 4, in parts.
            let parts: [&[u8]; 5] = [&[1], &context_len, context, &function.oid(), digest];
            let signature = key.sign_internal(&parts, &randomness);
            randomness.zeroize();
            signature
        }
        Content::Mu { mu } => {
            let mu = mu.try_into().map_err(|_| CryptoError::NotSigned)?;
            key.sign_mu_randomized(mu, &mut Generator)
                .map_err(|_| CryptoError::NotSigned)?
        }
        Content::Raw { .. } => return Err(CryptoError::NotSigned),
    };
    Ok(Zeroizing::new(signature.encode().to_vec()))
}

/// FIPS 204 Algorithm 6 (internal key generation) of ξ.
pub(super) fn expand(
    algorithm: Algorithm,
    seed: &[u8],
    private_key_out: &mut [u8],
) -> Result<Vec<u8>, CryptoError> {
    let parameters = match algorithm {
        Algorithm::MlDsa44 => &signature::ML_DSA_44_SIGNING,
        Algorithm::MlDsa65 => &signature::ML_DSA_65_SIGNING,
        Algorithm::MlDsa87 => &signature::ML_DSA_87_SIGNING,
        _ => return Err(CryptoError::NotASignatureAlgorithm),
    };
    let pair = PqdsaKeyPair::from_seed(parameters, seed).map_err(|_| CryptoError::NotExpanded)?;
    // AWS-LC wipes both its own key and this copy when dropped.
    let private_key: PqdsaPrivateKeyRaw<'_> = pair
        .private_key()
        .as_raw_bytes()
        .map_err(|_| CryptoError::NotExpanded)?;
    let private_key = private_key.as_ref();
    if private_key.len() != private_key_out.len() {
        return Err(CryptoError::WrongPrivateKeyLength);
    }
    private_key_out.copy_from_slice(private_key);
    Ok(pair.public_key().as_ref().to_vec())
}

fn library(algorithm: Algorithm) -> Result<Sig, CryptoError> {
    let algorithm = match algorithm {
        Algorithm::MlDsa44 => oqs::sig::Algorithm::MlDsa44,
        Algorithm::MlDsa65 => oqs::sig::Algorithm::MlDsa65,
        Algorithm::MlDsa87 => oqs::sig::Algorithm::MlDsa87,
        _ => return Err(CryptoError::NotASignatureAlgorithm),
    };
    oqs::init();
    Sig::new(algorithm).map_err(|_| CryptoError::AlgorithmNotBuiltIn)
}

/// AWS-LC's generator, as `ml-dsa` asks for one.
struct Generator;

impl TryRng for Generator {
    type Error = aws_lc_rs::error::Unspecified;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        rand::fill(&mut bytes).map(|()| u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        rand::fill(&mut bytes).map(|()| u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        rand::fill(bytes)
    }
}

impl TryCryptoRng for Generator {}
