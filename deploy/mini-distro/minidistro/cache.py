"""Platforms that were made are kept, and made again only when what makes them has changed."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .apt import Apt
from .build import build
from .progress import Progress
from .suites import Suite, recipe

_SCRIPTS = Path(__file__).parent


def default_folder() -> Path:
    """Where platforms are kept unless said otherwise."""
    if os.geteuid() == 0:
        return Path("/var/cache/farm/platforms")
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "farm" / "platforms"


def provide(suite: Suite, folder: Path, mirror: str | None, keep_debs: bool) -> Path:
    """Make the platform unless an up-to-date one is there; the path of its recipe."""
    made = folder / suite.name
    stamp = _stamp(suite)
    progress = Progress(suite.name)
    if not _is_current(made, stamp):
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / f".{suite.name}.lock", progress):
            if not _is_current(made, stamp):  # another run may have made it meanwhile
                _make(suite, folder, made, stamp, mirror, keep_debs, progress)
    return made / "platform.toml"


def _make(
    suite: Suite,
    folder: Path,
    made: Path,
    stamp: str,
    mirror: str | None,
    keep_debs: bool,
    progress: Progress,
) -> None:
    aside = folder / f".{suite.name}.new"
    shutil.rmtree(aside, ignore_errors=True)  # what an interrupted run left
    aside.mkdir()
    # Kept until the platform is there: an interrupted download goes on where it stopped.
    downloads = folder / f".{suite.name}.apt"
    build(suite, aside, Apt(downloads, suite.debian, mirror, arch=suite.debian_arch), progress)
    (aside / "platform.toml").write_text(recipe(suite, made / "repo"))
    (aside / "stamp").write_text(stamp)
    old = folder / f".{suite.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if made.exists():
        made.rename(old)
    aside.rename(made)
    shutil.rmtree(old, ignore_errors=True)
    if not keep_debs:
        shutil.rmtree(downloads)


def _is_current(made: Path, stamp: str) -> bool:
    try:
        return (made / "stamp").read_text() == stamp
    except OSError:
        return False


def _stamp(suite: Suite) -> str:
    """A digest of what makes a platform. Debian's index is no part of it: it changes daily."""
    digest = hashlib.sha256(repr(suite).encode())
    for file in sorted(_SCRIPTS.iterdir()):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def _lock(file: Path, progress: Progress) -> Iterator[None]:
    """Held by one process at a time; released by the kernel when that process is gone."""
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another run is making it: waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
