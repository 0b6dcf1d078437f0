"""The life of keys: generate, rotate, retire, and every way to look at them."""

import datetime

import pytest
from qpher.errors import ForbiddenError, NotFoundError, ServerError, ValidationError

from conftest import KEM, SIGNATURE, is_uuid

PUBLIC_KEY_LENGTH = {KEM: 1184, SIGNATURE: 1952}
FIRST_USE = {
    KEM: lambda client: client.kem.encrypt(b"x"),
    SIGNATURE: lambda client: client.signatures.sign(b"x"),
}
NO_KEY = {KEM: "ERR_KEM_005", SIGNATURE: "ERR_SIG_003"}


def timestamp(text):
    parsed = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    assert parsed.tzinfo is not None
    return parsed


@pytest.mark.parametrize("algorithm", [KEM, SIGNATURE])
def test_a_key_lives_from_generate_over_rotate_to_retire(connect, keys, raises, algorithm):
    client = connect(keys["lifecycle"])
    before = datetime.datetime.now(datetime.timezone.utc)

    raises(NotFoundError, "ERR_NOT_FOUND_001", 404, client.keys.get_active, algorithm)
    raises(NotFoundError, "ERR_NOT_FOUND_001", 404, client.keys.rotate, algorithm)
    raises(NotFoundError, "ERR_NOT_FOUND_001", 404, client.keys.retire, algorithm, 1)
    raises(NotFoundError, NO_KEY[algorithm], 404, FIRST_USE[algorithm], client)

    first = client.keys.generate(algorithm)
    assert (first.key_version, first.algorithm, first.status) == (1, algorithm, "active")
    assert len(first.public_key) == PUBLIC_KEY_LENGTH[algorithm]
    assert abs(timestamp(first.created_at) - before) < datetime.timedelta(minutes=5)
    assert is_uuid(first.request_id)

    error = raises(ServerError, "ERR_CONFLICT_002", 409, client.keys.generate, algorithm)
    assert "rotate" in error.message

    active = client.keys.get_active(algorithm)
    assert (active.key_version, active.status) == (1, "active")
    assert (active.public_key, active.created_at) == (first.public_key, first.created_at)
    assert client.keys.get(algorithm, 1) == active

    second = client.keys.rotate(algorithm)
    assert (second.key_version, second.algorithm, second.old_key_version) == (2, algorithm, 1)
    assert len(second.public_key) == PUBLIC_KEY_LENGTH[algorithm]
    assert second.public_key != first.public_key
    assert client.keys.get(algorithm, 1).status == "retired"
    assert client.keys.get(algorithm, 1).public_key == first.public_key
    assert client.keys.get_active(algorithm).key_version == 2
    assert FIRST_USE[algorithm](client).key_version == 2

    third = client.keys.rotate(algorithm)
    assert (third.key_version, third.old_key_version) == (3, 2)

    raises(ServerError, "ERR_CONFLICT_003", 409, client.keys.retire, algorithm, 1)
    retired = client.keys.retire(algorithm, 3)
    assert (retired.key_version, retired.algorithm, retired.status) == (3, algorithm, "retired")
    assert retired.public_key == third.public_key
    raises(NotFoundError, "ERR_NOT_FOUND_001", 404, client.keys.get_active, algorithm)
    raises(NotFoundError, NO_KEY[algorithm], 404, FIRST_USE[algorithm], client)

    fourth = client.keys.generate(algorithm)
    assert (fourth.key_version, fourth.status) == (4, "active")

    listed = client.keys.list(algorithm=algorithm)
    assert listed.total == 4
    assert is_uuid(listed.request_id)
    assert sorted((key.key_version, key.status) for key in listed.keys) == [
        (1, "retired"),
        (2, "retired"),
        (3, "retired"),
        (4, "active"),
    ]
    for key in listed.keys:
        assert key == client.keys.get(algorithm, key.key_version)
    assert [key.key_version for key in client.keys.list(algorithm, "active").keys] == [4]
    assert client.keys.list(algorithm, "retired").total == 3
    assert client.keys.list(algorithm, "archived").keys == []


def test_lists_hold_all_algorithms_and_only_the_callers_own(client, other, connect, keys):
    listed = client.keys.list()
    assert {key.algorithm for key in listed.keys} == {KEM, SIGNATURE}
    assert listed.total == len(listed.keys) == 2
    assert client.keys.list(status="active").total == 2
    theirs = {key.public_key for key in other.keys.list().keys}
    assert theirs.isdisjoint(key.public_key for key in listed.keys)
    assert connect(keys["empty"]).keys.list().keys == []


def test_generate_answers_201(connect, keys):
    client = connect(keys["generate"])
    session, url = client._http._session, client._http._base_url
    answer = session.post(f"{url}/api/v1/kms/keys/generate", json={"algorithm": KEM})
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"]
    timestamp(answer.json()["timestamp"])


def test_standard_names_are_aliases_and_are_echoed(connect, keys):
    client = connect(keys["aliases"])
    generated = client.keys.generate("ML-KEM-768")
    assert generated.algorithm == "ML-KEM-768"
    assert client.keys.get_active(KEM).public_key == generated.public_key
    assert client.keys.get_active(KEM).algorithm == KEM
    assert client.keys.get("ML-KEM-768", 1).algorithm == "ML-KEM-768"
    encrypted = client.kem.encrypt(b"either name", algorithm=KEM)
    assert client.kem.decrypt(encrypted.ciphertext, 1).plaintext == b"either name"
    assert client.keys.rotate("ML-KEM-768").algorithm == "ML-KEM-768"
    assert client.keys.generate("ML-DSA-65").algorithm == "ML-DSA-65"
    assert client.signatures.sign(b"x").algorithm == SIGNATURE


@pytest.mark.parametrize("algorithm", ["RSA", "", "kyber768", "Kyber768 ", "Kyber1024", "X" * 5000, "\u00dc"])
def test_unknown_algorithms_are_refused(client, raises, algorithm):
    for call in (client.keys.generate, client.keys.rotate, client.keys.get_active):
        raises(ValidationError, "ERR_KMS_001", 400, call, algorithm)
    raises(ValidationError, "ERR_KMS_001", 400, client.keys.get, algorithm, 1)
    raises(ValidationError, "ERR_KMS_001", 400, client.keys.retire, algorithm, 1)
    if algorithm:
        raises(ValidationError, "ERR_KMS_001", 400, client.keys.list, algorithm)


def test_versions_that_do_not_exist(client, raises):
    for version in (99, 2**31, 2**32 - 1):
        raises(NotFoundError, "ERR_NOT_FOUND_001", 404, client.keys.get, KEM, version)
        raises(NotFoundError, "ERR_NOT_FOUND_001", 404, client.keys.retire, KEM, version)


@pytest.mark.parametrize("version", [0, -1, 2**32, 2**64, 1.5, "1", None, True, [1]])
def test_versions_that_cannot_exist(client, raises, version):
    raises(ValidationError, "ERR_INVALID_001", 400, client.keys.retire, KEM, version)


def test_an_unknown_state_is_no_filter(client, raises):
    raises(ValidationError, "ERR_INVALID_001", 400, client.keys.list, KEM, "frozen")


def test_the_free_plan_has_no_rotation(connect, keys, raises):
    client = connect(keys["free"])
    client.keys.generate(KEM)
    raises(ForbiddenError, "ERR_FORBIDDEN_001", 403, client.keys.rotate, KEM)
    assert client.keys.get_active(KEM).key_version == 1
