//! Break-glass as its three parties meet it: the operator, the gateway, the ledger.

use super::*;

fn open_for(rig: &Rig, for_ms: u64) -> Result<BreakGlassState, KeydError> {
    let reason = Name::try_from("policyd's disk is gone".to_owned()).unwrap();
    command(rig, BreakGlassCommand::Open { for_ms, reason })
}

fn command(rig: &Rig, command: BreakGlassCommand) -> Result<BreakGlassState, KeydError> {
    rig.ask(
        Role::Operator,
        &KeydRequest::BreakGlass(command),
        |reply| match reply {
            KeydReply::BreakGlass(state) => Ok(*state),
            KeydReply::Refused(error) => Err(*error),
            other => panic!("{other:?}"),
        },
    )
}

fn claims(key: KeyIdentity) -> BreakGlassClaims {
    BreakGlassClaims {
        tenant: key.tenant,
        api_key: ApiKeyId::from_bytes([2; 16]),
        api_key_version: 3,
        request: RequestId::from_bytes([4; 16]),
        key,
        batch: None,
    }
}

fn use_key(rig: &Rig, claims: BreakGlassClaims, input: &UseInput<'_>) -> Result<Vec<u8>, KeydError> {
    let input = chancel_wire::encode(input);
    let request = KeydRequest::UseInBreakGlass {
        claims,
        input: &input,
    };
    rig.ask(Role::Gateway, &request, outcome)
}

#[test]
fn the_gateway_uses_keys_while_it_is_open_and_not_before_and_not_after() {
    let rig = Rig::synced();
    let identity = key(Algorithm::MlDsa65, 1);
    generate(&rig, identity).unwrap();
    let sign = UseInput::Sign(Content::raw(b"m"));
    assert_eq!(
        use_key(&rig, claims(identity), &sign),
        Err(KeydError::BreakGlassClosed)
    );
    assert_eq!(open_for(&rig, 60_000).unwrap().uses, 0);
    assert_eq!(use_key(&rig, claims(identity), &sign).unwrap().len(), 3309);
    let state = command(&rig, BreakGlassCommand::Status).unwrap();
    assert_eq!((state.uses, state.longest_ms), (1, 300_000));
    assert!((1..=60_000).contains(&state.remaining_ms));
    assert_eq!(command(&rig, BreakGlassCommand::Close).unwrap().remaining_ms, 0);
    assert_eq!(
        use_key(&rig, claims(identity), &sign),
        Err(KeydError::BreakGlassClosed)
    );
    let mut lines = rig.lines();
    lines.retain(|line| line["kind"] == "break-glass" || line["kind"] == "use");
    let [opened, used, closed] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(opened["what"], "opened");
    assert_eq!(opened["uid"], 0);
    assert_eq!(opened["reason"], "policyd's disk is gone");
    assert_eq!(opened["for_ms"], 60_000);
    assert_eq!(used["break_glass"], true);
    assert_eq!(used["result"], "ok");
    assert!(used.get("permit").is_none());
    let digest = PayloadDigest::of(&chancel_wire::encode(&sign));
    assert_eq!(used["payload"], Hash::from_bytes(*digest.as_bytes()).to_string());
    assert_eq!(closed["what"], "closed");
    assert_eq!(closed["uses"], 1);
    assert_eq!(rig.of_kind("refused")[0]["reason"], "break-glass-closed");
}

#[test]
fn it_skips_the_permit_and_none_of_the_other_checks() {
    let rig = Rig::new();
    let (signing, sealing) = (key(Algorithm::MlDsa65, 1), key(Algorithm::MlKem768, 2));
    let public = generate(&rig, sealing).unwrap();
    generate(&rig, signing).unwrap();
    open_for(&rig, 60_000).unwrap();
    let sealed = seal(&sealing, &public, b"", b"s");
    let sign = UseInput::Sign(Content::raw(b"m"));
    let decrypt = UseInput::Decrypt {
        ciphertext: &sealed,
        aad: b"",
    };
    let rewrap = UseInput::Rewrap {
        ciphertext: &sealed,
        aad: b"",
    };
    assert_eq!(use_key(&rig, claims(sealing), &decrypt).as_deref(), Ok(&b"s"[..]));
    let other = TenantId::from_bytes([TENANT + 1; 16]);
    let of_another = KeyIdentity {
        tenant: other,
        ..signing
    };
    let mixed = BreakGlassClaims {
        tenant: other,
        ..claims(signing)
    };
    for (claims, input, error) in [
        (claims(sealing), &sign, KeydError::PermitForOtherOperation),
        (claims(signing), &decrypt, KeydError::PermitForOtherOperation),
        (claims(sealing), &rewrap, KeydError::PermitForOtherOperation),
        (claims(of_another), &sign, KeydError::KeyNotFound),
        (mixed, &sign, KeydError::KeyNotFound),
        (claims(crate::audit_key::IDENTITY), &sign, KeydError::KeyNotFound),
    ] {
        assert_eq!(use_key(&rig, claims, input), Err(error), "{claims:?}");
    }
}

#[test]
fn nothing_makes_it_last_longer_than_it_may_and_a_restart_closes_it() {
    let rig = Rig::new();
    for for_ms in [0, 300_001, 900_001, u64::MAX] {
        assert_eq!(open_for(&rig, for_ms), Err(KeydError::BreakGlassTime), "{for_ms}");
    }
    assert!(rig.of_kind("break-glass").is_empty());
    open_for(&rig, 300_000).unwrap();
    let again = open_for(&rig, 1_000).unwrap();
    assert!(again.remaining_ms <= 1_000, "{again:?}");
    open_for(&rig, 300_000).unwrap();
    let rig = rig.restart();
    let state = command(&rig, BreakGlassCommand::Status).unwrap();
    assert_eq!((state.remaining_ms, state.uses), (0, 0));
    let lines = rig.of_kind("break-glass");
    assert_eq!(lines.first().unwrap()["what"], "opened");
    assert_eq!(lines.last().unwrap()["what"], "closed");
}

#[test]
fn its_metrics_say_that_it_is_open_and_how_often_it_was_used() {
    let rig = Rig::new();
    let identity = key(Algorithm::MlDsa65, 1);
    generate(&rig, identity).unwrap();
    let value = |name: &str| {
        rig.ask(Role::Gateway, &KeydRequest::Metrics, |reply| match reply {
            KeydReply::Metrics(samples) => samples.iter().find(|sample| sample.name == name).unwrap().value,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(value("chancel_keyd_break_glass_open"), 0);
    open_for(&rig, 60_000).unwrap();
    use_key(&rig, claims(identity), &UseInput::Sign(Content::raw(b"m"))).unwrap();
    assert_eq!(value("chancel_keyd_break_glass_open"), 1);
    command(&rig, BreakGlassCommand::Close).unwrap();
    assert_eq!(value("chancel_keyd_break_glass_open"), 0);
    assert_eq!(value("chancel_keyd_break_glass_uses_total"), 1);
}

#[test]
fn its_end_is_recorded_also_when_nobody_asks() {
    let rig = Rig::new();
    open_for(&rig, 1).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let last = loop {
        let last = rig.of_kind("break-glass").last().unwrap().clone();
        if last["what"] != "opened" || Instant::now() > until {
            break last;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(last["what"], "expired");
    assert_eq!(last["uses"], 0);
}
