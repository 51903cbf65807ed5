# A plugin of dnf 4. Before anything is fetched or installed it says, over standard input (a socket), what dnf has decided on: lines with
# a sign, the package, its checksum, its repository, and where that is; then `end`. It goes on if the answer is `go`.
import os
import socket

import dnf


class Plan(dnf.Plugin):
    name = "plan"

    def resolved(self):
        lines = ["-%s\t\t\t" % package for package in self.base.transaction.remove_set]
        for package in self.base.transaction.install_set:
            # Ours, which says what is needed.
            if package.repoid == "@commandline":
                continue
            kind, checksum = package.returnIdSum()
            repo = package.repo
            origin = " ".join([*repo.baseurl, repo.metalink or "", repo.mirrorlist or ""]).strip()
            nevra = "%s-%s:%s-%s.%s" % (package.name, package.epoch, package.version, package.release, package.arch)
            lines.append("+%s\t%s:%s\t%s\t%s" % (nevra, kind, checksum, package.repoid, origin))
        ours = socket.socket(fileno=os.dup(0))
        ours.sendall(("\n".join(sorted(lines) + ["end"]) + "\n").encode())
        answer = ours.recv(3)
        ours.close()
        # Scriptlets have nothing to say here.
        nothing = os.open("/dev/null", os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        if answer != b"go\n":
            raise SystemExit(0)
