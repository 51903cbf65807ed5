"""The packages that Debian has no counterpart of."""

from dataclasses import dataclass, field
from pathlib import Path

from .contents import BASE
from .suites import Suite
from .tree import Tree

_MACROS = Path(__file__).with_name("macros.mini")

_FOLDERS = """
    usr/bin usr/sbin usr/lib usr/lib64 usr/share usr/include usr/libexec usr/local etc var var/lib
    var/lib/rpm var/cache var/log home proc sys dev run mnt opt srv builddir
""".split()

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n"
    "mail:x:8:12:mail:/var/mail:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    "etc/group": "root:x:0:\nbin:x:1:\nsys:x:3:\ntty:x:5:\ndisk:x:6:\nmail:x:12:\nusers:x:100:\n"
    "nobody:x:65534:\n",
    "etc/ld.so.conf.d/mini.conf": "/usr/lib64\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/profile": "export PATH=/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin\n",
    "etc/login.defs": "UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\n"
    "CREATE_HOME yes\nUMASK 022\n",
}


@dataclass(frozen=True)
class OwnPackage:
    """A package that is made here."""

    name: str
    version: str
    requires: list[str] = field(default_factory=list)
    provides: list[str] = field(default_factory=list)


def add_skeleton(tree: Tree, suite: Suite) -> list[OwnPackage]:
    """Put the own packages' files into the tree."""
    _filesystem(tree)
    _release(tree, suite)
    macros = _MACROS.read_text()
    for word, value in {
        "@DIST@": suite.dist,
        "@VERSION@": suite.version,
        "@ARCH@": suite.arch,
        "@LIBDIR@": suite.libdir,
    }.items():
        macros = macros.replace(word, value)
    tree.put("mini-rpm-config", "etc/rpm/macros.mini", macros)
    flags = f"optflags: {suite.arch} -O2 -g -fstack-protector-strong\n"
    tree.put("mini-rpm-config", "etc/rpmrc", flags)
    releases = ["fedora-release", "fedora-release-common", "redhat-release", "system-release"]
    configs = ["redhat-rpm-config", "system-rpm-config", "epel-rpm-macros", "fedora-rpm-macros",
               "systemd-rpm-macros", "python-rpm-macros", "python3-rpm-macros", "perl-macros"]
    return [
        OwnPackage("filesystem", "1", provides=["setup", "basesystem"]),
        OwnPackage("mini-release", suite.version, provides=releases),
        OwnPackage("mini-rpm-config", suite.version, ["mini-release"], configs),
        OwnPackage("buildsys-build", "1", [*BASE, "mini-rpm-config"]),
    ]


def _filesystem(tree: Tree) -> None:
    for path in _FOLDERS:
        tree.folder(path, 0o755)
    tree.folder("root", 0o700)
    tree.folder("tmp", 0o1777)
    tree.folder("var/tmp", 0o1777)
    for path in ("bin", "sbin", "lib", "lib64"):
        tree.link("filesystem", path, f"usr/{path}")
    for path, text in _FILES.items():
        tree.put("filesystem", path, text)
    tree.put("filesystem", "etc/shadow", "root:*:19000:0:99999:7:::\n", 0o600)
    tree.put("filesystem", "etc/gshadow", "root:::\n", 0o600)


def _release(tree: Tree, suite: Suite) -> None:
    os_release = f"""\
NAME="Mini Linux"
ID=mini
ID_LIKE="fedora"
VERSION_ID={suite.version}
PRETTY_NAME="Mini Linux {suite.version} ({suite.debian})"
PLATFORM_ID="platform:{suite.release}"
"""
    tree.put("mini-release", "usr/lib/os-release", os_release)
    tree.link("mini-release", "etc/os-release", "../usr/lib/os-release")
