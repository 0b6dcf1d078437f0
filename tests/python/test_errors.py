"""Every documented error arrives as the client's own exception, with its code, status and request id.

The SDK encodes what it sends, so wrong encodings and fields go through its transport, `client._http`, directly.
"""

import base64
import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse

import pytest
from qpher import errors
from qpher.errors import (
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    ServerError,
    ValidationError,
)

from conftest import KEM, SIGNATURE, is_uuid

NOT_BASE64 = ["-_-_", "AAA", "AA=", "AA", "AAAA\n", " AAAA", "AA AA", "AAAA====", "=AAA", "A===", "AAAB=", "AB=="]
NOT_BASE64 += ["\u00e4AAA", "\0\0\0\0", "AAAA,"]


def b64(data):
    return base64.b64encode(data).decode("ascii")


@pytest.mark.parametrize("name", ["revoked", "expired", "rotated"])
def test_keys_that_are_no_longer_valid(connect, keys, raises, name):
    client = connect(keys[name])
    error = raises(AuthenticationError, "ERR_AUTH_001", 401, client.kem.encrypt, b"x")
    assert name not in error.message.lower(), "which of them it is, is not said"
    raises(AuthenticationError, "ERR_AUTH_001", 401, client.keys.list)


@pytest.mark.parametrize("key", ["qph_", "qph_live_abc", "qph_" + "x" * 32, "qph_" + "0" * 500, "qph_\u00e4"])
def test_keys_that_never_were(connect, raises, key):
    raises(AuthenticationError, "ERR_AUTH_001", 401, connect(key).kem.encrypt, b"x")


def test_a_key_with_one_character_changed(connect, main_key, raises):
    for at in (4, len(main_key) // 2, len(main_key) - 1):
        other = "A" if main_key[at] != "A" else "B"
        changed = main_key[:at] + other + main_key[at + 1 :]
        raises(AuthenticationError, "ERR_AUTH_001", 401, connect(changed).kem.encrypt, b"x")
    for changed in (main_key[:-1], main_key + "0", main_key.swapcase().replace("QPH_", "qph_", 1)):
        raises(AuthenticationError, "ERR_AUTH_001", 401, connect(changed).kem.encrypt, b"x")


def every_call(client):
    """One call of each route, none of which needs a key to exist in order to be denied."""
    return {
        "encrypt": lambda: client.kem.encrypt(b"x"),
        "decrypt": lambda: client.kem.decrypt(bytes(1200), 1),
        "encapsulate": lambda: client.kem.encapsulate(1),
        "decapsulate": lambda: client.kem.decapsulate(bytes(1088), 1),
        "wrap": lambda: client.kem.wrap(bytes(32), 1),
        "unwrap": lambda: client.kem.unwrap(bytes(1156), 1),
        "sign": lambda: client.signatures.sign(b"x"),
        "verify": lambda: client.signatures.verify(b"x", bytes(3309), 1),
        "generate": lambda: client.keys.generate(KEM),
        "rotate": lambda: client.keys.rotate(KEM),
        "retire": lambda: client.keys.retire(KEM, 1),
        "active": lambda: client.keys.get_active(KEM),
        "get": lambda: client.keys.get(KEM, 1),
        "list": lambda: client.keys.list(),
        "tenants": lambda: client._http.get("/api/v1/tenants/"),
    }


def test_a_suspended_tenant_may_do_nothing(connect, keys, raises):
    for call in every_call(connect(keys["suspended"])).values():
        raises(ForbiddenError, "ERR_POLICY_001", 403, call)


def test_without_a_valid_key_there_is_no_route(connect, raises):
    for call in every_call(connect("qph_nobody")).values():
        raises(AuthenticationError, "ERR_AUTH_001", 401, call)


def test_a_key_for_verifying_verifies_and_does_nothing_else(client, connect, keys, signature_version, raises):
    signature = client.signatures.sign(b"x").signature
    scoped = connect(keys["verify_only"])
    assert scoped.signatures.verify(b"x", signature, signature_version).valid is True
    for name, call in every_call(scoped).items():
        if name != "verify":
            raises(ForbiddenError, "ERR_POLICY_001", 403, call)


def test_a_key_for_one_algorithm_reaches_no_other(client, connect, keys, raises):
    scoped = connect(keys["signatures_only"])
    version = scoped.keys.get_active(SIGNATURE).key_version
    signature = scoped.signatures.sign(b"x").signature
    assert scoped.signatures.verify(b"x", signature, version).valid is True
    raises(ForbiddenError, "ERR_POLICY_001", 403, scoped.kem.encrypt, b"x")
    raises(ForbiddenError, "ERR_POLICY_001", 403, scoped.keys.get_active, KEM)
    raises(ForbiddenError, "ERR_POLICY_001", 403, scoped.keys.list)


# Route, the fields of a request that succeeds as far as its form goes, the base64 field, the error of a bad encoding.
ENCODED = [
    ("kem/encrypt", {"mode": "standard"}, "plaintext", "ERR_KEM_001"),
    ("kem/decrypt", {"key_version": 1}, "ciphertext", "ERR_KEM_003"),
    ("kem/decapsulate", {"key_version": 1}, "kem_ciphertext", "ERR_KEM_003"),
    ("kem/key/wrap", {"key_version": 1}, "symmetric_key", "ERR_KEM_001"),
    ("kem/key/unwrap", {"key_version": 1}, "wrapped_key", "ERR_KEM_011"),
    ("signature/sign", {}, "message", "ERR_SIG_001"),
    ("signature/verify", {"key_version": 1, "signature": b64(bytes(3309))}, "message", "ERR_SIG_001"),
    ("signature/verify", {"key_version": 1, "message": b64(b"x")}, "signature", "ERR_SIG_002"),
]


@pytest.mark.parametrize("route, fields, field, code", ENCODED, ids=[f"{row[0]}-{row[2]}" for row in ENCODED])
def test_bytes_must_be_padded_standard_base64(client, raises, route, fields, field, code):
    for text in NOT_BASE64:
        body = {**fields, field: text}
        error = raises(ValidationError, code, 400, client._http.post, f"/api/v1/{route}", body)
        assert text not in error.message


@pytest.mark.parametrize("route, fields, field, code", ENCODED, ids=[f"{row[0]}-{row[2]}" for row in ENCODED])
def test_bytes_must_be_there_and_be_text(client, raises, route, fields, field, code):
    raises(ValidationError, "ERR_INVALID_001", 400, client._http.post, f"/api/v1/{route}", fields)
    for value in (None, 7, 1.5, True, [], ["QQ=="], {}, {"base64": "QQ=="}):
        body = {**fields, field: value}
        error = raises(ValidationError, "ERR_INVALID_001", 400, client._http.post, f"/api/v1/{route}", body)
        assert field in error.message


ROUTES_WITH_ALGORITHM = [
    ("kem/encrypt", {"plaintext": "QQ=="}, SIGNATURE),
    ("kem/decrypt", {"ciphertext": "QQ==", "key_version": 1}, SIGNATURE),
    ("kem/encapsulate", {"key_version": 1}, SIGNATURE),
    ("kem/decapsulate", {"kem_ciphertext": "QQ==", "key_version": 1}, SIGNATURE),
    ("kem/key/wrap", {"symmetric_key": b64(bytes(32)), "key_version": 1}, SIGNATURE),
    ("kem/key/unwrap", {"wrapped_key": "QQ==", "key_version": 1}, SIGNATURE),
    ("signature/sign", {"message": "QQ=="}, KEM),
    ("signature/verify", {"message": "QQ==", "signature": "QQ==", "key_version": 1}, KEM),
]


@pytest.mark.parametrize("route, fields, foreign", ROUTES_WITH_ALGORITHM, ids=[row[0] for row in ROUTES_WITH_ALGORITHM])
def test_an_algorithm_that_is_unknown_or_of_another_kind(client, raises, route, fields, foreign):
    for algorithm in (foreign, "RSA", "", "KYBER768"):
        body = {**fields, "algorithm": algorithm}
        raises(ValidationError, "ERR_KMS_001", 400, client._http.post, f"/api/v1/{route}", body)
    for algorithm in (7, [], {}, True):
        body = {**fields, "algorithm": algorithm}
        raises(ValidationError, "ERR_INVALID_001", 400, client._http.post, f"/api/v1/{route}", body)


def test_unknown_routes_and_methods(client, raises):
    for path in ("/api/v1/nothing", "/", "/api/v1/kem", "/api/v1/kem/encrypt/", "/api/v2/kem/encrypt"):
        raises(NotFoundError, "ERR_NOT_FOUND_002", 404, client._http.get, path)
        raises(NotFoundError, "ERR_NOT_FOUND_002", 404, client._http.post, path, {})
    raises(ServerError, "ERR_METHOD_001", 405, client._http.get, "/api/v1/kem/encrypt")
    raises(ServerError, "ERR_METHOD_001", 405, client._http.post, "/api/v1/kms/keys/active", {})
    raises(ServerError, "ERR_METHOD_001", 405, client._http.request, "DELETE", "/api/v1/signature/sign")


def test_unknown_fields_are_ignored(client):
    answer = client._http.post("/api/v1/kem/encrypt", {"plaintext": "QQ==", "later": {"deep": [1]}, "x": None})
    assert answer["data"]["ciphertext"]


def test_additional_authenticated_data(client, kem_version, raises):
    def post(route, **fields):
        return client._http.post(f"/api/v1/kem/{route}", fields)["data"]

    ciphertext = post("encrypt", plaintext=b64(b"bound"), aad=b64(b"invoice 7"))["ciphertext"]
    opened = post("decrypt", ciphertext=ciphertext, key_version=kem_version, aad=b64(b"invoice 7"))
    assert opened["plaintext"] == b64(b"bound")
    for wrong in ({"aad": b64(b"invoice 8")}, {"aad": ""}, {}):
        fields = {"ciphertext": ciphertext, "key_version": kem_version, **wrong}
        raises(ValidationError, "ERR_KEM_003", 400, post, "decrypt", **fields)
    too_long = b64(bytes(16 * 1024 + 1))
    raises(ValidationError, "ERR_INVALID_004", 400, post, "encrypt", plaintext=b64(b"x"), aad=too_long)


def test_the_rate_limit_is_a_typed_error_and_passes(connect, keys):
    impatient = connect(keys["limited"], max_retries=0)
    answers = []
    impatient._http._session.hooks["response"].append(lambda answer, **_: answers.append(answer))

    def call(_):
        try:
            impatient.keys.list()
        except RateLimitError as error:
            return error
        return None

    deadline = time.monotonic() + 30
    limited = []
    with ThreadPoolExecutor(16) as pool:
        while not limited:
            assert time.monotonic() < deadline, "never limited"
            limited = [error for error in pool.map(call, range(64)) if error]
    for error in limited:
        assert (error.error_code, error.status_code) == ("ERR_RATE_001", 429)
        assert is_uuid(error.request_id)
    for answer in answers:
        for header in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"):
            assert int(answer.headers[header]) >= 0
        assert (answer.status_code == 429) == ("Retry-After" in answer.headers)
        assert int(answer.headers.get("Retry-After", 1)) >= 1
    # With its default retries the client waits the limit out by itself.
    assert connect(keys["limited"]).keys.list().total == 0


def test_nobody_listens_there(connect, main_key):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(errors.ConnectionError) as caught:
        connect(main_key, base_url=nowhere, max_retries=0).keys.list()
    assert (caught.value.error_code, caught.value.status_code) == ("ERR_SERVICE_001", 503)


def test_tls_is_verified_and_modern(connect, main_key, url, monkeypatch):
    if not url.startswith("https:"):
        pytest.skip("this installation speaks plain HTTP")
    host, port = urlparse(url).hostname, urlparse(url).port
    authority = os.environ["REQUESTS_CA_BUNDLE"]
    versions = set()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = context.maximum_version = version
        with context.wrap_socket(socket.create_connection((host, port)), server_hostname=host) as connection:
            versions.add(connection.version())
    assert versions == {"TLSv1.2", "TLSv1.3"}

    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(errors.ConnectionError):
        connect(main_key, max_retries=0).keys.list()


def test_a_base_url_with_a_slash_works(connect, main_key, client, url):
    assert connect(main_key, base_url=url + "/").keys.list().total == 2
