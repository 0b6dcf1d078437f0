//! Encapsulation with given randomness, which AWS-LC does not offer: ML-KEM by `ml-kem`, X-Wing by `x-wing`. Whoever calls it
//! answers for the randomness; [`crate::envelope::seal_deterministic`] does, and no one else should.

use super::{EncapsulateError, SharedSecret};
use chancel_domain::Algorithm;
use ml_kem::kem::{Kem, TryKeyInit};
use ml_kem::{B32, MlKem512, MlKem768, MlKem1024};
use zeroize::Zeroizing;

/// Bytes of randomness that encapsulation takes: m of FIPS 203 Algorithm 17, eseed of X-Wing's draft §5.4.1.
pub const fn randomness_len(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::XWing => 64,
        _ => 32,
    }
}

/// The parameter sets of `ml-kem` are types that share no public trait with encapsulation from given randomness.
macro_rules! by_ml_kem {
    ($set:ty, $public_key:expr, $randomness:expr) => {{
        let key = <$set as Kem>::EncapsulationKey::new_from_slice($public_key)
            .map_err(|_| EncapsulateError::PublicKeyRejected)?;
        let randomness = <&B32>::try_from($randomness).map_err(|_| EncapsulateError::PublicKeyRejected)?;
        let (ciphertext, secret) = key.encapsulate_deterministic(randomness);
        taken(&ciphertext, secret.0)
    }};
}

/// Makes the shared secret and the KEM ciphertext that follow from `randomness`, [`randomness_len`] bytes.
///
/// # Errors
/// [`EncapsulateError`]: the algorithm is no KEM, or the public key or the randomness is malformed.
pub fn encapsulate_with(
    algorithm: Algorithm,
    public_key: &[u8],
    randomness: &[u8],
) -> Result<(Vec<u8>, SharedSecret), EncapsulateError> {
    match algorithm {
        Algorithm::MlKem512 => by_ml_kem!(MlKem512, public_key, randomness),
        Algorithm::MlKem768 => by_ml_kem!(MlKem768, public_key, randomness),
        Algorithm::MlKem1024 => by_ml_kem!(MlKem1024, public_key, randomness),
        Algorithm::XWing => {
            let key = x_wing::EncapsulationKey::try_from(public_key)
                .map_err(|_| EncapsulateError::PublicKeyRejected)?;
            let randomness = randomness
                .try_into()
                .map_err(|_| EncapsulateError::PublicKeyRejected)?;
            let (ciphertext, secret) = key.encapsulate_deterministic(randomness);
            taken(&ciphertext, secret.0)
        }
        _ => Err(EncapsulateError::NotAKem),
    }
}

fn taken(ciphertext: &[u8], secret: [u8; 32]) -> Result<(Vec<u8>, SharedSecret), EncapsulateError> {
    let secret = Zeroizing::new(secret);
    let secret =
        SharedSecret::try_from(secret.as_slice()).map_err(|_| EncapsulateError::PublicKeyRejected)?;
    Ok((ciphertext.to_vec(), secret))
}
