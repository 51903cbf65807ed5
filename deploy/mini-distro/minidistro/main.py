"""The command line."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from .cache import default_folder, provide
from .progress import Failure
from .provides import ELFDEPS
from .suites import SUITES, Suite

_PROGRAMS = ["apt-get", "apt-cache", "dpkg-deb", "rpmbuild", "createrepo_c", ELFDEPS]


def main() -> int:
    """Make the platforms that were asked for; the exit code."""
    arguments = _parse()
    # Builds read the platforms under other user ids.
    os.umask(0o022)
    # As an exception it ends the programs that we started as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        _check_programs()
        for suite in arguments.platform or SUITES.values():
            print(provide(suite, arguments.cache.resolve(), arguments.mirror, arguments.keep_debs))
    except (Failure, OSError, subprocess.CalledProcessError) as error:
        print(f"No platform made: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was downloaded is kept for the next run.", file=sys.stderr)
        return 130
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make",
        description="Make mini RPM distributions out of Debian's packages, "
        "and print the path of each one's recipe.",
    )
    parser.add_argument(
        "platform", nargs="*", type=_suite, help=f"{' or '.join(SUITES)} (default: all)"
    )
    parser.add_argument(
        "--cache", type=Path, default=default_folder(), help="where to keep them (%(default)s)"
    )
    parser.add_argument("--mirror", help="a Debian mirror (default: the one this system uses)")
    parser.add_argument(
        "--keep-debs", action="store_true", help="keep the downloaded Debian packages"
    )
    return parser.parse_args()


def _suite(name: str) -> Suite:
    if name not in SUITES:
        raise argparse.ArgumentTypeError(f"no platform {name}: there are {', '.join(SUITES)}")
    return SUITES[name]


def _check_programs() -> None:
    missing = [program for program in _PROGRAMS if not shutil.which(program)]
    if missing:
        raise Failure(f"these programs are missing: {' '.join(missing)}. Run: deploy/setup run")
