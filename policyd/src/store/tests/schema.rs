//! What the schema itself refuses: rows written past all of policyd's code.

use super::fixture::Fixture;
use chancel_domain::{Algorithm, TenantId};
use rusqlite::{Connection, ErrorCode, params};

/// Columns of a row of `keys` that is as it should be, but for what a test changes.
struct KeyRow<'a> {
    tenant: &'a [u8],
    algorithm: i64,
    version: i64,
    state: &'a str,
    handle: &'a [u8],
    public_key: &'a [u8],
    made_by: &'a [u8],
}

impl KeyRow<'_> {
    fn insert(&self, raw: &Connection) -> rusqlite::Result<usize> {
        raw.execute(
            "INSERT INTO keys (tenant_id, algorithm, version, state, handle, public_key, made_by, created_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)",
            params![
                self.tenant,
                self.algorithm,
                self.version,
                self.state,
                self.handle,
                self.public_key,
                self.made_by
            ],
        )
    }
}

fn assert_constraint<T: std::fmt::Debug>(outcome: rusqlite::Result<T>, what: &str) {
    let error = outcome.expect_err(what);
    assert_eq!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation),
        "{what}: {error}"
    );
}

#[test]
fn a_row_of_one_tenant_cannot_point_into_another() {
    let fixture = Fixture::new();
    let (a, secret_a) = fixture.tenant("a");
    let (b, secret_b) = fixture.tenant("b");
    let (key_a, key_b) = (
        fixture.context(&secret_a).unwrap().api_key(),
        fixture.context(&secret_b).unwrap().api_key(),
    );
    let raw = fixture.raw();
    let row = KeyRow {
        tenant: b.id.as_bytes(),
        algorithm: 0x0102,
        version: 1,
        state: "active",
        handle: &[1; 16],
        public_key: b"pk",
        made_by: key_b.as_bytes(),
    };
    assert_constraint(
        KeyRow {
            made_by: key_a.as_bytes(),
            ..row
        }
        .insert(&raw),
        "b's key made by a's API key",
    );
    assert_constraint(
        KeyRow {
            tenant: &[9; 16],
            ..row
        }
        .insert(&raw),
        "a key of no tenant",
    );
    row.insert(&raw).expect("the same row within one tenant is sound");
    assert_constraint(
        raw.execute("UPDATE keys SET tenant_id = ?1", [a.id.as_bytes()]),
        "b's key moved to a",
    );
    assert_constraint(
        raw.execute(
            "UPDATE api_keys SET tenant_id = ?1 WHERE tenant_id = ?2",
            [a.id.as_bytes(), b.id.as_bytes()],
        ),
        "b's API key, which made a key, moved to a",
    );
    assert_constraint(
        raw.execute("DELETE FROM tenants WHERE id = ?1", [b.id.as_bytes()]),
        "a tenant that has keys, removed",
    );
}

#[test]
fn an_api_key_row_moved_to_another_tenant_stands_for_nobody() {
    let fixture = Fixture::new();
    let (a, _) = fixture.tenant("a");
    let (b, secret_b) = fixture.tenant("b");
    let moved = fixture.raw().execute(
        "UPDATE api_keys SET tenant_id = ?1 WHERE tenant_id = ?2",
        [a.id.as_bytes(), b.id.as_bytes()],
    );
    assert_eq!(
        moved,
        Ok(1),
        "it made no key, so the schema alone does not notice"
    );
    assert!(fixture.context(&secret_b).is_none(), "its scoped hash does");
}

#[test]
fn values_that_policyd_would_not_write_are_refused() {
    let fixture = Fixture::new();
    let (tenant, secret) = fixture.tenant("a");
    let api_key = fixture.context(&secret).unwrap().api_key();
    let raw = fixture.raw();
    let row = KeyRow {
        tenant: tenant.id.as_bytes(),
        algorithm: 0x0102,
        version: 1,
        state: "active",
        handle: &[1; 16],
        public_key: b"pk",
        made_by: api_key.as_bytes(),
    };
    assert_constraint(KeyRow { version: 0, ..row }.insert(&raw), "version 0");
    assert_constraint(
        KeyRow {
            version: 1 << 32,
            ..row
        }
        .insert(&raw),
        "a version that does not fit",
    );
    assert_constraint(KeyRow { algorithm: 0, ..row }.insert(&raw), "algorithm 0");
    assert_constraint(
        KeyRow {
            state: "exported",
            ..row
        }
        .insert(&raw),
        "an unknown state",
    );
    assert_constraint(
        KeyRow {
            handle: &[1; 15],
            ..row
        }
        .insert(&raw),
        "a short handle",
    );
    assert_constraint(
        KeyRow {
            public_key: b"",
            ..row
        }
        .insert(&raw),
        "active without a public key",
    );
    for (what, sql) in [
        ("an unknown plan", "UPDATE tenants SET plan = 'platinum'"),
        ("an unknown status", "UPDATE tenants SET status = 'gone'"),
        ("an empty name", "UPDATE tenants SET name = ''"),
        (
            "a tenant with a standing and no name",
            "UPDATE tenants SET name = NULL",
        ),
        (
            "a deleted tenant with a name",
            "UPDATE tenants SET status = 'deleted'",
        ),
        ("a short id", "UPDATE tenants SET id = x'00'"),
        ("a short look-up hash", "UPDATE api_keys SET lookup_hash = x'00'"),
        ("a short scoped hash", "UPDATE api_keys SET scoped_hash = x'00'"),
        ("API key version 0", "UPDATE api_keys SET version = 0"),
        ("no scopes", "UPDATE api_keys SET scopes = ''"),
    ] {
        assert_constraint(raw.execute(sql, []), what);
    }
    assert!(
        raw.execute("UPDATE api_keys SET version = 'one'", []).is_err(),
        "tables are strict"
    );
}

#[test]
fn an_algorithm_has_one_active_and_one_pending_key_and_a_handle_one_row() {
    let fixture = Fixture::new();
    let (tenant, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    fixture.key(context, Algorithm::MlDsa65);
    let raw = fixture.raw();
    let api_key = context.api_key();
    let row = KeyRow {
        tenant: tenant.id.as_bytes(),
        algorithm: 0x0102,
        version: 2,
        state: "pending",
        handle: &[2; 16],
        public_key: b"",
        made_by: api_key.as_bytes(),
    };
    assert_constraint(
        KeyRow {
            state: "active",
            public_key: b"pk",
            ..row
        }
        .insert(&raw),
        "a second active key",
    );
    row.insert(&raw).expect("one pending key beside the active one");
    assert_constraint(
        KeyRow {
            version: 3,
            handle: &[3; 16],
            ..row
        }
        .insert(&raw),
        "a second pending key",
    );
    assert_constraint(
        KeyRow {
            version: 2,
            handle: &[4; 16],
            state: "retired",
            public_key: b"pk",
            ..row
        }
        .insert(&raw),
        "a version twice",
    );
    assert_constraint(
        KeyRow {
            version: 5,
            state: "retired",
            public_key: b"pk",
            ..row
        }
        .insert(&raw),
        "a handle twice",
    );
}

/// Each table of what belongs to a tenant, filled with a row of tenant `?1`.
const TENANTS_ROWS: [(&str, &str); 5] = [
    (
        "deny_rules",
        "INSERT INTO deny_rules (tenant_id, id, rule, created_at_ms) VALUES (?1, zeroblob(16), x'01', 1)",
    ),
    (
        "key_budgets",
        "INSERT INTO key_budgets (tenant_id, algorithm, uses_per_day) VALUES (?1, 1, 1)",
    ),
    (
        "usage_months",
        "INSERT INTO usage_months (tenant_id, month, calls) VALUES (?1, 24000, 1)",
    ),
    (
        "usage_days",
        "INSERT INTO usage_days (tenant_id, algorithm, day, uses) VALUES (?1, 1, 20000, 1)",
    ),
    (
        "idempotent_answers",
        "INSERT INTO idempotent_answers (tenant_id, key_hash, request_hash, sealed_answer, created_at_ms)
         VALUES (?1, zeroblob(32), zeroblob(32), x'01', 1)",
    ),
];

#[test]
fn rows_of_every_table_belong_to_a_tenant_that_there_is_and_have_its_id_in_their_key() {
    let fixture = Fixture::new();
    let (a, _) = fixture.tenant("a");
    let (b, _) = fixture.tenant("b");
    let raw = fixture.raw();
    for (table, insert) in TENANTS_ROWS {
        assert_constraint(raw.execute(insert, [[9; 16]]), &format!("{table} of no tenant"));
        assert_constraint(raw.execute(insert, [[1; 15]]), &format!("{table} of a short id"));
        raw.execute(insert, [a.id.as_bytes()]).unwrap();
        raw.execute(insert, [b.id.as_bytes()]).unwrap_or_else(|error| {
            panic!("{table}: the same row of another tenant is another row: {error}")
        });
        let mover = format!("UPDATE {table} SET tenant_id = ?1 WHERE tenant_id = ?2");
        assert_constraint(
            raw.execute(&mover, [a.id.as_bytes(), b.id.as_bytes()]),
            &format!("{table}: b's row in the place of a's"),
        );
    }
}

/// A new table that is not in the list above would be one that no test of isolation knows.
#[test]
fn every_table_is_known_to_the_tests_of_isolation() {
    let fixture = Fixture::new();
    let raw = fixture.raw();
    let mut statement = raw
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
        )
        .unwrap();
    let tables: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut known: Vec<&str> = TENANTS_ROWS.iter().map(|(table, _)| *table).collect();
    known.extend(["tenants", "api_keys", "keys", "usage_position"]);
    known.sort_unstable();
    assert_eq!(tables, known);
}

#[test]
fn operators_have_neither_keys_nor_rules() {
    let fixture = Fixture::new();
    let raw = fixture.raw();
    let operators = TenantId::OPERATORS;
    let row = KeyRow {
        tenant: operators.as_bytes(),
        algorithm: 0x0102,
        version: 1,
        state: "active",
        handle: &[1; 16],
        public_key: b"pk",
        made_by: &[1; 16],
    };
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    assert_constraint(row.insert(&raw), "a key of operators");
    let (_, rule) = TENANTS_ROWS[0];
    assert_constraint(
        raw.execute(rule, [operators.as_bytes()]),
        "a deny rule of operators",
    );
}

#[test]
fn a_date_of_destruction_and_the_state_that_has_one_go_together() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.tenant("a");
    fixture.key(fixture.context(&secret).unwrap(), Algorithm::MlDsa65);
    let raw = fixture.raw();
    for (what, sql) in [
        (
            "pending without a date",
            "UPDATE keys SET state = 'pending_destruction'",
        ),
        ("a date in another state", "UPDATE keys SET destroy_at_ms = 1"),
        ("destroyed without a date", "UPDATE keys SET state = 'destroyed'"),
        ("destroyed before it is", "UPDATE keys SET destroyed_at_ms = 1"),
    ] {
        assert_constraint(raw.execute(sql, []), what);
    }
    raw.execute(
        "UPDATE keys SET state = 'pending_destruction', destroy_at_ms = 1",
        [],
    )
    .unwrap();
}
