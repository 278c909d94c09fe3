#!/usr/bin/env bash
# Starts a cluster of one OpenSearch node on free ports of 127.0.0.1 with all its files in RUN, waits until it answers, and prints its
# URL.
# usage: start-opensearch.sh 1.3.20|2.19.4-security|2.19.6|3.6.0|3.8.0|3.8.0-s3 RUN ['setting: value'...]
#
# RUN/repo is its path.repo: an `fs` repository lives there. ENGINE_REPOSITORIES is a second folder for repositories. 3.8.0-s3 has the S3
# server at ES_S3 with S3_ACCESS_KEY and S3_SECRET_KEY (as in start-minio.sh) as its S3 client `default`. 2.19.4-security has security with
# ENGINE_TLS (a folder with node.pem, node-key.pem, ca.pem) and ENGINE_PASSWORD: https, and the user `admin` with that password.
# Stop it with stop.sh RUN; several nodes share one unpacked engine.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/engines/common.sh
. "$here/common.sh"
version=${1:?usage: start-opensearch.sh VERSION RUN} run=${2:?usage: start-opensearch.sh VERSION RUN}
shift 2
engine=$("$here/fetch.sh" "opensearch-$version")
# One Java for all of them: 3.x wants 21, the others take it.
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
  path_repo "$run"
  echo "cluster.routing.allocation.disk.threshold_enabled: false"
  if [ -n "${ES_S3:-}" ]; then
    printf 's3.client.default.%s\n' "endpoint: \"$ES_S3\"" "path_style_access: true" "region: us-east-1"
  fi
  if [ -n "${ENGINE_TLS:-}" ]; then
    secure "$run" admin
    for layer in transport http; do
      printf "plugins.security.ssl.$layer.%s\n" "pemcert_filepath: tls/node.pem" "pemkey_filepath: tls/node-key.pem" "pemtrustedcas_filepath: tls/ca.pem"
    done
    printf 'plugins.security.%s\n' "ssl.transport.enforce_hostname_verification: false" "ssl.http.enabled: true" \
      "allow_default_init_securityindex: true" 'restapi.roles_enabled: ["all_access"]' 'authcz.admin_dn: ["CN=nobody"]'
  elif [ -d "$engine/plugins/opensearch-security" ]; then
    echo "plugins.security.disabled: true"
  fi
  for setting in "$@"; do echo "$setting"; done
} >"$run/config/opensearch.yml"
# Its options name folders that are not ours, and logs that nobody reads.
sed -i -E '/-Xlog:/d; /-XX:HeapDumpPath=/d; /-XX:ErrorFile=/d; /^-Xm[sx]/d' "$run/config/jvm.options"
without_vectors "$java/bin/java" "$run/config/jvm.options"
options="-Xms$heap -Xmx$heap -XX:TieredStopAtLevel=1"
# From Java 18 on, a program that brings a security manager has to be allowed to; 3.x brings none.
case $version in 1.*) options="$options -Djava.security.manager=allow" ;; esac
settings=(env HOME="$run" OPENSEARCH_PATH_CONF="$run/config" OPENSEARCH_TMPDIR="$run/tmp" OPENSEARCH_JAVA_HOME="$java" JAVA_HOME="$java")
if [ -n "${ENGINE_TLS:-}" ]; then
  # The tool takes the password from the environment: an argument could be read by every user.
  hash=$(env WORD="$ENGINE_PASSWORD" "${settings[@]}" bash "$engine/plugins/opensearch-security/tools/hash.sh" -env WORD 2>/dev/null | grep '^\$2' | tail -1)
  [ -n "$hash" ] || die "the security plugin's tool made no hash"
  printf '%s\n' "_meta:" "  type: internalusers" "  config_version: 2" "admin:" "  hash: \"$hash\"" "  reserved: true" '  backend_roles: ["admin"]' \
    >"$run/config/opensearch-security/internal_users.yml"
fi
owned_by_engine "$run"
if [ -n "${ES_S3:-}" ]; then
  keystore() { "${AS_ENGINE[@]}" "${settings[@]}" "$engine/bin/opensearch-keystore" "$@" >/dev/null; }
  keystore create
  printf '%s' "$S3_ACCESS_KEY" | keystore add -x -f s3.client.default.access_key
  printf '%s' "$S3_SECRET_KEY" | keystore add -x -f s3.client.default.secret_key
fi

launch "$run" "${settings[@]}" OPENSEARCH_JAVA_OPTS="$options" "$engine/bin/opensearch"
node_answers "$run" "OpenSearch $version" "${ES_WAIT:-180}"
