"""One build root for all packages, and which package owns which path of it."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .contents import LEFT_OUT, LINKS, VERSIONED_LINKS
from .control import Package

_LEFT_OUT = re.compile(LEFT_OUT)
# Debian's packages may still put files into /bin and the like: all of it lives in /usr.
_OUTSIDE_USR = re.compile(r"^(/?)(bin|sbin|lib|lib32|lib64|libx32)/")


class Tree:
    """The build root. Paths are relative to it, without a leading slash."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.owner: dict[str, str] = {}  # path -> package
        self.folders: dict[str, int] = {}  # folders owned by the filesystem package -> mode
        root.mkdir(parents=True)

    def by_package(self) -> dict[str, list[str]]:
        """What each package owns, sorted."""
        paths: dict[str, list[str]] = {}
        for path in sorted(self.owner):
            paths.setdefault(self.owner[path], []).append(path)
        return paths

    def put(self, package: str, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file; it replaces one of the same path."""
        file = self._make_room(path)
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(mode)
        self.owner[path] = package

    def link(self, package: str, path: str, target: str) -> None:
        """Make a symbolic link, unless the path is taken."""
        if not os.path.lexists(self.root / path):
            self._make_room(path).symlink_to(target)
            self.owner[path] = package

    def folder(self, path: str, mode: int) -> None:
        """Make a folder that the filesystem package owns."""
        (self.root / path).mkdir(parents=True, exist_ok=True)
        self.folders[path] = mode

    def add_debs(self, packages: list[Package], debs: Path, aside: Path) -> None:
        """Unpack packages and merge them, in their order: the first owner of a path keeps it."""

        def unpack(package: Package) -> Path:
            into = aside / package.name
            subprocess.run(["dpkg-deb", "-x", debs / package.file_name, into], check=True)
            return into

        aside.mkdir()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for package, unpacked in zip(packages, pool.map(unpack, packages), strict=True):
                self._merge(package.name, unpacked)
                shutil.rmtree(unpacked)
                self._add_links(package.name)

    def _merge(self, package: str, unpacked: Path) -> None:
        for folder, subfolders, names in os.walk(unpacked):
            linked = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
            for name in names + linked:
                source = Path(folder, name)
                path = _OUTSIDE_USR.sub(r"usr/\2/", str(source.relative_to(unpacked)))
                if _LEFT_OUT.match(path):
                    continue
                if source.is_symlink():
                    old = source.relative_to(unpacked)
                    self.link(package, path, _moved_target(old, path, os.readlink(source)))
                elif source.is_file() and path not in self.owner:
                    # A build root needs no program that gains rights.
                    source.chmod(source.stat().st_mode & 0o777)
                    source.rename(self._make_room(path))
                    self.owner[path] = package

    def _add_links(self, package: str) -> None:
        for path, target in LINKS.get(package, {}).items():
            self.link(package, path, target)
        for path, pattern in VERSIONED_LINKS.get(package, {}).items():
            for found in sorted((self.root / path).parent.glob(pattern))[-1:]:
                self.link(package, path, found.name)

    def _make_room(self, path: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file


def _moved_target(old: Path, new: str, target: str) -> str:
    """What a link moved from `old` to `new` must say to point where it did."""
    if target.startswith("/"):
        return _OUTSIDE_USR.sub(r"/usr/\2/", target)
    absolute = os.path.normpath(os.path.join("/", old.parent, target))
    absolute = _OUTSIDE_USR.sub(r"/usr/\2/", absolute)
    return os.path.relpath(absolute, os.path.join("/", os.path.dirname(new)))
