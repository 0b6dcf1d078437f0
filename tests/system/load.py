"""Asks the gateway without pause until FILE.stop exists, and counts what becomes of each request.

    load.py URL API_KEY_FILE FILE      writes what came of it to FILE, as JSON; and as it comes a line to FILE.answered for
                                       each answer: to what, and its request id

Half of the clients keep their connection, the others make one for each request. A request is never sent twice, so that
none that got lost is made good unseen."""

import base64
import collections
import http.client
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse

TRUSTED = os.environ.get("SSL_CERT_FILE", "/etc/chancel/tls/chain.pem")
PLAINTEXT = base64.b64encode(b"while it is upgraded").decode()


class Client(threading.Thread):
    def __init__(self, url, key, stop, keeps, answered):
        super().__init__()
        self.place = urllib.parse.urlsplit(url)
        self.headers = {"content-type": "application/json", "x-api-key": key}
        self.context = ssl.create_default_context(cafile=TRUSTED)
        self.stop = stop
        self.keeps = keeps
        self.answered = answered
        self.connection = None
        self.asked_over_it = 0
        self.counts = collections.Counter()
        self.examples = []
        self.away = []  # times at which nobody listened

    def ask(self, path, body):
        """The answer's data, or None when there was none; counts which."""
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(
                self.place.hostname, self.place.port, timeout=10, context=self.context
            )
            self.asked_over_it = 0
            try:
                self.connection.connect()
            except OSError as error:
                # The TLS handshake is part of it: a connection that was taken and closed in it has carried no request.
                return self.without_answer("refused" if isinstance(error, ConnectionRefusedError) else "unconnected", error)
        try:
            self.connection.request("POST", path, json.dumps(body), self.headers)
            answer = self.connection.getresponse()
        except TimeoutError as error:
            return self.without_answer("timeout", error)
        except (OSError, http.client.HTTPException) as error:
            # Over a connection that stood idle this is its end, which a client sees when it sends the next request.
            return self.without_answer("idle-closed" if self.asked_over_it else "unanswered", error)
        try:
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return self.without_answer("cut", error)
        self.asked_over_it += 1
        if answer.status != 200:
            self.example(f"{path}: {answer.status} {text[:200].decode(errors='replace')}")
        self.counts["answered" if answer.status == 200 else str(answer.status)] += 1
        if not self.keeps or answer.will_close:
            self.close()
        if answer.status != 200:
            return None
        said = json.loads(text)
        # One write for a line, so that lines of several clients do not mix.
        self.answered.write(f"{path} {said['request_id']}\n".encode())
        return said["data"]

    def close(self):
        self.connection.close()
        self.connection = None

    def without_answer(self, what, error):
        self.counts[what] += 1
        if what in ("refused", "unconnected"):
            self.away.append(time.monotonic())
        self.example(f"{what}: {error!r}")
        self.close()
        return None

    def example(self, text):
        if len(self.examples) < 5:
            self.examples.append(text)

    def run(self):
        while not self.stop.is_set():
            sealed = self.ask("/api/v1/kem/encrypt", {"plaintext": PLAINTEXT})
            if sealed is not None:
                question = {name: sealed[name] for name in ("ciphertext", "key_version")}
                opened = self.ask("/api/v1/kem/decrypt", question)
                if opened is not None and opened["plaintext"] != PLAINTEXT:
                    self.counts["wrong"] += 1
            self.ask("/api/v1/signature/sign", {"message": PLAINTEXT})
            time.sleep(0.005)


def main():
    url, key_file, path = sys.argv[1:]
    with open(key_file, encoding="ascii") as file:
        key = file.read().strip()
    stop = threading.Event()
    answered = open(path + ".answered", "wb", buffering=0)
    clients = [Client(url, key, stop, keeps, answered) for keeps in (True, True, False, False)]
    for client in clients:
        client.start()
    with open(path + ".begun", "w", encoding="ascii"):
        pass
    while not os.path.exists(path + ".stop"):
        time.sleep(0.05)
    stop.set()
    for client in clients:
        client.join()
    counts = sum((client.counts for client in clients), collections.Counter())
    away = [moment for client in clients for moment in client.away]
    result = {
        "counts": dict(counts),
        "nobody_listened_ms": round((max(away) - min(away)) * 1000) if away else 0,
        "examples": [example for client in clients for example in client.examples],
    }
    with open(path + ".new", "w", encoding="ascii") as file:
        json.dump(result, file)
    os.replace(path + ".new", path)


main()
