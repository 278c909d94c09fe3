#!/usr/bin/env bash
# Runs COMMAND where there is no network but loopback: the archive of Elasticsearch 8.12.2 is a third party's repack.
# usage: offline.sh COMMAND...
# It takes a network namespace of its own, as root or with user namespaces. Where the machine allows neither (some containers),
# it says so and runs COMMAND as it is.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
[ $# -gt 0 ] || die "usage: offline.sh COMMAND..."
export CARGO_NET_OFFLINE=true
ways=("unshare --net")
[ "$(id -u)" = 0 ] || ways=("unshare --user --map-current-user --keep-caps --net")
for way in "${ways[@]}"; do
  # shellcheck disable=SC2086  # a way is several words
  if $way ip link set lo up 2>/dev/null; then
    exec $way bash -c 'ip link set lo up && exec "$@"' offline "$@"
  fi
done
say "no network namespace to be had: the engines run with this machine's network"
exec "$@"
