# Runs mock for the daemon: PROGRAM ARGUMENT…. When standard input ends, the daemon wants its end, or is gone itself: mock is told
# then, which ends the build and cleans; one that does not listen is killed.
#
# Where it can be, this is process 1 of a process namespace, and nothing that mock started outlives it.
exec 3<&0
"$@" < /dev/null 3<&- &
mock=$!
{
    read -r _ <&3
    told=
    for _ in {1..8}; do
        # Started by an ordinary user, mock cannot be told while it works as root.
        [ "$told" ] || { kill -TERM $mock 2> /dev/null && told=yes; }
        sleep 0.1
        kill -0 $mock 2> /dev/null || exit
    done
    kill -KILL $mock
} &
watch=$!
wait $mock
status=$?
kill -KILL $watch 2> /dev/null
exit $status
