"""Calls Chancel's API inside the machine, as a client would: over TLS, with the installed certificate as the one it
trusts.

    call.py URL API_KEY_FILE generate | seal FILE | open FILE
    call.py URL - fingerprint           of the certificate it is served with
    call.py URL API_KEY_FILE work FILE  signs until it is ended; FILE gets how many, and the last one's request id
    call.py URL API_KEY_FILE grow FILE  makes key after key until there is no answer; FILE gets a line of what was sealed
                                        with each, when it was
    call.py URL API_KEY_FILE open-each FILE    opens what those lines say; prints how many
"""

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

PLAINTEXT = b"kept across everything"
MESSAGE = base64.b64encode(b"hello").decode()
TRUSTED = os.environ.get("SSL_CERT_FILE", "/etc/chancel/tls/chain.pem")


def post(url, key, path, body, whole=False):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method="POST")
    request.add_header("content-type", "application/json")
    request.add_header("x-api-key", key)
    context = ssl.create_default_context(cafile=TRUSTED) if url.startswith("https") else None
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            said = json.load(answer)
            return said if whole else said["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: {error.code} {error.read().decode()}")


def fingerprint(url):
    place = urllib.parse.urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((place.hostname, place.port), timeout=10) as plain:
        with context.wrap_socket(plain) as tls:
            return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()


def work(url, key, path):
    """The file is replaced and not rewritten: whoever looks at any moment finds a whole line."""
    count = 0
    while True:
        answer = post(url, key, "/api/v1/signature/sign", {"message": MESSAGE}, whole=True)
        count += 1
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(f"{count} {answer['request_id']}\n")
        os.replace(path + ".new", path)


def seal(url, key):
    sealed = post(url, key, "/api/v1/kem/encrypt", {"plaintext": base64.b64encode(PLAINTEXT).decode()})
    return json.dumps({name: sealed[name] for name in ("ciphertext", "key_version")})


def unseal(url, key, sealed):
    opened = post(url, key, "/api/v1/kem/decrypt", json.loads(sealed))
    if base64.b64decode(opened["plaintext"]) != PLAINTEXT:
        sys.exit("another plaintext")


def grow(url, key, path):
    with open(path, "w", encoding="ascii") as file:
        while True:
            try:
                post(url, key, "/api/v1/kms/keys/rotate", {"algorithm": "Kyber768"})
                print(seal(url, key), file=file, flush=True)
            except (OSError, http.client.HTTPException):
                return


def main():
    url, key_file, action, *arguments = sys.argv[1:]
    if action == "fingerprint":
        print(fingerprint(url))
        return
    with open(key_file, encoding="ascii") as file:
        key = file.read().strip()
    if action == "generate":
        for algorithm in ("Kyber768", "Dilithium3"):
            post(url, key, "/api/v1/kms/keys/generate", {"algorithm": algorithm})
    elif action == "seal":
        with open(arguments[0], "w", encoding="ascii") as file:
            file.write(seal(url, key))
    elif action == "open":
        with open(arguments[0], encoding="ascii") as file:
            unseal(url, key, file.read())
        signed = post(url, key, "/api/v1/signature/sign", {"message": MESSAGE})
        question = {"message": MESSAGE, "signature": signed["signature"], "key_version": signed["key_version"]}
        if post(url, key, "/api/v1/signature/verify", question)["valid"] is not True:
            sys.exit("not valid")
    elif action == "work":
        work(url, key, *arguments)
    elif action == "grow":
        grow(url, key, *arguments)
    elif action == "open-each":
        with open(arguments[0], encoding="ascii") as file:
            lines = file.read().splitlines()
        for line in lines:
            unseal(url, key, line)
        print(len(lines))
    else:
        sys.exit(f"unknown: {action}")


main()
