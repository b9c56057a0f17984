#!/bin/sh
# Runs 500 commands, each with a name (cmd-1 … cmd-500, in its argv) and a known end: exit codes 0 to 255,
# shells that kill themselves, and /bin/true and /bin/false. Prints the end of each as the shell saw it,
# "cmd-N CODE" with 128 + signal for a killed one.
i=1
while [ "$i" -le 500 ]; do
    case $((i % 10)) in
    0) sh -c 'kill -9 $$' "cmd-$i" ;;
    1) sh -c 'kill -TERM $$' "cmd-$i" ;;
    2) /bin/true "cmd-$i" ;;
    3) /bin/false "cmd-$i" ;;
    4) (exec sh -c 'exit 77' "cmd-$i") ;;
    *) sh -c "exit $((i % 256))" "cmd-$i" ;;
    esac 2>/dev/null
    echo "cmd-$i $?"
    i=$((i + 1))
done
