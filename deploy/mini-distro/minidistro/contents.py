"""What a mini distribution holds, and under which names RPM specs ask for it."""

# The build root: what every package may expect to be there (package `buildsys-build`).
BASE = """
    bash coreutils diffutils findutils gawk grep gzip sed tar util-linux bzip2 xz-utils zstd
    unzip cpio file patch rpm rpm2cpio debugedit elfutils binutils make passwd perl-base
    debianutils hostname libc-bin procps
""".split()

# What packages ask for by BuildRequires.
DEVEL = """
    gcc g++ libc6-dev pkgconf m4 autoconf automake libtool bison flex gettext texinfo info perl
    python3 zlib1g-dev libbz2-dev liblzma-dev libzstd-dev libncurses-dev libreadline-dev
    libexpat1-dev libpopt-dev libssl-dev libcap-dev libacl1-dev libselinux1-dev
""".split()

# What a platform has that is there to show that its architecture is built for.
COMPILER = "gcc libc6-dev".split()

# Never packaged: helpers of maintainer scripts, Debian's own management, heavy options.
DROP = frozenset(
    """
    dpkg debconf debconf-2.0 base-files base-passwd dash init-system-helpers adduser
    libpam-runtime tzdata sensible-utils ucf media-types netbase login login.defs mount libasan8
    libtsan2 liblsan0 libubsan1 libitm1 libhwasan0 libquadmath0 libgprofng0 perl-modules-doc
    logsave libsystemd-shared gnupg gpg linux-sysctl-defaults libgcc-12-doc sysvinit-utils
    readline-common openssl-provider-legacy libsframe1-dev psmisc
    """.split()
)

# Hard requirements that Debian only recommends.
EXTRA = {"gcc": ["libc6-dev"], "libc-bin": ["bash"]}

# (package, what it asks for): a smaller one that is enough here.
SWAP = {("rpm", "perl"): "perl-base"}

# Names that the BuildRequires and Requires of Fedora's and EL's specs use.
NAMES = {
    "libc6": ["glibc", "glibc-minimal-langpack", "glibc-langpack-en", "glibc-all-langpacks",
              "rtld(GNU_HASH)"],
    "libc-bin": ["glibc-common"],
    "libc6-dev": ["glibc-devel", "glibc-headers", "glibc-static"],
    "linux-libc-dev": ["kernel-headers"],
    "g++": ["gcc-c++"],
    "libstdc++6": ["libstdc++"],
    "rpm": ["rpm-build", "rpm-sign", "/usr/bin/rpmbuild"],
    "rpm-common": ["rpm-libs"],
    "xz-utils": ["xz", "xz-lzma-compat"],
    "debianutils": ["which"],
    "passwd": ["shadow-utils"],
    "procps": ["procps-ng"],
    "zlib1g": ["zlib"],
    "zlib1g-dev": ["zlib-devel", "zlib-static"],
    "libbz2-dev": ["bzip2-devel"],
    "liblzma-dev": ["xz-devel"],
    "libzstd-dev": ["zstd-devel"],
    "libncurses-dev": ["ncurses-devel"],
    "libreadline-dev": ["readline-devel"],
    "libexpat1-dev": ["expat-devel"],
    "libpopt-dev": ["popt-devel"],
    "libssl-dev": ["openssl-devel"],
    "libcap-dev": ["libcap-devel"],
    "libacl1-dev": ["libacl-devel"],
    "libattr1-dev": ["libattr-devel"],
    "libselinux1-dev": ["libselinux-devel"],
    "pkgconf": ["pkgconfig", "pkg-config", "pkgconf-pkg-config"],
    "gettext": ["gettext-devel"],
    "gettext-base": ["gettext-runtime"],
    "perl": ["perl-interpreter", "perl-generators", "perl-devel"],
    "libelf1": ["elfutils-libelf"],
    "libelf1t64": ["elfutils-libelf"],
    "libtool": ["libtool-ltdl-devel"],
}

# What Debian's update-alternatives does after installation: package -> {path: target}.
LINKS = {
    "bash": {"usr/bin/sh": "bash"},
    "gawk": {"usr/bin/awk": "gawk"},
    "debianutils": {"usr/bin/which": "which.debianutils"},
    "gcc": {"usr/bin/cc": "gcc"},
    "g++": {"usr/bin/c++": "g++"},
    "bison": {"usr/bin/yacc": "bison.yacc"},
}

# The same for names that carry a version: package -> {path: pattern of the target}.
VERSIONED_LINKS = {
    "automake": {"usr/bin/automake": "automake-*", "usr/bin/aclocal": "aclocal-*"},
}

# Paths that are left out: documents, translations, what only serves a running Debian.
LEFT_OUT = (
    r"^usr/share/(doc|man|info|locale|lintian|bug|doc-base|bash-completion|gdb|gcc/python|menu"
    r"|applications|icons|pixmaps|perl5/debconf|zoneinfo|common-licenses)(/|$)"
    r"|^etc/(cron|init\.d|default|pam\.d|apt|logrotate)"
    r"|^usr/bin/((x86_64|i686)-linux-gnu-)?(lto-dump|gp-|gprofng|dwp|gcov-tool|gcov-dump)"
    r"|^usr/lib/systemd|^usr/lib/python3/dist-packages/.*/tests/"
)
