"""The SDK over every algorithm it knows, in every operation of its family."""

import hashlib
import os

import pytest
from qpher.errors import ValidationError

from conftest import ensure_key



@pytest.fixture(scope="module")
def client(connect, keys):
    """A tenant of its own: others count their keys."""
    return connect(keys["algorithms"])


KEMS = ["Kyber768", "X-Wing"]
SIGNATURES = [
    "Dilithium3",
    "Composite-ML-DSA",
    "SLH-DSA-SHA2-128s",
    "SLH-DSA-SHA2-128f",
    "SLH-DSA-SHA2-192s",
    "SLH-DSA-SHA2-256s",
]


@pytest.mark.parametrize("algorithm", KEMS)
def test_kem(client, algorithm):
    version = ensure_key(client, algorithm)
    plaintext, secret = os.urandom(1000), os.urandom(32)
    encrypted = client.kem.encrypt(plaintext, algorithm=algorithm)
    assert (encrypted.key_version, encrypted.algorithm) == (version, algorithm)
    assert client.kem.decrypt(encrypted.ciphertext, version, algorithm=algorithm).plaintext == plaintext

    made = client.kem.encapsulate(version, algorithm=algorithm)
    received = client.kem.decapsulate(made.kem_ciphertext, version, algorithm=algorithm)
    assert received.shared_secret == made.shared_secret

    wrapped = client.kem.wrap(secret, version, algorithm=algorithm)
    assert client.kem.unwrap(wrapped.wrapped_key, version, algorithm=algorithm).symmetric_key == secret

    def sealed():
        options = {"mode": "deterministic", "salt": bytes(32), "algorithm": algorithm}
        return client.kem.encrypt(plaintext, **options).ciphertext

    assert sealed() == sealed()
    assert client.kem.decrypt(sealed(), version, algorithm=algorithm).plaintext == plaintext


@pytest.mark.parametrize("algorithm", SIGNATURES)
def test_signature(client, algorithm):
    version = ensure_key(client, algorithm)
    message = os.urandom(1000)
    signed = client.signatures.sign(message, algorithm=algorithm)
    assert (signed.key_version, signed.algorithm) == (version, algorithm)

    def valid(message):
        return client.signatures.verify(message, signed.signature, version, algorithm=algorithm).valid

    assert valid(message) is True
    assert valid(message + b"!") is False


@pytest.mark.parametrize("algorithm", SIGNATURES[:2] + ["SLH-DSA-SHA2-128f"])
def test_signature_over_a_digest(client, algorithm, raises):
    version = ensure_key(client, algorithm)
    functions = {"SHA-256": hashlib.sha256, "SHA-384": hashlib.sha384, "SHA-512": hashlib.sha512}
    for name, function in functions.items():
        digest = function(b"message").digest()
        if algorithm == "Composite-ML-DSA" and name != "SHA-512":
            sign = client.signatures.sign_hash
            raises(ValidationError, "ERR_INVALID_001", 400, sign, digest, name, version, algorithm=algorithm)
            continue
        signed = client.signatures.sign_hash(digest, name, version, algorithm=algorithm)
        assert (signed.hash_algorithm, signed.signature_type) == (name, "detached")

        def valid(digest):
            return client.signatures.verify_hash(
                digest, name, signed.signature, version, algorithm=algorithm
            ).valid

        assert valid(digest) is True
        assert valid(digest[::-1]) is False
        # The post-hash signature is none of the message, unless the algorithm says that it is.
        of_message = client.signatures.verify(b"message", signed.signature, version, algorithm=algorithm)
        assert of_message.valid is (algorithm == "Composite-ML-DSA")


def test_a_digest_of_another_length(client, raises):
    sign = client._http.post
    body = {"hash": "QUJD", "hash_algorithm": "SHA-256", "key_version": 1}
    raises(ValidationError, "ERR_INVALID_001", 400, sign, "/api/v1/signature/sign-hash", body)
