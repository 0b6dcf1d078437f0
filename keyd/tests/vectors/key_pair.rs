//! Key pairs as keyd makes them: from a seed.

use chancel_domain::Algorithm;
use chancel_keyd::crypto::{CryptoError, Seed, expand};

/// The key pair of a seed: private key, public key.
pub fn key_pair(algorithm: Algorithm, seed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    let seed = Seed::from_secret(algorithm, seed)?;
    let mut private_key = vec![0; algorithm.spec().private_key_len];
    let public_key = expand(algorithm, &seed, &mut private_key)?;
    Ok((private_key, public_key))
}

/// The key pair of a seed that must be good.
pub fn expanded(algorithm: Algorithm, seed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    key_pair(algorithm, seed).expect("the seed expands")
}
