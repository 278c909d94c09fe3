#!/usr/bin/env bash
# Stops what a start-*.sh script started in RUN: asks, waits up to 15 seconds, then kills its whole process group. Where RUN/kill
# is, it does not ask.
# usage: stop.sh RUN
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
run=${1:?usage: stop.sh RUN}
[ -s "$run/pid" ] || exit 0
pid=$(cat "$run/pid")
rm -f "$run/pid" # the keeper that watches this file ends with it
# A process id can have been given to someone else since: ours is the leader of its group and has RUN in its command.
tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$run" || exit 0
if [ -e "$run/kill" ]; then kill -9 -- "-$pid" 2>/dev/null || true; else kill "$pid" 2>/dev/null || true; fi
for _ in $(seq 150); do
  kill -0 -- "-$pid" 2>/dev/null || exit 0
  sleep 0.1
done
kill -9 -- "-$pid" 2>/dev/null || true
