//! A database that does not answer: heard of within a second, by its type and with the reason in the log.

use crate::peers::{is_done, outcome};
use crate::support::{Installation, run, until};
use chancel_domain::{Algorithm, Plan};
use chancel_wire::admin::{AdminError, AdminRequest};
use chancel_wire::policyd::{Ask, PolicydFailure, PolicydReply};
use nix::sys::signal::Signal;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Who calls hears within a second.
const AT_MOST: Duration = Duration::from_secs(1);

fn is_storage(reply: &PolicydReply) -> bool {
    matches!(reply, PolicydReply::Failed(PolicydFailure::Storage))
}

#[test]
fn while_another_process_holds_the_database_changes_fail_within_a_second_and_reads_go_on() {
    let installation = Installation::new();
    let policyd = installation.start();
    let (tenant, counted) = run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        let change = Ask::SetKeyBudget(Algorithm::MlDsa65, Some(7));
        outcome(gateway.ask(&text, change.clone()).await);
        let other = installation.database();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();

        let asked = Instant::now();
        let reply = gateway.ask(&text, change.clone()).await;
        let took = asked.elapsed();
        assert!(is_storage(&reply), "{reply:?}");
        assert!(took < AT_MOST, "{took:?}");
        let asked = Instant::now();
        let (a, b, c) = tokio::join!(
            gateway.ask(&text, change.clone()),
            gateway.ask(&text, change.clone()),
            operator.refusal(AdminRequest::DeleteTenant(tenant)),
        );
        let took = asked.elapsed();
        assert!(is_storage(&a) && is_storage(&b), "{a:?} {b:?}");
        assert_eq!(c, AdminError::Storage);
        assert!(took < AT_MOST, "nor do several wait for one another: {took:?}");
        assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));
        assert!(installation.log().contains("locked"), "{}", installation.log());

        // Longer than the counts are held back: what cannot be written is kept.
        let counted = operator.usage(tenant).await.calls;
        other.execute_batch("COMMIT").unwrap();
        drop(other);
        until("changes are made again", async || {
            is_done(&gateway.ask(&text, change.clone()).await)
        })
        .await;
        (tenant, counted)
    });
    installation.chown_database();
    policyd.kill();
    let policyd = installation.start();
    assert!(run(async { policyd.operator().usage(tenant).await.calls }) > counted);
}

#[test]
fn a_damaged_page_is_a_typed_failure_within_a_second_and_never_an_answer() {
    let installation = Installation::new();
    let policyd = installation.start();
    let (tenant, text) = run(async {
        let operator = policyd.operator();
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        (tenant, operator.api_key(tenant, "*").await.1)
    });
    policyd.stop(Signal::SIGTERM);
    let database = installation.database();
    let root: u32 = database
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'api_keys_by_lookup_hash'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let size: u32 = database
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .unwrap();
    drop(database);
    let file = File::options()
        .write(true)
        .open(installation.path("data/chancel.db"))
        .unwrap();
    file.write_all_at(&vec![0x5a; size as usize], u64::from(root - 1) * u64::from(size))
        .unwrap();
    drop(file);
    installation.chown_database();

    let policyd = installation.start();
    run(async {
        let gateway = policyd.gateway();
        for ask in [Ask::ReadTenant, Ask::GenerateKey(Algorithm::MlDsa65)] {
            let asked = Instant::now();
            let reply = gateway.ask(&text, ask).await;
            assert!(is_storage(&reply), "{reply:?}");
            assert!(asked.elapsed() < AT_MOST);
        }
        // What does not need the page still works: the damage is where it is.
        assert_eq!(policyd.operator().usage(tenant).await.id, tenant);
    });
    assert!(installation.log().contains("damaged"), "{}", installation.log());
}
