//! What the quickstart does with the running service, over HTTP as any client would: generate, encrypt, decrypt,
//! sign, verify. The first start leaves a ciphertext and a signature behind, and each later start opens and checks
//! them: that is how it knows that keys, tenant and API key were kept.

use crate::api::Api;
use crate::problem::{Context, Problem};
use crate::say;
use crate::state::{State, write_file};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;

const KEM: &str = "Kyber768";
const SIGNATURE: &str = "Dilithium3";
const PLAINTEXT: &[u8] = b"meet me behind the lattice";
const MESSAGE: &[u8] = b"invoice 4711: 1,204.00 EUR";

/// Runs the operations and says what each did.
///
/// # Errors
/// [`Problem`] at the first that fails.
pub fn run(api: &Api, state: &State) -> Result<(), Problem> {
    generate(api, KEM, "ML-KEM-768")?;
    generate(api, SIGNATURE, "ML-DSA-65")?;
    recheck(api, state)?;

    let encrypted = api
        .post(
            "/api/v1/kem/encrypt",
            &json!({"plaintext": STANDARD.encode(PLAINTEXT), "mode": "standard"}),
        )?
        .data()?;
    let ciphertext = bytes(&encrypted["ciphertext"])?;
    say(
        "encrypt",
        &format!(
            "{} bytes into {} bytes of ciphertext",
            PLAINTEXT.len(),
            ciphertext.len()
        ),
    );
    let sealed = json!({"ciphertext": encrypted["ciphertext"], "key_version": encrypted["key_version"]});
    decrypt(api, &sealed)?;
    say(
        "decrypt",
        "the same bytes back; the private key stayed in chancel-keyd",
    );

    let signed = api
        .post(
            "/api/v1/signature/sign",
            &json!({"message": STANDARD.encode(MESSAGE)}),
        )?
        .data()?;
    let signature = bytes(&signed["signature"])?;
    say("sign", &format!("a signature of {} bytes", signature.len()));
    let signed = json!({"signature": signed["signature"], "key_version": signed["key_version"]});
    if !verify(api, MESSAGE, &signed)? {
        return Err(Problem::Wrong(
            "verify: a signature made a moment ago does not verify",
        ));
    }
    let mut forged = MESSAGE.to_vec();
    forged.extend(b"0");
    if verify(api, &forged, &signed)? {
        return Err(Problem::Wrong(
            "verify: a signature verifies over another message",
        ));
    }
    say("verify", "valid; over a changed message: not valid");
    keep(state, &json!({"sealed": sealed, "signed": signed}))
}

/// Makes the key unless there is one.
fn generate(api: &Api, algorithm: &str, standard: &str) -> Result<(), Problem> {
    let answer = api.post("/api/v1/kms/keys/generate", &json!({"algorithm": algorithm}))?;
    let (data, how) = if answer.status == 409 && answer.error_code() == "ERR_CONFLICT_002" {
        let active = api.get(&format!("/api/v1/kms/keys/active?algorithm={algorithm}"))?;
        (active.data()?, "from an earlier start")
    } else {
        (answer.data()?, "new")
    };
    let public = bytes(&data["public_key"])?;
    let version = &data["key_version"];
    say(
        "generate",
        &format!(
            "{standard} ({algorithm}), version {version}, {how}; public key of {} bytes",
            public.len()
        ),
    );
    Ok(())
}

fn decrypt(api: &Api, sealed: &Value) -> Result<(), Problem> {
    let opened = api.post("/api/v1/kem/decrypt", sealed)?.data()?;
    if bytes(&opened["plaintext"])? != PLAINTEXT {
        return Err(Problem::Wrong(
            "decrypt: other bytes came back than were encrypted",
        ));
    }
    Ok(())
}

fn verify(api: &Api, message: &[u8], signed: &Value) -> Result<bool, Problem> {
    let mut request = signed.clone();
    request["message"] = STANDARD.encode(message).into();
    let checked = api.post("/api/v1/signature/verify", &request)?.data()?;
    checked["valid"].as_bool().ok_or(Problem::Wrong(
        "verify: the answer does not say whether it is valid",
    ))
}

fn bytes(text: &Value) -> Result<Vec<u8>, Problem> {
    text.as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or(Problem::Wrong("an answer lacks its base64 bytes"))
}

const KEPT: &str = "first-start.json";

fn keep(state: &State, made: &Value) -> Result<(), Problem> {
    let path = state.path(KEPT);
    if path.exists() {
        return Ok(());
    }
    write_file(&path, format!("{made:#}\n").as_bytes(), 0o600, None)
}

fn recheck(api: &Api, state: &State) -> Result<(), Problem> {
    let path = state.path(KEPT);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.on("reading", &path)?,
    };
    let kept: Value = serde_json::from_slice(&text)
        .map_err(|_| Problem::Wrong("first-start.json in the state is damaged"))?;
    decrypt(api, &kept["sealed"])?;
    if !verify(api, MESSAGE, &kept["signed"])? {
        return Err(Problem::Wrong(
            "a signature of the first start does not verify any more",
        ));
    }
    say(
        "kept",
        "what the first start encrypted opens, and what it signed verifies",
    );
    Ok(())
}
