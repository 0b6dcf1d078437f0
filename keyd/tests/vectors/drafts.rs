//! The vectors of the two drafts: `xwing/test-vectors.json` and `composite/testvectors.json` under the folder of vectors.

use crate::folder::{self, vectors};
use crate::key_pair::expanded;
use crate::report::{Outcome, run};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancel_domain::{Algorithm, Content};
use chancel_keyd::crypto::{decapsulate, sign};
use chancel_pqc::kem::encapsulate_with;
use chancel_pqc::{Verdict, verify};
use serde_json::Value;

fn hex(case: &Value, field: &str) -> Vec<u8> {
    folder::hex(case[field].as_str().expect("fields are text"))
}

fn base64(case: &Value, field: &str) -> Vec<u8> {
    let text = case[field].as_str().expect("fields are text");
    STANDARD.decode(text).expect("fields are base64")
}

#[test]
fn x_wing() {
    let Some(file) = vectors("xwing/test-vectors.json") else {
        return;
    };
    let cases: Vec<Value> = serde_json::from_slice(&file).expect("the file is JSON");
    run("X-Wing draft", cases, |case| {
        let (private_key, public_key) = expanded(Algorithm::XWing, &hex(&case, "seed"));
        assert!(public_key == hex(&case, "pk"));
        assert!(private_key == hex(&case, "sk"));
        let secret = decapsulate(Algorithm::XWing, &private_key, &hex(&case, "ct")).expect("valid");
        assert!(secret.expose().as_slice() == hex(&case, "ss"));
        let (ciphertext, secret) =
            encapsulate_with(Algorithm::XWing, &public_key, &hex(&case, "eseed")).expect("valid");
        assert!(ciphertext == hex(&case, "ct"));
        assert!(secret.expose().as_slice() == hex(&case, "ss"));
        Outcome::Passed
    });
}

/// The file has the algorithms of the draft, and plain ML-DSA, over one message, with and without a context.
#[test]
fn composite_and_the_plain_ml_dsa_beside_it() {
    let Some(file) = vectors("composite/testvectors.json") else {
        return;
    };
    let file: Value = serde_json::from_slice(&file).expect("the file is JSON");
    let (message, context) = (base64(&file, "m"), base64(&file, "ctx"));
    let cases = file["tests"].as_array().cloned().expect("there are tests");
    run("Composite draft", cases, |case| {
        let name = case["tcId"].as_str().expect("tests have a name");
        let algorithm = match Algorithm::from_name(name).or_else(|_| Algorithm::from_name(&name[3..])) {
            Ok(algorithm) => algorithm,
            Err(_) => return Outcome::NotApplicable("another combination"),
        };
        let private = base64(&case, "sk");
        // ML-DSA's seed, and of the composite an ECPrivateKey (RFC 5915) with the scalar at its place.
        let seed = match algorithm {
            Algorithm::CompositeMlDsa65EcdsaP256 => [&private[..32], &private[32 + 7..32 + 39]].concat(),
            _ => private,
        };
        let (private_key, public_key) = expanded(algorithm, &seed);
        assert!(public_key == base64(&case, "pk"), "{name}: public key");
        for (field, context) in [("s", &[][..]), ("sWithContext", &context)] {
            let content = Content::Raw {
                message: &message,
                context,
            };
            let found = verify(algorithm, &public_key, &content, &base64(&case, field));
            assert_eq!(found, Ok(Verdict::Valid), "{name}: {field}");
            assert!(
                sign(algorithm, &private_key, &public_key, &content).is_ok(),
                "{name}"
            );
        }
        Outcome::Passed
    });
}
