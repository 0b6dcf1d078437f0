//! NIST's ACVP files, `acvp/<suite>/{prompt,expectedResults}.json` (or `internalProjection.json`, which is
//! both) under the folder named by `CHANCEL_VECTORS`. They are not part of this repository: without them
//! these tests say SKIPPED, unless the variable promised them.

use crate::report::{Outcome, run, say};
use chancel_domain::Algorithm;
use chancel_keyd::crypto::{Seed, decapsulate, expand, sign};
use chancel_pqc::{Verdict, encapsulate, verify};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

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
        let text = self.text(field)?;
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("fields are hexadecimal");
        Some((0..text.len()).step_by(2).map(byte).collect())
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
    /// Pure ML-DSA with an empty context string: what we sign and verify.
    Ours,
    /// Another one, over a message: domain separation must keep its signatures from being ours.
    Other(&'static str),
    /// One whose input is no message.
    NoMessage(&'static str),
}

impl Construction {
    fn of(case: &Case) -> Self {
        match (
            case.text("signatureInterface"),
            case.text("preHash"),
            case.text("context"),
        ) {
            (Some("external"), Some("pure"), None | Some("")) => Self::Ours,
            (Some("external"), Some("pure"), Some(_)) => {
                Self::Other("signature with a context string, refused without it")
            }
            (Some("external"), _, _) => Self::Other("signature of HashML-DSA, refused as pure"),
            _ if case.flag("externalMu") == Some(true) => Self::NoMessage("external mu"),
            // Files from before the interface had a name are of this one.
            _ => Self::Other("signature of the internal interface, refused as pure"),
        }
    }
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
    let promised = std::env::var_os("CHANCEL_VECTORS");
    let root = promised.as_ref().map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    let folder = root.join("acvp").join(folder);
    if !folder.is_dir() {
        assert!(
            promised.is_none(),
            "CHANCEL_VECTORS is set, but there is no {}",
            folder.display()
        );
        say(&format!(
            "SKIPPED: ACVP vectors not found at {}",
            folder.display()
        ));
        return;
    }
    run(name, cases(&folder), |case| match case.algorithm() {
        Some(algorithm) => check(&case, algorithm),
        None => Outcome::NotApplicable("parameter set not implemented"),
    });
}

fn expanded(algorithm: Algorithm, seed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let seed = Seed::from_secret(algorithm, seed).expect("the seed has the right length");
    let mut private_key = vec![0; algorithm.spec().private_key_len];
    let public_key = expand(algorithm, &seed, &mut private_key).expect("the seed expands");
    (private_key, public_key)
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
                    let (ciphertext, _) =
                        encapsulate(algorithm, &case.bytes("ek")).expect("the key is valid");
                    assert_eq!(ciphertext.len(), case.bytes("c").len(), "{case}");
                    match case.optional_bytes("dk") {
                        Some(private_key) => {
                            decapsulates(&private_key);
                            Outcome::Partly("key accepted and ciphertext decapsulated: m is not an input")
                        }
                        None => Outcome::Partly("key accepted: m is not an input"),
                    }
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
/// key and verified; the expected one is verified where it is of our construction, and must be refused
/// where it is of another.
#[test]
fn ml_dsa_signature_generation() {
    suite(
        "ACVP ML-DSA sigGen",
        "ML-DSA-sigGen-FIPS204",
        |case, algorithm| {
            let construction = Construction::of(case);
            if let Construction::NoMessage(reason) = construction {
                return Outcome::NotApplicable(reason);
            }
            let private_key = case.bytes("sk");
            let public_key = case
                .optional_bytes("pk")
                .unwrap_or_else(|| public_key_of(&private_key));
            let message = case.bytes("message");
            let ours = sign(algorithm, &private_key, &public_key, &message);
            assert!(ours.is_ok(), "{case}: {ours:?}");
            let expected = verify(algorithm, &public_key, &message, &case.bytes("signature"));
            match construction {
                Construction::Other(reason) => {
                    assert_eq!(expected, Ok(Verdict::Invalid), "{case}");
                    Outcome::Partly(reason)
                }
                _ => {
                    assert_eq!(expected, Ok(Verdict::Valid), "{case}");
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
            let found = |message: Vec<u8>| {
                verify(algorithm, &case.bytes("pk"), &message, &case.bytes("signature"))
                    .expect("the key is valid")
            };
            match Construction::of(case) {
                Construction::Ours => {
                    let valid = case.flag("testPassed").expect("cases have a result");
                    assert_eq!(found(case.bytes("message")) == Verdict::Valid, valid, "{case}");
                    Outcome::Passed
                }
                Construction::Other(reason) => {
                    assert_eq!(found(case.bytes("message")), Verdict::Invalid, "{case}");
                    Outcome::Partly(reason)
                }
                Construction::NoMessage(reason) => Outcome::NotApplicable(reason),
            }
        },
    );
}

/// The public half of an expanded ML-DSA-65 key, which the daemon never needs to find.
fn public_key_of(private_key: &[u8]) -> Vec<u8> {
    use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
    let pair = PqdsaKeyPair::from_raw_private_key(&ML_DSA_65_SIGNING, private_key).expect("the key is valid");
    pair.public_key().as_ref().to_vec()
}
