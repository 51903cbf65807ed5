"""One platform from beginning to end."""

import shutil
from pathlib import Path

from .apt import Apt
from .closure import closure
from .contents import BASE, COMPILER, DEVEL
from .cut import cut
from .progress import Progress
from .skeleton import add_skeleton
from .spec import write_spec
from .suites import Suite
from .tree import Tree


def build(suite: Suite, into: Path, apt: Apt, progress: Progress) -> None:
    """Make the repository `into/repo`; what is only needed meanwhile is removed again."""
    progress.say(f"making {suite.name} from Debian {suite.debian}")
    apt.update(progress)
    index = apt.index()
    chosen = closure(index, BASE + (DEVEL if suite.whole else COMPILER))
    packages = [one.package for one in chosen]
    progress.say(f"index read: {len(chosen)} of {len(index)} packages needed")
    fetched = apt.download(packages, progress)
    total = sum(package.size for package in packages)
    progress.say(f"downloaded: {total / 1e6:.0f} MB, {fetched / 1e6:.0f} of it in this run")

    work = into / "work"
    work.mkdir()
    tree = Tree(work / "root")
    tree.add_debs(packages, apt.debs, work / "unpacked")
    own = add_skeleton(tree, suite)
    progress.say(f"unpacked: {len(tree.owner)} files")

    spec = write_spec(work, suite, tree, chosen, own)
    repo = into / "repo"
    count = cut(suite, spec, tree.root, repo, work, progress)
    shutil.rmtree(work)
    size = sum(file.stat().st_size for file in repo.iterdir())
    progress.say(f"made: {count} packages, {size / 1e6:.0f} MB")
