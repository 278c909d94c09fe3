#!/usr/bin/env bash
# Starts a MinIO server on a free port of 127.0.0.1 with all its files in RUN, makes the BUCKETs, and prints its URL.
# usage: start-minio.sh RUN BUCKET...
# The key is S3_ACCESS_KEY, S3_SECRET_KEY, or testaccesskey and testsecretkey. Stop it with stop.sh RUN.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
run=${1:?usage: start-minio.sh RUN BUCKET...}
shift
binary=$("$(dirname "$(readlink -f "$0")")/fetch.sh" minio)
run=$(new_run "$run")
for bucket in "$@"; do mkdir -p "$run/data/$bucket"; done # on a single drive a folder is a bucket
owned_by_engine "$run"
export HOME=$run MINIO_ROOT_USER=${S3_ACCESS_KEY:-testaccesskey} MINIO_ROOT_PASSWORD=${S3_SECRET_KEY:-testsecretkey} MINIO_BROWSER=off MINIO_UPDATE=off
# MinIO cannot be asked to choose its port: we guess below the range of outgoing connections, and guess again when it is taken.
for _ in 1 2 3 4 5 6 7 8; do
  port=$((12000 + RANDOM % 20000))
  if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
  launch "$run" "$binary" server --quiet --address "127.0.0.1:$port" "$run/data"
  if answers "http://127.0.0.1:$port/minio/health/ready" "$(cat "$run/pid")" 30; then
    printf 'http://127.0.0.1:%s\n' "$port"
    exit 0
  fi
  "$(dirname "$(readlink -f "$0")")/stop.sh" "$run"
done
tail -5 "$run/output" >&2
die "MinIO did not come up in $run"
