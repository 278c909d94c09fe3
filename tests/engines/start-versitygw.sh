#!/usr/bin/env bash
# Starts versitygw over the plain folder RUN/data on a free port of 127.0.0.1, makes the BUCKETs, and prints its URL.
# usage: start-versitygw.sh RUN BUCKET...
# The key is S3_ACCESS_KEY, S3_SECRET_KEY, or testaccesskey and testsecretkey. Stop it with stop.sh RUN.
# Checksums and marks live in extended attributes of the files: RUN wants a file system that has them.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
run=${1:?usage: start-versitygw.sh RUN BUCKET...}
shift
binary=$("$(dirname "$(readlink -f "$0")")/fetch.sh" versitygw)
run=$(new_run "$run")
for bucket in "$@"; do mkdir -p "$run/data/$bucket"; done # a folder is a bucket
owned_by_engine "$run"
export HOME=$run ROOT_ACCESS_KEY=$S3_ACCESS_KEY ROOT_SECRET_KEY=$S3_SECRET_KEY
versitygw() { launch "$run" "$binary" --port "127.0.0.1:$1" --health /health --quiet --keep-alive posix "$run/data"; }
serve "$run" /health 15 versitygw
