"""Sign and verify."""

import os

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from qpher.errors import NotFoundError, ValidationError

from conftest import SIGNATURE, is_uuid

SIZES = [0, 1, 15, 16, 17, 1024, 64 * 1024, 1024 * 1024]
LENGTH = 3309


@pytest.mark.parametrize("size", SIZES)
def test_round_trip(client, signature_version, size):
    message = os.urandom(size)
    signed = client.signatures.sign(message, key_version=signature_version)
    assert len(signed.signature) == LENGTH
    assert (signed.key_version, signed.algorithm) == (signature_version, SIGNATURE)
    assert is_uuid(signed.request_id)
    verified = client.signatures.verify(message, signed.signature, signature_version)
    assert verified.valid is True
    assert (verified.key_version, verified.algorithm) == (signature_version, SIGNATURE)
    assert is_uuid(verified.request_id)


@pytest.mark.parametrize("excess", [1, 1024 * 1024, 9 * 1024 * 1024])
def test_larger_messages_get_a_typed_answer(client, signature_version, raises, excess):
    message = bytes(1024 * 1024 + excess)
    raises(ValidationError, "ERR_INVALID_004", 400, client.signatures.sign, message)
    raises(
        ValidationError, "ERR_INVALID_004", 400, client.signatures.verify, message, bytes(LENGTH), signature_version
    )
    assert client.signatures.sign(b"small").algorithm == SIGNATURE


def test_key_version_and_algorithm_may_be_omitted(client, signature_version):
    for arguments in ({}, {"algorithm": SIGNATURE}, {"key_version": 0}):
        signed = client.signatures.sign(b"omitted", **arguments)
        assert (signed.key_version, signed.algorithm) == (signature_version, SIGNATURE)
    assert client.signatures.verify(b"omitted", signed.signature, signature_version, SIGNATURE).valid


def test_a_third_implementation_verifies(client, signature_version):
    published = MLDSA65PublicKey.from_public_bytes(client.keys.get(SIGNATURE, signature_version).public_key)
    for message in (b"", b"x", os.urandom(100_000)):
        signature = client.signatures.sign(message).signature
        published.verify(signature, message)
        with pytest.raises(InvalidSignature):
            published.verify(signature, message + b"\0")


def test_signatures_are_hedged(client):
    assert len({client.signatures.sign(b"the same").signature for _ in range(4)}) == 4


def test_a_changed_signature_or_message_is_invalid_and_no_error(client, signature_version):
    message = b"what was signed"
    signature = client.signatures.sign(message).signature

    def valid(message, signature):
        return client.signatures.verify(message, signature, signature_version).valid

    assert valid(message, signature) is True
    # Commitment hash, response vector and hint are checked by different steps of verification.
    for at in [*range(0, 48, 7), 47, 48, *range(49, 3248, 199), 3247, 3248, *range(3249, LENGTH, 7), LENGTH - 1]:
        changed = bytearray(signature)
        changed[at] ^= 1
        assert valid(message, bytes(changed)) is False, at
    for at in range(len(message)):
        changed = bytearray(message)
        changed[at] ^= 0x80
        assert valid(bytes(changed), signature) is False, at
    for other in (message[:-1], message + b"\0", b""):
        assert valid(other, signature) is False
    lengths = (b"", signature[:-1], signature + b"\0", bytes(70_000))
    for other in (*lengths, bytes(LENGTH), os.urandom(LENGTH), b"\xff" * LENGTH):
        assert valid(message, other) is False, len(other)
    assert valid(message, signature) is True


def test_another_tenants_key_does_not_verify(client, other, signature_version):
    signature = client.signatures.sign(b"mine").signature
    assert other.signatures.verify(b"mine", signature, signature_version).valid is False


def test_versions_that_do_not_exist(client, raises):
    for version in (99, 2**32 - 1):
        raises(NotFoundError, "ERR_SIG_003", 404, client.signatures.sign, b"x", key_version=version)
        raises(NotFoundError, "ERR_SIG_003", 404, client.signatures.verify, b"x", bytes(LENGTH), version)


@pytest.mark.parametrize("version", [-1, 2**32, 2**64, 1.5, "1", True, [], {}])
def test_versions_that_cannot_exist(client, raises, version):
    raises(ValidationError, "ERR_INVALID_001", 400, client.signatures.sign, b"x", key_version=version)
    raises(ValidationError, "ERR_INVALID_001", 400, client.signatures.verify, b"x", bytes(LENGTH), version)


@pytest.mark.parametrize("version", [0, None])
def test_verify_needs_a_version(client, raises, version):
    raises(ValidationError, "ERR_INVALID_001", 400, client.signatures.verify, b"x", bytes(LENGTH), version)


def test_a_signature_belongs_to_its_version(connect, keys):
    client = connect(keys["versions"])
    client.keys.generate(SIGNATURE)
    first = client.signatures.sign(b"m").signature
    client.keys.rotate(SIGNATURE)
    second = client.signatures.sign(b"m").signature
    for version, valid, invalid in ((1, first, second), (2, second, first)):
        assert client.signatures.verify(b"m", valid, version).valid is True
        assert client.signatures.verify(b"m", invalid, version).valid is False


def test_a_retired_version_verifies_and_does_not_sign(connect, keys, raises):
    client = connect(keys["retired_signature"])
    client.keys.generate(SIGNATURE)
    signature = client.signatures.sign(b"kept").signature
    for make_retired in (lambda: client.keys.rotate(SIGNATURE), lambda: client.keys.retire(SIGNATURE, 2)):
        make_retired()
        raises(NotFoundError, "ERR_SIG_003", 404, client.signatures.sign, b"x", key_version=1)
        assert client.signatures.verify(b"kept", signature, 1).valid is True
        assert client.signatures.verify(b"lost", signature, 1).valid is False
    raises(NotFoundError, "ERR_SIG_003", 404, client.signatures.sign, b"x")
