# Runs one PostgreSQL server for the process that holds the other end of standard input, and stops it when that ends.
# Arguments: initdb and its options, "--", postgres and its options. Environment: DATA, REMOVE (a folder, or empty).
set -u

# The server must not inherit the pipe.
exec 3<&0 </dev/null

initdb=$1
shift
initdb_options=
while [ "$1" != -- ]; do
    initdb_options="$initdb_options $1"
    shift
done
shift

# Made aside and renamed: a folder that is there is whole.
if [ ! -e "$DATA" ]; then
    rm -rf -- "$DATA.new"
    # shellcheck disable=SC2086 # one word per option, none with a space
    "$initdb" $initdb_options -D "$DATA.new" 3<&- >&2 && mv -- "$DATA.new" "$DATA"
fi

"$@" 3<&- &
server=$!
# From here on only the server writes to the log, so its end is the end of the log.
exec 2>/dev/null

# A line names the signal to send, and the owner lives on. The end of the pipe is the end of the owner: nobody but this
# shell is left to clean up.
if read -r signal <&3; then
    kill -s "$signal" "$server"
    wait "$server"
else
    kill -s INT "$server"
    wait "$server"
    [ -z "$REMOVE" ] || rm -rf -- "$REMOVE"
fi
