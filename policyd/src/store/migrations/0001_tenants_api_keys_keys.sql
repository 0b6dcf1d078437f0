-- Tenants, their API keys and their keys.
--
-- Every table that belongs to tenants has the tenant's id in its primary key and in its foreign keys, so that a row of
-- one tenant cannot point at a row of another. Identifiers are 16 bytes, hashes 32, times Unix milliseconds.

CREATE TABLE tenants (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name          TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255),
    plan          TEXT    NOT NULL CHECK (plan IN ('free', 'starter', 'growth', 'pro', 'enterprise')),
    status        TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    tenant_id     BLOB    NOT NULL CHECK (length(tenant_id) = 16) REFERENCES tenants (id),
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    version       INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    name          TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    scopes        TEXT    NOT NULL CHECK (length(scopes) > 0),
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
    tenant_id     BLOB    NOT NULL CHECK (length(tenant_id) = 16) REFERENCES tenants (id),
    algorithm     INTEGER NOT NULL CHECK (algorithm BETWEEN 1 AND 65535),
    version       INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    -- 'pending': reserved while keyd makes the key; nobody has been told of it, and nobody can read it.
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'retired', 'archived')),
    -- keyd's name for the private key. The private key itself is nowhere in this database.
    handle        BLOB    NOT NULL CHECK (length(handle) = 16),
    public_key    BLOB    NOT NULL CHECK (state = 'pending' OR length(public_key) > 0),
    made_by       BLOB    NOT NULL CHECK (length(made_by) = 16),
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, algorithm, version),
    FOREIGN KEY (tenant_id, made_by) REFERENCES api_keys (tenant_id, id)
) STRICT;

CREATE UNIQUE INDEX keys_by_handle ON keys (handle);
CREATE UNIQUE INDEX keys_one_active ON keys (tenant_id, algorithm) WHERE state = 'active';
CREATE UNIQUE INDEX keys_one_pending ON keys (tenant_id, algorithm) WHERE state = 'pending';
