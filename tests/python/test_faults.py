"""What the client sees while a part of the installation is broken. Run one at a time, by who broke it."""

import os
import time

import pytest
from qpher.errors import ServerError

from conftest import KEM, SIGNATURE

FAULT = os.environ.get("CHANCEL_TEST_FAULT", "")
pytestmark = pytest.mark.fault


@pytest.mark.skipif(not FAULT.endswith((" away", " frozen")), reason="every daemon works")
@pytest.mark.parametrize("name", ["decrypt", "decapsulate", "unwrap", "sign", "rotate"])
def test_what_needs_the_daemon_is_a_typed_error_within_a_second(connect, main_key, raises, name):
    client = connect(main_key, max_retries=0)
    call = {
        "decrypt": lambda: client.kem.decrypt(bytes(1200), 1),
        "decapsulate": lambda: client.kem.decapsulate(bytes(1088), 1),
        "unwrap": lambda: client.kem.unwrap(bytes(1156), 1),
        "sign": lambda: client.signatures.sign(b"x"),
        "rotate": lambda: client.keys.rotate(KEM),
    }[name]
    before = time.monotonic()
    raises(ServerError, "ERR_SERVICE_001", 503, call)
    # A second, and what a busy machine adds.
    assert time.monotonic() - before < 2


@pytest.mark.skipif(not FAULT.startswith("policyd "), reason="policyd works")
def test_nothing_is_done_without_a_decision(connect, main_key, raises):
    client = connect(main_key, max_retries=0)
    for call in (
        lambda: client.kem.encrypt(b"x"),
        lambda: client.signatures.verify(b"x", bytes(3309), 1),
        lambda: client.keys.get_active(KEM),
        lambda: client.keys.list(),
        lambda: client._http.get("/api/v1/tenants/"),
    ):
        raises(ServerError, "ERR_SERVICE_001", 503, call)


@pytest.mark.skipif(not FAULT.startswith("keyd "), reason="keyd works")
def test_public_key_work_goes_on_without_keyd(connect, main_key):
    client = connect(main_key, max_retries=0)
    assert client.keys.list().total >= 2
    assert client.signatures.verify(b"x", bytes(3309), 1).valid is False


@pytest.mark.skipif(FAULT != "key file damaged", reason="no key file is damaged")
def test_a_damaged_key_file_is_a_typed_error_for_that_key_alone(connect, main_key, raises):
    client = connect(main_key, max_retries=0)
    version = client.keys.get_active(SIGNATURE).key_version
    raises(ServerError, "ERR_KMS_003", 500, client.signatures.sign, b"x")
    assert client.signatures.verify(b"x", bytes(3309), version).valid is False
    kem = client.keys.get_active(KEM).key_version
    assert client.kem.decrypt(client.kem.encrypt(b"unharmed").ciphertext, kem).plaintext == b"unharmed"
