"""A private apt: its own sources, state and cache, so that the system's stay as they are."""

import os
import subprocess
from pathlib import Path

from .control import Package, packages
from .progress import Failure, Progress

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEFAULT_MIRROR = "http://deb.debian.org/debian"


class Apt:
    """apt of one suite, with everything it writes below one folder."""

    def __init__(self, folder: Path, suite: str, mirror: str | None, kind: str = "deb", arch: str = "amd64") -> None:
        """`kind` is `deb` for binary packages, `deb-src` for source packages."""
        self.folder = folder
        self.suite = suite
        self.arch = arch
        self.debs = folder / "debs"
        for part in ("state/lists/partial", "cache/archives/partial", "debs"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        sources = f"{kind} [signed-by={KEYRING}] {mirror or system_mirror()} {suite} main\n"
        (folder / "sources.list").write_text(sources)
        self.conf = folder / "apt.conf"
        self.conf.write_text(
            f"""\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User "";
"""
        )

    def command(self, program: str, *arguments: str) -> list[str]:
        """A file given by -c is read last: it wins over what the system sets."""
        return [program, "-c", str(self.conf), *arguments]

    def update(self, progress: Progress) -> None:
        """Fetch the suite's index; its signature is checked."""
        # Errors, not warnings: an index that could not be fetched must not pass as an old one.
        command = self.command("apt-get", "-q", "update", "--error-on=any")
        log = self.folder / "update.log"
        progress.run(command, lambda: f"fetching the index of {self.suite}", log, env=_env())

    def index(self) -> dict[str, Package]:
        """Every package of the suite, by name."""
        command = self.command("apt-cache", "dumpavail")
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=_env())
        index = {package.name: package for package in packages(text.stdout, self.arch)}
        if not index:
            raise Failure(f"The index of {self.suite} is empty: see {self.folder}/update.log")
        return index

    def download(self, wanted: list[Package], progress: Progress) -> int:
        """Fetch what is not there yet, hashes checked; the number of bytes fetched."""
        missing = [package for package in wanted if not (self.debs / package.file_name).exists()]
        total = sum(package.size for package in missing)
        if missing:
            there = sum(file.stat().st_size for file in self.debs.iterdir())

            def doing() -> str:
                now = sum(file.stat().st_size for file in self.debs.iterdir()) - there
                return f"downloading: {now / 1e6:.0f} of {total / 1e6:.0f} MB"

            names = [f"{package.name}={package.version}" for package in missing]
            command = self.command("apt-get", "-q", "download", *names)
            log = self.folder / "download.log"
            progress.run(command, doing, log, cwd=self.debs, env=_env())
        return total

    def source_tarball(self, package: str, into: Path, progress: Progress) -> Path:
        """Fetch the upstream tarball of a source package, hash checked; its path."""
        into.mkdir(parents=True, exist_ok=True)
        command = self.command("apt-get", "-q", "source", "--download-only", "--tar-only", package)
        log = self.folder / "source.log"
        progress.run(command, lambda: f"fetching {package}", log, cwd=into, env=_env())
        found = sorted(into.glob(f"{package}_*.orig.tar.*"))
        if len(found) != 1:
            raise Failure(f"One upstream tarball of {package} expected, {len(found)} found")
        return found[0]


def system_mirror() -> str:
    """The Debian mirror that this system is set to use."""
    columns = "$(REPO_URI) $(ORIGIN) $(CREATED_BY)"
    command = ["apt-get", "indextargets", "--format", columns]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=_env())
    for line in listed.stdout.splitlines():
        fields = line.split()
        if fields[1:] == ["Debian", "Packages"] and "security" not in fields[0]:
            return fields[0]
    return DEFAULT_MIRROR


def _env() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
