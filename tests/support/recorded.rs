//! Answers that no engine here can give, or that need luck, as they were recorded or as their sources describe them. One table, by name.

use serde_json::{Value, json};

use super::{Reply, Script, ok, refusal};

/// The answer to `GET /` of a server of this version, whole.
pub(crate) fn root(number: &str) -> Value {
    let (wire, index, lucene) = match number.split('.').next() {
        Some("9") => ("8.18.0", "8.0.0-beta1", "10.1.0"),
        Some("8") => ("7.17.0", "7.0.0", "9.9.2"),
        Some("7") => ("6.8.0", "6.0.0-beta1", "8.11.3"),
        _ => ("5.6.0", "5.0.0", "7.7.3"),
    };
    json!({
        "name": "n", "cluster_name": "c", "cluster_uuid": "GgBFN-A7Q8KRwd7krLwDig",
        "version": {
            "number": number, "build_flavor": "default", "build_type": "docker", "build_snapshot": false,
            "lucene_version": lucene, "minimum_wire_compatibility_version": wire,
            "minimum_index_compatibility_version": index,
        },
        "tagline": "You Know, for Search",
    })
}

/// An answer by its name.
pub(crate) fn answer(name: &str) -> Reply {
    match name {
        // A load balancer whose nodes are away.
        "gateway 502" => html(502, "502 Bad Gateway"),
        "gateway 503" => html(503, "503 Service Temporarily Unavailable"),
        "gateway 504" => html(504, "504 Gateway Time-out"),
        // A proxy that wants a login, with a status that says all is well.
        "login page" => html(200, "Sign in"),
        "forbidden page" => html(403, "403 Forbidden"),
        "empty 503" => Reply::Text(503, "text/plain", String::new()),
        "no upstream" => Reply::Text(503, "text/plain", "no healthy upstream".into()),
        // Elasticsearch 1.x and some plugins.
        "text error" => Reply::Json(404, json!({ "error": "IndexMissingException[[x] missing]", "status": 404 })),
        // Amazon's gateway before the domain.
        "amazon policy" => Reply::Json(
            403,
            json!({ "Message": "User: arn:aws:iam::123456789012:user/migrator is not authorized to perform: es:ESHttpPut \
                with an explicit deny in a resource-based policy" }),
        ),
        "amazon token" => {
            Reply::Json(403, json!({ "message": "The security token included in the request is expired" }))
        }
        "amazon throttled" => Reply::Json(429, json!({ "message": "Too Many Requests" })).with("retry-after", "1"),
        // Fine-grained access control, within the domain.
        "amazon role" => refusal(
            403,
            "security_exception",
            "no permissions for [cluster:admin/repository/put] and User [name=arn:aws:iam::123456789012:user/migrator, \
             backend_roles=[], requestedTenant=null]",
        ),
        "rejected" => refusal(
            429,
            "es_rejected_execution_exception",
            "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0]",
        ),
        "no master" => refusal(503, "master_not_discovered_exception", "null"),
        "no cluster manager" => refusal(503, "cluster_manager_not_discovered_exception", "null"),
        // The master went away while a restore with `wait_for_completion=true` was waited for: the body lacks `snapshot`.
        "master change" => ok(json!({})),
        "breaker" => refusal(
            429,
            "circuit_breaking_exception",
            "[parent] Data too large, data for [<http_request>] would be [1020/1020b], which is larger than the limit of [1000/1000b]",
        ),
        // Elasticsearch 8.12.2 with security, word for word.
        "denied" => refusal(
            403,
            "security_exception",
            "action [cluster:admin/snapshot/restore] is unauthorized for API key id [id] of user [elastic], this action is \
             granted by the cluster privileges [manage,all]",
        ),
        "unauthenticated" => {
            refusal(401, "security_exception", "missing authentication credentials for REST request [/]")
                .with("www-authenticate", r#"Basic realm="security" charset="UTF-8""#)
                .with("www-authenticate", r#"Bearer realm="security""#)
                .with("www-authenticate", "ApiKey")
        }
        other => panic!("no answer is recorded as `{other}`"),
    }
}

/// An instance of Alibaba Cloud Elasticsearch 6.7 with its plugins, as `_nodes/plugins` shows them.
pub(crate) fn alibaba() -> Script {
    let node = |name: &str| {
        json!({ "name": name, "modules": [{ "name": "repository-url" }, { "name": "transport-netty4" }],
            "plugins": [{ "name": "analysis-aliws" }, { "name": "apack" }, { "name": "elasticsearch-repository-oss" }] })
    };
    Script::version("6.7.0")
        .on("GET /_nodes/plugins", [ok(json!({ "nodes": { "a": node("es-cn-1"), "b": node("es-cn-2") } }))])
        .on("GET /_snapshot", [ok(json!({ "aliyun_auto_snapshot": { "type": "oss" } }))])
}

fn html(status: u16, title: &str) -> Reply {
    let page = format!("<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n");
    Reply::Text(status, "text/html", page)
}
