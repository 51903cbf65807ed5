# A plugin of dnf 4. Before anything is fetched or installed it says, over standard input (a socket), what dnf has decided on: lines that
# are JSON, each an array of a sign, the package, its checksum, its repository, and where that is; then the line "end". It goes on if the
# answer is `go`. Names come out of metadata as they are, and what is said here names a layer that others use: so whatever cannot be said
# ends dnf, which would go on over an error of a plugin.
import json
import os
import socket
import sys

import dnf


class Plan(dnf.Plugin):
    name = "plan"

    def resolved(self):
        try:
            answer = self.tell()
        except Exception as error:
            print("Error: the plan cannot be told: %r" % error, file=sys.stderr)
            raise SystemExit(1)
        if answer != b"go\n":
            raise SystemExit(0)

    def tell(self):
        plan = [["-", str(package), "", "", ""] for package in self.base.transaction.remove_set]
        for package in self.base.transaction.install_set:
            # Ours, which says what is needed.
            if package.repoid == "@commandline":
                continue
            kind, checksum = package.returnIdSum()
            repo = package.repo
            origin = " ".join([*repo.baseurl, repo.metalink or "", repo.mirrorlist or ""]).strip()
            nevra = "%s-%s:%s-%s.%s" % (package.name, package.epoch, package.version, package.release, package.arch)
            plan.append(["+", nevra, "%s:%s" % (kind, checksum), package.repoid, origin])
        for fields in plan:
            if not all(field.isprintable() for field in fields):
                raise ValueError("a name has characters that nobody can see: %s" % ascii(fields))
        lines = [json.dumps(fields) for fields in sorted(plan)] + [json.dumps("end")]
        ours = socket.socket(fileno=os.dup(0))
        ours.sendall(("\n".join(lines) + "\n").encode())
        answer = ours.recv(3)
        ours.close()
        # Scriptlets have nothing to say here.
        nothing = os.open("/dev/null", os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        return answer
