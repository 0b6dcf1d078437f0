//! Public keys in the forms that other programs read: SubjectPublicKeyInfo (RFC 5280 §4.1) with the registered object
//! identifiers (ML-KEM: RFC 9935; ML-DSA: RFC 9881; SLH-DSA: RFC 9909; the drafts' own), in DER and in PEM (RFC 7468), and JWK
//! of the key type AKP.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancel_domain::algorithm::SPECS;
use chancel_domain::{Algorithm, Maturity};
use serde::Serialize;
use spki::der::asn1::{AnyRef, BitStringRef};
use spki::der::pem::LineEnding;
use spki::der::pem::PemLabel;
use spki::der::{Document, Encode, EncodePem};
use spki::{AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfo};

/// Why a public key has no such form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchForm {
    /// The key is not as long as the algorithm's.
    #[error("the public key does not have the algorithm's length")]
    WrongLength,
    /// No JSON form of the algorithm's keys is specified yet.
    #[error("no JWK of the algorithm is specified")]
    NoJwk,
}

/// SubjectPublicKeyInfo in DER.
///
/// # Errors
/// [`NoSuchForm::WrongLength`].
pub fn to_spki(algorithm: Algorithm, public_key: &[u8]) -> Result<Vec<u8>, NoSuchForm> {
    spki(algorithm, public_key)?
        .to_der()
        .map_err(|_| NoSuchForm::WrongLength)
}

/// SubjectPublicKeyInfo in PEM.
///
/// # Errors
/// [`NoSuchForm::WrongLength`].
pub fn to_pem(algorithm: Algorithm, public_key: &[u8]) -> Result<String, NoSuchForm> {
    spki(algorithm, public_key)?
        .to_pem(LineEnding::LF)
        .map_err(|_| NoSuchForm::WrongLength)
}

type Spki<'a> = SubjectPublicKeyInfo<AnyRef<'a>, BitStringRef<'a>>;

/// The parameters of the algorithm's identifier are absent for all of them.
fn spki(algorithm: Algorithm, public_key: &[u8]) -> Result<Spki<'_>, NoSuchForm> {
    let spec = algorithm.spec();
    if public_key.len() != spec.public_key_len {
        return Err(NoSuchForm::WrongLength);
    }
    Ok(SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier {
            // NOTE(expect): a test encodes each row of the registry.
            oid: ObjectIdentifier::new(spec.oid).expect("the registry's object identifiers are such"),
            parameters: None,
        },
        subject_public_key: BitStringRef::from_bytes(public_key).map_err(|_| NoSuchForm::WrongLength)?,
    })
}

/// Reads SubjectPublicKeyInfo, in PEM or in DER, of an algorithm of the registry.
///
/// # Errors
/// [`NotAPublicKey`].
pub fn parse(bytes: &[u8]) -> Result<(Algorithm, Vec<u8>), NotAPublicKey> {
    let der = match str::from_utf8(bytes) {
        Ok(text) if text.trim_start().starts_with("-----") => {
            let (label, document) = Document::from_pem(text.trim()).map_err(|_| NotAPublicKey)?;
            Spki::validate_pem_label(label).map_err(|_| NotAPublicKey)?;
            document
        }
        _ => Document::try_from(bytes).map_err(|_| NotAPublicKey)?,
    };
    let read: Spki<'_> = der.decode_msg().map_err(|_| NotAPublicKey)?;
    let oid = read.algorithm.oid.to_string();
    let spec = SPECS.iter().find(|spec| spec.oid == oid).ok_or(NotAPublicKey)?;
    let public_key = read.subject_public_key.raw_bytes();
    if read.algorithm.parameters.is_some() || public_key.len() != spec.public_key_len {
        return Err(NotAPublicKey);
    }
    Ok((spec.algorithm, public_key.to_vec()))
}

/// Bytes that are no SubjectPublicKeyInfo of an algorithm of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no SubjectPublicKeyInfo, in PEM or DER, of an algorithm that Chancel has")]
pub struct NotAPublicKey;

/// A JSON Web Key of the type AKP, in its own order of members.
#[derive(Serialize)]
struct Jwk<'a> {
    kty: &'static str,
    alg: &'static str,
    #[serde(rename = "pub")]
    public: &'a str,
}

/// A JSON Web Key (ML-DSA: RFC 9964; SLH-DSA and ML-KEM by the same pattern, whose specifications are drafts).
///
/// # Errors
/// [`NoSuchForm`]: the hybrids have none.
pub fn to_jwk(algorithm: Algorithm, public_key: &[u8]) -> Result<String, NoSuchForm> {
    let spec = algorithm.spec();
    if public_key.len() != spec.public_key_len {
        return Err(NoSuchForm::WrongLength);
    }
    if spec.maturity == Maturity::Draft {
        return Err(NoSuchForm::NoJwk);
    }
    let jwk = Jwk {
        kty: "AKP",
        alg: spec.standard_name,
        public: &URL_SAFE_NO_PAD.encode(public_key),
    };
    // NOTE(expect): three texts always serialize.
    Ok(serde_json::to_string(&jwk).expect("texts serialize"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use spki::der::Decode;

    #[test]
    fn each_algorithms_keys_have_the_forms_that_are_specified_for_it() {
        for spec in &SPECS {
            let key = vec![7; spec.public_key_len];
            let der = to_spki(spec.algorithm, &key).unwrap();
            let read = Spki::from_der(&der).unwrap();
            assert_eq!(read.algorithm.oid.to_string(), spec.oid);
            assert_eq!(read.subject_public_key.raw_bytes(), key);
            let pem = to_pem(spec.algorithm, &key).unwrap();
            for form in [pem.as_bytes(), &der] {
                assert_eq!(parse(form), Ok((spec.algorithm, key.clone())));
                assert_eq!(parse(&form[1..]), Err(NotAPublicKey));
            }
            assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
            assert!(pem.lines().all(|line| line.len() <= 64));
            let jwk = to_jwk(spec.algorithm, &key);
            assert_eq!(
                jwk.is_ok(),
                spec.maturity == Maturity::Standard,
                "{}",
                spec.standard_name
            );
            assert_eq!(to_spki(spec.algorithm, &key[1..]), Err(NoSuchForm::WrongLength));
        }
    }

    /// The other library reads them: AWS-LC knows the identifiers of ML-DSA.
    #[test]
    fn aws_lc_reads_what_is_written() {
        use aws_lc_rs::encoding::AsDer;
        use aws_lc_rs::signature::{KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING};
        for (algorithm, parameters) in [
            (Algorithm::MlDsa44, &ML_DSA_44_SIGNING),
            (Algorithm::MlDsa65, &ML_DSA_65_SIGNING),
            (Algorithm::MlDsa87, &ML_DSA_87_SIGNING),
        ] {
            let pair = aws_lc_rs::signature::PqdsaKeyPair::generate(parameters).unwrap();
            let theirs = pair.public_key().as_der().unwrap();
            let ours = to_spki(algorithm, pair.public_key().as_ref()).unwrap();
            assert_eq!(ours, theirs.as_ref());
        }
    }
}
