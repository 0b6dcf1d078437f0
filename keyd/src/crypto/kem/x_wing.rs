//! X-Wing (draft-connolly-cfrg-xwing-kem) by `x-wing`, which keeps nothing but the 32 bytes that everything follows from.

use crate::crypto::CryptoError;
use chancel_pqc::SharedSecret;
use x_wing::{Ciphertext, Decapsulate, DecapsulationKey, Decapsulator, KeyExport, KeyInit};
use zeroize::Zeroizing;

pub(super) fn decapsulate(private_key: &[u8], kem_ciphertext: &[u8]) -> Result<SharedSecret, CryptoError> {
    let key =
        DecapsulationKey::new_from_slice(private_key).map_err(|_| CryptoError::WrongPrivateKeyLength)?;
    let ciphertext =
        <&Ciphertext>::try_from(kem_ciphertext).map_err(|_| CryptoError::WrongCiphertextLength)?;
    let secret = Zeroizing::new(key.decapsulate(ciphertext).0);
    SharedSecret::try_from(secret.as_slice()).map_err(|_| CryptoError::PrivateKeyDamaged)
}

/// The private key is the seed.
pub(super) fn expand(seed: &[u8], private_key_out: &mut [u8]) -> Result<Vec<u8>, CryptoError> {
    let key = DecapsulationKey::new_from_slice(seed).map_err(|_| CryptoError::WrongSeedLength)?;
    if seed.len() != private_key_out.len() {
        return Err(CryptoError::WrongPrivateKeyLength);
    }
    private_key_out.copy_from_slice(seed);
    Ok(key.encapsulation_key().to_bytes().to_vec())
}
