#!/bin/sh
# Rolls out a layout to a running divvy: shows the plan, applies it, waits for the verdict, and undoes the change
# if it made a model clearly worse. Usage: examples/rollout.sh LAYOUT [--run NAME]
set -eu

layout=$1
shift

divvy plan "$layout" "$@"
id=$(divvy apply "$layout" "$@")

code=0
divvy wait "$id" "$@" || code=$?
case $code in
0)
    echo "change $id stays"
    ;;
3)
    echo "change $id made a model clearly worse: undoing it" >&2
    divvy undo "$@" >&2
    exit 3
    ;;
4)
    echo "change $id stays, but there were too few requests to judge it" >&2
    ;;
*)
    exit "$code"
    ;;
esac
