#!/usr/bin/env bash
# Starts moto's server on a free port of 127.0.0.1, makes the BUCKETs, and prints its URL. It keeps everything in memory.
# usage: start-moto.sh RUN BUCKET...
# It checks no signature: any key will do. Stop it with stop.sh RUN.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
run=${1:?usage: start-moto.sh RUN BUCKET...}
shift
python=$("$(dirname "$(readlink -f "$0")")/fetch.sh" moto)
run=$(new_run "$run")
mkdir "$run/tmp"
owned_by_engine "$run"
export HOME=$run TMPDIR=$run/tmp
# Its own command would not show RUN, by which stop.sh knows that it stops the right process.
moto() { launch "$run" "$python" -c 'import sys; from moto.server import main; main(sys.argv[2:])' "$run" --host 127.0.0.1 --port "$1"; }
url=$(serve "$run" /moto-api/ 30 moto)
for bucket in "$@"; do make_bucket "$url" "$bucket"; done
printf '%s\n' "$url"
