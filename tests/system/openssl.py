"""OpenSSL against an installed Chancel, over every algorithm that a standard has and this OpenSSL knows: it reads the public
key as the API gives it, verifies what keyd signed and refuses what was changed; it encapsulates, and keyd finds the secret.

    openssl.py URL API_KEY_FILE        a line for each that worked; anything else is an error and ends it
"""

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

TRUSTED = "/etc/chancel/tls/chain.pem"
CONTEXT = "context of the test"


class Api:
    def __init__(self, url, key):
        self.url, self.key = url, key
        self.context = ssl.create_default_context(cafile=TRUSTED)

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, body and json.dumps(body).encode(), method=method)
        request.add_header("content-type", "application/json")
        request.add_header("x-api-key", self.key)
        with urllib.request.urlopen(request, timeout=60, context=self.context) as answer:
            return answer.read()

    def post(self, path, **body):
        return json.loads(self.ask("POST", path, body))["data"]

    def public_key(self, algorithm):
        """Makes the key where there is none."""
        path = f"/api/v1/kms/keys/active?algorithm={algorithm}&format=pem"
        try:
            return self.ask("GET", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        self.post("/api/v1/kms/keys/generate", algorithm=algorithm)
        return self.ask("GET", path)


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True)


def put(directory, name, contents):
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        file.write(contents)
    return path


def require(truth, what):
    if not truth:
        sys.exit(f"not so: {what}")
    print(what)


def signature(api, name, public, directory):
    message = os.urandom(1000)
    right, wrong = put(directory, "message", message), put(directory, "changed", message + b"!")
    for context in (None, CONTEXT):
        more = {"context": base64.b64encode(context.encode()).decode()} if context else {}
        made = api.post(
            "/api/v1/signature/sign", algorithm=name, message=base64.b64encode(message).decode(), **more
        )
        signed = put(directory, "signature", base64.b64decode(made["signature"]))
        options = ["-pkeyopt", f"context-string:{context}"] if context else []

        def verifies(file, options):
            question = ["-verify", "-pubin", "-inkey", public, "-rawin", "-in", file, "-sigfile", signed]
            return openssl("pkeyutl", *question, *options).returncode == 0

        how = " with a context" if context else ""
        require(verifies(right, options), f"{name}: OpenSSL verifies a signature{how}")
        require(not verifies(wrong, options), f"{name}: and not over a changed message")
        if context:
            require(not verifies(right, []), f"{name}: and not without the context")


def kem(api, name, public, directory):
    sealed, secret = os.path.join(directory, "sealed"), os.path.join(directory, "secret")
    made = openssl("pkeyutl", "-encap", "-pubin", "-inkey", public, "-out", sealed, "-secret", secret)
    require(made.returncode == 0, f"{name}: OpenSSL encapsulates {made.stderr}".rstrip())
    with open(sealed, "rb") as file:
        ciphertext = base64.b64encode(file.read()).decode()
    version = json.loads(api.ask("GET", f"/api/v1/kms/keys/active?algorithm={name}"))["data"]["key_version"]
    found = api.post("/api/v1/kem/decapsulate", algorithm=name, key_version=version, kem_ciphertext=ciphertext)
    with open(secret, "rb") as file:
        require(base64.b64decode(found["shared_secret"]) == file.read(), f"{name}: keyd finds the secret")


def main():
    url, key_file = sys.argv[1:]
    with open(key_file, encoding="ascii") as file:
        api = Api(url, file.read().strip())
    registry = json.loads(subprocess.check_output(["chancel", "--json", "algorithms"]))["algorithms"]
    standard = [algorithm for algorithm in registry if algorithm["status"] == "standard"]
    for algorithm in standard:
        name = algorithm["name"]
        with tempfile.TemporaryDirectory() as directory:
            public = put(directory, "public.pem", api.public_key(name))
            said = openssl("pkey", "-pubin", "-in", public, "-noout", "-text")
            require(said.stdout.startswith(f"{name} Public-Key:"), f"{name}: OpenSSL reads the public key {said.stderr}".rstrip())
            {"kem": kem, "signature": signature}[algorithm["family"]](api, name, public, directory)
    print(f"end: {len(standard)} algorithms")


main()
