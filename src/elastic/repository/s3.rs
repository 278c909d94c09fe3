//! The settings of type `s3`.

use super::kind::{Keys, S3};
use super::render::{Rendered, doing};
use super::target::{Target, Vendor};
use crate::error::{Error, ErrorKind, Result};

/// Amazon's endpoint for `us-east-1`, which has no region in it.
const FIRST_REGION: (&str, &str) = ("us-east-1", "s3.amazonaws.com");

/// Fills in the settings of a bucket.
pub(super) fn render(target: &Target, s3: &S3, out: &mut Rendered) -> Result<()> {
    out.kind = "s3";
    out.set("bucket", &s3.bucket);
    let base_path = s3.base_path.trim_matches('/');
    if !base_path.is_empty() {
        out.set("base_path", base_path);
    }
    if target.vendor == Vendor::Amazon || s3.role_arn.is_some() {
        domain(s3, out)?;
    } else {
        place(target, s3, out);
        access(target, s3, out)?;
    }
    encryption(target, s3, out);
    Ok(())
}

/// A domain of Amazon's service reads from S3 alone, as the role that it may take on.
fn domain(s3: &S3, out: &mut Rendered) -> Result<()> {
    let wrong = |cause: &str, hint: &str| {
        Err(Error::new(ErrorKind::Invalid, doing(&out.name)).because(cause.to_owned()).hint(hint.to_owned()))
    };
    let Some(role) = &s3.role_arn else {
        return wrong(
            "a domain of Amazon's service reaches a bucket as a role, and none is given",
            "add `--role-arn arn:aws:iam::<account>:role/<name>`; `repo policy --aws` prints what the role needs",
        );
    };
    if !role.starts_with("arn:") || !role.contains(":role/") {
        return wrong("the role is no ARN of a role", "write `arn:aws:iam::<account>:role/<name>`");
    }
    if s3.client.is_some() || s3.keys != Keys::None {
        return wrong(
            "a domain of Amazon's service takes neither `client` nor keys",
            "leave them out: the role is enough",
        );
    }
    let is_amazons = |endpoint: &str| endpoint.contains(".amazonaws.com");
    if s3.endpoint.as_deref().is_some_and(|endpoint| !is_amazons(endpoint)) {
        return wrong(
            "a domain of Amazon's service reads from S3 only",
            "copy to a bucket of S3 in the domain's region",
        );
    }
    let region = s3.region.clone().or_else(|| s3.endpoint.as_deref().and_then(region_in));
    match region {
        Some(region) if region == FIRST_REGION.0 => out.set("endpoint", FIRST_REGION.1),
        Some(region) => out.set("region", region),
        None if out.settings.contains_key("region") || out.settings.contains_key("endpoint") => {}
        None => return wrong("no region is known for the bucket", "set `region` for the store, or `AWS_REGION`"),
    }
    let role = role.clone();
    out.set("role_arn", role);
    Ok(())
}

/// Where the bucket is.
fn place(target: &Target, s3: &S3, out: &mut Rendered) {
    let nine = target.is_elasticsearch() && target.version.major >= 9;
    let region = s3.region.clone().or_else(|| s3.endpoint.as_deref().and_then(region_in));
    let made = |region: &str| match region.starts_with("cn-") {
        true => format!("https://s3.{region}.amazonaws.com.cn"),
        false if region == FIRST_REGION.0 => format!("https://{}", FIRST_REGION.1),
        false => format!("https://s3.{region}.amazonaws.com"),
    };
    // 5.x knows the regions of its time only, and China is another world for the SDK up to 8.x.
    let needs_endpoint = |region: &str| target.is_before(6, 0) || region.starts_with("cn-") && target.is_before(9, 0);
    let endpoint = s3.endpoint.clone().or_else(|| region.as_deref().filter(|name| needs_endpoint(name)).map(made));
    if let Some(endpoint) = &endpoint {
        out.set("endpoint", written(target, endpoint));
    }
    match region {
        // The region would win over the endpoint there.
        _ if target.is_before(6, 0) => {}
        Some(region) => out.set("region", region),
        // Servers that have no region take any, and the SDK of 9.x wants one.
        None if nine && endpoint.is_some() => out.set("region", FIRST_REGION.0),
        None if nine => {
            out.notes
                .push("no region is known for the bucket, and Elasticsearch 9 wants one: set it for the store".into());
        }
        None => {}
    }
    let always_path = !target.version.capability().virtual_host_style;
    if s3.path_style && !always_path {
        out.set("path_style_access", "true");
    }
    if always_path && !s3.path_style && s3.endpoint.is_some() {
        out.notes
            .push(format!("{} always puts the bucket into the path; the endpoint must accept that", target.version));
    }
}

/// QingStor's endpoint is written as its own guide does it, where the scheme may be left out.
fn written(target: &Target, endpoint: &str) -> String {
    let bare = endpoint.strip_prefix("https://").filter(|host| host.trim_end_matches('/').ends_with(".qingstor.com"));
    match bare {
        Some(host) if target.is_before(9, 0) => host.trim_end_matches('/').to_owned(),
        _ => endpoint.to_owned(),
    }
}

/// Which keys the nodes take, and how they get there.
fn access(target: &Target, s3: &S3, out: &mut Rendered) -> Result<()> {
    let five = target.is_before(6, 0);
    let wrong = |cause: String, hint: &'static str| {
        Err(Error::new(ErrorKind::Invalid, doing(&out.name)).because(cause).hint(hint))
    };
    if s3.keys != Keys::None {
        if s3.client.is_some() {
            return wrong(
                "`client` and keys in the settings are two ways to the same keys".into(),
                "leave one of the two out",
            );
        }
        if target.is_elasticsearch() && target.version.major >= 9 {
            return wrong(
                format!("{} takes keys from its keystore only", target.version),
                "put them there under a client name and give that as `--client`",
            );
        }
        out.keys(&s3.keys, ["access_key", "secret_key"], "");
        if !five {
            let property = if target.is_elasticsearch() { "es" } else { "opensearch" };
            out.notes.push(format!(
                "{} takes keys in the settings only where every node runs with `-D{property}.allow_insecure_settings=true`",
                target.version
            ));
        }
        return Ok(());
    }
    if five && s3.client.is_none() {
        out.notes.push(format!(
            "{} looks for keys in the settings of the repository, then in its own configuration, then at its machine's role: \
             `--keys-in-settings` sends the store's keys along; whoever may look at the cluster's state can read them there",
            target.version
        ));
        return Ok(());
    }
    if five && target.is_before(5, 5) {
        return wrong(
            format!("{} knows no `client`: keystores came with 5.5", target.version),
            "use `--keys-in-settings`",
        );
    }
    let client = s3.client.as_deref().unwrap_or("default");
    out.set("client", client);
    let client = out.settings["client"].clone();
    let tool = if target.is_elasticsearch() { "elasticsearch-keystore" } else { "opensearch-keystore" };
    out.keystore = ["access_key", "secret_key"].map(|key| format!("bin/{tool} add s3.client.{client}.{key}")).to_vec();
    Ok(())
}

/// What is said about encryption by the server.
fn encryption(target: &Target, s3: &S3, out: &mut Rendered) {
    let by_type = target.is_open_search(3, 1);
    if s3.server_side_encryption && by_type {
        out.notes.push(format!(
            "{} has no `server_side_encryption` any more; it is left out (S3 encrypts everything by itself)",
            target.version
        ));
    } else if s3.server_side_encryption {
        out.set("server_side_encryption", "true");
    }
    // Its own default, AES256, is answered with 501 by servers that have no key service.
    let is_amazons = s3.endpoint.as_deref().is_none_or(|endpoint| endpoint.contains(".amazonaws.com"));
    if by_type && !is_amazons {
        out.set("server_side_encryption_type", "bucket_default");
    }
}

/// The region that an endpoint names: `s3.<region>.…` of Amazon's and QingStor's, `s3.oss-<region>.…` of OSS's.
fn region_in(endpoint: &str) -> Option<String> {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest).split(['/', ':']).next()?;
    let known = [".amazonaws.com", ".amazonaws.com.cn", ".qingstor.com", ".aliyuncs.com"];
    let front = known.iter().find_map(|end| host.strip_suffix(end))?;
    match front.strip_prefix("s3.") {
        Some(region) => Some(region.trim_start_matches("oss-").trim_end_matches("-internal").to_owned()),
        None => (front == "s3").then(|| FIRST_REGION.0.to_owned()),
    }
}
