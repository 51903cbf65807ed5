"""What packages provide beside their names, read from their files."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

# RPM's own reader of sonames and symbol versions.
ELFDEPS = "/usr/lib/rpm/elfdeps"

_LIBRARY = re.compile(r"\.so(\.|$)")
_PROGRAM = re.compile(r"usr/(s?bin)/([\w.+\-]+)$")
_PERL_MODULE = re.compile(
    r"usr/(?:share|lib/[^/]+)/(?:perl5|perl-base|perl/[\d.]+|perl5/[\d.]+)/(.+)\.pm$"
)
_PKGCONFIG_VERSION = re.compile(r"^Version:\s*([A-Za-z0-9.~+^_]+)\s*$", re.MULTILINE)


def provides(root: Path, paths: list[str]) -> list[str]:
    """Sonames, pkgconfig() and perl() names, and the /bin paths of programs."""
    found = set(_sonames(root, paths))
    for path in paths:
        if path.endswith(".pc"):
            found.add(_pkgconfig(root / path))
        if program := _PROGRAM.match(path):
            # The file list has /usr/bin/x; specs may ask for /bin/x as well.
            found.add(f"/{program[1]}/{program[2]}")
        if module := _PERL_MODULE.match(path):
            found.add(f"perl({module[1].replace('/', '::')})")
    return sorted(found)


def _sonames(root: Path, paths: list[str]) -> Iterable[str]:
    libraries = [
        root / path
        for path in paths
        if _LIBRARY.search(path) and not os.path.islink(root / path)
    ]
    if not libraries:
        return []
    for library in libraries:  # elfdeps looks at executable files only
        library.chmod(library.stat().st_mode | 0o111)
    answer = subprocess.run(
        [ELFDEPS, "--provides"],
        input="".join(f"{library}\n" for library in libraries),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # linker scripts named *.so are no ELF files: it says so
        text=True,
    )
    return filter(None, answer.stdout.splitlines())


def _pkgconfig(file: Path) -> str:
    name = f"pkgconfig({file.stem})"
    text = file.read_text(errors="replace") if file.exists() else ""
    version = _PKGCONFIG_VERSION.search(text)
    return f"{name} = {version[1]}" if version else name
