"""The platforms that can be made, and the recipe by which the farm builds on one."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Suite:
    """A Debian suite and the mini distribution made from it."""

    release: str  # the platform's release: what a user gives as target
    debian: str  # the suite's code name
    version: str
    arch: str = "x86_64"
    # Whether it has all that packages ask for, or just a compiler.
    whole: bool = True

    @property
    def name(self) -> str:
        """What it is called here: its release, with the architecture where that is not the usual one."""
        return self.release if self.arch == "x86_64" else f"{self.release}-{self.arch}"

    @property
    def debian_arch(self) -> str:
        """What Debian calls the architecture."""
        return {"x86_64": "amd64", "i686": "i386"}[self.arch]

    @property
    def libdir(self) -> str:
        """Where packages put libraries."""
        return "/usr/lib64" if self.arch == "x86_64" else "/usr/lib"

    @property
    def dist(self) -> str:
        """The dist tag: the end of every Release made here or built on it."""
        return f".{self.release}"


SUITES = {
    suite.name: suite
    for suite in (
        Suite("mini12", "bookworm", "12"),
        Suite("mini13", "trixie", "13"),
        Suite("mini12", "bookworm", "12", arch="i686", whole=False),
    )
}


def recipe(suite: Suite, repo: Path) -> str:
    """The text of the recipe for `farm-admin platform add`."""
    return f"""\
name = "{suite.release}-{suite.arch}"
release = "{suite.release}"
arch = "{suite.arch}"
description = "Mini Linux {suite.version}, made from Debian {suite.debian}"
auto = {str(suite.whole).lower()}
base = ["buildsys-build", "gcc"]

[[repository]]
name = "{suite.release}"
baseurl = "file://{repo}"
gpgcheck = false
"""
