//! Frozen bytes of messages: when one of these changes, old and new processes no longer understand each
//! other, and `PROTOCOL_VERSION` must rise. Restarting the daemons one by one after an upgrade depends on it.

use chancel_domain::plan::Rate;
use chancel_domain::tenant::Name;
use chancel_domain::{
    Algorithm, ApiKeyId, Content, HashFunction, KeyHandle, KeyState, KeyVersion, Operation, RequestId,
    TenantId,
};
use chancel_wire::hello::{Hello, Role, ServiceToken, welcome};
use chancel_wire::keyd::{
    BreakGlassCommand, CheckpointClaims, KeyFileDamage, KeyIdentity, KeydError, KeydReply, KeydRequest,
    UseInput,
};
use chancel_wire::permit::{PayloadDigest, PermitClaims, PermitKey, PermitTarget};
use chancel_wire::policyd::{
    Ask, Caller, DenyReason, KeyView, PolicydReply, PolicydRequest, Rule, Subject, Verdict,
};
use chancel_wire::{encode, frame};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const fn tenant() -> TenantId {
    TenantId::from_bytes([0x11; 16])
}

fn claims() -> PermitClaims {
    PermitClaims {
        epoch: 1,
        serial: 300,
        expires_at_ms: 70_000,
        tenant: tenant(),
        api_key: ApiKeyId::from_bytes([0x22; 16]),
        api_key_version: 3,
        request: RequestId::from_bytes([0x33; 16]),
        operation: Operation::Sign,
        algorithm: Algorithm::MlDsa65,
        key_version: KeyVersion::FIRST,
        key: KeyHandle::from_bytes([0x44; 16]),
        payload: PayloadDigest::of(b"payload"),
        target: None,
        batch: None,
    }
}

#[test]
fn hello_and_welcome() {
    let hello = Hello::new(Role::Policyd, ServiceToken::from_bytes([0xaa; 32]));
    assert_eq!(
        hex(&hello.to_bytes()),
        format!("43484e43000502{}", "aa".repeat(32))
    );
    assert_eq!(hex(&welcome()), "43484e430005");
}

#[test]
fn frames() {
    assert_eq!(hex(&frame::seal_ping(7)), "0000000c000000000000000700000000");
    assert_eq!(
        hex(&frame::seal_ping(frame::GOODBYE)),
        "0000000cffffffffffffffff00000000"
    );
    assert_eq!(
        hex(&frame::seal(7, 800, &5u8)),
        "0000000d00000000000000070000032005"
    );
}

#[test]
fn permits() {
    let permit = PermitKey::from_bytes([0x55; 32]).sign(&claims());
    let (bytes, mac) = permit.parts();
    assert_eq!(
        hex(bytes),
        format!(
            "01ac02f0a204{}{}03{}068202\
             01{}239f59ed55e737c77147cf55ad0c1b030b6d7ee748a7426952f9b852d5a935e50000",
            "11".repeat(16),
            "22".repeat(16),
            "33".repeat(16),
            "44".repeat(16),
        )
    );
    assert_eq!(
        hex(mac),
        "086b438a2e45bfcbf252dba961fc02b7427ae6e3d1005d1ef86099417b1d68a2"
    );
}

#[test]
fn requests_to_keyd() {
    let key = KeyIdentity {
        tenant: tenant(),
        algorithm: Algorithm::MlKem768,
        version: KeyVersion::new(5).unwrap(),
        handle: KeyHandle::from_bytes([0x44; 16]),
    };
    assert_eq!(
        hex(&encode(&KeydRequest::Generate(key))),
        format!("01{}0205{}", "11".repeat(16), "44".repeat(16))
    );
    assert_eq!(hex(&encode(&KeydRequest::RenewPermitKey)), "03");
    assert_eq!(hex(&encode(&KeydRequest::Health)), "05");
    assert_eq!(
        hex(&encode(&UseInput::Sign(Content::raw(b"abc")))),
        "03000361626300"
    );
    let hash = Content::Hash {
        function: HashFunction::Sha512,
        digest: b"d",
        context: b"c",
    };
    assert_eq!(hex(&encode(&UseInput::Sign(hash))), "03010201640163");
    let mu = Content::Mu { mu: b"m" };
    assert_eq!(hex(&encode(&UseInput::Sign(mu))), "0302016d");
    assert_eq!(
        hex(&encode(&UseInput::Decrypt {
            ciphertext: b"c",
            aad: b""
        })),
        "00016300"
    );
    let head = UseInput::OpenStream {
        head: b"h",
        aad: b"a",
    };
    assert_eq!(hex(&encode(&head)), "0501680161");
}

#[test]
fn permits_for_two_keys() {
    let target = PermitTarget {
        algorithm: Algorithm::MlKem768,
        version: KeyVersion::FIRST,
        key: KeyHandle::from_bytes([0x66; 16]),
    };
    let bytes = hex(&encode(&Some(target)));
    assert_eq!(bytes, format!("010201{}", "66".repeat(16)));
}

#[test]
fn break_glass_and_checkpoints() {
    let command = BreakGlassCommand::Open {
        for_ms: 300_000,
        reason: Name::try_from("disk".to_owned()).unwrap(),
    };
    assert_eq!(
        hex(&encode(&KeydRequest::BreakGlass(command))),
        "0900e0a712046469736b"
    );
    let claims = CheckpointClaims {
        ledger: [0x77; 16],
        seq: 300,
        head: [0x88; 32],
    };
    assert_eq!(
        hex(&encode(&KeydRequest::SignCheckpoint(claims))),
        format!("07{}ac02{}", "77".repeat(16), "88".repeat(32))
    );
}

#[test]
fn answers_of_keyd() {
    assert_eq!(hex(&encode(&KeydReply::Output(b"out"))), "00036f7574");
    assert_eq!(
        hex(&encode(&KeydReply::Refused(KeydError::PermitReplayed))),
        "0704"
    );
    assert_eq!(
        hex(&encode(&KeydReply::Refused(KeydError::KeyFileDamaged(
            KeyFileDamage::NotAuthentic
        )))),
        "070903"
    );
}

#[test]
fn requests_to_policyd_and_answers() {
    let caller = Caller {
        api_key: "qph_x",
        request: RequestId::from_bytes([0x33; 16]),
        source: "127.0.0.1".parse().unwrap(),
        idempotency_key: Some("again"),
    };
    let ask = Ask::Use {
        operation: Operation::Verify,
        algorithm: Algorithm::MlDsa65,
        version: None,
        payload: None,
        batch: None,
    };
    assert_eq!(
        hex(&encode(&PolicydRequest::Ask { caller, ask })),
        format!(
            "00057170685f78{}007f0000010105616761696e00078202000000",
            "33".repeat(16)
        )
    );
    let subject = Subject {
        tenant: tenant(),
        api_key: ApiKeyId::from_bytes([0x22; 16]),
        api_key_version: 1,
        rate: Some(Rate {
            per_second: 500,
            burst: 1000,
        }),
        expires_at_ms: None,
        networks: "192.0.2.0/24".parse().unwrap(),
    };
    let verdict = Verdict::Denied {
        rule: Rule::Scope,
        reason: DenyReason::OutOfScope,
    };
    assert_eq!(
        hex(&encode(&PolicydReply::Judged { subject, verdict })),
        format!(
            "01{}{}0101f403e80700010c3139322e302e322e302f3234000303",
            "11".repeat(16),
            "22".repeat(16)
        )
    );
    assert_eq!(hex(&encode(&PolicydReply::Unauthenticated)), "00");
    let view = KeyView {
        algorithm: Algorithm::MlKem768,
        version: KeyVersion::FIRST,
        state: KeyState::Retired,
        handle: KeyHandle::from_bytes([0x44; 16]),
        public_key: vec![1, 2],
        created_at_ms: 1,
        last_used_at_ms: Some(2),
        destroy_at_ms: None,
    };
    assert_eq!(
        hex(&encode(&view)),
        format!("020101{}02010202010400", "44".repeat(16))
    );
}
