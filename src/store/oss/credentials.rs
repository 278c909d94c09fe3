//! Where credentials for OSS come from, in the order of the vendor's own tools:
//!
//! 1. the configuration: keys, or the `ram_role` or `profile` that it names, and then nothing else;
//! 2. the environment: `OSS_ACCESS_KEY_ID` and its like, then `ALIBABA_CLOUD_ACCESS_KEY_ID` and its like;
//! 3. a role for the OIDC token of a pod ([`sts`](super::sts));
//! 4. the files of the vendor's tools ([`files`]);
//! 5. the RAM role of the ECS instance ([`metadata`](super::metadata)).
//!
//! The first that is there counts, even if it does not work: nobody wants to be somebody else because a file is damaged. The
//! last is where we end up unasked, so that there its silence only means that there are no credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::files::{self, Entry};
use super::metadata::{Metadata, Plain};
use super::sts::{Oidc, Sts};
use crate::error::{Error, ErrorKind, Result};
use crate::store::credentials::{Credentials, Provide};
use crate::store::surroundings::Surroundings;
use crate::store::{Location, Options};
use crate::wire;

/// The variables with keys: identifier, secret, token.
const KEYS: [[&str; 3]; 2] = [
    ["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"],
    ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"],
];

/// The source to use, and what tells this identity from another.
pub(in crate::store) fn source(
    location: &Location,
    options: &Options,
    wire: &wire::Client,
    surroundings: Surroundings,
) -> Result<(Arc<dyn Provide>, String)> {
    if let Some(given) = options.credentials(location)? {
        let identity = given.access_key_id.expose().to_owned();
        return Ok((Arc::new(given), identity));
    }
    let chain = Chain::new(options, wire, surroundings);
    let identity = chain.identity();
    Ok((Arc::new(chain), identity))
}

/// Everything but the configuration's own keys. It is walked when credentials are needed, and again when they end.
#[derive(Debug)]
struct Chain {
    surroundings: Surroundings,
    profile: Option<String>,
    /// The instance's role that the store's configuration names: then no other identity will do.
    named_role: Option<String>,
    /// The instance's role that the environment names.
    role: Option<String>,
    sts: Sts,
    metadata: Metadata,
    /// Whether the metadata service has given us credentials before: then it is not silent because it is not there.
    served: AtomicBool,
}

impl Chain {
    fn new(options: &Options, wire: &wire::Client, surroundings: Surroundings) -> Self {
        let plain = if surroundings.says("ALIBABA_CLOUD_IMDSV1_DISABLED") { Plain::Forbidden } else { Plain::Allowed };
        let region = options.region.clone().or_else(|| surroundings.variable("OSS_REGION"));
        Self {
            profile: options.profile.clone(),
            named_role: options.ram_role.clone(),
            role: surroundings.variable("ALIBABA_CLOUD_ECS_METADATA"),
            sts: Sts {
                wire: wire.clone(),
                endpoint: options.sts_endpoint.clone(),
                region: region.map(|region| super::bare(&region).to_owned()),
            },
            metadata: Metadata::new(options.metadata_endpoint.as_deref(), plain),
            served: AtomicBool::new(false),
            surroundings,
        }
    }

    /// Two stores of one process differ in the environment in nothing, so what the configuration names suffices.
    fn identity(&self) -> String {
        let named = self.named_role.is_some() || self.profile.is_some();
        let known =
            KEYS.iter().filter(|_| !named).find_map(|[id, secret, _]| self.surroundings.pair(id, secret).ok()?);
        match known {
            Some((id, _)) => id.expose().to_owned(),
            None => format!(
                "profile `{}`, role `{}`",
                self.profile.as_deref().unwrap_or_default(),
                self.named_role.as_ref().or(self.role.as_ref()).map_or("", String::as_str)
            ),
        }
    }

    fn of_environment(&self, sought: &mut Vec<String>) -> Result<Option<Credentials>> {
        for [id, secret, token] in KEYS {
            sought.push(format!("`{id}`"));
            if let Some((access_key_id, secret_access_key)) = self.surroundings.pair(id, secret)? {
                let session_token = self.surroundings.secret(token);
                return Ok(Some(Credentials { access_key_id, secret_access_key, session_token, expires: None }));
            }
        }
        Ok(None)
    }

    async fn of_instance(&self, role: Option<&str>) -> Result<Credentials> {
        let found = self.metadata.credentials(role.filter(|role| !role.is_empty())).await?;
        self.served.store(true, Ordering::Relaxed);
        Ok(found)
    }

    /// The instance's role where nobody asked for it: a service that is not there is no failure.
    async fn of_any_instance(&self, sought: &mut Vec<String>) -> Result<Option<Credentials>> {
        match self.of_instance(None).await {
            Ok(found) => Ok(Some(found)),
            Err(error)
                if !self.served.load(Ordering::Relaxed)
                    && (error.never_sent() || matches!(error.kind(), ErrorKind::Timeout | ErrorKind::NotFound)) =>
            {
                let why = error.cause().unwrap_or_default();
                sought.push(format!("the role of an ECS instance at `{}` ({why})", self.metadata.endpoint()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Provide for Chain {
    async fn provide(&self) -> Result<Credentials> {
        let surroundings = &self.surroundings;
        let mut sought = Vec::new();
        if let Some(role) = &self.named_role {
            return self.of_instance(Some(role)).await;
        }
        if self.profile.is_none() {
            if let Some(found) = self.of_environment(&mut sought)? {
                return Ok(found);
            }
            sought.push("`ALIBABA_CLOUD_ROLE_ARN` with an OIDC token".to_owned());
            if let Some(oidc) = Oidc::of_environment(surroundings) {
                return self.sts.assume(&oidc, surroundings).await;
            }
        }
        match files::find(surroundings, self.profile.as_deref(), &mut sought).await? {
            Some(Entry::Keys(found)) => return Ok(found),
            Some(Entry::Oidc(oidc)) => return self.sts.assume(&oidc, surroundings).await,
            Some(Entry::Instance(role)) => return self.of_instance(role.as_deref()).await,
            None => {}
        }
        if surroundings.says("ALIBABA_CLOUD_ECS_METADATA_DISABLED") {
            sought.push("not the role of an ECS instance (`ALIBABA_CLOUD_ECS_METADATA_DISABLED` is set)".to_owned());
        } else if let Some(role) = &self.role {
            return self.of_instance(Some(role)).await;
        } else if let Some(found) = self.of_any_instance(&mut sought).await? {
            return Ok(found);
        }
        Err(Error::new(ErrorKind::Denied, "find credentials for OSS")
            .because(format!("none were found; looked for {}", sought.join(", ")))
            .hint("set `access_key_id` and `secret_access_key` for the store, or `OSS_ACCESS_KEY_ID` and `OSS_ACCESS_KEY_SECRET`"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::super::scripted::Server;
    use super::*;
    use crate::secret::Secret;

    fn chosen(options: &Options, variables: &[(&str, &str)], home: Option<&Path>) -> (Arc<dyn Provide>, String) {
        let location = Location::parse("oss://bucket/es").expect("valid");
        let wire = wire::Client::new(wire::Options::default()).expect("made");
        source(&location, options, &wire, Surroundings::given(variables, home)).expect("a source")
    }

    async fn provided(options: &Options, variables: &[(&str, &str)], home: Option<&Path>) -> Result<Credentials> {
        chosen(options, variables, home).0.provide().await
    }

    fn id(found: Result<Credentials>) -> String {
        found.expect("found").access_key_id.expose().to_owned()
    }

    /// A service that gives a role to whoever asks, with or without a token.
    async fn service() -> Server {
        let given =
            r#""AccessKeyId":"STS.1","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2099-01-31T12:00:00Z""#;
        Server::start(move |seen| match seen.line.as_str() {
            line if line.starts_with("POST") => (200, format!(r#"{{"Credentials":{{{given}}}}}"#)),
            "PUT /latest/api/token" => (200, "token".to_owned()),
            line if line.ends_with('/') => (200, "backup".to_owned()),
            _ => (200, format!(r#"{{"Code":"Success",{given}}}"#)),
        })
        .await
    }

    const OSS: [(&str, &str); 3] =
        [("OSS_ACCESS_KEY_ID", "id-oss"), ("OSS_ACCESS_KEY_SECRET", "s"), ("OSS_SESSION_TOKEN", "t")];
    const ALIBABA: [(&str, &str); 2] =
        [("ALIBABA_CLOUD_ACCESS_KEY_ID", "id-ali"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s")];

    #[tokio::test]
    async fn the_first_source_that_is_there_counts() {
        let server = service().await;
        let home = tempfile::tempdir().expect("a directory");
        let mut options = Options {
            access_key_id: Some(Secret::new("id-conf")),
            secret_access_key: Some(Secret::new("s")),
            sts_endpoint: Some(server.endpoint.clone()),
            metadata_endpoint: Some(server.endpoint.clone()),
            ..Options::default()
        };
        let token = home.path().join("token");
        std::fs::write(&token, "ey").expect("written");
        let token = token.display().to_string();
        let pod = [
            ("ALIBABA_CLOUD_ROLE_ARN", "r"),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "p"),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", token.as_str()),
        ];
        let ossutil = "[Credentials]\naccessKeyID=id-file\naccessKeySecret=s\n";
        std::fs::write(home.path().join(".ossutilconfig"), ossutil).expect("written");
        let home = Some(home.path());
        let everything = [&OSS[..], &ALIBABA, &pod].concat();
        assert_eq!(id(provided(&options, &everything, home).await), "id-conf");
        (options.access_key_id, options.secret_access_key) = (None, None);
        let found = provided(&options, &everything, home).await.expect("found");
        assert_eq!((found.access_key_id.expose(), found.session_token.is_some()), ("id-oss", true));
        assert_eq!(id(provided(&options, &everything[3..], home).await), "id-ali");
        assert!(server.lines().is_empty(), "nobody was asked");
        assert_eq!(id(provided(&options, &pod, home).await), "STS.1");
        assert!(server.lines()[0].starts_with("POST"));
        assert_eq!(id(provided(&options, &pod[..2], home).await), "id-file");
        assert!(server.lines().is_empty(), "nobody was asked");
        assert_eq!(id(provided(&options, &[], None).await), "STS.1");
        assert_eq!(server.lines().len(), 3);
        let role = [("ALIBABA_CLOUD_ECS_METADATA", "other")];
        provided(&options, &role, None).await.expect("found");
        assert!(server.lines().last().expect("asked").ends_with("/security-credentials/other"));
    }

    #[tokio::test]
    async fn what_was_looked_for_in_vain_is_listed() {
        let home = tempfile::tempdir().expect("a directory");
        let nobody = Options { metadata_endpoint: Some("http://127.0.0.1:9".to_owned()), ..Options::default() };
        let error = provided(&nobody, &[], Some(home.path())).await.expect_err("nothing there");
        assert_eq!(error.kind(), ErrorKind::Denied);
        for word in [
            "`OSS_ACCESS_KEY_ID`",
            "`ALIBABA_CLOUD_ACCESS_KEY_ID`",
            "`ALIBABA_CLOUD_ROLE_ARN`",
            ".aliyun/config.json`",
            ".alibabacloud/credentials`",
            ".ossutilconfig`",
            "`http://127.0.0.1:9`",
        ] {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        let asked = Options { ram_role: Some(String::new()), ..nobody.clone() };
        let error = provided(&asked, &[], None).await.expect_err("nobody there");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "a role that was asked for may come yet");
        let off = [("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")];
        let error = provided(&nobody, &off, None).await.expect_err("switched off");
        assert!(error.to_string().contains("ALIBABA_CLOUD_ECS_METADATA_DISABLED"), "{error}");
        let half = provided(&nobody, &OSS[1..], None).await.expect_err("half");
        assert!(half.to_string().contains("`OSS_ACCESS_KEY_ID` is not"), "{half}");
    }

    /// `192.0.2.1` is for documentation (RFC 5737): nothing answers there, or the network says so at once.
    #[tokio::test]
    async fn off_the_cloud_the_end_comes_soon() {
        let nowhere = Options { metadata_endpoint: Some("http://192.0.2.1".to_owned()), ..Options::default() };
        let begun = Instant::now();
        assert!(provided(&nowhere, &[], None).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    #[test]
    fn identities_differ_where_the_configuration_does() {
        let of = |profile: Option<&str>, role: Option<&str>, variables: &[(&str, &str)]| {
            let (profile, ram_role) = (profile.map(str::to_owned), role.map(str::to_owned));
            chosen(&Options { profile, ram_role, ..Options::default() }, variables, None).1
        };
        assert_eq!(of(None, None, &OSS), "id-oss");
        assert_ne!(of(Some("a"), None, &[]), of(Some("b"), None, &[]));
        assert_ne!(of(None, Some("a"), &[]), of(None, None, &[]));
        assert_eq!(of(None, None, &[]), of(None, None, &[]));
    }
}
