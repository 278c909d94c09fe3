//! `snapferry repo policy`.

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::Session;
use crate::cli::exit::Outcome;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::policy::{self, Options, ROLES, Role, Service, policies};
use crate::store::Scheme;

#[derive(Debug, clap::Args)]
pub(super) struct Policy {
    /// The place: `s3://bucket/prefix`, `oss://bucket/prefix`, `qingstor://bucket/prefix`, or the name of a configured store
    location: String,
    /// Policies of Amazon's IAM [default for `s3://`]
    #[arg(long, group = "service")]
    aws: bool,
    /// Policies of Alibaba Cloud's RAM [default for `oss://`]
    #[arg(long, group = "service")]
    ram: bool,
    /// Bucket policies of QingStor [default for `qingstor://`]
    #[arg(long, group = "service")]
    qingstor: bool,
    /// Only for these; one alone is printed as bare JSON. May be given several times [default: all]
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Vec<RoleWord>,
    /// With `--role caller`: the role that the domain takes on
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// With `--role caller`: the domain
    #[arg(long, value_name = "ARN")]
    domain_arn: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleWord {
    /// The cluster that takes the snapshots
    Source,
    /// The cluster that restores
    Target,
    /// snapferry at the source
    SyncFrom,
    /// snapferry at the target
    SyncTo,
    /// Who may take on a cluster's role
    Trust,
    /// Who registers a repository at a domain of Amazon's
    Caller,
}

impl RoleWord {
    fn role(self) -> Role {
        match self {
            Self::Source => Role::Source,
            Self::Target => Role::Target,
            Self::SyncFrom => Role::SyncFrom,
            Self::SyncTo => Role::SyncTo,
            Self::Trust => Role::Trust,
            Self::Caller => Role::Caller,
        }
    }
}

#[derive(Serialize)]
struct Document {
    command: &'static str,
    outcome: &'static str,
    policies: Vec<policy::Policy>,
}

impl Policy {
    pub(super) fn run(&self, session: &Session) -> Result<Outcome> {
        let place = session.config.place(&self.location)?;
        let invalid = |cause: &'static str, hint: &'static str| {
            Error::new(ErrorKind::Invalid, format!("print policies for `{}`", place.location)).because(cause).hint(hint)
        };
        let service = match (self.aws, self.ram, self.qingstor, place.location.scheme()) {
            (.., Scheme::File) => {
                return Err(invalid("a directory has no policies", "give a bucket: `s3://bucket/prefix`"));
            }
            (true, ..) | (false, false, false, Scheme::S3) => Service::Aws,
            (_, true, ..) | (false, false, false, Scheme::Oss) => Service::Ram,
            (_, _, true, _) | (false, false, false, Scheme::Qingstor) => Service::Qingstor,
        };
        let options = Options {
            service,
            bucket: place.location.bucket().to_owned(),
            prefix: place.location.prefix().to_owned(),
            region: place.options.region.clone(),
            role_arn: self.role_arn.clone(),
            domain_arn: self.domain_arn.clone(),
        };
        let roles: Vec<Role> = match self.role.as_slice() {
            [] => ROLES.to_vec(),
            words => words.iter().map(|word| word.role()).collect(),
        };
        let policies = policies(&options, &roles);
        if policies.is_empty() {
            return Err(invalid("this service has nothing of the kind", "choose another `--role`, or leave it out"));
        }
        for policy in &policies {
            if roles.len() > 1 {
                session.output.line(&format!("# {}: {}", policy.role, policy.purpose))?;
            }
            // A document of texts and lists is always JSON.
            session.output.line(&serde_json::to_string_pretty(&policy.policy).unwrap_or_default())?;
        }
        if session.output.is_json() {
            let outcome = Outcome::Done.word();
            session.output.document(&Document { command: "repo policy", outcome, policies })?;
        }
        Ok(Outcome::Done)
    }
}
