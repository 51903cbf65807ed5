# Runs as root of a new base tree that holds the base packages; prints where its rpm has its database.
[ -d /builddir ] || mkdir -p /builddir
if ! grep -q '^[^:]*:[^:]*:1000:' /etc/passwd; then
    echo 'mockbuild:x:1000:1000:the build user:/builddir:/bin/bash' >> /etc/passwd
fi
if ! grep -q '^[^:]*:[^:]*:1000:' /etc/group; then
    echo 'mockbuild:x:1000:' >> /etc/group
fi
chown 1000:1000 /builddir
for program in /bin/sh /usr/bin/rpmbuild; do
    [ -x $program ] || { echo "[farm] the base packages bring no $program" >&2; exit 1; }
done
# rpm runs the scripts of specs with /bin/sh, and the specs of this world are written for bash.
if [ "$(/bin/sh -c 'echo "${BASH_VERSION:+bash}"')" != bash ]; then
    echo "[farm] /bin/sh of the base packages is not bash: it is made one" >&2
    ln -sf bash /usr/bin/sh.farm && mv -f /usr/bin/sh.farm "$(readlink -f /bin)/sh"
    [ "$(/bin/sh -c 'echo "${BASH_VERSION:+bash}"')" = bash ] || { echo "[farm] /bin/sh cannot be made bash" >&2; exit 1; }
fi
db=$(rpm --eval '%{_dbpath}')
first=/usr/lib/sysimage/rpm
if [ "$(readlink -f "$db")" != "$(readlink -f $first)" ]; then
    mkdir -p "$db"
    mv $first/rpmdb* $first/.rpm.lock "$db/" 2> /dev/null || :
    rmdir $first || :
fi
rpm -q rpm > /dev/null || { echo "[farm] the platform's rpm cannot read the database at $db" >&2; exit 1; }
printf %s "$db"
