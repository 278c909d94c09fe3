#!/usr/bin/env bash
# Starts `rclone serve s3` over the plain folder RUN/data on a free port of 127.0.0.1, makes the BUCKETs, and prints its URL.
# usage: start-rclone.sh RUN BUCKET...
# The key is S3_ACCESS_KEY, S3_SECRET_KEY, or testaccesskey and testsecretkey. Stop it with stop.sh RUN.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
run=${1:?usage: start-rclone.sh RUN BUCKET...}
shift
binary=$("$(dirname "$(readlink -f "$0")")/fetch.sh" rclone)
run=$(new_run "$run")
for bucket in "$@"; do mkdir -p "$run/data/$bucket"; done # a folder is a bucket
owned_by_engine "$run"
# The key comes by the environment, since a command line can be read by everyone; there it is a line of CSV, hence the quotes.
export HOME=$run RCLONE_CONFIG=/dev/null RCLONE_AUTH_KEY="\"$S3_ACCESS_KEY,$S3_SECRET_KEY\""
# Nothing but rclone writes there, so what it remembers of folders is right; with `--dir-cache-time 0` 1.75.2 turns in circles.
rclone() { launch "$run" "$binary" serve s3 --addr "127.0.0.1:$1" "$run/data"; }
serve "$run" / 15 rclone any # it has no page that answers without a signature
