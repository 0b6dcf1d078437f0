//! A ciphertext for one key becomes one for another inside keyd: nobody else sees what is in it, and nobody but the
//! permit says for which key.

use crate::party::Party;
use chancel_domain::{Algorithm, KeyVersion, Operation};
use chancel_ledger::LedgerName;
use chancel_tests::api::{Failure, KEM, Made, decoded, encoded, refused};
use chancel_tests::shared::Common;
use chancel_tests::{Daemon, Installation};
use chancel_wire::hello::Role;
use chancel_wire::keyd::{KeydError, UseInput};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{Ask, PolicydReply, Verdict};
use serde_json::{Value, json};

static SYSTEM: Common = Common::new();
const PATH: &str = "/api/v1/kem/rewrap";
const SECRET: &[u8] = b"a plaintext that is to be found nowhere but with its owner";

fn rewrap(party: &Party, sealed: &Made, further: &[(&str, Value)]) -> Result<Value, Failure> {
    let mut body = json!({"ciphertext": encoded(&sealed.bytes), "key_version": sealed.version});
    for (field, value) in further {
        body[*field] = value.clone();
    }
    party.api.post(PATH, &body)
}

fn made(answer: &Value) -> Made {
    Made {
        bytes: decoded(&answer["ciphertext"]),
        version: answer["key_version"].as_u64().expect("a version"),
    }
}

#[test]
fn a_ciphertext_moves_to_the_active_version_and_opens_there() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "moves");
    let sealed = party.api.encrypt(SECRET).expect("encrypted");
    party.api.rotate(KEM).expect("a version");
    let answer = rewrap(&party, &sealed, &[]).expect("rewrapped");
    assert_eq!(answer["source_key_version"], 1);
    let moved = made(&answer);
    assert_eq!(moved.version, 2);
    assert_ne!(moved.bytes, sealed.bytes);
    assert!(!answer.to_string().contains(&encoded(SECRET)));
    assert_eq!(party.api.decrypt(&moved).expect("decrypted"), SECRET);
    assert_eq!(
        party.api.decrypt(&sealed).expect("the old one still opens"),
        SECRET
    );
    // When the old key is gone, the new ciphertext is all that is needed.
    party.api.step("archive", KEM, 1).expect("archived");
    assert_eq!(party.api.decrypt(&moved).expect("decrypted"), SECRET);
    refused(rewrap(&party, &sealed, &[]), 404, "ERR_KEM_005");
}

#[test]
fn additional_data_stays_bound_to_the_ciphertext() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "bound");
    let aad = encoded(b"for invoice 7");
    let answer = party
        .api
        .post(
            "/api/v1/kem/encrypt",
            &json!({"plaintext": encoded(SECRET), "aad": aad}),
        )
        .expect("encrypted");
    let sealed = made(&answer);
    party.api.rotate(KEM).expect("a version");
    refused(rewrap(&party, &sealed, &[]), 400, "ERR_KEM_003");
    let moved = made(&rewrap(&party, &sealed, &[("aad", aad.clone().into())]).expect("rewrapped"));
    refused(party.api.decrypt(&moved), 400, "ERR_KEM_003");
    let body = json!({"ciphertext": encoded(&moved.bytes), "key_version": 2, "aad": aad});
    let opened = party.api.post("/api/v1/kem/decrypt", &body).expect("decrypted");
    assert_eq!(decoded(&opened["plaintext"]), SECRET);
}

#[test]
fn only_an_active_version_of_the_callers_own_is_a_target() {
    let system = SYSTEM.join();
    let (party, other) = (
        Party::new(&system, "targets"),
        Party::new(&system, "is no target"),
    );
    let sealed = party.api.encrypt(SECRET).expect("encrypted");
    for _ in 0..2 {
        party.api.rotate(KEM).expect("a version");
    }
    for _ in 0..4 {
        other.api.rotate(KEM).expect("a version");
    }
    // Retired, and one that only another tenant has.
    for version in [1, 2, 5, 77] {
        let outcome = rewrap(&party, &sealed, &[("target_key_version", version.into())]);
        refused(outcome, 404, "ERR_KEM_005");
    }
    refused(rewrap(&other, &sealed, &[]), 400, "ERR_KEM_003");
    let outcome = rewrap(&party, &sealed, &[("target_algorithm", "Dilithium3".into())]);
    assert_eq!(outcome.expect_err("no KEM").code().0, 400);
    let answer = rewrap(&party, &sealed, &[("target_key_version", 3.into())]).expect("rewrapped");
    assert_eq!(answer["key_version"], 3);
}

#[test]
fn the_gateway_sees_no_plaintext_and_chooses_no_key_for_it() {
    let system = Installation::new();
    let party = Party::new(&system, "attacked");
    let other = Party::new(&system, "attacker");
    let sealed = party.api.encrypt(SECRET).expect("encrypted");
    party.api.rotate(KEM).expect("a version");
    system.stop(Daemon::Gateway);
    let attacker = system.attacker_in_gateway();
    let connect = |daemon: Daemon, token: &str| {
        let socket = match daemon {
            Daemon::Keyd => system.layout().keyd_socket(),
            _ => system.layout().policyd_socket(),
        };
        let token = attacker.token(&system.layout().path(token));
        attacker
            .peer(&socket, Role::Gateway, &token)
            .expect("the gateway's account and token are welcome")
    };
    let mut keyd = connect(Daemon::Keyd, "gateway/gateway-keyd.token");
    let mut policyd = connect(Daemon::Policyd, "gateway/gateway-policyd.token");
    let input = |ciphertext: &[u8]| chancel_tests::raw::input(&UseInput::Rewrap { ciphertext, aad: b"" });
    let body = input(&sealed.bytes);
    let mut permit = || {
        let ask = Ask::Rewrap {
            algorithm: Algorithm::MlKem768,
            version: KeyVersion::FIRST,
            target_algorithm: Algorithm::MlKem768,
            target_version: None,
            payload: PayloadDigest::of(&body),
            batch: None,
        };
        match policyd.ask_policyd(&party.api_key.text, ask) {
            PolicydReply::Judged {
                verdict:
                    Verdict::Granted {
                        permit: Some(permit),
                        target: Some(target),
                        ..
                    },
                ..
            } => (permit, target),
            other => panic!("no permit: {other:?}"),
        }
    };
    // The permit names the target; nothing that the gateway sends does.
    let (permit_1, target) = permit();
    let claims = permit_1.unverified_claims().expect("claims");
    assert_eq!(claims.operation, Operation::Rewrap);
    assert_eq!(claims.target.map(|of_permit| of_permit.key), Some(target.handle));
    let output = keyd.use_key(&permit_1, &body).expect("rewrapped");
    assert!(!output.windows(SECRET.len()).any(|window| window == SECRET));
    // Not a second time, not to decrypt, not another's ciphertext.
    assert_eq!(keyd.use_key(&permit_1, &body), Err(KeydError::PermitReplayed));
    let (permit_2, _) = permit();
    let decrypt = chancel_tests::raw::input(&UseInput::Decrypt {
        ciphertext: &sealed.bytes,
        aad: b"",
    });
    let refused = keyd
        .use_key(&permit_2, &decrypt)
        .expect_err("for another operation");
    assert!(
        matches!(
            refused,
            KeydError::PermitForOtherOperation | KeydError::PermitForOtherPayload
        ),
        "{refused:?}"
    );
    let (permit_3, _) = permit();
    assert_eq!(
        keyd.use_key(&permit_3, &input(b"another ciphertext")),
        Err(KeydError::PermitForOtherPayload)
    );
    // Nor does it find the plaintext in what the daemons logged or recorded.
    let secret = String::from_utf8_lossy(SECRET).into_owned();
    for daemon in Daemon::ALL {
        assert!(!system.log(daemon).contains(&secret));
    }
    for name in [LedgerName::Decisions, LedgerName::Uses] {
        for record in system.records(name).0 {
            let record = record.to_string();
            assert!(!record.contains(&secret) && !record.contains(&encoded(SECRET)));
        }
    }
    system.start(Daemon::Gateway);
    system.wait_ready();
    let mine = system.api(&party.api_key);
    let moved = Made {
        bytes: output,
        version: 2,
    };
    assert_eq!(mine.decrypt(&moved).expect("it is the tenant's"), SECRET);
    assert!(system.api(&other.api_key).decrypt(&moved).is_err());
    let records = system.records(LedgerName::Uses);
    let used: Vec<_> = records
        .kind("use")
        .filter(|record| record["operation"] == "rewrap" && record["result"] == "ok")
        .collect();
    assert_eq!(used.len(), 1);
    assert_eq!(used[0]["target"]["key"], target.handle.to_string());
}
