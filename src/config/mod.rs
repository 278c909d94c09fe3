//! What the configuration means: file under environment under flags, turned into the options of the rooms below.
//!
//! Every mistake is found before the first request and names the file and line, or the variable, it stands in.

mod cluster;
mod file;
mod job;
mod keys;
mod raw;
mod secret_file;
mod store;

use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub use self::cluster::{Cluster, Login};
pub use self::job::{Job, Registering};
use self::keys::nearest;
pub(crate) use self::raw::parse_rate;
use self::raw::{Origin, Raw, Section};
pub use self::secret_file::secret_file;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::store::{Location, Options, SCHEMES};
use crate::transfer;
use crate::wire::Proxy;

/// Everything configured.
pub struct Config {
    raw: Raw,
}

/// A place that can be opened.
#[derive(Debug, Clone)]
pub struct StorePlace {
    /// Where.
    pub location: Location,
    /// How to reach it.
    pub options: Options,
}

/// The file looked for in the current directory and in the user's configuration directory.
const FILE: &str = "snapferry.toml";

impl Config {
    /// Reads the configuration: the file given, else the one in `SNAPFERRY_CONFIG`, else `snapferry.toml` here, else that in the
    /// user's configuration directory, else none; and over it the environment.
    pub fn load(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let variables: Vec<(String, String)> = variables.filter(|(name, _)| relevant(name)).collect();
        let variable = |wanted: &str| variables.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.clone());
        let named = file
            .map(Path::to_owned)
            .or_else(|| variable("SNAPFERRY_CONFIG").filter(|text| !text.is_empty()).map(PathBuf::from));
        let personal = variable("XDG_CONFIG_HOME")
            .filter(|text| !text.is_empty())
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")))
            .map(|directory| directory.join("snapferry").join(FILE));
        let found =
            named.or_else(|| [Some(PathBuf::from(FILE)), personal].into_iter().flatten().find(|path| path.exists()));
        let mut raw = match found {
            Some(path) => Raw::read(&path)?,
            None => Raw::default(),
        };
        raw.overlay(variables.into_iter())?;
        let config = Self { raw };
        config.check()?;
        Ok(config)
    }

    /// A warning, if the file holds a secret and others may read it.
    #[must_use]
    pub fn exposed(&self) -> Option<String> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.raw.file.as_ref().filter(|_| self.raw.secret_in_file)?;
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        (mode & 0o077 != 0).then(|| {
            format!("`{}` holds a secret and others on this machine can read it: `chmod 600` it", path.display())
        })
    }

    /// How to transfer.
    #[must_use]
    pub fn transfer(&self) -> transfer::Options {
        let section = &self.raw.transfer;
        let mut options = transfer::Options::default();
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        if let Some(transfers) = section.number("transfers") {
            options.transfers = narrow(transfers);
        }
        if let Some(attempts) = section.number("attempts") {
            options.retry.attempts = narrow(attempts);
        }
        options.bandwidth = section.number("bandwidth");
        options.requests_per_second = section.number("requests_per_second").map(narrow);
        options.server_copy = section.set("server_copy").unwrap_or(options.server_copy);
        options.remember = section.set("remember_source").unwrap_or(options.remember);
        options.md5 = section.switch("md5");
        options.memory = section.number("memory").unwrap_or(options.memory);
        options.part_size = section.number("part_size").unwrap_or(options.part_size);
        options.multipart_threshold = section.number("multipart_threshold").unwrap_or(options.multipart_threshold);
        options
    }

    /// How many more rounds a sync may make when the source moves.
    #[must_use]
    pub fn replans(&self) -> u32 {
        self.raw.transfer.number("replans").and_then(|number| u32::try_from(number).ok()).unwrap_or(5)
    }

    /// The place a user names: a URL, or the name of a store with an optional path behind it.
    pub fn place(&self, text: &str) -> Result<StorePlace> {
        if text.contains("://") {
            let location = Location::parse(text)?;
            return Ok(StorePlace { location, options: Options::default() });
        }
        let (name, path) = text.split_once('/').unwrap_or((text, ""));
        let Some((name, section)) = lookup(&self.raw.stores, name) else {
            return Err(unknown("store", text, name, self.raw.stores.keys(), SCHEMES));
        };
        let mut place = store::read(name, section)?;
        place.location = place.location.join(path);
        Ok(place)
    }

    /// The cluster a user names: a URL, or the name of a section.
    pub fn cluster(&self, text: &str) -> Result<Cluster> {
        if text.contains("://") {
            return cluster::unnamed(text);
        }
        match lookup(&self.raw.elastic, text) {
            Some((name, section)) => cluster::read(name, section),
            None => Err(unknown("cluster", text, text, self.raw.elastic.keys(), "`https://host:9200`")),
        }
    }

    /// The job of this name; none if there is none.
    pub fn job(&self, name: &str) -> Result<Option<Job>> {
        let Some((name, section)) = lookup(&self.raw.jobs, name) else { return Ok(None) };
        job::read(name, section, self.raw.hooks.get(name).map(Vec::as_slice).unwrap_or_default()).map(Some)
    }

    /// The names of all jobs.
    pub fn jobs(&self) -> impl Iterator<Item = &str> {
        self.raw.jobs.keys().map(String::as_str)
    }

    /// Finds every mistake that shows without reading secrets.
    fn check(&self) -> Result<()> {
        for (name, section) in &self.raw.jobs {
            job::check(name, section, self.raw.hooks.get(name).map(Vec::as_slice).unwrap_or_default())?;
        }
        for (name, section) in &self.raw.stores {
            store::check(name, section)?;
        }
        for (name, section) in &self.raw.elastic {
            cluster::check(name, section)?;
        }
        let (options, section) = (self.transfer(), &self.raw.transfer);
        if options.part_size > options.multipart_threshold && section.number("multipart_threshold").is_some() {
            return Err(wrong(section, "part_size", "`part_size` is larger than `multipart_threshold`")
                .hint("an object above the threshold is cut into parts: make the threshold at least one part"));
        }
        Ok(())
    }
}

fn relevant(name: &str) -> bool {
    name.starts_with("SNAPFERRY_") || name == "HOME" || name == "XDG_CONFIG_HOME"
}

/// A section by its name; the environment's spelling of a name finds it too.
fn lookup<'a>(sections: &'a std::collections::BTreeMap<String, Section>, name: &str) -> Option<(&'a str, &'a Section)> {
    let same = |known: &&String| *known == name || raw::variable_name(known) == raw::variable_name(name);
    let key = sections.keys().find(|known| *known == name).or_else(|| sections.keys().find(same))?;
    sections.get_key_value(key).map(|(name, section)| (name.as_str(), section))
}

fn unknown<'a>(what: &str, text: &str, name: &str, known: impl Iterator<Item = &'a String>, url: &str) -> Error {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let path_like = text.starts_with('/') || text.starts_with('.') || text.starts_with('~');
    let hint = match nearest(name, known.iter().copied()) {
        _ if path_like => "a directory is written `file:///absolute/path`".to_owned(),
        Some(near) => format!("did you mean `{near}`? configured: `{}`", known.join("`, `")),
        None if known.is_empty() => format!(
            "write a URL ({url}), or configure `[{}.{name}]`",
            if what == "store" { "store" } else { "elastic" }
        ),
        None => format!("configured: `{}`; or write a URL ({url})", known.join("`, `")),
    };
    Error::new(ErrorKind::Invalid, format!("use the {what} `{text}`"))
        .because(format!("no {what} has that name"))
        .hint(hint)
}

/// An error at the place where a key of the section was written.
fn wrong(section: &Section, key: &str, cause: &str) -> Error {
    let doing = match section.origin(key) {
        Some(Origin::File { path, .. }) => format!("read the configuration `{}`", path.display()),
        Some(Origin::Environment { name }) => format!("use the environment variable `{name}`"),
        None => "read the configuration".to_owned(),
    };
    let cause = match section.origin(key) {
        Some(Origin::File { line, .. }) => format!("line {line}: {cause}"),
        _ => cause.to_owned(),
    };
    Error::new(ErrorKind::Invalid, doing).because(cause)
}

fn not_both(section: &Section, key: &str) -> Result<()> {
    let file = format!("{key}_file");
    if section.0.contains_key(key) && section.0.contains_key(file.as_str()) {
        return Err(
            wrong(section, &file, &format!("`{key}` and `{file}` are both given")).hint("leave one of the two out")
        );
    }
    Ok(())
}

/// A server's address as it was written, if it is one: `http` or `https`, a host, no credentials, and no plain `http` to
/// another machine unless that is allowed.
fn address(text: &str, allow_http: bool, written: Option<(&Section, &str)>) -> Result<String> {
    let key = written.map_or("url", |(_, key)| key);
    let shown = if text.contains('@') { "…" } else { text };
    let invalid = |cause: &str, hint: &str| {
        let cause = format!("`{key}` is `{shown}`: {cause}");
        let error = match written {
            Some((section, key)) => wrong(section, key, &cause),
            None => Error::new(ErrorKind::Invalid, format!("use the address `{shown}`")).because(cause),
        };
        Err(error.hint(hint.to_owned()))
    };
    if text.contains('@') {
        return invalid(
            "a URL is no place for a secret",
            "put user and password or key into keys of their own, or into the environment",
        );
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return invalid("it has no scheme", "write `https://host:port`");
    };
    let parsed = text.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let Some(uri) = parsed else {
        return invalid("it is no address", "write `https://host:port`");
    };
    if scheme != "http" && scheme != "https" {
        return invalid("its scheme is neither `https` nor `http`", "write `https://host:port`");
    }
    if rest.contains(['?', '#']) {
        return invalid("it has a query", "write only scheme, host, port and path");
    }
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if scheme == "http" && !here && !allow_http {
        return invalid(
            "plain `http` to another host shows keys and data to everybody on the way",
            "use `https`, or set `allow_http = true` if the network is trusted",
        );
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The proxy that a section names; the environment's if it names none.
fn proxy(section: &Section) -> Proxy {
    match section.text("proxy") {
        None | Some("environment") => Proxy::Environment,
        Some("none") => Proxy::None,
        Some(url) => Proxy::Url(url.to_owned()),
    }
}

fn placed(section: &Section, key: &str, error: &Error) -> Error {
    let cause = error.cause().unwrap_or_else(|| error.doing().to_owned());
    let placed = wrong(section, key, &format!("`{key}`: {cause}"));
    match error.advice() {
        Some(advice) => placed.hint(advice.to_owned()),
        None => placed,
    }
}

/// No key, password or token is longer; what is longer is another file.
const LARGEST_SECRET: u64 = 64 * 1024;

/// A secret, written in place or read from the file that `…_file` names, without the line break at its end.
fn secret(name: &str, section: &Section, key: &str) -> Result<Option<Secret>> {
    if let Some(text) = section.text(key) {
        return Ok(Some(Secret::new(text)));
    }
    let key_file = format!("{key}_file");
    let Some(path) = section.text(&key_file) else { return Ok(None) };
    let cannot =
        |cause: String| wrong(section, &key_file, &format!("`{key_file}` of `{name}` names `{path}`: {cause}"));
    let mut text = zeroize::Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(|error| cannot(error.to_string()))?;
    file.take(LARGEST_SECRET).read_to_string(&mut text).map_err(|error| cannot(error.to_string()))?;
    let bare = text.trim_end_matches(['\n', '\r']);
    if bare.is_empty() || bare.contains(['\n', '\0']) {
        return Err(cannot("it must hold the secret on one line and nothing else".to_owned()));
    }
    Ok(Some(Secret::new(bare)))
}
