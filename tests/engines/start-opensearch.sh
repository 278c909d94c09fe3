#!/usr/bin/env bash
# Starts a cluster of one OpenSearch node on free ports of 127.0.0.1 with all its files in RUN, waits until it answers, and prints its
# URL.
# usage: start-opensearch.sh 2.19.6|3.6.0|3.8.0 RUN ['setting: value'...]
#
# RUN/repo is its path.repo: an `fs` repository lives there. Stop it with stop.sh RUN; several nodes share one unpacked engine.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/engines/common.sh
. "$here/common.sh"
version=${1:?usage: start-opensearch.sh VERSION RUN} run=${2:?usage: start-opensearch.sh VERSION RUN}
shift 2
engine=$("$here/fetch.sh" "opensearch-$version")
# One Java for all of them: 3.x wants 21, 2.x takes it.
java=$("$here/fetch.sh" java-21)
run=$(new_run "$run")
mkdir -p "$run"/{data,logs,tmp,repo}
cp -r "$engine/config" "$run/config"
heap=${OPENSEARCH_HEAP:-512m}
{
  echo "cluster.name: $(basename "$run")"
  echo "node.name: $(basename "$run")"
  echo "network.host: 127.0.0.1"
  echo "http.port: 0"
  echo "transport.port: 0"
  echo "discovery.type: single-node"
  echo "path.data: $run/data"
  echo "path.logs: $run/logs"
  echo "path.repo: [\"$run/repo\"]"
  echo "cluster.routing.allocation.disk.threshold_enabled: false"
  for setting in "$@"; do echo "$setting"; done
} >"$run/config/opensearch.yml"
# Its options name folders that are not ours, and logs that nobody reads.
sed -i -E '/-Xlog:/d; /-XX:HeapDumpPath=/d; /-XX:ErrorFile=/d; /^-Xm[sx]/d' "$run/config/jvm.options"
without_vectors "$java/bin/java" "$run/config/jvm.options"
owned_by_engine "$run"

launch "$run" env HOME="$run" OPENSEARCH_PATH_CONF="$run/config" OPENSEARCH_TMPDIR="$run/tmp" OPENSEARCH_JAVA_HOME="$java" \
  OPENSEARCH_JAVA_OPTS="-Xms$heap -Xmx$heap -XX:TieredStopAtLevel=1" "$engine/bin/opensearch"
node_answers "$run" "OpenSearch $version" "${ES_WAIT:-180}"
