#!/usr/bin/env bash
# Starts SeaweedFS (master, volume, filer and S3 in one process) on free ports of 127.0.0.1 with all its files in RUN, makes the
# BUCKETs, and prints the URL of its S3 side.
# usage: start-seaweedfs.sh RUN BUCKET...
# The key is S3_ACCESS_KEY, S3_SECRET_KEY, or testaccesskey and testsecretkey. Stop it with stop.sh RUN.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
run=${1:?usage: start-seaweedfs.sh RUN BUCKET...}
shift
binary=$("$(dirname "$(readlink -f "$0")")/fetch.sh" seaweedfs)
run=$(new_run "$run")
mkdir "$run/data"
touch "$run/kill" # asked to end, it takes longer than the 15 seconds that stop.sh waits
cat >"$run/identities.json" <<END
{"identities": [{"name": "test", "credentials": [{"accessKey": "$S3_ACCESS_KEY", "secretKey": "$S3_SECRET_KEY"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
chmod 600 "$run/identities.json"
owned_by_engine "$run"
export HOME=$run TMPDIR=$run
# Every port is said: the default of each is the same for every server. Iceberg and Lance are not for us.
seaweedfs() {
  launch "$run" "$binary" server -dir="$run/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false \
    -master.volumeSizeLimitMB=512 -volume.max=50 -volume.preStopSeconds=0 -filer -s3 -s3.config="$run/identities.json" \
    -s3.port="$1" -s3.port.grpc=$(($1 + 1)) -s3.port.iceberg=0 -s3.port.lance=0 -s3.localSocket="$run/s3.sock" \
    -master.port=$(($1 + 2)) -master.port.grpc=$(($1 + 3)) -volume.port=$(($1 + 4)) -volume.port.grpc=$(($1 + 5)) \
    -filer.port=$(($1 + 6)) -filer.port.grpc=$(($1 + 7)) -filer.localSocket="$run/filer.sock"
}
url=$(serve "$run" /status 60 seaweedfs)
for bucket in "$@"; do make_bucket "$url" "$bucket"; done
printf '%s\n' "$url"
