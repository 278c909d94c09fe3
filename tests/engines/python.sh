#!/usr/bin/env bash
# Makes a Python environment with the SDKs of Alibaba Cloud and Amazon in the cache and prints the path of its python.
# usage: python.sh
# The versions are pinned in python.txt; another list is another folder. A second call finds what the first one left.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
here=$(dirname "$(readlink -f "$0")")
list=$here/python.txt
need python3 "Debian: apt-get install python3 python3-venv"
folder=$SNAPFERRY_ENGINES_CACHE/python-$(cat "$list" <(python3 --version) | sha256sum | cut -c1-12)

make() {
  rm -rf "$folder"
  python3 -m venv "$folder" >&2 || { say "Debian: apt-get install python3-venv"; return 1; }
  # Some of these come as source only, so setuptools is wanted where Python no longer brings it.
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list" >&2
}
# `timeout` runs programs, not functions: this script calls itself for one try.
if [ "${1:-}" = make ]; then make; exit; fi

exec 9>"$folder.lock"
flock 9
if [ ! -e "$folder/.complete" ]; then
  say "fetching the SDKs"
  three_tries "$0" make || die "the Python packages cannot be had"
  "$folder/bin/python" -c 'import alibabacloud_oss_v2, boto3, oss2' >&2 || die "the Python packages do not work"
  touch "$folder/.complete"
fi
printf '%s\n' "$folder/bin/python"
