"""Wrap and unwrap of symmetric keys."""

import os

import pytest
from qpher.errors import NotFoundError, ValidationError

from conftest import KEM, is_uuid

LENGTHS = [16, 24, 32, 48, 64]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("algorithm", [None, KEM])
def test_round_trip(client, kem_version, length, algorithm):
    key = os.urandom(length)
    wrapped = client.kem.wrap(key, kem_version, algorithm)
    assert (wrapped.key_version, wrapped.algorithm, wrapped.wrapping_method) == (kem_version, KEM, "KEM-DEM")
    assert key not in wrapped.wrapped_key
    assert is_uuid(wrapped.request_id)
    unwrapped = client.kem.unwrap(wrapped.wrapped_key, kem_version, algorithm)
    assert unwrapped.symmetric_key == key
    assert (unwrapped.key_version, unwrapped.algorithm) == (kem_version, KEM)
    assert is_uuid(unwrapped.request_id)


@pytest.mark.parametrize("length", [0, 1, 15, 17, 31, 33, 63, 65, 128, 4096])
def test_other_lengths_are_refused(client, kem_version, raises, length):
    error = raises(ValidationError, "ERR_KEM_010", 400, client.kem.wrap, bytes(length), kem_version)
    assert str(length) in error.message


def test_a_changed_wrapped_key_does_not_unwrap(client, kem_version, raises):
    wrapped = client.kem.wrap(bytes(32), kem_version).wrapped_key
    for at in [*range(0, 8), 8, 500, 967, 968, 1095, *range(1096, len(wrapped))]:
        changed = bytearray(wrapped)
        changed[at] ^= 1
        raises(ValidationError, "ERR_KEM_011", 400, client.kem.unwrap, bytes(changed), kem_version)
    for other in (b"", wrapped[:-1], wrapped + b"\0", wrapped[:1108]):
        raises(ValidationError, "ERR_KEM_011", 400, client.kem.unwrap, other, kem_version)


def test_versions_that_do_not_exist(client, kem_version, raises):
    wrapped = client.kem.wrap(bytes(32), kem_version).wrapped_key
    raises(NotFoundError, "ERR_KEM_005", 404, client.kem.wrap, bytes(32), 99)
    raises(NotFoundError, "ERR_KEM_005", 404, client.kem.unwrap, wrapped, 99)


@pytest.mark.parametrize("version", [0, -1, None, 2**32, "1"])
def test_a_version_is_required(client, raises, version):
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.wrap, bytes(32), version)
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.unwrap, bytes(1156), version)
