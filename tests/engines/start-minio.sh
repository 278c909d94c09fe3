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
export HOME=$run MINIO_ROOT_USER=$S3_ACCESS_KEY MINIO_ROOT_PASSWORD=$S3_SECRET_KEY MINIO_BROWSER=off MINIO_UPDATE=off
minio() { launch "$run" "$binary" server --quiet --address "127.0.0.1:$1" "$run/data"; }
serve "$run" /minio/health/ready 30 minio
