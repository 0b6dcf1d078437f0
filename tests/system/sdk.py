"""The published Python SDK against an installed Chancel: encrypt and decrypt, encapsulate, wrap, sign and verify, over
several algorithms. A line for each that worked, and `end` with their number; anything else is an error and ends it.

The SDK takes its key and address from the environment here, as its users may; nothing of it is patched."""

import os

from qpher import Qpher
from qpher.errors import QpherError

KEMS = ("Kyber768", "X-Wing")
SIGNATURES = ("Dilithium3", "Composite-ML-DSA", "SLH-DSA-SHA2-128f")


def version(client, algorithm):
    try:
        return client.keys.get_active(algorithm).key_version
    except QpherError as error:
        if error.status_code != 404:
            raise
        return client.keys.generate(algorithm).key_version


def require(truth, what):
    if not truth:
        raise SystemExit(f"not so: {what}")
    print(what)


def main():
    client = Qpher(api_key=os.environ["QPHER_API_KEY"], base_url=os.environ["QPHER_API_URL"])
    for algorithm in KEMS:
        number, plaintext = version(client, algorithm), os.urandom(1000)
        sealed = client.kem.encrypt(plaintext, algorithm=algorithm)
        opened = client.kem.decrypt(sealed.ciphertext, number, algorithm=algorithm)
        require(opened.plaintext == plaintext, f"{algorithm} encrypts and decrypts")
        made = client.kem.encapsulate(number, algorithm=algorithm)
        received = client.kem.decapsulate(made.kem_ciphertext, number, algorithm=algorithm)
        require(received.shared_secret == made.shared_secret, f"{algorithm} encapsulates and decapsulates")
    for algorithm in SIGNATURES:
        number, message = version(client, algorithm), os.urandom(1000)
        signed = client.signatures.sign(message, algorithm=algorithm)
        verified = client.signatures.verify(message, signed.signature, number, algorithm)
        require(verified.valid is True, f"{algorithm} signs and verifies")
        changed = client.signatures.verify(message + b"!", signed.signature, number, algorithm)
        require(changed.valid is False, f"{algorithm} tells a changed message")
    print(f"end: {len(KEMS)} and {len(SIGNATURES)} algorithms")


main()
