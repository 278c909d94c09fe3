//! Which proxy a request goes through, if any.
//!
//! The rules for names in `NO_PROXY` are those of `hyper_util`'s matcher, which follow curl's. What it would pass over in silence,
//! a URL that is none or a proxy that we cannot speak to, is an error here: going direct instead would surprise, or leak.

use std::fmt;

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

use super::names::is_local;
use crate::error::{Error, ErrorKind, Result};

/// Where to find the proxy.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// The variables `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`, or those in capitals, `HTTP_PROXY` excepted: where a
    /// web server starts programs, a request's header can set that one. This machine itself is never reached through a proxy.
    #[default]
    Environment,
    /// None, whatever the environment says.
    None,
    /// `http://user:password@host:port` or `https://…`, for every host and whatever the environment says.
    Url(String),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::None => f.write_str("None"),
            // It may hold a password.
            Self::Url(_) => f.write_str("Url([secret])"),
        }
    }
}

/// A proxy to go through, and who named it. Its `Debug` shows no credentials: the header is marked as sensitive.
#[derive(Debug, Clone)]
pub(super) struct Via {
    /// Scheme and authority, without credentials.
    pub(super) uri: Uri,
    pub(super) auth: Option<HeaderValue>,
    /// The variable or key that named it.
    pub(super) named: &'static str,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or("http");
        write!(f, "{scheme}://{}", self.uri.authority().map_or("", |authority| authority.as_str()))
    }
}

/// The proxies of a client; read once.
#[derive(Debug)]
pub(super) struct Proxies {
    matcher: Option<Matcher>,
    spares_this_machine: bool,
    for_http: &'static str,
    for_https: &'static str,
}

impl Proxies {
    pub(super) fn new(proxy: &Proxy, lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut proxies = Self { matcher: None, spares_this_machine: false, for_http: "", for_https: "" };
        match proxy {
            Proxy::None => {}
            Proxy::Url(url) => {
                check("proxy", url)?;
                proxies.matcher = Some(Matcher::builder().all(url.trim()).build());
                (proxies.for_http, proxies.for_https) = ("proxy", "proxy");
            }
            Proxy::Environment => proxies.read(lookup)?,
        }
        Ok(proxies)
    }

    fn read(&mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<()> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = lookup(name)?.trim().to_owned();
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let all = first(&["all_proxy", "ALL_PROXY"]);
        let http = first(&["http_proxy"]).or_else(|| all.clone());
        let https = first(&["https_proxy", "HTTPS_PROXY"]).or(all);
        let (_, exceptions) = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        let mut builder = Matcher::builder();
        // The matcher knows neither `*` before a suffix nor, for an address, `*` alone.
        let exceptions: Vec<_> = exceptions.split(',').map(|entry| entry.trim().trim_start_matches("*.")).collect();
        if (http.is_none() && https.is_none()) || exceptions.contains(&"*") {
            return Ok(());
        }
        if let Some((name, url)) = &http {
            check(name, url)?;
            self.for_http = name;
            builder = builder.http(url);
        }
        if let Some((name, url)) = &https {
            check(name, url)?;
            self.for_https = name;
            builder = builder.https(url);
        }
        self.matcher = Some(builder.no(exceptions.join(",")).build());
        self.spares_this_machine = true;
        Ok(())
    }

    /// The proxy to reach the host of this URI through.
    pub(super) fn way(&self, target: &Uri) -> Option<Via> {
        let matcher = self.matcher.as_ref()?;
        if self.spares_this_machine && is_local(target.host()?) {
            return None;
        }
        let found = matcher.intercept(target)?;
        let named = if target.scheme_str() == Some("https") { self.for_https } else { self.for_http };
        Some(Via { uri: found.uri().clone(), auth: found.basic_auth().cloned(), named })
    }
}

/// Refuses what the matcher would ignore. The value may hold a password, so no error shows it.
fn check(name: &'static str, url: &str) -> Result<()> {
    let url = url.trim();
    let wrong = |cause: String| {
        Error::new(ErrorKind::Invalid, format!("use the proxy that `{name}` names"))
            .because(cause)
            .hint("write `http://host:port` or `http://user:password@host:port`, with special characters of the password as `%XX`")
    };
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        None | Some("http" | "https") => {}
        Some(other) if other.chars().all(|c| c.is_ascii_alphanumeric()) => {
            return Err(wrong(format!("it speaks `{other}`, and only `http` and `https` are supported")));
        }
        Some(_) => return Err(wrong("it is no URL".to_owned())),
    }
    let uri = url.parse::<Uri>().map_err(|_| wrong("it is no URL".to_owned()))?;
    let is_known = uri.host().is_some_and(|host| !host.is_empty());
    let is_root = uri.path_and_query().is_none_or(|path| matches!(path.as_str(), "/" | ""));
    if !is_known {
        return Err(wrong("it names no host".to_owned()));
    }
    if !is_root {
        return Err(wrong("a proxy's URL has no path".to_owned()));
    }
    // `Uri` takes a port that is no number for part of the host's text.
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let port = authority.rsplit_once('@').map_or(authority, |(_, host)| host).rsplit_once(':').map(|(_, port)| port);
    if port.is_some_and(|port| !port.ends_with(']') && port.parse::<u16>().is_err()) {
        return Err(wrong("its port is no number from 1 to 65535".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(environment: &[(&str, &str)], target: &str) -> Option<String> {
        let lookup =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let proxies = Proxies::new(&Proxy::Environment, lookup).expect("good URLs");
        proxies.way(&target.parse().expect("a URI")).map(|via| format!("{} {via}", via.named))
    }

    #[test]
    fn each_scheme_has_its_variable_and_capitals_do_not_count_for_http() {
        let all = [("https_proxy", "http://s:1"), ("HTTP_PROXY", "http://evil:1"), ("all_proxy", "a:2")];
        assert_eq!(way(&all, "https://x.org").as_deref(), Some("https_proxy http://s:1"));
        assert_eq!(way(&all, "http://x.org").as_deref(), Some("all_proxy http://a:2"));
        assert_eq!(way(&[("HTTP_PROXY", "http://evil:1")], "http://x.org"), None);
        assert_eq!(
            way(&[("HTTPS_PROXY", "http://s:1"), ("https_proxy", "")], "https://x.org").as_deref(),
            Some("HTTPS_PROXY http://s:1")
        );
        assert_eq!(way(&[], "https://x.org"), None);
    }

    #[test]
    fn exceptions_are_hosts_suffixes_networks_and_everything() {
        let goes = |exceptions: &str, target: &str| {
            way(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", exceptions)], target).is_some()
        };
        assert!(goes("", "https://a.example.com"));
        for exceptions in ["example.com", ".example.com", "*.example.com", "x, a.example.com ,y", "*"] {
            assert!(!goes(exceptions, "https://a.example.com:9200/x"), "{exceptions}");
        }
        assert!(goes("example.com", "https://notexample.com"));
        assert!(!goes("10.0.0.0/8", "http://10.1.2.3") && goes("10.0.0.0/8", "http://11.1.2.3"));
        assert!(!goes("*", "http://10.1.2.3"));
        assert!(!goes("fd00::/8", "http://[fd00::1]:9200"));
        assert!(!goes("", "http://127.0.0.1") && !goes("", "http://es.localhost") && !goes("", "http://[::1]:1"));
    }

    #[test]
    fn a_bad_url_is_an_error_that_names_the_variable_and_hides_the_value() {
        for bad in [
            "http://",
            "socks5://geheim@h:1",
            "http://u:geheim@h:port",
            "http://u:ge heim@h:1",
            "http://h:1/geheim",
            "http://u:gehe#im@h",
        ] {
            let error = Proxies::new(&Proxy::Environment, |name| (name == "HTTPS_PROXY").then(|| bad.to_owned()))
                .map(|_| ())
                .expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains("`HTTPS_PROXY`"), "{error}");
            assert!(!format!("{error} {error:?}").contains("gehe"), "{error:?}");
        }
        let error = Proxies::new(&Proxy::Url("ftp://h".into()), |_| None).map(|_| ()).expect_err("not ours");
        assert_eq!(
            error.to_string(),
            "cannot use the proxy that `proxy` names: it speaks `ftp`, and only `http` and `https` are supported"
        );
    }

    #[test]
    fn credentials_go_into_the_header_and_nowhere_else() {
        let proxy = Proxy::Url("http://ann:gehe%3Aim@p.example:3128".into());
        let via = Proxies::new(&proxy, |_| None)
            .expect("good")
            .way(&"https://x.org".parse().expect("a URI"))
            .expect("a proxy");
        assert_eq!(via.auth.as_ref().expect("credentials"), "Basic YW5uOmdlaGU6aW0=");
        assert!(!format!("{proxy:?} {via:?} {via}").contains("gehe"), "{via:?}");
        assert!(!format!("{via:?}").contains("YW5u"), "{via:?}");
        assert_eq!(via.to_string(), "http://p.example:3128");
    }
}
