"""Runs the `qpher` command as a user does: as a process, with a home directory of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("qpher")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Answer:
    """What a run printed and how it ended."""

    def __init__(self, run):
        self.code = run.returncode
        self.out = COLOUR.sub("", run.stdout)
        self.err = COLOUR.sub("", run.stderr)

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Command:
    """`qpher` with its home, talking to one Chancel."""

    def __init__(self, home, url):
        self.home = home
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "LANG", "REQUESTS_CA_BUNDLE") or name.startswith("LC_")
        }
        self._environment |= {"HOME": str(home), "QPHER_API_URL": url, "PYTHONUTF8": "1"}

    def run(self, *arguments, answer=None, **environment):
        run = subprocess.run(
            [PROGRAM, *map(str, arguments)],
            env=self._environment | environment,
            cwd=self.home,
            input=answer,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        answer = Answer(run)
        assert "Traceback" not in answer.err, answer
        return answer

    def done(self, *arguments, **named):
        answer = self.run(*arguments, **named)
        assert answer.code == 0, answer
        return answer

    def refused(self, message, *arguments, **named):
        """The command ends with 1, a message and, since the server answered, its request id."""
        answer = self.run(*arguments, **named)
        assert answer.code == 1, answer
        assert answer.out == "", answer
        assert message in answer.err, answer
        assert re.search(r"Request ID: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n", answer.err), answer
        return answer
