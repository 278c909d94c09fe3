//! What a known server is unable to do: named one by one, so that the list stays true.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::ObjectStore;
use super::{Held, Suite, Trial, Verdict, broken};

/// Which promises the store under test can be expected to keep, and for which keys.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// Keys that this server is known to refuse or confuse; each is a documented limit of that server.
    pub unable: BTreeSet<&'static str>,
    /// What this server is known to get wrong, by the sentence of its [`Trial`].
    pub wrong: BTreeSet<&'static str>,
    /// What this server cannot do and says so, by the sentence of its [`Trial`].
    pub cannot: BTreeSet<&'static str>,
}

/// Tries every promise below `prefix` and compares with what is known of the server: the result is an error for whatever is worse
/// than expected, and for whatever is better, so that the expectation stays true.
pub async fn check(store: Arc<dyn ObjectStore>, prefix: &str, expectation: &Expectation) -> Vec<Verdict> {
    let suite = Suite::new(store, prefix);
    let mut verdicts = Vec::new();
    for trial in Trial::ALL {
        verdicts.push(expectation.judge(suite.attempt(trial).await));
    }
    let result = suite.clean().await.map(|()| Held::Kept);
    verdicts.push(expectation.judge(Verdict {
        promise: 9,
        tried: "what was deleted is gone",
        result,
        unable: Vec::new(),
    }));
    verdicts
}

impl Expectation {
    fn judge(&self, mut verdict: Verdict) -> Verdict {
        let mut surprises = Vec::new();
        match (&verdict.result, self.wrong.contains(verdict.tried), self.cannot.contains(verdict.tried)) {
            (Err(_), true, _) => {
                verdict.result = Ok(Held::Cannot("known"));
                return verdict;
            }
            (Err(_), false, _) => return verdict,
            (Ok(Held::Cannot(why)), _, false) => surprises.push(format!("it says that it cannot: {why}")),
            (Ok(Held::Kept), wrong, cannot) if wrong || cannot => {
                surprises.push("it works and is listed not to".into());
            }
            (Ok(_), _, _) => {}
        }
        if verdict.tried == Trial::Keys.sentence().1 {
            let found: BTreeSet<&str> = verdict.unable.iter().map(|unable| unable.key.as_str()).collect();
            let more = verdict.unable.iter().filter(|unable| !self.unable.contains(unable.key.as_str()));
            surprises.extend(more.map(|unable| format!("{:?}: {}", unable.key, unable.why)));
            let fewer = self.unable.iter().filter(|key| !found.contains(**key));
            surprises.extend(fewer.map(|key| format!("{key:?} works and is listed not to")));
        }
        if !surprises.is_empty() {
            verdict.result = Err(broken(surprises.join("; ")));
        }
        verdict
    }
}
