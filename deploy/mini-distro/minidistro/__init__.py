"""A small RPM distribution, made from Debian's binary packages.

How it is made, one module for each step:

1. `apt`       a private apt state: the suite's index and its packages, hashes checked
2. `closure`   which packages are needed
3. `tree`      all of them unpacked into one build root
4. `skeleton`  the packages Debian has no counterpart of (filesystem, release, macros)
5. `spec`      one spec file with one subpackage for each Debian package
6. `cut`       one rpmbuild run cuts the build root into RPMs; createrepo_c indexes them

`cache` keeps what was made; `contents` holds the lists; `suites` names the platforms.
"""
