#!/usr/bin/env bash
# Starts a cluster of one node on free ports of 127.0.0.1 with all its files in RUN, waits until it answers, and prints its URL.
# usage: start-elasticsearch.sh 5.5.3|5.6.16|6.2.4|6.8.23|7.10.2|7.17.28|8.12.2|9.0.0 RUN ['setting: value'...]
#
# RUN/repo is its path.repo: an `fs` repository lives there. Repositories of type `url` may lie there too, or behind http on
# 127.0.0.1. With ES_S3 (the URL of an S3 server), S3_ACCESS_KEY and S3_SECRET_KEY (as in start-minio.sh), 8.12.2 has that server
# as its S3 client `default`. With ENGINE_TLS (a folder with node.pem, node-key.pem, ca.pem) and ENGINE_PASSWORD, 8.12.2 has security: https,
# and the user `elastic` with that password. ENGINE_REPOSITORIES is a second folder for repositories. Stop it with stop.sh RUN; several nodes share one unpacked engine.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/engines/common.sh
. "$here/common.sh"
version=${1:?usage: start-elasticsearch.sh VERSION RUN} run=${2:?usage: start-elasticsearch.sh VERSION RUN}
shift 2
engine=$("$here/fetch.sh" "elasticsearch-$version")
run=$(new_run "$run")
mkdir -p "$run"/{data,logs,tmp,repo}
has() { [ -d "$engine/modules/$1" ]; }
cp -r "$engine/config" "$run/config"
heap=${ES_HEAP:-512m}
{
  echo "cluster.name: $(basename "$run")"
  echo "node.name: $(basename "$run")"
  echo "network.host: 127.0.0.1"
  echo "http.port: 0"
  echo "path.data: $run/data"
  echo "path.logs: $run/logs"
  path_repo "$run"
  echo "cluster.routing.allocation.disk.threshold_enabled: false"
  case $version in
    5.*) printf '%s\n' "transport.tcp.port: 0" "discovery.zen.ping.unicast.hosts: []" ;;
    6.*) printf '%s\n' "transport.tcp.port: 0" "discovery.type: single-node" ;;
    *) printf '%s\n' "transport.port: 0" "discovery.type: single-node" ;;
  esac
  # A setting of a module that is not there would stop the node; in 5 the type `url` is not a module yet.
  case $version in 5.*) true ;; *) has repository-url ;; esac && echo 'repositories.url.allowed_urls: ["http://127.0.0.1:*/*"]'
  if [ -n "${ENGINE_TLS:-}" ]; then
    secure "$run" elastic
    printf 'xpack.security.%s\n' "enabled: true" "transport.ssl.enabled: false" "http.ssl.enabled: true" \
      "http.ssl.certificate: $run/config/tls/node.pem" "http.ssl.key: $run/config/tls/node-key.pem" \
      "http.ssl.certificate_authorities: [\"$run/config/tls/ca.pem\"]"
  elif has x-pack-security; then
    echo "xpack.security.enabled: false"
  fi
  ! has x-pack-ml || echo "xpack.ml.enabled: false"
  case $version in [5-7].*) ;; *) ! has ingest-geoip || echo "ingest.geoip.downloader.enabled: false" ;; esac
  if [ -n "${ES_S3:-}" ]; then
    echo "s3.client.default.endpoint: \"$ES_S3\""
    echo "s3.client.default.path_style_access: true"
  fi
  for setting in "$@"; do echo "$setting"; done
} >"$run/config/elasticsearch.yml"
owned_by_engine "$run"

case $version in
  [5-7].*)
    # Its own launcher knows options that today's Java has dropped, so Java is called directly. The file descriptor for JNA is not
    # worth a native library here. From Java 18 on, a program that brings a security manager has to be allowed to.
    java=$(command -v java) || java=$SNAPFERRY_ENGINES_CACHE/elasticsearch-8.12.2/jdk/bin/java
    [ -x "$java" ] || die "no Java (Debian: apt-get install openjdk-17-jre-headless)"
    case $version in
      5.*) node=(org.elasticsearch.bootstrap.Elasticsearch "-Epath.conf=$run/config") ;;
      *) node=("-Des.path.conf=$run/config" org.elasticsearch.bootstrap.Elasticsearch) ;;
    esac
    launch "$run" env HOME="$run" ES_PATH_CONF="$run/config" LIBFFI_TMPDIR="$run/tmp" "$java" "-Xms$heap" "-Xmx$heap" -Xss1m "-Djava.io.tmpdir=$run/tmp" \
      -XX:TieredStopAtLevel=1 -Djava.awt.headless=true -Djava.security.manager=allow -Dfile.encoding=UTF-8 -Djna.nosys=true \
      "-Djna.tmpdir=$run/tmp" -Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true \
      -Dio.netty.recycler.maxCapacityPerThread=0 -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true \
      -Dlog4j2.formatMsgNoLookups=true "-Des.path.home=$engine" -cp "$engine/lib/*" "${node[@]}"
    ;;
  *)
    # 9.0.0 comes without a Java.
    java=$engine/jdk
    [ -d "$java" ] || java=$("$here/fetch.sh" java-21)
    sed -i -e "s#\([=: ]\)logs/#\1$run/logs/#" -e "s#HeapDumpPath=data#HeapDumpPath=$run/data#" "$run/config/jvm.options"
    without_vectors "$java/bin/java" "$run/config/jvm.options"
    settings=(env HOME="$run" ES_PATH_CONF="$run/config" ES_TMPDIR="$run/tmp" ES_JAVA_HOME="$java" CLI_JAVA_OPTS="-XX:TieredStopAtLevel=1"
      ES_JAVA_OPTS="-Xms$heap -Xmx$heap -XX:TieredStopAtLevel=1 -Des.run=$run")
    keystore() { "${AS_ENGINE[@]}" "${settings[@]}" "$engine/bin/elasticsearch-keystore" "$@" >/dev/null; }
    if [ -n "${ES_S3:-}${ENGINE_TLS:-}" ]; then keystore create; fi
    if [ -n "${ES_S3:-}" ]; then
      printf '%s\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY" | keystore add -x -f s3.client.default.access_key s3.client.default.secret_key
    fi
    if [ -n "${ENGINE_TLS:-}" ]; then printf '%s\n' "$ENGINE_PASSWORD" | keystore add -x -f bootstrap.password; fi
    launch "$run" "${settings[@]}" "$engine/bin/elasticsearch"
    ;;
esac
node_answers "$run" "Elasticsearch $version" "${ES_WAIT:-180}"
