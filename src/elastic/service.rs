//! Who runs the cluster, as far as it shows: Amazon's and Alibaba's services allow less than a cluster of one's own, and other things.

use std::collections::BTreeSet;

use serde::Serialize;

use super::plugins::Plugins;

/// Whose hands a cluster is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// A domain of Amazon OpenSearch Service.
    Amazon,
    /// An instance of Alibaba Cloud Elasticsearch.
    Alibaba,
    /// Nothing says that it is one of those.
    Own,
}

/// How the hosts of Amazon's domains end, and whether they are serverless collections, which have no snapshot interface.
const AMAZON: [(&str, bool); 5] = [
    (".es.amazonaws.com", false),
    (".es.amazonaws.com.cn", false),
    (".on.aws", false),
    (".aoss.amazonaws.com", true),
    (".aoss.amazonaws.com.cn", true),
];

/// How the hosts of Alibaba's instances end.
const ALIBABA: &str = ".elasticsearch.aliyuncs.com";

impl Service {
    /// What the host says.
    pub(super) fn of_host(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let is_amazon = |(end, _): &(&str, bool)| host.ends_with(end) && (*end != ".on.aws" || host.contains(".aos."));
        if AMAZON.iter().any(is_amazon) {
            return Some(Self::Amazon);
        }
        host.ends_with(ALIBABA).then_some(Self::Alibaba)
    }

    /// What the plugins say: `apack` is Alibaba's kernel plugin, and `repository-oss` hardly runs elsewhere.
    pub(super) fn of_plugins(plugins: &Plugins) -> Option<Self> {
        let all: BTreeSet<&str> = plugins.nodes.iter().flat_map(|node| &node.plugins).map(String::as_str).collect();
        all.iter()
            .any(|name| name.contains("apack") || name.starts_with("aliyun") || name.contains("repository-oss"))
            .then_some(Self::Alibaba)
    }

    /// What the repositories say that a service registers for itself.
    pub(super) fn of_repository(name: &str) -> Option<Self> {
        match name {
            _ if name.starts_with("cs-automated") => Some(Self::Amazon),
            _ if name.starts_with("aliyun_auto_snapshot") || name.starts_with("aliyun_snapshot_from_") => {
                Some(Self::Alibaba)
            }
            _ => None,
        }
    }
}

/// The host of an address, without its port.
pub(super) fn host_of(address: &str) -> String {
    let uri = address.parse::<http::Uri>().ok();
    uri.as_ref().and_then(http::Uri::host).unwrap_or_default().to_ascii_lowercase()
}

/// The region that the host of an Amazon domain names: `<name>-<id>.<region>.es.amazonaws.com`, `<name>-<id>.aos.<region>.on.aws`.
#[must_use]
pub fn aws_region(address: &str) -> Option<String> {
    let host = host_of(address);
    if let Some((_, rest)) = host.rsplit_once(".aos.") {
        return rest.strip_suffix(".on.aws").filter(|region| is_label(region)).map(str::to_owned);
    }
    let rest = AMAZON.iter().find_map(|(end, _)| host.strip_suffix(end).filter(|_| end.contains(".es.")))?;
    rest.rsplit_once('.').map(|(_, region)| region.to_owned()).filter(|region| is_label(region))
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && !text.contains('.')
}

/// Whether the address is one of Amazon's serverless collections.
pub(super) fn is_serverless(host: &str) -> bool {
    AMAZON.iter().any(|(end, serverless)| *serverless && host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_tells_the_service_and_its_region() {
        let domain = "https://search-movies-abc123.ap-southeast-1.es.amazonaws.com";
        assert_eq!(aws_region(domain).as_deref(), Some("ap-southeast-1"));
        assert_eq!(aws_region("https://vpc-m-x.cn-north-1.es.amazonaws.com.cn:443/").as_deref(), Some("cn-north-1"));
        assert_eq!(aws_region("https://search-m-x.aos.eu-west-1.on.aws").as_deref(), Some("eu-west-1"));
        assert_eq!(aws_region("https://es.example.com:9200"), None);
        assert_eq!(Service::of_host(&host_of(domain)), Some(Service::Amazon));
        let instance = "http://es-cn-abc.public.elasticsearch.aliyuncs.com:9200";
        assert_eq!(Service::of_host(&host_of(instance)), Some(Service::Alibaba));
        assert_eq!(Service::of_host("es.amazonaws.com.example.org"), None);
        assert!(is_serverless("abc.us-east-1.aoss.amazonaws.com"));
    }

    #[test]
    fn a_services_own_repositories_give_it_away() {
        assert_eq!(Service::of_repository("cs-automated-enc"), Some(Service::Amazon));
        assert_eq!(Service::of_repository("aliyun_auto_snapshot"), Some(Service::Alibaba));
        assert_eq!(Service::of_repository("backup"), None);
    }
}
