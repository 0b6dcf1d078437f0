-- Tenants, and everything that belongs to one.
--
-- Every table that belongs to tenants has the tenant's id in its primary key and in its foreign keys, so that a row of
-- one tenant cannot point at a row of another. Identifiers are 16 bytes, hashes 32, times Unix milliseconds.

CREATE TABLE tenants (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- A deleted tenant leaves its row behind, for its keys' dates of destruction, but not its name.
    name          TEXT    UNIQUE CHECK (name IS NULL OR length(name) BETWEEN 1 AND 255),
    plan          TEXT    NOT NULL CHECK (plan IN ('free', 'starter', 'growth', 'pro', 'enterprise')),
    status        TEXT    NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    CHECK ((status = 'deleted') = (name IS NULL))
) STRICT, WITHOUT ROWID;

-- Whom the API keys of operators belong to.
INSERT INTO tenants (id, name, plan, status, created_at_ms, updated_at_ms)
VALUES (x'ffffffffffffffffffffffffffffffff', 'operators', 'enterprise', 'active', 0, 0);

CREATE TABLE api_keys (
    tenant_id     BLOB    NOT NULL CHECK (length(tenant_id) = 16) REFERENCES tenants (id),
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    version       INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    name          TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    scopes        TEXT    NOT NULL CHECK (length(scopes) > 0),
    -- Networks joined by spaces; empty for everywhere.
    networks      TEXT    NOT NULL,
    -- Two keyed hashes of the secret, never the secret: one finds the row, one proves that it is this tenant's.
    lookup_hash   BLOB    NOT NULL CHECK (length(lookup_hash) = 32),
    scoped_hash   BLOB    NOT NULL CHECK (length(scoped_hash) = 32),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_keys_by_lookup_hash ON api_keys (lookup_hash);
-- An id names one API key in the installation: ledgers show it without the tenant.
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (id);

-- Not WITHOUT ROWID: the public keys are longer than the rows such a table is good for.
CREATE TABLE keys (
    -- Operators have no keys.
    tenant_id       BLOB    NOT NULL CHECK (length(tenant_id) = 16 AND tenant_id <> x'ffffffffffffffffffffffffffffffff')
                            REFERENCES tenants (id),
    algorithm       INTEGER NOT NULL CHECK (algorithm BETWEEN 1 AND 65535),
    version         INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    -- 'pending': reserved while keyd makes the key; nobody has been told of it, and nobody can read it.
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'archived', 'pending_destruction',
                                                      'destroyed')),
    -- keyd's name for the private key. The private key itself is nowhere in this database. Stays when the key is
    -- destroyed, so that no other key can ever have it.
    handle          BLOB    NOT NULL CHECK (length(handle) = 16),
    public_key      BLOB    NOT NULL CHECK (state IN ('pending', 'destroyed') OR length(public_key) > 0),
    -- NULL when the API key went with its tenant.
    made_by         BLOB    CHECK (length(made_by) = 16),
    created_at_ms   INTEGER NOT NULL,
    last_used_at_ms INTEGER,
    archived_at_ms  INTEGER,
    destroy_at_ms   INTEGER CHECK ((state = 'pending_destruction') = (destroy_at_ms IS NOT NULL)),
    destroyed_at_ms INTEGER CHECK ((state = 'destroyed') = (destroyed_at_ms IS NOT NULL)),
    PRIMARY KEY (tenant_id, algorithm, version),
    FOREIGN KEY (tenant_id, made_by) REFERENCES api_keys (tenant_id, id)
) STRICT;

CREATE UNIQUE INDEX keys_by_handle ON keys (handle);
CREATE UNIQUE INDEX keys_one_active ON keys (tenant_id, algorithm) WHERE state = 'active';
CREATE UNIQUE INDEX keys_one_pending ON keys (tenant_id, algorithm) WHERE state = 'pending';
-- What the sweeper looks for.
CREATE INDEX keys_to_destroy ON keys (destroy_at_ms) WHERE state = 'pending_destruction';

-- A tenant's own deny rules.
CREATE TABLE deny_rules (
    tenant_id     BLOB    NOT NULL CHECK (length(tenant_id) = 16 AND tenant_id <> x'ffffffffffffffffffffffffffffffff')
                          REFERENCES tenants (id),
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    -- The rule in the encoding of the wire.
    rule          BLOB    NOT NULL CHECK (length(rule) > 0),
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

-- Private-key uses of a tenant's key (of all its versions) that a day may have.
CREATE TABLE key_budgets (
    tenant_id     BLOB    NOT NULL CHECK (length(tenant_id) = 16 AND tenant_id <> x'ffffffffffffffffffffffffffffffff')
                          REFERENCES tenants (id),
    algorithm     INTEGER NOT NULL CHECK (algorithm BETWEEN 1 AND 65535),
    uses_per_day  INTEGER NOT NULL CHECK (uses_per_day BETWEEN 0 AND 4294967295),
    PRIMARY KEY (tenant_id, algorithm)
) STRICT, WITHOUT ROWID;

-- Counts of usage as of `usage_position`. What the ledger says after that position is added when policyd starts: the
-- ledger is the log of these tables.
CREATE TABLE usage_months (
    tenant_id     BLOB    NOT NULL CHECK (length(tenant_id) = 16) REFERENCES tenants (id),
    -- Months since year 0: 12 * year + month - 1.
    month         INTEGER NOT NULL,
    calls         INTEGER NOT NULL CHECK (calls >= 0),
    PRIMARY KEY (tenant_id, month)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_days (
    tenant_id     BLOB    NOT NULL CHECK (length(tenant_id) = 16) REFERENCES tenants (id),
    algorithm     INTEGER NOT NULL CHECK (algorithm BETWEEN 1 AND 65535),
    -- Days since 1970-01-01.
    day           INTEGER NOT NULL,
    uses          INTEGER NOT NULL CHECK (uses >= 0),
    PRIMARY KEY (tenant_id, algorithm, day)
) STRICT, WITHOUT ROWID;

-- Of each ledger there ever was here: one that was set aside and is put back is not counted again.
CREATE TABLE usage_position (
    ledger        BLOB    NOT NULL PRIMARY KEY CHECK (length(ledger) = 16),
    -- The number of the last record that is counted.
    seq           INTEGER NOT NULL CHECK (seq >= 0)
) STRICT;

-- First answers under an Idempotency-Key, kept for a day. An answer may hold the secret of a new API key, so it is
-- sealed under a key that the database does not have.
CREATE TABLE idempotent_answers (
    tenant_id     BLOB    NOT NULL CHECK (length(tenant_id) = 16) REFERENCES tenants (id),
    key_hash      BLOB    NOT NULL CHECK (length(key_hash) = 32),
    request_hash  BLOB    NOT NULL CHECK (length(request_hash) = 32),
    sealed_answer BLOB    NOT NULL CHECK (length(sealed_answer) > 0),
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, key_hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotent_answers_by_age ON idempotent_answers (created_at_ms);
