"""Encrypt and decrypt: round trips of all sizes, defaults, limits, versions, and what tampering yields."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from qpher.errors import NotFoundError, ValidationError

from conftest import KEM, is_uuid

SIZES = [0, 1, 15, 16, 17, 1024, 64 * 1024, 1024 * 1024]
HEADER, ENCAPSULATED, IV, TAG = 8, 1088, 12, 16
OVERHEAD = HEADER + ENCAPSULATED + IV + TAG


@pytest.mark.parametrize("size", SIZES)
def test_round_trip(client, kem_version, size):
    plaintext = os.urandom(size)
    encrypted = client.kem.encrypt(plaintext, key_version=kem_version)
    assert (encrypted.key_version, encrypted.algorithm) == (kem_version, KEM)
    assert len(encrypted.ciphertext) == size + OVERHEAD
    assert is_uuid(encrypted.request_id)
    decrypted = client.kem.decrypt(encrypted.ciphertext, key_version=kem_version)
    assert decrypted.plaintext == plaintext
    assert (decrypted.key_version, decrypted.algorithm) == (kem_version, KEM)
    assert is_uuid(decrypted.request_id)
    assert decrypted.request_id != encrypted.request_id


@pytest.mark.parametrize("excess", [1, 1024, 1024 * 1024, 9 * 1024 * 1024])
def test_larger_plaintexts_get_a_typed_answer(client, raises, excess):
    raises(ValidationError, "ERR_INVALID_004", 400, client.kem.encrypt, bytes(1024 * 1024 + excess))
    # The same client, so most likely the same connection: it must still be in step.
    assert client.kem.encrypt(b"small").algorithm == KEM


def test_key_version_and_algorithm_may_be_omitted(client, kem_version):
    for arguments in ({}, {"algorithm": KEM}, {"key_version": 0}, {"key_version": None}):
        encrypted = client.kem.encrypt(b"omitted", **arguments)
        assert (encrypted.key_version, encrypted.algorithm) == (kem_version, KEM)
    decrypted = client.kem.decrypt(encrypted.ciphertext, kem_version, algorithm=KEM)
    assert decrypted.plaintext == b"omitted"


def test_equal_plaintexts_have_unequal_ciphertexts(client):
    ciphertexts = {client.kem.encrypt(b"the same").ciphertext for _ in range(8)}
    assert len(ciphertexts) == 8
    bodies = {ciphertext[HEADER + ENCAPSULATED + IV :] for ciphertext in ciphertexts}
    assert len(bodies) == 8


def test_many_at_once(client, kem_version):
    def round_trip(number):
        plaintext = number.to_bytes(4, "big") * 64
        encrypted = client.kem.encrypt(plaintext)
        return client.kem.decrypt(encrypted.ciphertext, kem_version).plaintext == plaintext

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(round_trip, range(256)))


def test_deterministic_mode(client, kem_version, raises):
    def sealed(plaintext=b"x", salt=bytes(32)):
        return client.kem.encrypt(plaintext, mode="deterministic", salt=salt).ciphertext

    assert sealed() == sealed()
    assert client.kem.decrypt(sealed(), kem_version).plaintext == b"x"
    assert len({sealed(), sealed(b"y"), sealed(salt=bytes(33)), client.kem.encrypt(b"x").ciphertext}) == 4
    raises(ValidationError, "ERR_KEM_002", 400, client.kem.encrypt, b"x", mode="deterministic", salt=bytes(31))
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.encrypt, b"x", mode="deterministic")


def test_another_mode_is_refused(client, raises):
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.encrypt, b"x", mode="fast")


def test_versions_that_do_not_exist(client, raises):
    ciphertext = client.kem.encrypt(b"x").ciphertext
    for version in (99, 2**32 - 1):
        raises(NotFoundError, "ERR_KEM_005", 404, client.kem.encrypt, b"x", key_version=version)
        raises(NotFoundError, "ERR_KEM_005", 404, client.kem.decrypt, ciphertext, version)


@pytest.mark.parametrize("version", [-1, 2**32, 2**64, 1.5, "1", True, [], {}])
def test_versions_that_cannot_exist(client, raises, version):
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.encrypt, b"x", key_version=version)
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.decrypt, bytes(1200), version)


@pytest.mark.parametrize("version", [0, None])
def test_decrypt_needs_a_version(client, raises, version):
    raises(ValidationError, "ERR_INVALID_001", 400, client.kem.decrypt, bytes(1200), version)


class Sealed:
    """A ciphertext and its regions."""

    def __init__(self, ciphertext):
        self.ciphertext = ciphertext
        iv = HEADER + ENCAPSULATED
        tag = len(ciphertext) - TAG
        self.regions = {
            "header": range(HEADER),
            "encapsulated": sorted({*range(HEADER, iv, 23), HEADER + 959, HEADER + 960, iv - 1}),
            "iv": range(iv, iv + IV),
            "body": range(iv + IV, tag),
            "tag": range(tag, len(ciphertext)),
        }

    def flipped(self, at, bit):
        changed = bytearray(self.ciphertext)
        changed[at] ^= 1 << bit
        return bytes(changed)


@pytest.fixture(scope="module")
def sealed(client):
    return Sealed(client.kem.encrypt(b"what nobody else may change").ciphertext)


@pytest.mark.parametrize("region", ["header", "encapsulated", "iv", "body", "tag"])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_changed_bit_does_not_decrypt(client, kem_version, raises, sealed, region, bit):
    positions = sealed.regions[region]
    assert positions
    for at in positions:
        raises(ValidationError, "ERR_KEM_003", 400, client.kem.decrypt, sealed.flipped(at, bit), kem_version)
    assert client.kem.decrypt(sealed.ciphertext, kem_version).plaintext


def test_a_cut_or_extended_ciphertext_does_not_decrypt(client, kem_version, raises, sealed):
    whole = sealed.ciphertext
    lengths = {0, 1, 7, 8, 9, 1095, 1096, 1097, 1107, 1108, 1123, 1124, len(whole) - TAG, len(whole) - 1}
    for length in lengths:
        raises(ValidationError, "ERR_KEM_003", 400, client.kem.decrypt, whole[:length], kem_version)
    for other in (whole + b"\0", b"\0" + whole, whole + whole, whole[1:], whole[::-1], bytes(len(whole))):
        raises(ValidationError, "ERR_KEM_003", 400, client.kem.decrypt, other, kem_version)


def test_parts_of_two_ciphertexts_do_not_decrypt_together(client, kem_version, raises):
    one = client.kem.encrypt(b"same length 1").ciphertext
    two = client.kem.encrypt(b"same length 2").ciphertext
    for cut in (HEADER + ENCAPSULATED, HEADER + ENCAPSULATED + IV, len(one) - TAG):
        raises(ValidationError, "ERR_KEM_003", 400, client.kem.decrypt, one[:cut] + two[cut:], kem_version)


def test_a_wrapped_key_is_no_ciphertext(client, kem_version, raises):
    wrapped = client.kem.wrap(bytes(32), kem_version).wrapped_key
    raises(ValidationError, "ERR_KEM_003", 400, client.kem.decrypt, wrapped, kem_version)
    ciphertext = client.kem.encrypt(bytes(32)).ciphertext
    raises(ValidationError, "ERR_KEM_011", 400, client.kem.unwrap, ciphertext, kem_version)


def test_every_failure_to_decrypt_says_the_same(client, kem_version, raises, sealed):
    messages = {
        raises(ValidationError, "ERR_KEM_003", 400, client.kem.decrypt, changed, kem_version).message
        for changed in (sealed.flipped(0, 0), sealed.flipped(600, 0), sealed.flipped(-1, 0), b"")
    }
    assert len(messages) == 1


def test_a_ciphertext_opens_with_its_own_version_only(connect, keys, raises):
    client = connect(keys["versions"])
    client.keys.generate(KEM)
    first = client.kem.encrypt(b"first").ciphertext
    client.keys.rotate(KEM)
    second = client.kem.encrypt(b"second").ciphertext
    raises(ValidationError, "ERR_KEM_003", 400, client.kem.decrypt, first, 2)
    raises(ValidationError, "ERR_KEM_003", 400, client.kem.decrypt, second, 1)
    assert client.kem.decrypt(first, 1).plaintext == b"first"
    assert client.kem.decrypt(second, 2).plaintext == b"second"


def test_a_retired_version_decrypts_and_does_not_encrypt(connect, keys, raises):
    client = connect(keys["retired_kem"])
    client.keys.generate(KEM)
    ciphertext = client.kem.encrypt(b"kept").ciphertext
    wrapped = client.kem.wrap(b"k" * 32, 1).wrapped_key
    encapsulated = client.kem.encapsulate(1)
    local = client.kem.encrypt_local(b"kept here", 1)
    for make_retired in (lambda: client.keys.rotate(KEM), lambda: client.keys.retire(KEM, 2)):
        make_retired()
        raises(NotFoundError, "ERR_KEM_005", 404, client.kem.encrypt, b"x", key_version=1)
        raises(NotFoundError, "ERR_KEM_005", 404, client.kem.wrap, bytes(32), 1)
        raises(NotFoundError, "ERR_KEM_005", 404, client.kem.encapsulate, 1)
        raises(NotFoundError, "ERR_KEM_005", 404, client.kem.encrypt_local, b"x", 1)
        assert client.kem.decrypt(ciphertext, 1).plaintext == b"kept"
        assert client.kem.unwrap(wrapped, 1).symmetric_key == b"k" * 32
        secret = client.kem.decapsulate(encapsulated.kem_ciphertext, 1).shared_secret
        assert secret == encapsulated.shared_secret
        assert client.kem.decrypt_local(local) == b"kept here"
    raises(NotFoundError, "ERR_KEM_005", 404, client.kem.encrypt, b"x")


def test_another_tenant_never_sees_plaintext(client, other, kem_version, raises):
    plaintext = os.urandom(64)
    ciphertext = client.kem.encrypt(plaintext).ciphertext
    # Both tenants have that version, so the answer is the one for any ciphertext that does not open.
    raises(ValidationError, "ERR_KEM_003", 400, other.kem.decrypt, ciphertext, kem_version)
    wrapped = client.kem.wrap(plaintext, kem_version).wrapped_key
    raises(ValidationError, "ERR_KEM_011", 400, other.kem.unwrap, wrapped, kem_version)


def test_a_tenant_without_that_version_is_told_so(client, connect, keys, kem_version, raises):
    ciphertext = client.kem.encrypt(b"x").ciphertext
    stranger = connect(keys["empty"])
    raises(NotFoundError, "ERR_KEM_005", 404, stranger.kem.decrypt, ciphertext, kem_version)
