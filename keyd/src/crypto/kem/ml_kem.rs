//! ML-KEM (FIPS 203) by liboqs. What it returns is a plain vector that is not wiped when dropped, so it is taken into a
//! wiping one before anything else can happen.

use crate::crypto::CryptoError;
use chancel_domain::Algorithm;
use chancel_pqc::SharedSecret;
use oqs::kem::Kem;
use zeroize::Zeroizing;

pub(super) fn decapsulate(
    algorithm: Algorithm,
    private_key: &[u8],
    kem_ciphertext: &[u8],
) -> Result<SharedSecret, CryptoError> {
    let kem = library(algorithm)?;
    let private_key = kem
        .secret_key_from_bytes(private_key)
        .ok_or(CryptoError::WrongPrivateKeyLength)?;
    let ciphertext = kem
        .ciphertext_from_bytes(kem_ciphertext)
        .ok_or(CryptoError::WrongCiphertextLength)?;
    let secret = kem
        .decapsulate(private_key, ciphertext)
        .map_err(|_| CryptoError::PrivateKeyDamaged)?
        .into_vec();
    let secret = Zeroizing::new(secret);
    SharedSecret::try_from(secret.as_slice()).map_err(|_| CryptoError::PrivateKeyDamaged)
}

/// FIPS 203 Algorithm 16 (internal key generation) of d ‖ z.
pub(super) fn expand(
    algorithm: Algorithm,
    seed: &[u8],
    private_key_out: &mut [u8],
) -> Result<Vec<u8>, CryptoError> {
    let kem = library(algorithm)?;
    let seed = kem
        .keypair_seed_from_bytes(seed)
        .ok_or(CryptoError::WrongSeedLength)?;
    let (public_key, private_key) = kem.keypair_derand(seed).map_err(|_| CryptoError::NotExpanded)?;
    let private_key = Zeroizing::new(private_key.into_vec());
    if private_key.len() != private_key_out.len() {
        return Err(CryptoError::WrongPrivateKeyLength);
    }
    private_key_out.copy_from_slice(&private_key);
    Ok(public_key.into_vec())
}

fn library(algorithm: Algorithm) -> Result<Kem, CryptoError> {
    let algorithm = match algorithm {
        Algorithm::MlKem512 => oqs::kem::Algorithm::MlKem512,
        Algorithm::MlKem768 => oqs::kem::Algorithm::MlKem768,
        Algorithm::MlKem1024 => oqs::kem::Algorithm::MlKem1024,
        _ => return Err(CryptoError::NotAKem),
    };
    oqs::init();
    // A table of function pointers, cheap beside any operation: not worth keeping in a global.
    Kem::new(algorithm).map_err(|_| CryptoError::AlgorithmNotBuiltIn)
}
