#!/bin/sh
# run.sh <purpose> <command …>: sets up for a purpose of setup.cjs, then becomes the command. npm's "pre" scripts would not do:
# they are not told the arguments. --no-install, wherever it stands, is for set-up and as good as NEARMISS_NO_INSTALL=1.
purpose=$1
shift
for argument do
  shift
  if [ "$argument" = --no-install ]; then export NEARMISS_NO_INSTALL=1; else set -- "$@" "$argument"; fi
done
node scripts/setup.cjs "$purpose" || exit
# Set-up may have put another Node first on PATH.
hash -r
exec "$@"
