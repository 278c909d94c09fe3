//! The access policies that suffice for a bucket, as its vendor writes them. Nothing is asked and nothing is sent.
//!
//! - `source`: the cluster that takes the snapshots; `target`: the one that restores them, and never writes
//! - `sync-from`, `sync-to`: snapferry itself at either end
//! - `trust`: who may take on the role of a cluster; `caller`: who registers a repository at a domain of Amazon's
//!
//! What Elasticsearch's S3 plugin asks for is in its documentation ("Recommended S3 permissions"); that a domain is registered by
//! somebody who may pass the role is in Amazon's. The actions of QingStor are those of its documentation ("Bucket Policy").

use serde::Serialize;
use serde_json::{Value, json};

/// Whose policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon's IAM, and servers that take its policies.
    Aws,
    /// Alibaba Cloud's RAM.
    Ram,
    /// Bucket policies of QingStor.
    Qingstor,
}

/// Who is to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The cluster that writes the repository.
    Source,
    /// The cluster that reads the copy.
    Target,
    /// snapferry at the source.
    SyncFrom,
    /// snapferry at the target.
    SyncTo,
    /// Whoever takes on a cluster's role.
    Trust,
    /// Whoever registers a repository at a domain of Amazon's.
    Caller,
}

/// Every role, in the order in which they are printed.
pub const ROLES: [Role; 6] = [Role::Source, Role::Target, Role::SyncFrom, Role::SyncTo, Role::Trust, Role::Caller];

impl Role {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::SyncFrom => "sync-from",
            Self::SyncTo => "sync-to",
            Self::Trust => "trust",
            Self::Caller => "caller",
        }
    }

    fn purpose(self, service: Service) -> &'static str {
        match (self, service) {
            (Self::Source, _) => "for the cluster that takes the snapshots: it reads, writes and deletes",
            (Self::Target, _) => "for the cluster that restores: it only reads",
            (Self::SyncFrom, _) => "for snapferry at the source: it only reads",
            (Self::SyncTo, _) => {
                "for snapferry at the target: it deletes its own lease, what arrived damaged, and what `prune` is told to"
            }
            (Self::Trust, Service::Aws) => "the trust policy of the role that a domain takes on",
            (Self::Trust, _) => "the trust policy of the role that the instances of a cluster take on",
            (Self::Caller, _) => "for whoever registers the repository: the request is signed as this user",
        }
    }

    /// Cluster or snapferry, reading or writing; none for those that do not touch the bucket.
    fn writes(self) -> Option<bool> {
        match self {
            Self::Source | Self::SyncTo => Some(true),
            Self::Target | Self::SyncFrom => Some(false),
            Self::Trust | Self::Caller => None,
        }
    }

    fn is_cluster(self) -> bool {
        matches!(self, Self::Source | Self::Target)
    }
}

/// For which bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whose policies.
    pub service: Service,
    /// The bucket.
    pub bucket: String,
    /// The prefix in it; empty for the whole bucket.
    pub prefix: String,
    /// The region of the bucket, if it is known: China and the government have partitions of their own.
    pub region: Option<String>,
    /// The role that a domain takes on; a placeholder stands for it if it is not known.
    pub role_arn: Option<String>,
    /// The domain; likewise.
    pub domain_arn: Option<String>,
}

/// One policy. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Who is let in.
    pub role: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// The policy.
    pub policy: Value,
}

/// The policies for these roles, as far as the service has something of the kind.
#[must_use]
pub fn policies(options: &Options, roles: &[Role]) -> Vec<Policy> {
    let written = |role: &Role| {
        let policy = match options.service {
            Service::Aws => aws(options, *role),
            Service::Ram => ram(options, *role)?,
            Service::Qingstor => qingstor(options, *role)?,
        };
        Some(Policy { role: role.word(), purpose: role.purpose(options.service), policy })
    };
    roles.iter().filter_map(written).collect()
}

impl Options {
    /// Everything below the prefix.
    fn objects(&self) -> String {
        match self.prefix.trim_matches('/') {
            "" => format!("{}/*", self.bucket),
            prefix => format!("{}/{prefix}/*", self.bucket),
        }
    }

    fn partition(&self) -> &'static str {
        match self.region.as_deref() {
            Some(region) if region.starts_with("cn-") => "aws-cn",
            Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }
}

fn aws(options: &Options, role: Role) -> Value {
    let partition = options.partition();
    let statement = |name: &str, actions: &[&str], resource: String| json!({ "Sid": name, "Effect": "Allow", "Action": actions, "Resource": resource });
    let Some(writes) = role.writes() else {
        return if role == Role::Trust { aws_trust() } else { aws_caller(options, partition) };
    };
    let mut on_bucket = vec!["s3:ListBucket"];
    if role.is_cluster() {
        on_bucket.push("s3:GetBucketLocation");
        if writes {
            on_bucket.push("s3:ListBucketMultipartUploads");
        }
    }
    let mut on_objects = vec!["s3:GetObject"];
    if writes {
        on_objects.extend([
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
        ]);
    }
    json!({ "Version": "2012-10-17", "Statement": [
        statement("Bucket", &on_bucket, format!("arn:{partition}:s3:::{}", options.bucket)),
        statement("Objects", &on_objects, format!("arn:{partition}:s3:::{}", options.objects())),
    ] })
}

fn aws_trust() -> Value {
    // Domains made before the service was renamed, and those made after.
    let services = ["es.amazonaws.com", "opensearchservice.amazonaws.com"];
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": services }, "Action": "sts:AssumeRole" },
    ] })
}

fn aws_caller(options: &Options, partition: &str) -> Value {
    let role = options.role_arn.clone().unwrap_or_else(|| format!("arn:{partition}:iam::<account>:role/<role>"));
    let region = options.region.as_deref().unwrap_or("<region>");
    let domain =
        options.domain_arn.clone().unwrap_or_else(|| format!("arn:{partition}:es:{region}:<account>:domain/<domain>"));
    json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "PassRole", "Effect": "Allow", "Action": "iam:PassRole", "Resource": role },
        { "Sid": "Snapshots", "Effect": "Allow",
          "Action": ["es:ESHttpGet", "es:ESHttpPut", "es:ESHttpPost", "es:ESHttpDelete"],
          "Resource": format!("{}/*", domain.trim_end_matches("/*")) },
    ] })
}

fn ram(options: &Options, role: Role) -> Option<Value> {
    let Some(writes) = role.writes() else {
        // A cluster on instances of its own may take on a role of the instance (`ecs_ram_role`).
        let principal = json!({ "Service": ["ecs.aliyuncs.com"] });
        let statement = json!([{ "Action": "sts:AssumeRole", "Effect": "Allow", "Principal": principal }]);
        return (role == Role::Trust).then(|| json!({ "Version": "1", "Statement": statement }));
    };
    let mut on_bucket = vec!["oss:ListObjects"];
    if role.is_cluster() {
        // The plugin asks for these to see whether the bucket is there.
        on_bucket.extend(["oss:GetBucketAcl", "oss:GetBucketInfo"]);
    }
    let mut on_objects = vec!["oss:GetObject"];
    if writes {
        on_bucket.push("oss:ListMultipartUploads");
        on_objects.extend(["oss:PutObject", "oss:DeleteObject", "oss:AbortMultipartUpload", "oss:ListParts"]);
    }
    let statement = |actions: &[&str], resource: &str| json!({ "Effect": "Allow", "Action": actions, "Resource": [format!("acs:oss:*:*:{resource}")] });
    Some(json!({ "Version": "1", "Statement": [
        statement(&on_bucket, &options.bucket),
        statement(&on_objects, &options.objects()),
    ] }))
}

fn qingstor(options: &Options, role: Role) -> Option<Value> {
    let writes = role.writes()?;
    let mut on_objects = vec!["get_object", "head_object"];
    if writes {
        on_objects.extend([
            "create_object",
            "delete_object",
            "initiate_multipart_upload",
            "upload_multipart",
            "list_multipart",
            "complete_multipart_upload",
            "abort_multipart_upload",
        ]);
    }
    let statement = |id: &str, actions: &[&str], resource: String| json!({ "id": format!("{}-{id}", role.word()), "user": ["<user id>"], "action": actions, "effect": "allow", "resource": [resource] });
    Some(json!({ "statement": [
        statement("bucket", &["head_bucket", "list_objects"], options.bucket.clone()),
        statement("objects", &on_objects, options.objects()),
    ] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(service: Service) -> Options {
        Options {
            service,
            bucket: "b".into(),
            prefix: "es/movies".into(),
            region: None,
            role_arn: None,
            domain_arn: None,
        }
    }

    #[test]
    fn who_only_reads_is_given_nothing_that_writes() {
        for service in [Service::Aws, Service::Ram, Service::Qingstor] {
            for policy in policies(&options(service), &[Role::Target, Role::SyncFrom]) {
                let text = policy.policy.to_string().to_lowercase();
                for word in ["put", "delete", "create_", "abort", "multipart"] {
                    assert!(!text.contains(word), "{service:?}, {}: {text}", policy.role);
                }
            }
        }
    }

    #[test]
    fn objects_are_those_below_the_prefix() {
        let written = policies(&options(Service::Aws), &[Role::Source]);
        assert_eq!(written[0].policy["Statement"][1]["Resource"], "arn:aws:s3:::b/es/movies/*");
        let whole = Options { prefix: String::new(), region: Some("cn-north-1".into()), ..options(Service::Aws) };
        assert_eq!(policies(&whole, &[Role::Source])[0].policy["Statement"][1]["Resource"], "arn:aws-cn:s3:::b/*");
    }

    #[test]
    fn only_amazon_has_callers_and_qingstor_no_roles() {
        assert_eq!(policies(&options(Service::Aws), &ROLES).len(), 6);
        assert_eq!(policies(&options(Service::Ram), &ROLES).len(), 5);
        assert_eq!(policies(&options(Service::Qingstor), &ROLES).len(), 4);
    }
}
