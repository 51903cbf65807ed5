# Runs one KDC for the process that holds the other end of standard input, and ends with that process.
# Environment: DIR (with the configuration; removed at the end), REALM.
set -u

# The KDC must not inherit the pipe.
exec 3<&0 </dev/null

kdb5_util create -s -r "$REALM" -P "a master key that nobody types" 3<&- >&2 || exit
krb5kdc -n -r "$REALM" -P "$DIR/kdc.pid" 3<&- >&2 &
kdc=$!
# From here on only the KDC writes to the log, so its end is the end of the log.
exec 2>/dev/null >&2

# Each line stops the KDC, and the owner lives on. The end of the pipe is the end of the owner: nobody but this shell is
# left to clean up.
while read -r _ <&3; do
    kill "$kdc"
    wait "$kdc"
done
kill "$kdc"
wait "$kdc"
rm -rf -- "$DIR"
