"""The `qpher` command: each subcommand of the routes that exist, its files, messages and exit codes."""

import base64
import json
import os
import re
import stat

import pytest

from command import Command
from conftest import KEM, SIGNATURE

NOT_FOUND = "Resource not found. Check the key version or algorithm."
DENIED = "Access denied. Your plan may not support this operation."
UNAUTHENTICATED = "Authentication failed. Run: qpher auth set-key <your-key>"


@pytest.fixture(scope="module")
def key(keys):
    return keys["cli"]


@pytest.fixture(scope="module")
def qpher(tmp_path_factory, url, key):
    """Logged in, with an active key of each algorithm."""
    qpher = Command(tmp_path_factory.mktemp("home"), url)
    qpher.done("auth", "set-key", key)
    for algorithm in (KEM, SIGNATURE):
        qpher.done("keys", "generate", "-a", algorithm)
    return qpher


def test_log_in_and_out(tmp_path, url, keys):
    qpher = Command(tmp_path, url)
    key = keys["empty"]
    answer = qpher.run("keys", "list")
    assert answer.code == 1
    assert "No API key configured" in answer.err
    assert "Invalid API key format" in qpher.run("auth", "set-key", "abc").err

    answer = qpher.done("auth", "set-key", key)
    assert "API key saved" in answer.err
    assert key not in answer.out + answer.err
    config = tmp_path / ".qpher" / "config.toml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    whoami = qpher.done("auth", "whoami").out
    assert url in whoami
    assert key not in whoami
    assert "(no results)" in qpher.done("keys", "list").out

    qpher.done("auth", "logout")
    assert key not in config.read_text()
    assert qpher.run("keys", "list").code == 1


def test_the_environment_overrides_the_stored_key(qpher, keys):
    qpher.refused(UNAUTHENTICATED, "keys", "list", QPHER_API_KEY=keys["revoked"])
    qpher.refused(UNAUTHENTICATED, "keys", "list", QPHER_API_KEY="qph_unknown_key")
    qpher.refused(DENIED, "keys", "list", QPHER_API_KEY=keys["suspended"])
    assert "1" in qpher.done("keys", "list").out


def test_encrypt_and_decrypt_text(qpher):
    encrypted = qpher.done("encrypt", "--text", "Grüße", "-k", 1)
    assert "algorithm: Kyber768, key_version: 1" in encrypted.err
    decrypted = qpher.done("decrypt", "--text", encrypted.out.strip(), "-k", 1)
    assert decrypted.out == "Grüße\n"
    assert "algorithm: Kyber768, key_version: 1" in decrypted.err


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024])
def test_encrypt_and_decrypt_files(qpher, size):
    content = os.urandom(size)
    source = qpher.home / f"{size}.bin"
    source.write_bytes(content)
    assert "written to" in qpher.done("encrypt", "--file", source, "-k", 1).err
    sealed = source.with_name(source.name + ".enc")
    base64.b64decode(sealed.read_text(), validate=True)
    source.unlink()
    qpher.done("decrypt", "--file", sealed, "-k", 1)
    assert source.read_bytes() == content
    opened = qpher.home / "opened"
    qpher.done("decrypt", "-f", sealed, "-k", 1, "-o", opened)
    assert opened.read_bytes() == content


def test_files_beyond_the_limit_get_the_servers_message(qpher):
    source = qpher.home / "large.bin"
    for size in (1024 * 1024 + 1, 10 * 1024 * 1024):
        source.write_bytes(bytes(size))
        assert "large" in qpher.refused("API error: ", "encrypt", "-f", source, "-k", 1).err
        assert "large" in qpher.refused("API error: ", "sign", "-f", source, "-k", 1).err


def test_encrypt_and_decrypt_refusals(qpher):
    qpher.refused(NOT_FOUND, "encrypt", "-t", "x", "-k", 9)
    qpher.refused("API error: Invalid ciphertext", "decrypt", "-t", base64.b64encode(bytes(1200)).decode(), "-k", 1)
    qpher.refused("API error: Invalid ciphertext", "decrypt", "-t", "QUJD", "-k", 1)
    qpher.refused("API error: ", "decrypt", "-t", "no base64!", "-k", 1)
    qpher.refused("API error: ", "encrypt", "-t", "x", "-k", -1)


def test_encapsulate_and_decapsulate(qpher):
    file = qpher.home / "encapsulated"
    made = qpher.done("encapsulate", "-k", 1, "-o", file)
    secret = re.search(r"^shared_secret: (\S+)$", made.out, re.MULTILINE)[1]
    ciphertext = re.search(r"^kem_ciphertext: (\S+)$", made.out, re.MULTILINE)[1]
    assert file.read_text() == ciphertext
    assert len(base64.b64decode(secret, validate=True)) == 32
    for arguments in (("-c", ciphertext), ("--file", file)):
        assert qpher.done("decapsulate", *arguments, "-k", 1, "-a", KEM).out == f"shared_secret: {secret}\n"
    qpher.refused(NOT_FOUND, "decapsulate", "-c", ciphertext, "-k", 9)
    qpher.refused("API error: Invalid ciphertext", "decapsulate", "-c", "QUJD", "-k", 1)


def test_encrypt_and_decrypt_locally(qpher):
    sealed = qpher.done("encrypt-local", "-t", "stays here", "-k", 1)
    assert "client-side encrypted" in sealed.err
    assert qpher.done("decrypt-local", "-t", sealed.out.strip(), "-k", 1).out == "stays here\n"

    content = os.urandom(3 * 1024 * 1024)
    source = qpher.home / "local.bin"
    source.write_bytes(content)
    qpher.done("encrypt-local", "-f", source, "-k", 1)
    source.unlink()
    qpher.done("decrypt-local", "-f", f"{source}.enc", "-k", 1)
    assert source.read_bytes() == content
    qpher.refused(NOT_FOUND, "encrypt-local", "-t", "x", "-k", 9)


def test_sign_and_verify_text(qpher):
    signed = qpher.done("sign", "-t", "Grüße", "-k", 1)
    assert "algorithm: Dilithium3, key_version: 1" in signed.err
    signature = signed.out.strip()
    verified = qpher.done("verify", "-t", "Grüße", "-s", signature, "-k", 1)
    assert "Signature valid" in verified.out
    verified = qpher.run("verify", "-t", "Grusse", "-s", signature, "-k", 1, "-a", SIGNATURE)
    assert verified.code == 1
    assert "Signature INVALID" in verified.out


def test_sign_and_verify_files(qpher):
    source = qpher.home / "document"
    source.write_bytes(os.urandom(100_000))
    qpher.done("sign", "-f", source, "-k", 1, "-a", SIGNATURE)
    signature = qpher.home / "document.sig"
    assert qpher.done("verify", "-f", source, "--signature-file", signature, "-k", 1).out.startswith("Signature valid")
    source.write_bytes(source.read_bytes() + b"\0")
    assert qpher.run("verify", "-f", source, "--signature-file", signature, "-k", 1).code == 1


def test_sign_and_verify_refusals(qpher):
    qpher.refused(NOT_FOUND, "sign", "-t", "x", "-k", 9)
    qpher.refused(NOT_FOUND, "verify", "-t", "x", "-s", "QUJD", "-k", 9)
    qpher.refused("API error: ", "verify", "-t", "x", "-s", "no base64!", "-k", 1)


@pytest.mark.parametrize("length", [16, 24, 32, 48, 64])
def test_wrap_and_unwrap(qpher, length):
    secret = os.urandom(length)
    file, wrapped, unwrapped = (qpher.home / name for name in ("key", "wrapped", "unwrapped"))
    file.write_bytes(secret)
    answer = qpher.done("wrap", "-f", file, "-k", 1, "-o", wrapped)
    assert "Algorithm: Kyber768 | Key Version: 1 | Method: KEM-DEM" in answer.err
    qpher.done("unwrap", "-f", wrapped, "-k", 1, "-o", unwrapped)
    assert unwrapped.read_bytes() == secret

    text = base64.b64encode(secret).decode()
    wrapped = qpher.done("wrap", "-b", text, "-k", 1, "-a", KEM).out.strip()
    answer = qpher.done("unwrap", "-b", wrapped, "-k", 1, "-a", KEM)
    assert answer.out.strip() == text
    assert "Algorithm: Kyber768 | Key Version: 1" in answer.err


def test_wrap_and_unwrap_refusals(qpher):
    qpher.refused("API error: Invalid symmetric key length: 3 bytes", "wrap", "-b", "QUJD", "-k", 1)
    qpher.refused("API error: ", "wrap", "-b", "no base64!", "-k", 1)
    qpher.refused("API error: Invalid wrapped key format", "unwrap", "-b", "QUJD", "-k", 1)
    qpher.refused(NOT_FOUND, "wrap", "-b", base64.b64encode(bytes(32)).decode(), "-k", 9)


def test_keys_from_generate_to_retire(tmp_path, url, keys):
    qpher = Command(tmp_path, url)
    qpher.done("auth", "set-key", keys["cli_lifecycle"])
    for algorithm in (KEM, SIGNATURE):
        qpher.refused(NOT_FOUND, "keys", "rotate", "-a", algorithm)
        generated = qpher.done("keys", "generate", "-a", algorithm)
        assert f"Generated {algorithm} key (version 1)" in generated.err
        assert "Public key: " in generated.out
        assert "rotate" in qpher.refused("API error: ", "keys", "generate", "-a", algorithm).err
        rotated = qpher.done("keys", "rotate", "-a", algorithm)
        assert f"Rotated {algorithm}: v1 (retired) → v2 (active)" in rotated.err
        declined = qpher.run("keys", "retire", "-a", algorithm, "-v", 2, answer="n\n")
        assert declined.code == 1
        assert "Aborted" in declined.err
        retired = qpher.done("keys", "retire", "-a", algorithm, "-v", 2, answer="y\n")
        assert f"Retired {algorithm} key version 2" in retired.err
        qpher.refused("API error: ", "keys", "retire", "-a", algorithm, "-v", 2, "--yes")
        qpher.refused(NOT_FOUND, "keys", "retire", "-a", algorithm, "-v", 9, "--yes")

    table = qpher.done("keys", "list")
    rows = [line.split() for line in table.out.splitlines() if re.match(r"\d", line)]
    assert sorted(row[:3] for row in rows) == [
        ["1", SIGNATURE, "retired"],
        ["1", KEM, "retired"],
        ["2", SIGNATURE, "retired"],
        ["2", KEM, "retired"],
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row[3]) for row in rows)
    assert "Total: 4 keys" in table.err
    listed = json.loads(qpher.done("keys", "list", "-a", KEM, "--format", "json").out)
    assert listed["total"] == 2
    assert {key["algorithm"] for key in listed["keys"]} == {KEM}


def test_status_of_a_plan_without_limits(qpher, key):
    shown = qpher.done("status").out
    assert "Qpher Account Status" in shown
    assert re.search(r"Tenant:\s+client tests cli$", shown, re.MULTILINE), shown
    assert re.search(r"Plan:\s+enterprise", shown, re.IGNORECASE), shown
    assert key not in shown


def test_status_of_a_plan_with_limits(qpher, keys):
    shown = qpher.done("status", QPHER_API_KEY=keys["free"]).out
    assert re.search(r"Plan:\s+free", shown, re.IGNORECASE), shown
    assert re.search(r"KEM Keys:\s+\d+ / 1$", shown, re.MULTILINE), shown
    assert re.search(r"Sig Keys:\s+\d+ / 1$", shown, re.MULTILINE), shown
    assert re.search(r"API Keys:\s+1 / 1$", shown, re.MULTILINE), shown


def test_status_counts_each_call(qpher, keys):
    def calls():
        shown = qpher.done("status", QPHER_API_KEY=keys["free"]).out
        counted = re.search(r"API Calls:\s+([\d,]+) / 5,000 ", shown, re.MULTILINE)
        assert counted, shown
        return int(counted[1].replace(",", ""))

    before = calls()
    # Asking is a call itself, and is counted before it is answered.
    assert calls() == before + 1


def test_status_refusals(qpher, keys):
    qpher.refused(DENIED, "status", QPHER_API_KEY=keys["suspended"])
    qpher.refused(UNAUTHENTICATED, "status", QPHER_API_KEY=keys["expired"])
