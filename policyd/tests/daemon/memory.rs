//! Memory: what policyd keeps does not grow with the tenants and API keys there are, nor with those that call.
//!
//! `CHANCEL_API_KEYS` says how many there are, ten for each tenant; the figures in docs/performance.md are for 1,000,000.

use crate::peers::{Gateway, is_done};
use crate::support::{Installation, SECRET, run};
use chancel_domain::{TenantId, tenant};
use chancel_policyd::api_keys::{ApiKeyHasher, ReceivedApiKey};
use chancel_wire::policyd::Ask;
use nix::sys::signal::Signal;
use rusqlite::{Connection, params};
use std::sync::Arc;

const KEYS_A_TENANT: u64 = 10;
/// Tenants that call at once.
const AT_ONCE: u64 = 64;
/// Resident memory, KiB: two page caches of SQLite of 16 MiB each, the program, and some room.
const AT_MOST_KIB: u64 = 64 * 1024;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An API key made of a number.
fn text(number: u64) -> String {
    let digits = |mut number: u64, width: usize| {
        let mut digits = vec![DIGITS[0]; width];
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(number % 62) as usize];
            number /= 62;
        }
        String::from_utf8(digits).unwrap()
    };
    let checked = format!("qph_{}", digits(number, 27));
    let checksum = digits(u64::from(crc32fast::hash(checked.as_bytes())), 6);
    checked + &checksum
}

fn tenant_of(number: u64) -> TenantId {
    TenantId::from_bytes((u128::from(number / KEYS_A_TENANT) + 1).to_be_bytes())
}

fn fill(mut database: Connection, api_keys: u64) {
    let hasher = ApiKeyHasher::new(&SECRET);
    let change = database.transaction().unwrap();
    let mut insert_tenant = change
        .prepare(
            "INSERT INTO tenants (id, name, plan, status, created_at_ms, updated_at_ms)
             VALUES (?1, ?2, 'enterprise', ?3, 1, 1)",
        )
        .unwrap();
    let mut insert_key = change
        .prepare(
            "INSERT INTO api_keys (tenant_id, id, version, name, scopes, networks, lookup_hash, scoped_hash,
                                   created_at_ms)
             VALUES (?1, ?2, 1, 'key', '*', '', ?3, ?4, 1)",
        )
        .unwrap();
    let active = tenant::TenantStatus::Active.name();
    for number in 0..api_keys {
        let tenant = tenant_of(number);
        if number % KEYS_A_TENANT == 0 {
            insert_tenant
                .execute(params![tenant.as_bytes(), tenant.to_string(), active])
                .unwrap();
        }
        let text = text(number);
        let key = ReceivedApiKey::parse(&text).unwrap();
        let id = (u128::from(number) + 1).to_be_bytes();
        let (lookup, scoped) = (hasher.lookup(&key), hasher.scoped(tenant, &key));
        insert_key
            .execute(params![
                tenant.as_bytes(),
                id,
                lookup.as_bytes(),
                scoped.as_bytes()
            ])
            .unwrap();
    }
    drop((insert_tenant, insert_key));
    change.commit().unwrap();
}

async fn each_tenant_calls(gateway: Arc<Gateway>, api_keys: u64) {
    let mut callers = tokio::task::JoinSet::new();
    for first in 0..AT_ONCE {
        let gateway = gateway.clone();
        callers.spawn(async move {
            for number in (first * KEYS_A_TENANT..api_keys).step_by((AT_ONCE * KEYS_A_TENANT) as usize) {
                let reply = gateway.ask(&text(number), Ask::ReadTenant).await;
                assert!(is_done(&reply), "{reply:?}");
            }
        });
    }
    while let Some(outcome) = callers.join_next().await {
        outcome.unwrap();
    }
}

#[test]
fn memory_is_bounded_however_many_tenants_there_are_and_call() {
    let api_keys = std::env::var("CHANCEL_API_KEYS").map_or(50_000, |text| text.parse().unwrap());
    let installation = Installation::new();
    installation.start().stop(Signal::SIGTERM);
    fill(installation.database(), api_keys);
    installation.chown_database();
    let policyd = installation.start();
    let at_start = policyd.resident_kib();
    run(async { each_tenant_calls(Arc::new(policyd.gateway()), api_keys).await });
    let (after, most) = (policyd.resident_kib(), policyd.most_resident_kib());
    eprintln!(
        "{api_keys} API keys: {at_start} KiB at the start, {after} KiB after all tenants called, {most} KiB at most"
    );
    assert!(most < AT_MOST_KIB, "{most} KiB");
    // And a start that has to count them all.
    policyd.kill();
    let policyd = installation.start();
    let (after, most) = (policyd.resident_kib(), policyd.most_resident_kib());
    eprintln!("{after} KiB after the ledger was read, {most} KiB at most");
    assert!(most < AT_MOST_KIB, "{most} KiB");
}
