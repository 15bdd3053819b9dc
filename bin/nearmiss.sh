#!/bin/sh
# dist/bin/nearmiss: becomes nearmiss.js on the Node that set-up chose, so process, signals, streams and status are its own.
self=$0
[ -L "$self" ] && self=$(readlink -f -- "$self")
case $self in */*) ;; *) self=./$self ;; esac
here=${self%/*}
node=$here/node
[ -x "$node" ] || node=$(command -v node) || {
  echo "nearmiss: no Node at $here/node nor on PATH. Nothing was done. Run \`npm run setup\` in the clone, or install Node 24." >&2
  exit 127
}
# V8's own limit, 16 MiB on most machines, lets memory for short-lived objects grow to 100 MiB and more in a storm (ADR 0183).
heap=--max-semi-space-size=8
# V8 makes objects old from the start where others like them have lived on, as they do between two slices of long work: their
# memory grows until all of the heap is collected (ADR 0245).
[ "$1" != controller ] || heap="$heap --no-allocation-site-pretenuring"
# V8 starts four threads for garbage and compiling, also where there are fewer processors: there they take the event loop's
# time slices (ADR 0220).
case $1 in
  controller | agent)
    workers=$(nproc 2>/dev/null) && [ "$workers" -le 4 ] || workers=4
    set -- "--v8-pool-size=$workers" "$here/nearmiss.js" "$@"
    ;;
  *) set -- "$here/nearmiss.js" "$@" ;;
esac
# shellcheck disable=SC2086
exec "$node" $heap "$@"
