"""Encapsulate and decapsulate, and the SDK's client-side encryption on top of them."""

import os

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from qpher.errors import NotFoundError, ValidationError
from qpher.types import EncryptedEnvelope

from conftest import KEM, is_uuid


def test_both_sides_have_the_same_secret(client, kem_version):
    for algorithm in (None, KEM):
        made = client.kem.encapsulate(kem_version, algorithm)
        assert (len(made.kem_ciphertext), len(made.shared_secret)) == (1088, 32)
        assert (made.key_version, made.algorithm) == (kem_version, KEM)
        assert is_uuid(made.request_id)
        found = client.kem.decapsulate(made.kem_ciphertext, kem_version, algorithm)
        assert found.shared_secret == made.shared_secret
        assert (found.key_version, found.algorithm) == (kem_version, KEM)
        assert is_uuid(found.request_id)


def test_secrets_are_fresh(client, kem_version):
    made = [client.kem.encapsulate(kem_version) for _ in range(8)]
    assert len({each.shared_secret for each in made}) == 8
    assert len({each.kem_ciphertext for each in made}) == 8


def test_a_third_implementation_encapsulates_to_the_published_key(client, kem_version):
    published = MLKEM768PublicKey.from_public_bytes(client.keys.get(KEM, kem_version).public_key)
    secret, ciphertext = published.encapsulate()
    assert client.kem.decapsulate(ciphertext, kem_version).shared_secret == secret


def test_a_changed_ciphertext_gives_another_secret(client, kem_version):
    made = client.kem.encapsulate(kem_version)
    for at in (0, 1, 500, 959, 960, 1087):
        changed = bytearray(made.kem_ciphertext)
        changed[at] ^= 1
        first = client.kem.decapsulate(bytes(changed), kem_version).shared_secret
        assert len(first) == 32
        assert first != made.shared_secret
        # Implicit rejection is a function of key and ciphertext (FIPS 203).
        assert client.kem.decapsulate(bytes(changed), kem_version).shared_secret == first


def test_another_tenant_finds_another_secret(client, other, kem_version):
    made = client.kem.encapsulate(kem_version)
    assert other.kem.decapsulate(made.kem_ciphertext, kem_version).shared_secret != made.shared_secret


@pytest.mark.parametrize("length", [0, 1, 32, 1087, 1089, 1120, 4096])
def test_a_ciphertext_of_another_length_is_refused(client, kem_version, raises, length):
    raises(ValidationError, "ERR_KEM_003", 400, client.kem.decapsulate, bytes(length), kem_version)


def test_versions_that_do_not_exist(client, raises):
    raises(NotFoundError, "ERR_KEM_005", 404, client.kem.encapsulate, 99)
    raises(NotFoundError, "ERR_KEM_005", 404, client.kem.decapsulate, bytes(1088), 99)


@pytest.mark.parametrize("version", [0, -1, None, 2**32, "1"])
def test_a_version_is_required(client, raises, version):
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.encapsulate, version)
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.decapsulate, bytes(1088), version)


@pytest.mark.parametrize("size", [0, 1, 17, 64 * 1024, 3 * 1024 * 1024])
def test_local_encryption_round_trip(client, kem_version, size):
    plaintext = os.urandom(size)
    envelope = client.kem.encrypt_local(plaintext, kem_version)
    assert (envelope.key_version, envelope.algorithm) == (kem_version, KEM)
    assert client.kem.decrypt_local(envelope) == plaintext


def test_local_encryption_survives_serialisation(client, kem_version):
    envelope = client.kem.encrypt_local(b"stored", kem_version, KEM)
    restored = EncryptedEnvelope.from_bytes(envelope.to_bytes(), key_version=kem_version, algorithm=KEM)
    assert client.kem.decrypt_local(restored) == b"stored"


def test_a_changed_local_ciphertext_does_not_decrypt(client, kem_version):
    envelope = client.kem.encrypt_local(b"local", kem_version)
    for field in ("kem_ciphertext", "iv", "aes_ciphertext"):
        changed = bytearray(getattr(envelope, field))
        changed[len(changed) // 2] ^= 1
        parts = {**envelope.__dict__, field: bytes(changed)}
        with pytest.raises(InvalidTag):
            client.kem.decrypt_local(EncryptedEnvelope(**parts))
