"""Calls Chancel's API inside the machine, as a client would: over TLS, with the installed certificate as the one it
trusts. Usage: call.py URL API_KEY_FILE generate|seal FILE|open FILE|fingerprint"""

import base64
import hashlib
import json
import socket
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

PLAINTEXT = b"kept across everything"
TRUSTED = "/etc/chancel/tls/chain.pem"


def post(url, key, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method="POST")
    request.add_header("content-type", "application/json")
    request.add_header("x-api-key", key)
    context = ssl.create_default_context(cafile=TRUSTED) if url.startswith("https") else None
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: {error.code} {error.read().decode()}")


def main():
    url, key_file, action, *arguments = sys.argv[1:]
    if action == "fingerprint":
        place = urllib.parse.urlsplit(url)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection((place.hostname, place.port), timeout=10) as plain:
            with context.wrap_socket(plain) as tls:
                print(hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest())
        return
    with open(key_file, encoding="ascii") as file:
        key = file.read().strip()
    if action == "generate":
        for algorithm in ("Kyber768", "Dilithium3"):
            post(url, key, "/api/v1/kms/keys/generate", {"algorithm": algorithm})
    elif action == "seal":
        sealed = post(url, key, "/api/v1/kem/encrypt", {"plaintext": base64.b64encode(PLAINTEXT).decode()})
        with open(arguments[0], "w", encoding="ascii") as file:
            json.dump({name: sealed[name] for name in ("ciphertext", "key_version")}, file)
    elif action == "open":
        with open(arguments[0], encoding="ascii") as file:
            opened = post(url, key, "/api/v1/kem/decrypt", json.load(file))
        if base64.b64decode(opened["plaintext"]) != PLAINTEXT:
            sys.exit("another plaintext")
        message = base64.b64encode(b"hello").decode()
        signed = post(url, key, "/api/v1/signature/sign", {"message": message})
        question = {"message": message, "signature": signed["signature"], "key_version": signed["key_version"]}
        if post(url, key, "/api/v1/signature/verify", question)["valid"] is not True:
            sys.exit("not valid")
    else:
        sys.exit(f"unknown: {action}")


main()
