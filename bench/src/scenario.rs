//! What is measured: four operations on 1 KiB, and one with each further algorithm. Preparing them makes inputs through the
//! API, with the keys that are there, and checks one answer of each in full: what was encrypted opens, a signature verifies,
//! an altered message does not.

use crate::http::{Gateway, Request};
use crate::problem::Problem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancel_domain::algorithm::SPECS;
use chancel_domain::{Algorithm, Content, Family};
use chancel_pqc::Verdict;
use serde_json::{Value, json};
use std::ops::RangeInclusive;

/// Bytes of plaintext or message in each request.
pub const PAYLOAD_LEN: usize = 1024;

/// An operation that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Operation {
    /// ML-KEM-768 encapsulation and AES-256-GCM.
    Encrypt,
    /// ML-KEM-768 decapsulation and AES-256-GCM.
    Decrypt,
    /// ML-DSA-65 signature.
    Sign,
    /// ML-DSA-65 verification.
    Verify,
}

impl Operation {
    /// All, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Encrypt, Self::Decrypt, Self::Sign, Self::Verify];

    /// The scenario's name in the report.
    pub const fn scenario(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt 1 KiB",
            Self::Decrypt => "decrypt 1 KiB",
            Self::Sign => "sign 1 KiB",
            Self::Verify => "verify 1 KiB",
        }
    }
}

/// A request to repeat, and what tells its answer from another.
#[derive(Clone)]
pub struct Scenario {
    /// Its name in the report.
    pub name: String,
    /// The operation.
    pub operation: Operation,
    /// With a key of which algorithm.
    pub algorithm: Algorithm,
    /// The request.
    pub request: Request,
    /// Bytes of a good answer's body: all answers to the request have as many, and `"valid":false` has one more. An ECDSA
    /// signature, in the composite, differs by some.
    pub answer_len: RangeInclusive<usize>,
}

/// The payload of all requests: bytes that do not repeat soon.
pub fn payload() -> Vec<u8> {
    (0..PAYLOAD_LEN)
        .map(|at| ((at * 167 + at / 256) % 256) as u8)
        .collect()
}

/// Makes all scenarios, in the order of [`Operation::ALL`].
///
/// # Errors
/// [`Problem`] at the first answer that is not as it must be.
pub async fn prepare(gateway: &Gateway) -> Result<Vec<Scenario>, Problem> {
    let mut connection = gateway.connect().await?;
    let post = |path: &str, body: Value| gateway.post(&format!("/api/v1/{path}"), &body);
    let payload = payload();
    let encoded = STANDARD.encode(&payload);

    let key = gateway.get("/api/v1/kms/keys/active?algorithm=Dilithium3");
    let signing_key = connection.ask(&key).await?;

    let encrypt = post(
        "kem/encrypt",
        json!({"plaintext": encoded, "mode": "standard", "key_version": 1}),
    );
    let encrypted = connection.ask(&encrypt).await?;
    let decrypt = post(
        "kem/decrypt",
        json!({"ciphertext": encrypted["ciphertext"], "key_version": 1}),
    );
    let decrypted = connection.ask(&decrypt).await?;
    ensure(
        bytes(&decrypted["plaintext"])? == payload,
        "decrypt: other bytes came back than were encrypted",
    )?;

    let sign = post("signature/sign", json!({"message": encoded, "key_version": 1}));
    let signed = connection.ask(&sign).await?;
    let verdict = chancel_pqc::verify(
        Algorithm::MlDsa65,
        &bytes(&signing_key["public_key"])?,
        &Content::raw(&payload),
        &bytes(&signed["signature"])?,
    );
    ensure(
        matches!(verdict, Ok(Verdict::Valid)),
        "sign: the signature does not verify",
    )?;

    let check = |message: &[u8]| {
        let message = STANDARD.encode(message);
        post(
            "signature/verify",
            json!({"message": message, "signature": signed["signature"], "key_version": 1}),
        )
    };
    let verify = check(&payload);
    let mut altered = payload.clone();
    altered[PAYLOAD_LEN / 2] ^= 1;
    ensure(
        connection.ask(&verify).await?["valid"] == true,
        "verify: a signature made a moment ago is not valid",
    )?;
    ensure(
        connection.ask(&check(&altered)).await?["valid"] == false,
        "verify: a signature is valid for an altered message",
    )?;

    let mut scenarios = Vec::new();
    for (operation, request) in Operation::ALL.into_iter().zip([encrypt, decrypt, sign, verify]) {
        let answer = connection.exchange(&request).await?;
        if answer.status != 200 {
            return Err(answer.refused(&request));
        }
        let answer_len = answer.body.len();
        let algorithm = match operation {
            Operation::Encrypt | Operation::Decrypt => Algorithm::MlKem768,
            Operation::Sign | Operation::Verify => Algorithm::MlDsa65,
        };
        scenarios.push(Scenario {
            name: operation.scenario().to_owned(),
            operation,
            algorithm,
            request,
            answer_len: answer_len..=answer_len,
        });
    }
    Ok(scenarios)
}

/// Decrypting or signing with a new key of each algorithm that [`prepare`] leaves out.
///
/// # Errors
/// [`Problem`] at the first answer that is not as it must be.
pub async fn prepare_others(gateway: &Gateway) -> Result<Vec<Scenario>, Problem> {
    let mut connection = gateway.connect().await?;
    let post = |path: &str, body: Value| gateway.post(&format!("/api/v1/{path}"), &body);
    let payload = payload();
    let encoded = STANDARD.encode(&payload);
    let mut scenarios = Vec::new();
    for spec in SPECS
        .iter()
        .filter(|spec| !matches!(spec.algorithm, Algorithm::MlKem768 | Algorithm::MlDsa65))
    {
        let name = spec.client_name;
        connection
            .ask(&post("kms/keys/generate", json!({"algorithm": name})))
            .await?;
        let (operation, request, field) = match spec.family {
            Family::Kem => {
                let encrypt = post("kem/encrypt", json!({"plaintext": encoded, "algorithm": name}));
                let ciphertext = connection.ask(&encrypt).await?["ciphertext"].clone();
                let body = json!({"ciphertext": ciphertext, "key_version": 1, "algorithm": name});
                (Operation::Decrypt, post("kem/decrypt", body), "plaintext")
            }
            Family::Signature => {
                let body = json!({"message": encoded, "key_version": 1, "algorithm": name});
                (Operation::Sign, post("signature/sign", body), "signature")
            }
        };
        let made = bytes(&connection.ask(&request).await?[field])?;
        match operation {
            Operation::Sign => {
                let key = gateway.get(&format!("/api/v1/kms/keys/active?algorithm={name}"));
                let key = bytes(&connection.ask(&key).await?["public_key"])?;
                let verdict = chancel_pqc::verify(spec.algorithm, &key, &Content::raw(&payload), &made);
                ensure(
                    matches!(verdict, Ok(Verdict::Valid)),
                    "sign: a signature does not verify",
                )?;
            }
            _ => ensure(
                made == payload,
                "decrypt: other bytes came back than were encrypted",
            )?,
        }
        let answer_len = connection.exchange(&request).await?.body.len();
        let slack = match spec.algorithm {
            Algorithm::CompositeMlDsa65EcdsaP256 => 12,
            _ => 0,
        };
        let verb = match operation {
            Operation::Sign => "sign",
            _ => "decrypt",
        };
        scenarios.push(Scenario {
            name: format!("{verb} {}", spec.client_name),
            operation,
            algorithm: spec.algorithm,
            request,
            answer_len: answer_len - slack..=answer_len + slack,
        });
    }
    Ok(scenarios)
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), Problem> {
    if holds {
        Ok(())
    } else {
        Err(Problem::Wrong(otherwise.to_owned()))
    }
}

fn bytes(text: &Value) -> Result<Vec<u8>, Problem> {
    text.as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or_else(|| Problem::Wrong("an answer lacks its base64 bytes".to_owned()))
}
