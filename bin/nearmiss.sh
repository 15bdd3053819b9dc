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
exec "$node" --max-semi-space-size=8 "$here/nearmiss.js" "$@"
