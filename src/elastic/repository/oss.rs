//! A bucket of Alibaba Cloud OSS: by the plugin's type `oss`, or by type `s3` at OSS's S3-compatible endpoint.
//!
//! The plugin's version must be the cluster's, and there is none for Elasticsearch from 8.10 on nor for OpenSearch. The other way is
//! closed to Elasticsearch 7.0 to 7.3, which always put the bucket into the path: OSS takes it in the host name only.

use super::kind::{Keys, Oss, OssForm, OssNetwork, S3};
use super::render::{Rendered, doing};
use super::s3;
use super::settings::OSS_PREFIX;
use super::target::{Target, Vendor};
use crate::error::{Error, ErrorKind, Result};

/// Fills in the settings of a bucket.
pub(super) fn render(target: &Target, oss: &Oss, out: &mut Rendered) -> Result<()> {
    match form(target, oss, out)? {
        OssForm::Plugin => plugin(target, oss, out),
        OssForm::S3 => through_s3(target, oss, out),
    }
}

/// Which type it is.
fn form(target: &Target, oss: &Oss, out: &mut Rendered) -> Result<OssForm> {
    if target.vendor == Vendor::Amazon {
        return Err(Error::new(ErrorKind::Invalid, doing(&out.name))
            .because("a domain of Amazon's service reads from S3 only, and has no type `oss`")
            .hint("copy to a bucket of S3 in the domain's region, and register that"));
    }
    let exists = target.is_before(8, 10);
    match (oss.form, target.has("oss")) {
        (Some(OssForm::Plugin), _) if !exists => Err(Error::new(ErrorKind::Unsupported, doing(&out.name))
            .because(format!("there is no plugin for the type `oss` that runs in {}", target.version()))
            .hint("use `--type s3`: it reads OSS's S3-compatible endpoint")),
        (Some(form), _) => Ok(form),
        (None, Some(true)) if exists => Ok(OssForm::Plugin),
        (None, None) if exists => {
            if target.vendor != Vendor::Alibaba {
                out.notes.push(
                    "type `oss` needs the plugin `elasticsearch-repository-oss` on every node; `--type s3` does without it".into(),
                );
            }
            Ok(OssForm::Plugin)
        }
        _ => Ok(OssForm::S3),
    }
}

fn plugin(target: &Target, oss: &Oss, out: &mut Rendered) -> Result<()> {
    out.kind = "oss";
    let prefix = if target.version().major >= 8 { OSS_PREFIX } else { "" };
    // The nodes of a cluster that has this type are most likely neighbours of the bucket, and that network is free.
    let endpoint = match oss.network.unwrap_or(OssNetwork::Internal) {
        OssNetwork::Internal => endpoint(oss, out, |region| format!("http://oss-{region}-internal.aliyuncs.com"))?,
        OssNetwork::Public => endpoint(oss, out, |region| format!("https://oss-{region}.aliyuncs.com"))?,
    };
    out.set(format!("{prefix}endpoint"), endpoint);
    out.set(format!("{prefix}bucket"), &oss.bucket);
    let base_path = oss.base_path.trim_matches('/');
    if !base_path.is_empty() {
        out.set(format!("{prefix}base_path"), base_path);
    }
    let has_role = out.settings.keys().any(|key| key.ends_with("ecs_ram_role"));
    if oss.client.is_some() {
        return Err(Error::new(ErrorKind::Invalid, doing(&out.name))
            .because("the type `oss` knows no `client`")
            .hint("leave `--client` out, or use `--type s3`"));
    }
    // What is only shown needs no keys, but their place; sending it without them fails.
    let keys = if oss.keys == Keys::None && !has_role { &Keys::Placeholder } else { &oss.keys };
    out.keys(keys, ["access_key_id", "secret_access_key"], prefix);
    Ok(())
}

fn through_s3(target: &Target, oss: &Oss, out: &mut Rendered) -> Result<()> {
    if !target.version().capability().virtual_host_style {
        return Err(Error::new(ErrorKind::Unsupported, doing(&out.name))
            .because(format!(
                "{} always puts the bucket into the path, and OSS takes it in the host name only",
                target.version()
            ))
            .hint(
                "use `--type oss` with its plugin, serve the copy for `--type url`, or restore on 6.8 or from 7.4 on",
            ));
    }
    let guess = if target.vendor == Vendor::Alibaba { OssNetwork::Internal } else { oss.reached_by };
    let endpoint = match oss.network.unwrap_or(guess) {
        OssNetwork::Internal => endpoint(oss, out, |region| format!("https://s3.oss-{region}-internal.aliyuncs.com"))?,
        OssNetwork::Public => endpoint(oss, out, |region| format!("https://s3.oss-{region}.aliyuncs.com"))?,
    };
    let bucket = S3 {
        bucket: oss.bucket.clone(),
        base_path: oss.base_path.clone(),
        endpoint: Some(endpoint),
        region: oss.region.clone(),
        client: oss.client.clone(),
        keys: oss.keys.clone(),
        ..S3::default()
    };
    s3::render(target, &bucket, out)
}

/// One of Alibaba Cloud's own endpoints, or the one of a private cloud as it is.
fn endpoint(oss: &Oss, out: &Rendered, make: impl Fn(&str) -> String) -> Result<String> {
    let own = oss.endpoint.as_deref();
    let told = own.and_then(|own| {
        let host = own.split_once("://").map_or(own, |(_, rest)| rest).trim_end_matches('/');
        let host = host.strip_suffix(".aliyuncs.com")?;
        let region = host.strip_prefix("s3.").unwrap_or(host).strip_prefix("oss-")?.trim_end_matches("-internal");
        (!region.starts_with("accelerate")).then(|| region.to_owned())
    });
    let is_alibabas = own.is_none_or(|own| own.trim_end_matches('/').ends_with(".aliyuncs.com"));
    match (own, oss.region.clone().or(told)) {
        (Some(own), _) if !is_alibabas => Ok(own.to_owned()),
        (_, Some(region)) => Ok(make(region.trim_start_matches("oss-"))),
        (Some(own), None) => Ok(own.to_owned()),
        (None, None) if out.settings.keys().any(|key| key.ends_with("endpoint")) => Ok(String::new()),
        (None, None) => Err(Error::new(ErrorKind::Invalid, doing(&out.name))
            .because("no region is known for the bucket")
            .hint("set `region` for the store, for example \"cn-hangzhou\", or `OSS_REGION`")),
    }
}
