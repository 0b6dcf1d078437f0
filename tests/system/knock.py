"""Code in the gateway, or in nobody's account, at the sockets of Chancel's daemons: run under the account that it is about.

    knock.py connect SOCKET              connects and says nothing; prints what the daemon does
    knock.py hello SOCKET ROLE [TOKEN]   introduces itself, with the bytes of that file or with none
    knock.py crowd SOCKET...             connects to all of them without pause, from many processes, until it is ended
    knock.py attack API_KEY_FILE         as the gateway, with its tokens: asks policyd for a permit to sign, and keyd for
                                         signatures with none, with it, with it again, and for another message

docs/wire.md says what is spoken here; as much of it is written by hand as an attacker would."""

import hashlib
import os
import socket
import struct
import sys

VERSION = int(os.environ.get("PROTOCOL_VERSION", "0"))
ROLES = {"gateway": 1, "policyd": 2, "operator": 3}
CREDENTIALS = "/run/credentials/chancel-gateway.service"
ERRORS = ["malformed", "not-for-this-peer", "forged", "expired", "replayed", "for-another-operation", "for-another-payload"]


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(path)
    return connection


def heard(connection, count):
    """What comes within the time: that many bytes, `closed` or `silence`."""
    received = b""
    try:
        while len(received) < count:
            part = connection.recv(count - len(received))
            if not part:
                return "closed"
            received += part
    except TimeoutError:
        return "silence"
    except (ConnectionResetError, BrokenPipeError):
        return "closed"
    return received


def crowd(paths):
    for _ in range(4):
        if os.fork() == 0:
            while True:
                for path in paths:
                    # Queued and let go: what is accepted of it is closed already.
                    with socket.socket(socket.AF_UNIX) as connection:
                        try:
                            connection.connect(path)
                        except OSError:
                            pass  # it is away, or not open to all yet, while its daemon is started anew
    os.wait()


def hello(path, role, token=bytes(32)):
    connection = connect(path)
    try:
        connection.sendall(b"CHNC" + struct.pack(">HB", VERSION, ROLES[role]) + token)
    except (ConnectionResetError, BrokenPipeError):
        return connection, "closed"
    answer = heard(connection, 6)
    return connection, "welcome" if answer == b"CHNC" + struct.pack(">H", VERSION) else answer


def welcomed(path, token):
    with open(f"{CREDENTIALS}/{token}", "rb") as file:
        connection, answer = hello(path, "gateway", file.read())
    if answer != "welcome":
        sys.exit(f"the gateway's account and token are not welcome at {path}: {answer}")
    return connection


def ask(connection, body):
    connection.sendall(struct.pack(">IQI", 12 + len(body), 1, 15_000) + body)
    (length,) = struct.unpack(">I", heard(connection, 4))
    return heard(connection, length)[12:]


def number(value):
    """A varint of postcard."""
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def text(value):
    return number(len(value)) + value


def past_number(data, place):
    while data[place] & 0x80:
        place += 1
    return place + 1


def permit_in(answer, request, digest):
    """The signed permit: its claims, behind their length, and 32 bytes. They begin with three numbers, two ids, a number and
    the request, which tells their beginning from bytes that only look like it, and end with the digest and two absent
    fields."""
    end = answer.index(digest) + 32 + 2
    for begin in range(2, end - 100):
        length = number(end - begin)
        if answer[begin - len(length) : begin] != length:
            continue
        place = begin
        for _ in range(3):
            place = past_number(answer, place)
        place = past_number(answer, place + 32)
        if answer[place : place + 16] == request:
            return answer[begin - len(length) : end + 32]
    sys.exit(f"no permit in {answer.hex()}")


def outcome(answer):
    if answer[0] == 0:
        return "done"
    return ERRORS[answer[1]] if answer[0] == 7 and answer[1] < len(ERRORS) else answer[:8].hex()


def attack(key_file):
    with open(key_file, "rb") as file:
        api_key = file.read().strip()
    policyd = welcomed("/run/chancel-policyd/policyd.sock", "gateway-policyd")
    keyd = welcomed("/run/chancel-keyd/keyd.sock", "gateway-keyd")
    # UseInput::Sign of a raw message without a context.
    message = bytes.fromhex("0300") + text(b"a message") + text(b"")
    other = bytes.fromhex("0300") + text(b"another") + text(b"")
    digest = hashlib.sha256(message).digest()
    request = os.urandom(16)
    caller = text(api_key) + request + bytes.fromhex("007f000001") + b"\0"
    # Ask::Use: sign, with ML-DSA-65, any version, that payload, no batch.
    question = bytes.fromhex("0006") + number(0x0102) + b"\0" + b"\1" + digest + b"\0"
    permit = permit_in(ask(policyd, b"\0" + caller + question), request, digest)

    def use(permit, what):
        return outcome(ask(keyd, b"\0" + permit + text(what)))

    claims, mac = permit[:-32], permit[-32:]
    print("no permit:", outcome(ask(keyd, b"\0" + text(b"") + bytes(32) + text(message))))
    print("made up:", use(claims + os.urandom(32), message))
    # A bit of the key's handle, which stands before the digest.
    place = claims.index(digest) - 1
    print("for another key:", use(claims[:place] + bytes([claims[place] ^ 1]) + claims[place + 1 :] + mac, message))
    print("for another message:", use(permit, other))
    print("its own:", use(permit, message))
    print("again:", use(permit, message))


def main():
    action, *arguments = sys.argv[1:]
    try:
        if action == "connect":
            print(heard(connect(arguments[0]), 1))
        elif action == "hello":
            token = bytes(32)
            if len(arguments) > 2:
                with open(arguments[2], "rb") as file:
                    token = file.read()
            print(hello(arguments[0], arguments[1], token)[1])
        elif action == "crowd":
            crowd(arguments)
        elif action == "attack":
            attack(*arguments)
        else:
            sys.exit(f"unknown: {action}")
    except PermissionError as error:
        print("not permitted:", error.filename or "connect")


main()
