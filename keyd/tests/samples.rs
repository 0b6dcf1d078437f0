//! What earlier versions stored and made still opens. Each file of `tests/samples` was made by one version, with a
//! key-encryption key that protects nothing else: key files, ciphertexts, wrapped keys and signatures as the daemons wrote
//! them. They are never changed; a version that adds a format adds a file.
//!
//! `CHANCEL_WRITE_SAMPLES=FILE cargo test -p chancel-keyd --test samples` writes a file of this version.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancel_domain::algorithm::SPECS;
use chancel_domain::{Algorithm, Content, Family, KeyHandle, KeyVersion, TenantId};
use chancel_keyd::config::KekConfig;
use chancel_keyd::crypto::{Seed, decapsulate, expand, sign};
use chancel_keyd::kek::Kek;
use chancel_keyd::keyfile;
use chancel_pqc::envelope::{seal, seal_deterministic};
use chancel_pqc::{Envelope, Purpose, Verdict, verify};
use chancel_sandbox::SecretArena;
use chancel_wire::keyd::KeyIdentity;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("text")).expect("base64")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn kek(bytes: &[u8]) -> Kek {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("kek");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let arena = SecretArena::new(1, 64).unwrap();
    Kek::obtain(&KekConfig::File { path, generation: 1 }, &arena).unwrap()
}

fn identity(key: &Value) -> KeyIdentity {
    KeyIdentity {
        tenant: text(&key["tenant"]).parse().unwrap(),
        algorithm: Algorithm::from_name(text(&key["algorithm"])).unwrap(),
        version: KeyVersion::new(u32::try_from(key["version"].as_u64().unwrap()).unwrap()).unwrap(),
        handle: text(&key["handle"]).parse().unwrap(),
    }
}

/// All that keyd does to open an envelope.
fn opened(of: &KeyIdentity, private_key: &[u8], envelope: &[u8], aad: &[u8]) -> Vec<u8> {
    let envelope = Envelope::parse(envelope).expect("an envelope");
    assert_eq!(
        (envelope.algorithm(), envelope.key_version()),
        (of.algorithm, of.version)
    );
    let secret = decapsulate(of.algorithm, private_key, envelope.kem_ciphertext()).expect("a secret");
    envelope.open(&secret, of.tenant, aad).expect("it opens").to_vec()
}

fn check(sample: &Value) -> usize {
    let kek = kek(&bytes(&sample["kek"]));
    let (message, aad) = (bytes(&sample["message"]), bytes(&sample["aad"]));
    let keys = sample["keys"].as_array().expect("keys");
    for key in keys {
        let of = identity(key);
        let seed = keyfile::open(&kek, &of, &bytes(&key["file"])).expect("the file opens");
        let mut private_key = vec![0; of.algorithm.spec().private_key_len];
        let public_key = expand(of.algorithm, &seed, &mut private_key).expect("the seed expands");
        assert_eq!(public_key, bytes(&key["public_key"]), "{}", of.algorithm);
        match of.algorithm.family() {
            Family::Kem => {
                for field in ["ciphertext", "deterministic"] {
                    if let Some(envelope) = key.get(field) {
                        assert_eq!(opened(&of, &private_key, &bytes(envelope), &aad), message);
                    }
                }
                let wrapped = opened(&of, &private_key, &bytes(&key["wrapped_key"]), b"");
                assert_eq!(wrapped, bytes(&sample["symmetric_key"]));
            }
            Family::Signature => {
                let signature = bytes(&key["signature"]);
                let found = verify(of.algorithm, &public_key, &Content::raw(&message), &signature);
                assert_eq!(found, Ok(Verdict::Valid), "{}", of.algorithm);
            }
        }
    }
    keys.len()
}

#[test]
fn what_earlier_versions_made_still_opens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut files = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let sample = serde_json::from_slice(&fs::read(&path).unwrap()).expect("JSON");
        assert!(check(&sample) > 0, "{}", path.display());
        files += 1;
    }
    assert!(files >= 2, "the samples are there");
}

/// A sample of this version, of every algorithm, passes the same check that a later version will put to it.
#[test]
fn what_this_version_makes_opens() {
    let sample = made();
    assert_eq!(check(&sample), SPECS.len());
    if let Some(file) = std::env::var_os("CHANCEL_WRITE_SAMPLES") {
        fs::write(file, format!("{sample:#}\n")).unwrap();
    }
}

fn made() -> Value {
    let (message, aad, symmetric_key) = (b"attack at dawn", b"invoice 42", [7; 32]);
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).unwrap();
    let kek = kek(&secret);
    let tenant = TenantId::from_bytes([0x11; 16]);
    let keys: Vec<Value> = SPECS
        .iter()
        .map(|spec| {
            let of = KeyIdentity {
                tenant,
                algorithm: spec.algorithm,
                version: KeyVersion::FIRST,
                handle: KeyHandle::from_bytes([0x22; 16]),
            };
            let seed = Seed::generate(spec.algorithm).unwrap();
            let mut private_key = vec![0; spec.private_key_len];
            let public_key = expand(spec.algorithm, &seed, &mut private_key).unwrap();
            let file = keyfile::seal(&kek, &of, &seed).unwrap();
            let mut key = json!({
                "tenant": tenant.to_string(), "algorithm": spec.standard_name, "version": 1,
                "handle": of.handle.to_string(), "file": encoded(file.as_bytes()),
                "public_key": encoded(&public_key),
            });
            let sealed = |purpose, aad: &[u8], plaintext: &[u8]| {
                let made = seal(
                    purpose,
                    spec.algorithm,
                    of.version,
                    &public_key,
                    tenant,
                    aad,
                    plaintext,
                );
                encoded(&made.unwrap())
            };
            if spec.family == Family::Kem {
                key["ciphertext"] = sealed(Purpose::Data, aad, message).into();
                key["wrapped_key"] = sealed(Purpose::SymmetricKey, b"", &symmetric_key).into();
                let made = seal_deterministic(
                    spec.algorithm,
                    of.version,
                    &public_key,
                    tenant,
                    aad,
                    &[9; 32],
                    message,
                );
                key["deterministic"] = encoded(&made.unwrap()).into();
            } else {
                let made = sign(spec.algorithm, &private_key, &public_key, &Content::raw(message));
                key["signature"] = encoded(&made.unwrap()).into();
            }
            key
        })
        .collect();
    json!({
        "kek": encoded(&secret), "aad": encoded(aad), "message": encoded(message),
        "symmetric_key": encoded(&symmetric_key), "keys": keys,
    })
}
