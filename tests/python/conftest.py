"""The running Chancel that these tests are pointed at, as the clients see it.

The Python SDK and its command are used as published; nothing of them is patched. What to talk to comes from the
environment: CHANCEL_TEST_URL, CHANCEL_TEST_KEY (an API key of an enterprise tenant), CHANCEL_TEST_KEYS (a JSON object
of further API keys, see `Keys`) and, for TLS with a private authority, REQUESTS_CA_BUNDLE. Tenants must be new.
"""

import json
import os
import uuid

import pytest
from qpher import Qpher
from qpher.errors import QpherError

KEM = "Kyber768"
SIGNATURE = "Dilithium3"


class Keys:
    """API keys by what they are: one tenant each unless said otherwise.

    other, lifecycle, generate, aliases, versions, retired_kem, retired_signature, empty, cli, cli_lifecycle, algorithms:
        enterprise tenants, without keys at first
    free, limited: tenants of the free plan
    suspended: a suspended tenant
    verify_only, signatures_only: of the main tenant, with those scopes
    revoked, expired, rotated: of the main tenant, no longer valid
    """

    def __init__(self, text):
        self._keys = json.loads(text)

    def __getitem__(self, name):
        return self._keys[name]


def setting(name):
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"{name} is not set: these tests need a running Chancel", returncode=2)
    return value


@pytest.fixture(scope="session")
def url():
    return setting("CHANCEL_TEST_URL")


@pytest.fixture(scope="session")
def main_key():
    return setting("CHANCEL_TEST_KEY")


@pytest.fixture(scope="session")
def keys():
    return Keys(setting("CHANCEL_TEST_KEYS"))


@pytest.fixture(scope="session")
def connect(url):
    """Makes a client for an API key, with the client's own retries of 429 and 503 unless asked otherwise."""

    def connect(api_key, base_url=url, **options):
        return Qpher(api_key=api_key, base_url=base_url, **options)

    return connect


def ensure_key(client, algorithm):
    """The version of the tenant's active key, made when there is none."""
    try:
        return client.keys.get_active(algorithm).key_version
    except QpherError as error:
        assert error.status_code == 404
        return client.keys.generate(algorithm).key_version


@pytest.fixture(scope="session")
def client(connect, main_key):
    """The main tenant, with an active key of each algorithm. Its keys are never rotated or retired."""
    client = connect(main_key)
    for algorithm in (KEM, SIGNATURE):
        ensure_key(client, algorithm)
    return client


@pytest.fixture(scope="session")
def other(connect, keys):
    """A second tenant, with keys of the same algorithms and versions as the first."""
    client = connect(keys["other"])
    for algorithm in (KEM, SIGNATURE):
        ensure_key(client, algorithm)
    return client


@pytest.fixture(scope="session")
def kem_version(client):
    return client.keys.get_active(KEM).key_version


@pytest.fixture(scope="session")
def signature_version(client):
    return client.keys.get_active(SIGNATURE).key_version


@pytest.fixture(scope="session")
def raises():
    """Runs a call that must fail; checks class, code, status, request id and that there is a message."""

    def raises(expected, code, status, call, *arguments, **named):
        with pytest.raises(expected) as caught:
            call(*arguments, **named)
        error = caught.value
        assert type(error) is expected
        assert (error.error_code, error.status_code) == (code, status), error.message
        assert error.message
        uuid.UUID(error.request_id)
        return error

    return raises


def is_uuid(text):
    return str(uuid.UUID(text)) == text
