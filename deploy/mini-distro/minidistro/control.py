"""Debian's control data: paragraphs, dependency fields, versions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_RELATION = re.compile(
    r"\s*([a-z0-9][a-z0-9+.\-]*)(?::\w+)?\s*(?:\(\s*([<>=]+)\s*([^)\s]+)\s*\))?"
)


@dataclass(frozen=True)
class Relation:
    """One alternative of a dependency: `libc6 (>= 2.36)`."""

    name: str
    operator: str | None = None  # << <= = >= >>
    version: str | None = None


@dataclass(frozen=True)
class Package:
    """A paragraph of the index, as far as it matters here."""

    name: str
    version: str
    arch: str
    size: int
    summary: str
    depends: str
    provides: str

    @property
    def file_name(self) -> str:
        """The name under which `apt-get download` leaves it."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.arch}.deb"


@dataclass(frozen=True)
class Evr:
    """A version as RPM has it."""

    epoch: int
    version: str
    release: str

    @staticmethod
    def of(debian: str) -> "Evr":
        """RPM allows no dash within version or release: dashes become dots."""
        epoch, _, rest = debian.rpartition(":")
        version, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
        return Evr(int(epoch or 0), version.replace("-", "."), revision.replace("-", "."))

    @property
    def prefix(self) -> str:
        """The epoch as RPM's relations write it."""
        return f"{self.epoch}:" if self.epoch else ""


def packages(index: str, arch: str) -> Iterator[Package]:
    """The packages of an index that suit the architecture."""
    for block in index.split("\n\n"):
        fields = _fields(block)
        if fields.get("Architecture") in (arch, "all"):
            needs = [fields[key] for key in ("Pre-Depends", "Depends") if key in fields]
            yield Package(
                name=fields["Package"],
                version=fields["Version"],
                arch=fields["Architecture"],
                size=int(fields.get("Size", 0)),
                summary=fields.get("Description", fields["Package"]).split("\n")[0],
                depends=", ".join(needs),
                provides=fields.get("Provides", ""),
            )


def _fields(block: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    key = ""
    for line in block.split("\n"):
        if line[:1] in (" ", "\t"):
            if key:
                fields[key] += "\n" + line.strip()
        elif ":" in line:
            key, value = line.split(":", 1)
            fields[key] = value.strip()
    return fields


def clauses(field: str) -> Iterator[list[Relation]]:
    """The clauses of a dependency field; any one alternative of each is enough."""
    for clause in field.replace("\n", " ").split(","):
        matches = (_RELATION.match(alternative) for alternative in clause.split("|"))
        if alternatives := [Relation(*match.groups()) for match in matches if match]:
            yield alternatives
