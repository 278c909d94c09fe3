# shellcheck shell=bash
# Sourced by every script here: where engines are cached, who runs them, how a download is tried again, how the scripts speak.
# Callers are told things on stderr; stdout is only for the one answer a script has (a path, a URL).
set -euo pipefail
umask 022

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "error: $*"; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "'$1' is missing; install it first ($2)"; }

# Engines refuse to run as root, and should not: root becomes 'nobody' (by number, so that no user has to be made).
# AS_ENGINE stands before a command that must not run as root; `owned_by_engine` gives a folder away.
AS_ENGINE=()
if [ "$(id -u)" = 0 ]; then AS_ENGINE=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --no-new-privs); fi
owned_by_engine() { [ "${#AS_ENGINE[@]}" = 0 ] || chown -R 65534:65534 "$1"; }

# A cache below a closed home (root's usually is) is out of reach of 'nobody'.
: "${SNAPFERRY_ENGINES_CACHE:=${XDG_CACHE_HOME:-${HOME:-/var}/.cache}/snapferry-engines}"
mkdir -p "$SNAPFERRY_ENGINES_CACHE"
if ! "${AS_ENGINE[@]}" test -x "$SNAPFERRY_ENGINES_CACHE"; then
  SNAPFERRY_ENGINES_CACHE=/var/cache/snapferry-engines
  mkdir -p "$SNAPFERRY_ENGINES_CACHE"
fi
SNAPFERRY_ENGINES_CACHE=$(readlink -f "$SNAPFERRY_ENGINES_CACHE")
export SNAPFERRY_ENGINES_CACHE

# The key of every S3 server here.
export S3_ACCESS_KEY=${S3_ACCESS_KEY:-testaccesskey} S3_SECRET_KEY=${S3_SECRET_KEY:-testsecretkey}

# three_tries COMMAND...: a registry that stutters is asked again before the stage fails.
three_tries() {
  local n
  for n in 1 2 3; do
    if timeout "${TRY_SECONDS:-900}" "$@"; then return 0; fi
    say "try $n of 3 failed: $*"
    [ "$n" = 3 ] || sleep $((n * 5))
  done
  return 1
}

# has_sum FILE SHA256: whether FILE is there and is the pinned one; any other file is removed.
has_sum() {
  [ -s "$1" ] || return 1
  [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ] && return 0
  say "the checksum of $(basename "$1") is not the pinned one"
  rm -f "$1"
  return 1
}

# answers URL PID SECONDS [any] [CONFIG]: waits until URL answers with a success status, or with `any` status; false when PID is gone or
# the time is up. CONFIG is a file of options for curl.
answers() {
  local end=$((SECONDS + $3)) success=-f config=${5:-/dev/null}
  [ "${4:-}" != any ] || success=-s
  until curl --config "$config" $success -sS -o /dev/null --max-time 5 --noproxy '*' "$1" 2>/dev/null; do
    kill -0 "$2" 2>/dev/null && [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# node_answers RUN NAME SECONDS: waits for a node of Elasticsearch or OpenSearch that was launched in RUN, and prints its URL. Ports are
# the node's own choice, so that no two can want the same one; its log tells which it took. Of a node with security, RUN/curl says how
# to ask it.
node_answers() {
  local run=$1 end=$((SECONDS + $3)) here pid url why= scheme=http config=/dev/null
  if [ -e "$run/curl" ]; then scheme=https config=$run/curl; fi
  here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
  pid=$(cat "$run/pid")
  until url=$(sed -n 's#.*HttpServerTransport.*publish_address {\([0-9.:]*\)}.*#'"$scheme"'://\1#p' "$run/output" | head -1) && [ -n "$url" ]; do
    if ! kill -0 "$pid" 2>/dev/null; then why="ended"; break; fi
    if [ "$SECONDS" -ge "$end" ]; then why="opened no port"; break; fi
    sleep 0.2
  done
  [ -n "$why" ] || answers "$url/_cluster/health?wait_for_status=yellow&timeout=2s" "$pid" $((end - SECONDS)) success "$config" || why="gave no answer"
  if [ -n "$why" ]; then
    tail -20 "$run/output" >&2
    "$here/stop.sh" "$run"
    die "$2 $why in $run"
  fi
  printf '%s\n' "$url"
}

# without_vectors JAVA OPTIONS: takes a module that this Java lacks out of a file of options: the small runtime has none to spare.
without_vectors() {
  "$1" --list-modules | grep -q '^jdk.incubator.vector' || sed -i '/jdk.incubator.vector/d' "$2"
}

# secure RUN USER: takes the certificate in ENGINE_TLS (node.pem, node-key.pem, and ca.pem, which signed it) into RUN/config/tls, and says in
# RUN/curl how to ask the node as USER, whose password is ENGINE_PASSWORD.
secure() {
  [ -n "${ENGINE_PASSWORD:-}" ] || die "a node with ENGINE_TLS wants an ENGINE_PASSWORD"
  mkdir -p "$1/config/tls"
  cp "$ENGINE_TLS"/{node,node-key,ca}.pem "$1/config/tls/"
  (umask 077 && printf 'user = "%s:%s"\ncacert = "%s"\n' "$2" "$ENGINE_PASSWORD" "$ENGINE_TLS/ca.pem" >"$1/curl")
}

# path_repo RUN: the folders below which `fs` repositories may lie: RUN/repo, and ENGINE_REPOSITORIES if that is set.
path_repo() { printf 'path.repo: ["%s"%s]\n' "$1/repo" "${ENGINE_REPOSITORIES:+, \"$ENGINE_REPOSITORIES\"}"; }

# new_run FOLDER: makes the folder for a server's files, owned by whom it runs as, and prints its full path.
new_run() {
  [ ! -e "$1" ] || die "$1 exists; a server starts in a folder of its own"
  mkdir -p "$1"
  local run
  run=$(readlink -f "$1")
  owned_by_engine "$run"
  "${AS_ENGINE[@]}" test -x "$run" || die "an unprivileged user cannot enter $run; choose another folder (TMPDIR)"
  printf '%s\n' "$run"
}

# launch RUN COMMAND...: starts COMMAND detached, in a process group of its own, with its output in RUN/output; writes RUN/pid.
# When SNAPFERRY_ENGINES_OWNER is a process id, a keeper stops the server and removes RUN once that process is gone, however it ended.
launch() {
  local run=$1 here
  shift
  here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
  (cd "$run" && exec setsid "${AS_ENGINE[@]}" "$@" >"$run/output" 2>&1 </dev/null) &
  echo $! >"$run/pid"
  if [ -n "${SNAPFERRY_ENGINES_OWNER:-}" ]; then
    # No output of ours may stay open in it: a caller reads our answer to its end.
    setsid bash -c '
      while [ -e "$2/pid" ]; do
        kill -0 "$1" 2>/dev/null || { "$3/stop.sh" "$2"; rm -rf "$2"; }
        sleep 0.5
      done' keeper "$SNAPFERRY_ENGINES_OWNER" "$run" "$here" >/dev/null 2>&1 </dev/null &
  fi
}

# serve RUN HEALTH SECONDS COMMAND [any]: starts a server on a free port of 127.0.0.1 and prints its URL once HEALTH answers below it.
# COMMAND is a function that gets the port and calls `launch`. No server here can be asked to choose its port and to tell it: we
# guess below the range of outgoing connections, and guess again when it is taken. A server takes at most ten ports from there on.
serve() {
  local run=$1 health=$2 seconds=$3 command=$4 status=${5:-success} port at here
  here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
  for _ in 1 2 3 4 5 6 7 8; do
    port=$((12000 + RANDOM % 2000 * 10))
    for at in 0 1 2 3 4 5 6 7 8 9; do
      if (: <>"/dev/tcp/127.0.0.1/$((port + at))") 2>/dev/null; then continue 2; fi
    done
    "$command" "$port"
    if answers "http://127.0.0.1:$port$health" "$(cat "$run/pid")" "$seconds" "$status"; then
      printf 'http://127.0.0.1:%s\n' "$port"
      return 0
    fi
    tail -5 "$run/output" >&2
    "$here/stop.sh" "$run"
  done
  die "no server came up in $run"
}

# make_bucket URL BUCKET: by a request that curl signs; the secret comes to it on stdin, where no other user can read it.
make_bucket() {
  printf 'user = "%s:%s"\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY" |
    curl -fsS -o /dev/null --max-time 30 --noproxy '*' --aws-sigv4 aws:amz:us-east-1:s3 --config - --request PUT "$1/$2" ||
    die "the bucket $2 cannot be made"
}
