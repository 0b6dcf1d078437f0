//! The format: lines as they have been written since the first version. What stands here may be added to, and not
//! changed: ledgers are kept for years, and checked by programs of other versions.

mod support;

use chancel_domain::{Algorithm, ApiKeyId, KeyHandle, KeyVersion, Operation, RequestId, TenantId};
use chancel_ledger::verify::verify;
use chancel_ledger::{
    AuditKey, BreakGlass, Change, Decision, Details, Event, Hash, KeyChange, KeyReference, Ledger,
    LedgerName, Options, PermitReference, Record, Refusals, Use,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use support::{lines, open};

const ID: &str = "01010101-0101-0101-0101-010101010101";

fn decision() -> Decision<'static> {
    Decision {
        tenant: TenantId::from_bytes([1; 16]),
        api_key: ApiKeyId::from_bytes([2; 16]),
        api_key_version: 3,
        request: RequestId::from_bytes([4; 16]),
        source: [192, 0, 2, 1].into(),
        operation: Operation::Sign,
        algorithm: Some(Algorithm::MlDsa65),
        key_version: KeyVersion::new(5),
        key: Some(KeyHandle::from_bytes([6; 16])),
        target: Some(KeyReference {
            algorithm: Algorithm::MlKem768,
            key_version: KeyVersion::new(7).unwrap(),
            key: KeyHandle::from_bytes([8; 16]),
        }),
        items: None,
        permit: Some(PermitReference {
            epoch: 9,
            serial: 10,
            payload: Hash::from_bytes([11; 32]),
        }),
        rule: None,
        reason: None,
    }
}

fn used() -> Use<'static> {
    let Decision {
        tenant,
        api_key,
        api_key_version,
        request,
        operation,
        key_version,
        target,
        permit,
        ..
    } = decision();
    Use {
        tenant,
        api_key,
        api_key_version,
        request,
        operation,
        algorithm: Algorithm::MlDsa65,
        key_version: key_version.unwrap(),
        key: KeyHandle::from_bytes([6; 16]),
        target,
        permit,
        payload: None,
        items: None,
        failed: None,
        result: "ok",
        break_glass: false,
    }
}

/// The line without its number, time and hash, which differ.
fn written(directory: &Path, ledger: &Ledger, event: &Event<'_>) -> String {
    let position = ledger.append(event).unwrap();
    let line = lines(directory).pop().unwrap().1;
    let front = format!("{{\"seq\":{},\"time\":{},", position.seq, position.time_ms);
    let (body, hash) = line
        .strip_prefix(&front)
        .unwrap()
        .rsplit_once(",\"hash\":\"")
        .unwrap();
    assert_eq!(hash.len(), 66);
    let record = Record::parse(line.as_bytes()).unwrap();
    assert_eq!((record.seq, record.time), (position.seq, position.time_ms));
    body.to_owned()
}

#[test]
fn each_event_has_its_form() {
    let directory = tempfile::tempdir().unwrap();
    let open = open(directory.path(), Options::of(LedgerName::Decisions));
    let written = |event: Event<'_>| written(directory.path(), &open.ledger, &event);
    let id = |byte: u8| ID.replace("01", &format!("{byte:02x}"));
    let (tenant, api_key, request, key, other) = (id(1), id(2), id(4), id(6), id(8));
    let payload = "0b".repeat(32);
    let caller = format!(
        "\"tenant\":\"{tenant}\",\"api_key\":\"{api_key}\",\"api_key_version\":3,\"request\":\"{request}\""
    );
    let asked = "\"source\":\"192.0.2.1\",\"operation\":\"sign\"";
    let of_key = format!("\"algorithm\":\"ML-DSA-65\",\"key_version\":5,\"key\":\"{key}\"");
    let target = format!("\"target\":{{\"algorithm\":\"ML-KEM-768\",\"key_version\":7,\"key\":\"{other}\"}}");
    let permit = format!("\"permit\":{{\"epoch\":9,\"serial\":10,\"payload\":\"{payload}\"}}");
    assert_eq!(
        written(Event::Start {
            version: "0.1.0",
            details: Details(&[("seccomp", "enforced")])
        }),
        "\"kind\":\"start\",\"version\":\"0.1.0\",\"details\":{\"seccomp\":\"enforced\"}"
    );
    assert_eq!(written(Event::Stop), "\"kind\":\"stop\"");
    assert_eq!(
        written(Event::Allow(decision())),
        format!("\"kind\":\"allow\",{caller},{asked},{of_key},{target},{permit}")
    );
    let denied = Decision {
        algorithm: None,
        key_version: None,
        key: None,
        target: None,
        permit: None,
        rule: Some("scope"),
        reason: Some("out-of-scope"),
        ..decision()
    };
    assert_eq!(
        written(Event::Deny(denied)),
        format!("\"kind\":\"deny\",{caller},{asked},\"rule\":\"scope\",\"reason\":\"out-of-scope\"")
    );
    let change = Change {
        what: "api-key-revoked",
        tenant: Some(TenantId::from_bytes([1; 16])),
        uid: Some(0),
        subject: Some("s".into()),
        value: Some("v".into()),
        ..Change::default()
    };
    assert_eq!(
        written(Event::Change(change)),
        format!(
            "\"kind\":\"change\",\"what\":\"api-key-revoked\",\"tenant\":\"{tenant}\",\"uid\":0,\"subject\":\"s\",\"value\":\"v\""
        )
    );
    assert_eq!(
        written(Event::Use(used())),
        format!(
            "\"kind\":\"use\",{caller},\"operation\":\"sign\",{of_key},{target},{permit},\"result\":\"ok\""
        )
    );
    let batch = Decision {
        items: Some(7),
        ..decision()
    };
    assert_eq!(
        written(Event::Allow(batch)),
        format!("\"kind\":\"allow\",{caller},{asked},{of_key},{target},\"items\":7,{permit}")
    );
    let batch = Use {
        items: Some(7),
        failed: Some(1),
        result: "partial",
        ..used()
    };
    assert_eq!(
        written(Event::Use(batch)),
        format!(
            "\"kind\":\"use\",{caller},\"operation\":\"sign\",{of_key},{target},{permit},\"items\":7,\"failed\":1,\"result\":\"partial\""
        )
    );
    let without = Use {
        target: None,
        permit: None,
        payload: Some(Hash::from_bytes([11; 32])),
        break_glass: true,
        ..used()
    };
    assert_eq!(
        written(Event::Use(without)),
        format!(
            "\"kind\":\"use\",{caller},\"operation\":\"sign\",{of_key},\"payload\":\"{payload}\",\"result\":\"ok\",\"break_glass\":true"
        )
    );
    let generated = KeyChange {
        what: "generated",
        tenant: TenantId::from_bytes([1; 16]),
        algorithm: Algorithm::MlDsa65,
        key_version: KeyVersion::new(5).unwrap(),
        key: KeyHandle::from_bytes([6; 16]),
    };
    assert_eq!(
        written(Event::Key(generated)),
        format!("\"kind\":\"key\",\"what\":\"generated\",\"tenant\":\"{tenant}\",{of_key}")
    );
    let refused = Refusals {
        reason: "expired",
        count: 2,
    };
    assert_eq!(
        written(Event::Refused(refused)),
        "\"kind\":\"refused\",\"reason\":\"expired\",\"count\":2"
    );
    let opened = BreakGlass {
        what: "opened",
        uid: Some(0),
        reason: Some("a \"reason\"\n"),
        for_ms: Some(300_000),
        uses: None,
    };
    assert_eq!(
        written(Event::BreakGlass(opened)),
        "\"kind\":\"break-glass\",\"what\":\"opened\",\"uid\":0,\"reason\":\"a \\\"reason\\\"\\n\",\"for_ms\":300000"
    );
    assert_eq!(
        written(Event::Retention { through: 3 }),
        "\"kind\":\"retention\",\"through\":3"
    );
    assert_eq!(
        written(Event::Repaired { dropped: 4 }),
        "\"kind\":\"repaired\",\"dropped\":4"
    );
    let gap = Event::Gap {
        since: 1,
        allowed: 2,
        denied: 3,
        reason: "no storage space",
    };
    assert_eq!(
        written(gap),
        "\"kind\":\"gap\",\"since\":1,\"allowed\":2,\"denied\":3,\"reason\":\"no storage space\""
    );
    let header = lines(directory.path()).swap_remove(0).1;
    let expected = format!(
        "\"kind\":\"segment\",\"ledger\":\"decisions\",\"id\":\"{}\",\"number\":1,\"previous\":\"{}\"",
        open.ledger.id(),
        "00".repeat(32)
    );
    assert!(header.contains(&expected), "{header}");
}

#[test]
fn files_are_readable_by_the_group_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let _open = open(directory.path(), Options::of(LedgerName::Uses));
    let file = fs::metadata(directory.path().join("0000000001.jsonl")).unwrap();
    assert_eq!(
        file.permissions().mode() & 0o137,
        0,
        "{:o}",
        file.permissions().mode()
    );
}

#[test]
fn ledgers_of_the_first_version_are_still_verified_and_written_on() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format");
    let key = AuditKey::parse(&fs::read(kept.join("audit.pub")).unwrap()).unwrap();
    let copies = tempfile::tempdir().unwrap();
    let [decisions, uses] = ["decisions", "uses"].map(|name| {
        let copy = copies.path().join(name);
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(kept.join(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        copy
    });
    let check = |records| {
        let report = verify(&decisions, Some(&uses), Some(&key)).unwrap();
        assert!(report.is_sound(), "{:?}", report.findings);
        assert_eq!((report.agreed, report.break_glass), (10, 1));
        assert_eq!(
            (report.decisions.checkpoints, report.decisions.covered),
            (1, Some(12))
        );
        assert_eq!(report.decisions.records, records);
    };
    check(13);
    let mut options = Options::of(LedgerName::Decisions);
    // They grow older every day.
    options.retention = Duration::MAX;
    open(&decisions, options).ledger.append(&Event::Stop).unwrap();
    check(14);
}
