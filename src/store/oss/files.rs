//! The files in which Alibaba Cloud's own tools keep credentials, each read again whenever it is asked.
//!
//! | file | of | profiles |
//! |---|---|---|
//! | `~/.aliyun/config.json` | the command line | by name, else the `current` one |
//! | `~/.alibabacloud/credentials`, or `ALIBABA_CLOUD_CREDENTIALS_FILE` | the SDKs | sections, else `default` |
//! | `~/.ossutilconfig` | ossutil 1 and 2 | sections, else `default`, else `Credentials` |
//!
//! What is a mode in the first is a `type` in the second, under another name. The keys are in neither case told in an error.

use std::path::PathBuf;

use serde_json::Value;

use super::sts::Oidc;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::store::credentials::Credentials;
use crate::store::surroundings::{Surroundings, read};

/// What a profile says about who we are.
#[derive(Debug)]
pub(super) enum Entry {
    Keys(Credentials),
    /// The RAM role of the instance; none for whichever it has.
    Instance(Option<String>),
    Oidc(Oidc),
}

/// A named group of settings, its names in lower case.
struct Profile {
    name: String,
    settings: Vec<(String, Secret)>,
}

impl Profile {
    /// The first of these settings that is there and not empty.
    fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let (_, value) = self.settings.iter().find(|(known, _)| known == name)?;
            Some(value.expose()).filter(|value| !value.is_empty())
        })
    }
}

/// A file's profiles, and which of them counts if none is named.
struct Shared {
    profiles: Vec<Profile>,
    usual: Vec<String>,
}

/// Looks through the files for a profile. What is looked at in vain is added to `sought`.
pub(super) async fn find(
    surroundings: &Surroundings,
    profile: Option<&str>,
    sought: &mut Vec<String>,
) -> Result<Option<Entry>> {
    let named = profile.map(str::to_owned).or_else(|| surroundings.variable("ALIBABA_CLOUD_PROFILE"));
    let before = sought.len();
    for (path, parse) in places(surroundings) {
        let place = path.display().to_string();
        sought.push(format!("`{place}`"));
        let Some(content) = read(&path).await? else { continue };
        let shared = parse(content.expose()).map_err(|what| unreadable(&place, what))?;
        let wanted = named.as_ref().map_or(shared.usual, |name| vec![name.clone(), format!("profile {name}")]);
        let found = wanted.iter().find_map(|name| shared.profiles.iter().find(|profile| profile.name == *name));
        if let Some(profile) = found
            && let Some(entry) = entry(profile, &place)?
        {
            return Ok(Some(entry));
        }
    }
    match named {
        // Whoever named a profile does not want another identity.
        Some(name) => Err(Error::new(ErrorKind::Invalid, "find credentials")
            .because(format!("no profile `{name}` with credentials is in {}", sought[before..].join(", ")))
            .hint("check the profile's name, or configure it with the vendor's tool")),
        None => Ok(None),
    }
}

type Parse = fn(&str) -> std::result::Result<Shared, String>;

fn places(surroundings: &Surroundings) -> Vec<(PathBuf, Parse)> {
    let command_line = surroundings.at_home(".aliyun/config.json");
    let command_line = command_line.filter(|_| !surroundings.says("ALIBABA_CLOUD_CLI_PROFILE_DISABLED"));
    let credentials = surroundings.variable("ALIBABA_CLOUD_CREDENTIALS_FILE").map(PathBuf::from);
    let credentials = credentials.or_else(|| surroundings.at_home(".alibabacloud/credentials"));
    let ossutil = surroundings.at_home(".ossutilconfig");
    let found: [(Option<PathBuf>, Parse); 3] = [(command_line, json), (credentials, sections), (ossutil, sections)];
    found.into_iter().filter_map(|(path, parse)| Some((path?, parse))).collect()
}

fn unreadable(place: &str, what: String) -> Error {
    Error::new(ErrorKind::Invalid, format!("read credentials in `{place}`")).because(what)
}

/// What a profile says; none if it was never filled in.
fn entry(profile: &Profile, place: &str) -> Result<Option<Entry>> {
    let text = |names: &[&str]| profile.get(names).map(str::to_owned);
    let mode = profile.get(&["mode", "type"]).unwrap_or_default();
    let wrong = |what: String| {
        Error::new(ErrorKind::Invalid, format!("use the profile `{}` in `{place}`", profile.name)).because(what)
    };
    if profile.get(&["enable"]).is_some_and(|text| text.eq_ignore_ascii_case("false")) {
        return Ok(None);
    }
    match mode.to_ascii_lowercase().as_str() {
        "" | "ak" | "access_key" | "ststoken" | "sts" => {
            let id = text(&["access_key_id", "accesskeyid"]);
            let secret = text(&["access_key_secret", "accesskeysecret"]);
            let (id, secret) = match (id, secret) {
                (Some(id), Some(secret)) => (id, secret),
                (None, None) => return Ok(None),
                _ => return Err(wrong("it has only one of access key and secret".to_owned())),
            };
            // A token is left behind where a profile once had temporary keys.
            let keys_alone = matches!(mode.to_ascii_lowercase().as_str(), "ak" | "access_key");
            let token = text(&["sts_token", "security_token", "ststoken"]).filter(|_| !keys_alone);
            Ok(Some(Entry::Keys(Credentials {
                access_key_id: Secret::new(id),
                secret_access_key: Secret::new(secret),
                session_token: token.map(Secret::new),
                expires: None,
            })))
        }
        "ecsramrole" | "ecs_ram_role" => Ok(Some(Entry::Instance(text(&["ram_role_name", "role_name"])))),
        "oidc" | "oidc_role_arn" => {
            let need = |names: &[&str]| text(names).ok_or_else(|| wrong(format!("it has no `{}`", names[0])));
            Ok(Some(Entry::Oidc(Oidc {
                role: need(&["ram_role_arn", "role_arn"])?,
                provider: need(&["oidc_provider_arn"])?,
                token_file: need(&["oidc_token_file", "oidc_token_file_path"])?.into(),
                session: text(&["ram_session_name", "role_session_name"]),
                region: text(&["sts_region"]),
                seconds: text(&["expired_seconds"]).and_then(|text| text.parse().ok()),
            })))
        }
        _ => Err(wrong(format!("its mode `{}` is not known here", mode.escape_debug()))
            .hint("use one of the modes AK, StsToken, EcsRamRole and OIDC, or set the keys for the store")),
    }
}

/// The command line's file. What is neither text nor number is left out.
fn json(text: &str) -> std::result::Result<Shared, String> {
    // The error names a line and a column only: parsing to a `Value` expects nothing that it could quote.
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let profiles = value.get("profiles").and_then(Value::as_array).ok_or("it has no list of `profiles`")?;
    let profiles = profiles.iter().filter_map(|profile| {
        let settings = profile.as_object()?.iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name.to_ascii_lowercase(), Secret::new(&**text))),
            Value::Number(number) => Some((name.to_ascii_lowercase(), Secret::new(number.to_string()))),
            _ => None,
        });
        let name = profile.get("name")?.as_str()?.to_owned();
        Some(Profile { name, settings: settings.collect() })
    });
    let usual = value.get("current").and_then(Value::as_str).unwrap_or("default").to_owned();
    Ok(Shared { profiles: profiles.collect(), usual: vec![usual] })
}

/// A file of `[sections]` with `name = value`, comments behind `#` and `;`.
fn sections(text: &str) -> std::result::Result<Shared, String> {
    let mut profiles: Vec<Profile> = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            profiles.push(Profile { name: name.trim().to_owned(), settings: Vec::new() });
            continue;
        }
        let malformed = || format!("line {} is neither a section nor `name = value`", number + 1);
        let (name, value) = line.split_once('=').ok_or_else(malformed)?;
        let value = [" #", " ;"].iter().fold(value, |value, mark| value.split(mark).next().unwrap_or_default()).trim();
        let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let setting = (name.trim().to_ascii_lowercase(), Secret::new(bare.unwrap_or(value)));
        profiles.last_mut().ok_or_else(malformed)?.settings.push(setting);
    }
    Ok(Shared { profiles, usual: vec!["default".to_owned(), "Credentials".to_owned()] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND_LINE: &str = r#"{"current":"work","profiles":[
        {"name":"default","mode":"AK","access_key_id":"","access_key_secret":""},
        {"name":"work","mode":"AK","access_key_id":"id-1","access_key_secret":"s1","sts_token":"left behind"},
        {"name":"short","mode":"StsToken","access_key_id":"id-2","access_key_secret":"s2","sts_token":"t2"},
        {"name":"ecs","mode":"EcsRamRole","ram_role_name":"backup"},
        {"name":"pod","mode":"OIDC","oidc_provider_arn":"p","oidc_token_file":"/t","ram_role_arn":"r","expired_seconds":1800},
        {"name":"chain","mode":"RamRoleArn","access_key_id":"id-3","access_key_secret":"hunter2"},
        {"name":"half","mode":"AK","access_key_id":"id-4","access_key_secret":""}]}"#;
    const SDK: &str = "[default]\nenable = false\ntype = access_key\naccess_key_id = id-5\naccess_key_secret = s5\n\n\
        # another\n[sdk]\ntype = sts\naccess_key_id = id-6\naccess_key_secret = s6=/+ ; mine\nsecurity_token = \"t6\"\n";
    const OSSUTIL: &str = "[Credentials]\nlanguage=EN\nendpoint=oss-cn-hangzhou.aliyuncs.com\naccessKeyID=id-7\n\
        accessKeySecret=s7\nstsToken=t7\n\n[profile new]\naccessKeyId=id-8\naccessKeySecret=s8\n";

    struct Home(tempfile::TempDir);

    impl Home {
        fn new(files: &[(&str, &str)]) -> Self {
            let home = Self(tempfile::tempdir().expect("a directory"));
            for (name, content) in files {
                home.write(name, content);
            }
            home
        }

        fn write(&self, name: &str, content: &str) {
            let path = self.0.path().join(name);
            std::fs::create_dir_all(path.parent().expect("below home")).expect("made");
            std::fs::write(path, content).expect("written");
        }

        async fn find(&self, profile: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Entry>> {
            let surroundings = Surroundings::given(variables, Some(self.0.path()));
            find(&surroundings, profile, &mut Vec::new()).await
        }

        async fn keys(&self, profile: Option<&str>, variables: &[(&str, &str)]) -> (String, Option<String>) {
            match self.find(profile, variables).await {
                Ok(Some(Entry::Keys(found))) => (
                    found.access_key_id.expose().to_owned(),
                    found.session_token.map(|token| token.expose().to_owned()),
                ),
                other => panic!("{other:?}"),
            }
        }
    }

    fn all() -> Home {
        Home::new(&[
            (".aliyun/config.json", COMMAND_LINE),
            (".alibabacloud/credentials", SDK),
            (".ossutilconfig", OSSUTIL),
        ])
    }

    #[tokio::test]
    async fn the_profile_is_the_one_named_or_else_the_current_one() {
        let home = all();
        assert_eq!(home.keys(None, &[]).await, ("id-1".into(), None));
        let named = [("ALIBABA_CLOUD_PROFILE", "short")];
        assert_eq!(home.keys(None, &named).await, ("id-2".into(), Some("t2".into())));
        assert_eq!(home.keys(Some("sdk"), &named).await, ("id-6".into(), Some("t6".into())));
        assert_eq!(home.keys(Some("new"), &[]).await, ("id-8".into(), None));
    }

    #[tokio::test]
    async fn roles_are_found_with_what_they_need() {
        let home = all();
        let role = home.find(Some("ecs"), &[]).await.expect("read");
        assert!(matches!(role, Some(Entry::Instance(Some(role))) if role == "backup"));
        let Some(Entry::Oidc(oidc)) = home.find(Some("pod"), &[]).await.expect("read") else { panic!("another mode") };
        assert_eq!((oidc.role.as_str(), oidc.provider.as_str(), oidc.seconds), ("r", "p", Some(1800)));
        assert_eq!(oidc.token_file, PathBuf::from("/t"));
    }

    #[tokio::test]
    async fn files_follow_each_other_and_count_as_they_are_now() {
        let home = all();
        let off = ("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true");
        assert_eq!(home.keys(None, &[off]).await, ("id-7".into(), Some("t7".into())), "the SDKs' profile is off");
        let path = home.0.path().join("elsewhere").display().to_string();
        home.write("elsewhere", "[default]\ntype=access_key\naccess_key_id=id-9\naccess_key_secret=s9\n");
        let variables = [off, ("ALIBABA_CLOUD_CREDENTIALS_FILE", path.as_str())];
        assert_eq!(home.keys(None, &variables).await.0, "id-9");
        home.write("elsewhere", "[default]\ntype=access_key\naccess_key_id=id-10\naccess_key_secret=s9\n");
        assert_eq!(home.keys(None, &variables).await.0, "id-10");
        let empty = Home::new(&[(".aliyun/config.json", r#"{"profiles":[{"name":"default","mode":"AK"}]}"#)]);
        assert!(empty.find(None, &[]).await.expect("read").is_none(), "a profile that was never filled in is none");
    }

    #[tokio::test]
    async fn what_is_not_understood_is_named_without_its_secrets() {
        let home = all();
        for (profile, word) in [("chain", "`RamRoleArn`"), ("half", "only one"), ("lost", "no profile `lost`")] {
            let error = home.find(Some(profile), &[]).await.expect_err(profile);
            assert!(error.to_string().contains(word) && !error.to_string().contains("hunter2"), "{error}");
            assert!(error.advice().is_some() || profile == "half", "{error}");
        }
        for (file, content) in [
            (".aliyun/config.json", "{\"profiles\": [{\"access_key_secret\": \"hunter2\", }]}"),
            (".aliyun/config.json", "\"hunter2\""),
            (".alibabacloud/credentials", "access_key_secret = hunter2\n"),
            (".ossutilconfig", "[Credentials]\nhunter2\n"),
        ] {
            let error = Home::new(&[(file, content)]).find(None, &[]).await.expect_err(content);
            assert!(error.to_string().contains(file) && !format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
