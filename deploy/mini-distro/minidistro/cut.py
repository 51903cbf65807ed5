"""From the build root to a repository: one rpmbuild run, one createrepo_c run."""

import os
from pathlib import Path

from .progress import Progress
from .spec import SOURCE_DATE_EPOCH
from .suites import Suite


def cut(suite: Suite, spec: Path, root: Path, repo: Path, work: Path, progress: Progress) -> int:
    """Write the RPMs that the spec describes, and their index; the number of packages."""
    repo.mkdir()
    definitions = {
        "_topdir": work / "top",
        "_rpmdir": repo,
        # The step before %install would remove the build root.
        "__spec_install_pre": "%{nil}",
    }
    command = ["rpmbuild", "-bb", "--buildroot", str(root), "--target", suite.arch]
    for name, value in definitions.items():
        command += ["--define", f"{name} {value}"]
    # A home of its own: the macros of the user who runs this must not take part.
    env = {**os.environ, "HOME": str(work), "LC_ALL": "C.UTF-8"}
    env["SOURCE_DATE_EPOCH"] = SOURCE_DATE_EPOCH
    progress.run(
        [*command, str(spec)],
        lambda: f"writing packages: {_count(repo)} so far",
        work / "rpmbuild.log",
        env=env,
    )
    index = ["createrepo_c", "-q", "--general-compress-type=gz", str(repo)]
    progress.run(index, lambda: "indexing the packages", work / "createrepo.log", env=env)
    return _count(repo)


def _count(repo: Path) -> int:
    return sum(1 for _ in repo.glob("*.rpm"))
