#!/usr/bin/env bash
# The real-engine stage: fetches the engines, runs tests/engines.rs against them, then tells the story of examples/migrate.sh.
# usage: stage.sh
# On a machine that lacks a tool it installs it, when it is root on Debian; it fails, and never skips, when an engine cannot be had.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."

# install_tools: one package for each command that is missing.
install_tools() {
  local pair packages=()
  for pair in mvn:maven npm:npm java:default-jre-headless curl:curl unzip:unzip ip:iproute2 setpriv:util-linux unshare:util-linux flock:util-linux; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || packages+=("${pair#*:}")
  done
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
"$here/fetch.sh" minio >/dev/null &
minio=$!
"$here/fetch.sh" elasticsearch-5.5.3 >/dev/null
"$here/fetch.sh" elasticsearch-8.12.2 >/dev/null
wait $minio
step "building the tests"
cargo test --features engine-tests --test engines --no-run
cargo build --release
step "tests"
# One at a time: they share two clusters, and the moments of the kill tests should not wait for a cluster that starts.
"$here/offline.sh" cargo test --features engine-tests --test engines -- --nocapture --test-threads=1
step "the story"
examples/migrate.sh
step "done"
