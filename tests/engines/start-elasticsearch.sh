#!/usr/bin/env bash
# Starts a cluster of one node on free ports of 127.0.0.1 with all its files in RUN, waits until it answers, and prints its URL.
# usage: start-elasticsearch.sh 8.12.2|5.5.3 RUN ['setting: value'...]
#
# RUN/repo is its path.repo: an `fs` repository lives there. Repositories of type `url` may lie there too, or behind http on
# 127.0.0.1. With ES_S3 (the URL of an S3 server), S3_ACCESS_KEY and S3_SECRET_KEY (as in start-minio.sh), 8.12.2 has that server
# as its S3 client `default`. Stop it with stop.sh RUN; several nodes share one unpacked engine.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/engines/common.sh
. "$here/common.sh"
version=${1:?usage: start-elasticsearch.sh VERSION RUN} run=${2:?usage: start-elasticsearch.sh VERSION RUN}
shift 2
engine=$("$here/fetch.sh" "elasticsearch-$version")
run=$(new_run "$run")
mkdir -p "$run"/{data,logs,tmp,repo}
cp -r "$engine/config" "$run/config"
heap=${ES_HEAP:-512m}
{
  echo "cluster.name: $(basename "$run")"
  echo "node.name: $(basename "$run")"
  echo "network.host: 127.0.0.1"
  echo "http.port: 0"
  echo "path.data: $run/data"
  echo "path.logs: $run/logs"
  echo "path.repo: [\"$run/repo\"]"
  echo 'repositories.url.allowed_urls: ["http://127.0.0.1:*/*"]'
  echo "cluster.routing.allocation.disk.threshold_enabled: false"
  case $version in
    5.*)
      echo "transport.tcp.port: 0"
      echo "discovery.zen.ping.unicast.hosts: []"
      ;;
    *)
      echo "transport.port: 0"
      echo "discovery.type: single-node"
      echo "xpack.security.enabled: false"
      echo "xpack.ml.enabled: false"
      echo "ingest.geoip.downloader.enabled: false"
      if [ -n "${ES_S3:-}" ]; then
        echo "s3.client.default.endpoint: \"$ES_S3\""
        echo "s3.client.default.path_style_access: true"
      fi
      ;;
  esac
  for setting in "$@"; do echo "$setting"; done
} >"$run/config/elasticsearch.yml"
owned_by_engine "$run"

case $version in
  5.*)
    # Its own launcher knows options that today's Java has dropped, so Java is called directly. The file descriptor for JNA is not
    # worth a native library here. From Java 18 on, a program that brings a security manager has to be allowed to.
    java=$(command -v java) || java=$SNAPFERRY_ENGINES_CACHE/elasticsearch-8.12.2/jdk/bin/java
    [ -x "$java" ] || die "no Java (Debian: apt-get install openjdk-17-jre-headless)"
    launch "$run" env HOME="$run" "$java" "-Xms$heap" "-Xmx$heap" -Xss1m "-Djava.io.tmpdir=$run/tmp" -XX:TieredStopAtLevel=1 \
      -Djava.awt.headless=true -Djava.security.manager=allow -Dfile.encoding=UTF-8 -Djna.nosys=true "-Djna.tmpdir=$run/tmp" \
      -Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true -Dio.netty.recycler.maxCapacityPerThread=0 \
      -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true -Dlog4j2.formatMsgNoLookups=true "-Des.path.home=$engine" \
      -cp "$engine/lib/*" org.elasticsearch.bootstrap.Elasticsearch "-Epath.conf=$run/config"
    ;;
  *)
    sed -i -e "s#\([=: ]\)logs/#\1$run/logs/#" -e "s#HeapDumpPath=data#HeapDumpPath=$run/data#" "$run/config/jvm.options"
    settings=(env HOME="$run" ES_PATH_CONF="$run/config" ES_TMPDIR="$run/tmp" ES_JAVA_HOME="$engine/jdk" CLI_JAVA_OPTS="-XX:TieredStopAtLevel=1"
      ES_JAVA_OPTS="-Xms$heap -Xmx$heap -XX:TieredStopAtLevel=1 -Des.run=$run")
    if [ -n "${ES_S3:-}" ]; then
      "${AS_ENGINE[@]}" "${settings[@]}" "$engine/bin/elasticsearch-keystore" create >/dev/null
      printf '%s\n' "${S3_ACCESS_KEY:-testaccesskey}" "${S3_SECRET_KEY:-testsecretkey}" |
        "${AS_ENGINE[@]}" "${settings[@]}" "$engine/bin/elasticsearch-keystore" add -x -f s3.client.default.access_key s3.client.default.secret_key >/dev/null
    fi
    launch "$run" "${settings[@]}" "$engine/bin/elasticsearch"
    ;;
esac
pid=$(cat "$run/pid")
end=$((SECONDS + ${ES_WAIT:-180}))
fail() {
  tail -20 "$run/output" >&2
  "$here/stop.sh" "$run"
  die "Elasticsearch $version $1 in $run"
}
# Ports are the node's own choice, so that no two can want the same one; the log tells which it took.
until url=$(sed -n 's#.*HttpServerTransport.*publish_address {\([0-9.:]*\)}.*#http://\1#p' "$run/output" | head -1) && [ -n "$url" ]; do
  kill -0 "$pid" 2>/dev/null || fail "ended"
  [ "$SECONDS" -lt "$end" ] || fail "opened no port"
  sleep 0.2
done
answers "$url/_cluster/health?wait_for_status=yellow&timeout=2s" "$pid" $((end - SECONDS)) || fail "gave no answer"
printf '%s\n' "$url"
