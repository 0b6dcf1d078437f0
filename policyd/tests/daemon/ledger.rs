//! The decision ledger: what is in it, and what happens when nothing can be put into it.

use crate::keyd::Keyd;
use crate::peers::{SOURCE, denied, is_done, is_granted, outcome};
use crate::support::{Installation, run, until};
use chancel_domain::operation::Place;
use chancel_domain::{Algorithm, KeyVersion, Operation, Plan, TenantStatus};
use chancel_wire::admin::{AdminError, AdminReply, AdminRequest};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{Ask, PolicydFailure, PolicydReply, Verdict};
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const ML_DSA: Algorithm = Algorithm::MlDsa65;

fn of_key(operation: Operation) -> Ask {
    let is_private = operation.place() == Place::PrivateKey;
    Ask::Use {
        operation,
        algorithm: ML_DSA,
        version: Some(KeyVersion::FIRST),
        payload: is_private.then(|| PayloadDigest::of(b"input")),
        batch: None,
    }
}

#[test]
fn decisions_changes_start_and_stop_are_recorded_before_anybody_hears_of_them() {
    for sync in ["10ms", "every-record"] {
        let installation = Installation::with(sync);
        let policyd = installation.start();
        let permit = run(async {
            let (operator, gateway) = (policyd.operator(), policyd.gateway());
            let keyd = Keyd::serve(&installation);
            keyd.met(&gateway).await;
            let (tenant, key, text) = operator.tenant_at_work(&gateway, Plan::Enterprise).await;
            let PolicydReply::Judged {
                verdict: Verdict::Granted { permit, .. },
                ..
            } = gateway.ask(&text, of_key(Operation::Sign)).await
            else {
                panic!("not granted")
            };
            operator.ask(AdminRequest::RevokeApiKey(tenant, key)).await;
            assert!(denied(&gateway.ask(&text, Ask::ReadTenant).await).is_some());
            operator.set_status(tenant, TenantStatus::Suspended).await;
            permit.unwrap().unverified_claims().unwrap()
        });
        policyd.kill();
        let recorded = installation.records(|record| {
            let what = record.what.as_deref().or(record.operation.as_deref());
            Some(format!("{} {}", record.kind, what.unwrap_or("-")))
        });
        for wanted in [
            "start -",
            "keyd -",
            "allow generate-key",
            "allow sign",
            "deny read-tenant",
        ] {
            let count = recorded.iter().filter(|found| *found == wanted).count();
            assert_eq!(count, 1, "{wanted} in {recorded:#?}");
        }
        let changes = recorded.iter().filter(|found| found.starts_with("change "));
        assert_eq!(
            changes.count(),
            5,
            "tenant, API key, key, revocation, suspension in {recorded:#?}"
        );
        let permits = installation.records(|record| {
            let permit = record.permit.as_ref()?;
            Some((
                permit.epoch,
                permit.serial,
                permit.payload.to_string(),
                record.request.clone()?.into_owned(),
            ))
        });
        let digest: String = claims_payload(&permit.payload);
        assert_eq!(
            permits,
            [(permit.epoch, permit.serial, digest, permit.request.to_string())]
        );
        installation.check_ledger();

        let policyd = installation.start();
        policyd.stop(Signal::SIGTERM);
        let last = installation.records(|record| Some(record.kind.to_string()));
        assert_eq!(last.last().map(String::as_str), Some("stop"), "{last:?}");
        installation.check_ledger();
    }
}

fn claims_payload(digest: &PayloadDigest) -> String {
    digest
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A file system of its own for the ledger, small enough to be filled. Unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(directory: &Path, owner: u32) -> Option<Self> {
        let options = format!("size=1m,uid={owner},gid={owner},mode=0750");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(directory)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no file system can be mounted here");
            return None;
        }
        Some(Self(directory.to_owned()))
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut filler = File::create(self.0.join("filler")).unwrap();
        let block = [0; 4096];
        while filler.write_all(&block).is_ok() {}
        while filler.write_all(&block[..1]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: policyd may still have files open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_private_keys_and_changes_are_refused_the_rest_goes_on_and_it_recovers_by_itself() {
    for sync in ["10ms", "every-record"] {
        let installation = Installation::with(sync);
        let Some(disk) = SmallDisk::at(&installation.path("ledger"), installation.account()) else {
            return;
        };
        let policyd = installation.start();
        let (tenant, allowed) = run(async {
            let (operator, gateway) = (policyd.operator(), policyd.gateway());
            let keyd = Keyd::serve(&installation);
            keyd.met(&gateway).await;
            let (tenant, key, text) = operator.tenant_at_work(&gateway, Plan::Enterprise).await;
            assert!(is_granted(&gateway.ask(&text, of_key(Operation::Sign)).await));

            disk.fill();
            // What still fits into the last page is written.
            until("the ledger is full", async || {
                let reply = gateway.ask(&text, of_key(Operation::Sign)).await;
                matches!(reply, PolicydReply::Failed(PolicydFailure::LedgerUnwritable))
            })
            .await;
            let used = operator.usage(tenant).await.calls;
            let asked = keyd.asked();
            for ask in [
                of_key(Operation::Sign),
                Ask::RotateKey(ML_DSA),
                Ask::RetireKey(ML_DSA, KeyVersion::FIRST),
                Ask::SetKeyBudget(ML_DSA, Some(1)),
                Ask::CreateApiKey(tenant, crate::peers::terms("verify")),
            ] {
                let reply = gateway.ask(&text, ask.clone()).await;
                assert!(
                    matches!(reply, PolicydReply::Failed(PolicydFailure::LedgerUnwritable)),
                    "{ask:?}: {reply:?}"
                );
            }
            for request in [
                AdminRequest::RevokeApiKey(tenant, key),
                AdminRequest::SetTenantStatus {
                    tenant,
                    status: TenantStatus::Suspended,
                },
                operator.wanted(tenant, "verify"),
            ] {
                assert_eq!(operator.refusal(request).await, AdminError::LedgerUnwritable);
            }
            assert_eq!(
                keyd.asked(),
                asked,
                "keyd is not asked for what cannot be recorded"
            );
            let reply = gateway.ask(&text, of_key(Operation::Verify)).await;
            assert!(is_granted(&reply), "{reply:?}");
            assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));
            let AdminReply::Status(status) = operator.ask(AdminRequest::Status).await else {
                panic!("no status")
            };
            assert_eq!(status.ledger, "unwritable");

            disk.empty();
            until("the ledger can be written again", async || {
                is_granted(&gateway.ask(&text, of_key(Operation::Sign)).await)
            })
            .await;
            outcome(gateway.ask(&text, Ask::RotateKey(ML_DSA)).await);
            (tenant, used)
        });
        policyd.kill();
        let kinds = installation.records(|record| Some(record.kind.to_string()));
        assert!(kinds.iter().any(|kind| kind == "gap"), "{kinds:?}");
        installation.check_ledger();
        let policyd = installation.start();
        let counted = run(async { policyd.operator().usage(tenant).await.calls });
        assert!(counted > allowed, "counted on after the gap");
        drop(policyd);
    }
}

#[test]
fn of_requests_read_together_on_a_full_disk_only_those_that_use_no_private_key_are_granted() {
    for sync in ["10ms", "every-record"] {
        let installation = Installation::with(sync);
        let Some(disk) = SmallDisk::at(&installation.path("ledger"), installation.account()) else {
            return;
        };
        let policyd = installation.start();
        run(async {
            let (operator, gateway) = (policyd.operator(), policyd.gateway());
            let keyd = Keyd::serve(&installation);
            keyd.met(&gateway).await;
            let (tenant, _, text) = operator.tenant_at_work(&gateway, Plan::Enterprise).await;
            disk.fill();
            until("the ledger is full", async || {
                let reply = gateway.ask(&text, of_key(Operation::Sign)).await;
                matches!(reply, PolicydReply::Failed(PolicydFailure::LedgerUnwritable))
            })
            .await;
            let before = operator.usage(tenant).await.calls;
            let mixed = [Operation::Sign, Operation::Verify, Operation::Sign].map(of_key);
            let replies = gateway.ask_all(&text, mixed.into_iter().cycle().take(90)).await;
            let granted = replies.iter().filter(|reply| match reply {
                PolicydReply::Failed(PolicydFailure::LedgerUnwritable) => false,
                PolicydReply::Judged {
                    verdict: Verdict::Granted { permit: None, .. },
                    ..
                } => true,
                other => panic!("{other:?}"),
            });
            assert_eq!(
                granted.count(),
                30,
                "a permit without a record, or a needless refusal"
            );
            assert_eq!(operator.usage(tenant).await.calls, before + 30);
            disk.empty();
            until("the ledger can be written again", async || {
                is_granted(&gateway.ask(&text, of_key(Operation::Sign)).await)
            })
            .await;
        });
        policyd.kill();
        let unrecorded = installation.records(|record| (record.kind == "gap").then_some(()));
        assert!(
            !unrecorded.is_empty(),
            "the ledger says nothing of what it missed"
        );
        installation.check_ledger();
    }
}

#[test]
fn nothing_that_was_refused_for_the_ledgers_sake_was_done() {
    let installation = Installation::new();
    let Some(disk) = SmallDisk::at(&installation.path("ledger"), installation.account()) else {
        return;
    };
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        let create = Ask::CreateApiKey(tenant, crate::peers::terms("verify"));
        disk.fill();
        // What still fits into the last page is written.
        until("the ledger is full", async || {
            let reply = gateway.ask(&text, create.clone()).await;
            matches!(reply, PolicydReply::Failed(PolicydFailure::LedgerUnwritable))
        })
        .await;
        let before = operator.usage(tenant).await.api_keys;
        let reply = gateway.ask(&text, create.clone()).await;
        assert!(
            matches!(reply, PolicydReply::Failed(PolicydFailure::LedgerUnwritable)),
            "{reply:?}"
        );
        let refusal = operator.refusal(operator.wanted(tenant, "*")).await;
        assert_eq!(refusal, AdminError::LedgerUnwritable);
        let status = TenantStatus::Suspended;
        let refusal = operator
            .refusal(AdminRequest::SetTenantStatus { tenant, status })
            .await;
        assert_eq!(refusal, AdminError::LedgerUnwritable);
        assert_eq!(operator.usage(tenant).await.api_keys, before);
        assert_eq!(operator.usage(tenant).await.status, TenantStatus::Active);
        disk.empty();
        until("changes are made again", async || {
            is_done(&gateway.try_ask(SOURCE, &text, create.clone()).await.unwrap())
        })
        .await;
        assert_eq!(operator.usage(tenant).await.api_keys, before + 1);
    });
}

#[test]
fn a_torn_last_record_is_repaired_noted_and_the_chain_goes_on() {
    let installation = Installation::new();
    installation.start().kill();
    let segment = installation.path("ledger/0000000001.jsonl");
    let mut file = File::options().append(true).open(&segment).unwrap();
    file.write_all(b"{\"seq\":3,\"time\":17").unwrap();
    drop(file);
    installation.start().kill();
    let kinds = installation.records(|record| Some(record.kind.to_string()));
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "repaired").count(),
        1,
        "{kinds:?}"
    );
    installation.check_ledger();
}

#[test]
fn a_ledger_that_was_tampered_with_is_not_written_on() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async { policyd.operator().tenant("Example", Plan::Starter).await });
    policyd.stop(Signal::SIGTERM);
    let segment = installation.path("ledger/0000000001.jsonl");
    let text = fs::read_to_string(&segment).unwrap();
    let edited = text.replacen("\"kind\":\"start\"", "\"kind\":\"other\"", 1);
    assert_ne!(text, edited);
    fs::write(&segment, &edited).unwrap();
    let (code, said) = installation.start_in_vain();
    assert_eq!(code, Some(1));
    assert!(said.contains("0000000001.jsonl"), "{said}");
    assert_eq!(
        fs::read_to_string(&segment).unwrap(),
        edited,
        "left as it was found"
    );
}
