"""The platforms that can be made, and the recipe by which the farm builds on one."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Suite:
    """A Debian suite and the mini distribution made from it."""

    release: str  # the platform's release: what a user gives as target
    debian: str  # the suite's code name
    version: str

    @property
    def dist(self) -> str:
        """The dist tag: the end of every Release made here or built on it."""
        return f".{self.release}"


SUITES = {
    suite.release: suite
    for suite in (
        Suite("mini12", "bookworm", "12"),
        Suite("mini13", "trixie", "13"),
    )
}

ARCH = "x86_64"


def recipe(suite: Suite, repo: Path) -> str:
    """The text of the recipe for `farm-admin platform add`."""
    return f"""\
name = "{suite.release}-{ARCH}"
release = "{suite.release}"
arch = "{ARCH}"
description = "Mini Linux {suite.version}, made from Debian {suite.debian}"
auto = true
base = ["buildsys-build", "gcc"]

[[repository]]
name = "{suite.release}"
baseurl = "file://{repo}"
gpgcheck = false
"""
