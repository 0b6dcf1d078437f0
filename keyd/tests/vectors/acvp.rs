//! NIST's ACVP files, `acvp/<suite>/{prompt,expectedResults}.json` (or `internalProjection.json`, which is
//! both) among the vectors.

use crate::folder::{find, hex};
use crate::key_pair::expanded;
use crate::report::{Outcome, run};
use chancel_domain::{Algorithm, Content};
use chancel_keyd::crypto::{decapsulate, sign};
use chancel_pqc::kem::encapsulate_with;
use chancel_pqc::{Verdict, encapsulate, verify};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// The fields of a test, those of its group and its expected results, in one place.
struct Case(Map<String, Value>);

impl Case {
    fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    fn flag(&self, field: &str) -> Option<bool> {
        self.0.get(field)?.as_bool()
    }

    fn optional_bytes(&self, field: &str) -> Option<Vec<u8>> {
        self.text(field).map(hex)
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        self.optional_bytes(field)
            .unwrap_or_else(|| panic!("{self}: no field {field}"))
    }

    /// Its parameter set, when it is one of ours.
    fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_name(self.text("parameterSet").expect("groups have a parameter set")).ok()
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tcId {}", self.0["tcId"])
    }
}

/// What a signature of a case is over.
enum Construction {
    /// A message with a context string.
    Message,
    /// Another one, over a message: domain separation must keep its signatures from being ours.
    Other(&'static str),
    /// The internal interface: the message is M′ itself, from which a mu can be computed.
    Internal,
    /// One whose input is no message.
    NoMessage(&'static str),
}

impl Construction {
    fn of(case: &Case) -> Self {
        match (case.text("signatureInterface"), case.text("preHash")) {
            (Some("external"), Some("pure")) => Self::Message,
            (Some("external"), _) => Self::Other("signature of the pre-hash version, refused as pure"),
            _ if case.flag("externalMu") == Some(true) => Self::NoMessage("external mu"),
            // Files from before the interface had a name are of this one.
            _ => Self::Internal,
        }
    }
}

/// FIPS 204 Algorithm 7, step 6, for an M′ that no message and context give.
fn mu_of_internal(public_key: &[u8], message: &[u8]) -> [u8; 64] {
    use shake::{ExtendableOutput, Shake256, Update};
    let hash = |parts: [&[u8]; 2]| {
        let (mut hash, mut bytes) = (Shake256::default(), [0; 64]);
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize_xof_into(&mut bytes);
        bytes
    };
    hash([&hash([public_key, &[]]), message])
}

fn cases(folder: &Path) -> Vec<Case> {
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(name)).expect("the file is readable");
        serde_json::from_str(&text).expect("the file is JSON")
    };
    let whole = folder.join("internalProjection.json").exists();
    let prompt = read(if whole {
        "internalProjection.json"
    } else {
        "prompt.json"
    });
    let expected = if whole {
        Value::Null
    } else {
        read("expectedResults.json")
    };
    let groups = |file: &Value| file["testGroups"].as_array().cloned().unwrap_or_default();
    let tests = |group: &Value| group["tests"].as_array().cloned().unwrap_or_default();
    let fields = |value: Value| match value {
        Value::Object(fields) => fields,
        other => panic!("not an object: {other}"),
    };

    let mut results: HashMap<u64, Map<String, Value>> = groups(&expected)
        .iter()
        .flat_map(tests)
        .map(|test| (test["tcId"].as_u64().expect("tests have a number"), fields(test)))
        .collect();
    let mut cases = Vec::new();
    for group in groups(&prompt) {
        for test in tests(&group) {
            let mut case = fields(group.clone());
            case.remove("tests");
            let number = test["tcId"].as_u64().expect("tests have a number");
            case.extend(fields(test));
            if !whole {
                case.extend(results.remove(&number).expect("each test has a result"));
            }
            cases.push(Case(case));
        }
    }
    assert!(results.is_empty(), "results without a test");
    cases
}

fn suite(name: &str, folder: &str, check: impl Fn(&Case, Algorithm) -> Outcome) {
    let Some(folder) = find(&format!("acvp/{folder}")) else {
        return;
    };
    run(name, cases(&folder), |case| match case.algorithm() {
        Some(algorithm) => check(&case, algorithm),
        None => Outcome::NotApplicable("parameter set not implemented"),
    });
}

#[test]
fn ml_kem_key_generation() {
    suite(
        "ACVP ML-KEM keyGen",
        "ML-KEM-keyGen-FIPS203",
        |case, algorithm| {
            let seed = [case.bytes("d"), case.bytes("z")].concat();
            let expected = (case.bytes("dk"), case.bytes("ek"));
            assert!(expanded(algorithm, &seed) == expected, "{case}");
            Outcome::Passed
        },
    );
}

#[test]
fn ml_kem_encapsulation_and_decapsulation() {
    suite(
        "ACVP ML-KEM encapDecap",
        "ML-KEM-encapDecap-FIPS203",
        |case, algorithm| {
            let decapsulates = |private_key: &[u8]| {
                let secret =
                    decapsulate(algorithm, private_key, &case.bytes("c")).expect("the case is valid");
                assert!(secret.expose().as_slice() == case.bytes("k"), "{case}");
            };
            match case.text("function") {
                Some("decapsulation") => {
                    decapsulates(&case.bytes("dk"));
                    Outcome::Passed
                }
                Some("encapsulation") => {
                    // What encrypt makes draws its own m; with the case's, the deterministic mode must make the case's bytes.
                    let (ciphertext, secret) =
                        encapsulate_with(algorithm, &case.bytes("ek"), &case.bytes("m")).expect("valid");
                    assert!(ciphertext == case.bytes("c"), "{case}");
                    assert!(secret.expose().as_slice() == case.bytes("k"), "{case}");
                    let (ciphertext, _) =
                        encapsulate(algorithm, &case.bytes("ek")).expect("the key is valid");
                    assert_eq!(ciphertext.len(), case.bytes("c").len(), "{case}");
                    if let Some(private_key) = case.optional_bytes("dk") {
                        decapsulates(&private_key);
                    }
                    Outcome::Passed
                }
                _ => Outcome::NotApplicable("another function"),
            }
        },
    );
}

#[test]
fn ml_dsa_key_generation() {
    suite(
        "ACVP ML-DSA keyGen",
        "ML-DSA-keyGen-FIPS204",
        |case, algorithm| {
            let expected = (case.bytes("sk"), case.bytes("pk"));
            assert!(expanded(algorithm, &case.bytes("seed")) == expected, "{case}");
            Outcome::Passed
        },
    );
}

/// Our signatures are hedged, so the expected bytes cannot come out again. Ours are made with the case's
/// key and verified, as a message and as a mu; the expected one is verified as what it is.
#[test]
fn ml_dsa_signature_generation() {
    suite(
        "ACVP ML-DSA sigGen",
        "ML-DSA-sigGen-FIPS204",
        |case, algorithm| {
            let private_key = case.bytes("sk");
            let public_key = case
                .optional_bytes("pk")
                .unwrap_or_else(|| public_key_of(algorithm, &private_key));
            let message = case.bytes("message");
            let mu = mu_of_internal(&public_key, &message);
            let context = case.optional_bytes("context").unwrap_or_default();
            let raw = Content::Raw {
                message: &message,
                context: &context,
            };
            for content in [raw, Content::Mu { mu: &mu }] {
                let ours = sign(algorithm, &private_key, &public_key, &content);
                assert!(ours.is_ok(), "{case}: {ours:?}");
            }
            let expected = |content| verify(algorithm, &public_key, &content, &case.bytes("signature"));
            match Construction::of(case) {
                Construction::NoMessage(reason) => Outcome::NotApplicable(reason),
                Construction::Other(reason) => {
                    assert_eq!(expected(raw), Ok(Verdict::Invalid), "{case}");
                    Outcome::Partly(reason)
                }
                Construction::Message => {
                    assert_eq!(expected(raw), Ok(Verdict::Valid), "{case}");
                    Outcome::Passed
                }
                Construction::Internal => {
                    assert_eq!(expected(raw), Ok(Verdict::Invalid), "{case}");
                    assert_eq!(expected(Content::Mu { mu: &mu }), Ok(Verdict::Valid), "{case}");
                    Outcome::Passed
                }
            }
        },
    );
}

#[test]
fn ml_dsa_signature_verification() {
    suite(
        "ACVP ML-DSA sigVer",
        "ML-DSA-sigVer-FIPS204",
        |case, algorithm| {
            let (public_key, message) = (case.bytes("pk"), case.bytes("message"));
            let mu = mu_of_internal(&public_key, &message);
            let context = case.optional_bytes("context").unwrap_or_default();
            let raw = Content::Raw {
                message: &message,
                context: &context,
            };
            let found = |content| {
                let found = verify(algorithm, &public_key, &content, &case.bytes("signature"));
                found.expect("the key is valid") == Verdict::Valid
            };
            let valid = case.flag("testPassed").expect("cases have a result");
            match Construction::of(case) {
                Construction::Message => {
                    assert_eq!(found(raw), valid, "{case}");
                    Outcome::Passed
                }
                Construction::Internal => {
                    assert!(!found(raw), "{case}");
                    assert_eq!(found(Content::Mu { mu: &mu }), valid, "{case}");
                    Outcome::Passed
                }
                Construction::Other(reason) => {
                    assert!(!found(raw), "{case}");
                    Outcome::Partly(reason)
                }
                Construction::NoMessage(reason) => Outcome::NotApplicable(reason),
            }
        },
    );
}

#[test]
fn slh_dsa_key_generation() {
    suite(
        "ACVP SLH-DSA keyGen",
        "SLH-DSA-keyGen-FIPS205",
        |case, algorithm| {
            let seed = ["skSeed", "skPrf", "pkSeed"]
                .map(|field| case.bytes(field))
                .concat();
            let expected = (case.bytes("sk"), case.bytes("pk"));
            assert!(expanded(algorithm, &seed) == expected, "{case}");
            Outcome::Passed
        },
    );
}

/// These are of the internal interface, which no message and context give: `slh-dsa`, with which the daemons verify, is
/// asked for that directly, and the daemons' own function must refuse all of them.
#[test]
fn slh_dsa_signature_verification() {
    suite(
        "ACVP SLH-DSA sigVer",
        "SLH-DSA-sigVer-FIPS205",
        |case, algorithm| {
            let (public_key, message) = (case.bytes("pk"), case.bytes("message"));
            let signature = case.bytes("signature");
            let found = verify(algorithm, &public_key, &Content::raw(&message), &signature);
            assert_eq!(found, Ok(Verdict::Invalid), "{case}");
            let valid = case.flag("testPassed").expect("cases have a result");
            let internal = match algorithm {
                Algorithm::SlhDsaSha2_192s => internally::<slh_dsa::Sha2_192s>,
                Algorithm::SlhDsaSha2_256f => internally::<slh_dsa::Sha2_256f>,
                Algorithm::SlhDsaShake192s => internally::<slh_dsa::Shake192s>,
                Algorithm::SlhDsaShake256f => internally::<slh_dsa::Shake256f>,
                Algorithm::SlhDsaShake128f => internally::<slh_dsa::Shake128f>,
                _ => return Outcome::NotApplicable("a parameter set that these files did not have"),
            };
            assert_eq!(internal(&public_key, &message, &signature), valid, "{case}");
            Outcome::Partly("confirmed by the library, and refused as a message")
        },
    );
}

fn internally<P: slh_dsa::ParameterSet>(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = slh_dsa::VerifyingKey::<P>::try_from(public_key).expect("the key is valid");
    slh_dsa::Signature::try_from(signature)
        .is_ok_and(|signature| key.slh_verify_internal(&[message], &signature).is_ok())
}

/// The public half of an expanded ML-DSA key, which the daemon never needs to find.
fn public_key_of(algorithm: Algorithm, private_key: &[u8]) -> Vec<u8> {
    use aws_lc_rs::signature::{
        KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair,
    };
    let parameters = match algorithm {
        Algorithm::MlDsa44 => &ML_DSA_44_SIGNING,
        Algorithm::MlDsa65 => &ML_DSA_65_SIGNING,
        _ => &ML_DSA_87_SIGNING,
    };
    let pair = PqdsaKeyPair::from_raw_private_key(parameters, private_key).expect("the key is valid");
    pair.public_key().as_ref().to_vec()
}
