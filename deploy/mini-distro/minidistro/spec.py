"""The spec file that cuts the build root: one subpackage for each package."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .closure import Chosen
from .contents import NAMES
from .control import Evr, Relation
from .provides import provides
from .skeleton import OwnPackage
from .suites import Suite
from .tree import Tree

# A time that does not change: a package made again is the same bytes, and dnf's caches hold.
SOURCE_DATE_EPOCH = "1700000000"

_HEAD = """\
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define _buildhost mini
%define _binary_payload w3.zstdio
%define _build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm
%define _build_id_links none
%define debug_package %{nil}
%define __os_install_post %{nil}
%define _unpackaged_files_terminate_build 0
%define _empty_manifest_terminate_build 0
%undefine _missing_build_ids_terminate_build
Name: mini-all
Version: 1
Release: 1
Summary: All packages of a mini distribution
License: various
AutoReqProv: no
%description
Never built itself: its subpackages are the distribution.
"""

# As glibc does on Fedora: refresh the linker cache after a transaction that brought libraries.
_TRIGGERS = {
    "libc-bin": """\
%transfiletriggerin -n libc-bin -P 2000000 -- /usr/lib /usr/lib64
/usr/sbin/ldconfig || :
"""
}


@dataclass(frozen=True)
class _Subpackage:
    name: str
    evr: Evr
    summary: str
    requires: list[str]
    provides: list[str] = field(default_factory=list)


def write_spec(
    folder: Path, suite: Suite, tree: Tree, chosen: Iterable[Chosen], own: Iterable[OwnPackage]
) -> Path:
    """Write the spec and its file lists into a folder; the path of the spec."""
    paths = tree.by_package()
    subpackages = [
        _Subpackage(
            name=one.package.name,
            evr=Evr.of(one.package.version),
            summary=one.package.summary.replace("%", "%%"),
            requires=["filesystem", *(_requirement(each, suite.dist) for each in one.requires)],
            provides=NAMES.get(one.package.name, [])
            + provides(tree.root, paths.get(one.package.name, [])),
        )
        for one in chosen
    ]
    for one in own:
        base = [] if one.name == "filesystem" else ["filesystem"]
        evr = Evr(0, one.version, "1")
        summary = f"Mini Linux: {one.name}"
        subpackages.append(
            _Subpackage(one.name, evr, summary, [*base, *one.requires], one.provides)
        )
    lists = folder / "lists"
    lists.mkdir()
    spec = folder / "mini.spec"
    with spec.open("w") as text:
        text.write(_HEAD)
        for subpackage in subpackages:
            files = lists / subpackage.name
            files.write_text(_file_list(tree, subpackage.name, paths.get(subpackage.name, [])))
            text.write(_section(subpackage, suite.dist, files))
    return spec


def _section(package: _Subpackage, dist: str, files: Path) -> str:
    name, evr = package.name, package.evr
    release = f"{evr.release}{dist}"
    lines = [f"%package -n {name}", f"Version: {evr.version}", f"Release: {release}"]
    if evr.epoch:
        lines.append(f"Epoch: {evr.epoch}")
    lines += [f"Summary: {package.summary}", "License: see the package", "AutoReqProv: no"]
    lines += [f"Requires: {each}" for each in sorted(set(package.requires))]
    for each in package.provides:
        # Plain names get the package's version; sonames, paths and the like have their own or none.
        versioned = re.fullmatch(r"[\w\-+.]+", each)
        version = f" = {evr.prefix}{evr.version}-{release}" if versioned else ""
        lines.append(f"Provides: {each}{version}")
    text = "\n".join(lines) + "\n" + _TRIGGERS.get(name, "")
    return f"{text}%description -n {name}\n{package.summary}\n%files -n {name} -f {files}\n"


def _requirement(relation: Relation, dist: str) -> str:
    """A Debian relation as RPM's. Releases made here carry the dist tag, Debian's do not."""
    if not relation.operator or not relation.version:
        return relation.name
    evr = Evr.of(relation.version)
    has_revision = "-" in relation.version
    # ">> 2.36" means "2.36-1 or later" to Debian, where RPM takes 2.36-1 for equal to 2.36.
    later = ">" if has_revision else ">="
    operator = {"<<": "<", ">>": later}.get(relation.operator, relation.operator)
    version = evr.prefix + evr.version
    if has_revision:
        version += f"-{evr.release}{dist if operator in ('=', '<=') else ''}"
    return f"{relation.name} {operator} {version}"


def _file_list(tree: Tree, package: str, paths: list[str]) -> str:
    lines = ["%defattr(-,root,root,-)"]
    if package == "filesystem":
        lines += [f"%attr({mode:o},root,root) %dir /{path}" for path, mode in tree.folders.items()]
    for path in paths:
        is_config = path.startswith("etc/") and "/rpm/" not in path
        prefix = "%config(noreplace) " if is_config and not (tree.root / path).is_symlink() else ""
        escaped = path.replace("%", "%%")
        lines.append(f'{prefix}"/{escaped}"' if " " in path else f"{prefix}/{escaped}")
    return "\n".join(lines) + "\n"
