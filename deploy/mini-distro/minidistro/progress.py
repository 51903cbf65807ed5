"""Progress on standard error: one line for each step, and signs of life in long ones."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HEARTBEAT_SECS = 5


class Failure(Exception):
    """Something a person has to be told; the text is the whole message."""


class Progress:
    """Lines of the form `mini12   4.1 s  index: 63436 packages`."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.start = time.monotonic()

    def say(self, text: str) -> None:
        elapsed = time.monotonic() - self.start
        print(f"{self.label} {elapsed:6.1f} s  {text}", file=sys.stderr, flush=True)

    def run(
        self,
        command: list[str],
        doing: Callable[[], str],
        log: Path,
        env: dict[str, str],
        cwd: Path | None = None,
    ) -> None:
        """Run a long command with its output in `log`; say what it is `doing` now and then."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
            )
            try:
                while (code := _wait(process)) is None:
                    self.say(doing())
            finally:
                process.kill()  # does nothing when it has ended; else we were interrupted
        if code != 0:
            tail = log.read_text(errors="replace").splitlines()[-20:]
            raise Failure("\n".join([f"{command[0]} ended with status {code}:", *tail]))


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(HEARTBEAT_SECS)
    except subprocess.TimeoutExpired:
        return None
