//! Changes that bots made themselves: a bot is not run for what it wrote, else one that updates the resource it is run for
//! would run for ever.
//!
//! Kept in memory, the newest of them: a run that was cut short by a restart may be followed by one for its own change.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use http::Method;
use pipehat_resource::json::{self, Value};
use pipehat_script::Answer;

/// How many are kept: far more than can wait between a write and the Subscription that follows it.
const KEPT_MAX: usize = 100_000;

/// A bot and a version: `Patient/1/_history/7`.
type Change = (String, String);

/// The newest changes that bots made.
#[derive(Default)]
pub(super) struct OwnChanges(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    known: HashSet<Change>,
    order: VecDeque<Change>,
}

impl OwnChanges {
    /// Takes note of what a bot's request changed.
    pub(super) fn note(&self, bot: &str, method: &Method, path: &str, answer: &Answer) {
        if method.is_safe() || !(200..300).contains(&answer.status) {
            return;
        }
        let versions = versions(path, answer);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for version in versions {
            let change = (bot.to_owned(), version);
            if kept.known.insert(change.clone()) {
                kept.order.push_back(change);
            }
            if kept.order.len() > KEPT_MAX
                && let Some(oldest) = kept.order.pop_front()
            {
                kept.known.remove(&oldest);
            }
        }
    }

    /// Whether a version is a bot's own.
    pub(super) fn is_own(&self, bot: &str, version: &str) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.known.contains(&(bot.to_owned(), version.to_owned()))
    }
}

/// The versions that an answer names.
fn versions(path: &str, answer: &Answer) -> Vec<String> {
    let header = |name: &str| {
        let found = answer.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    if let Some(version) = header("location").and_then(version_of) {
        return vec![version];
    }
    let named = header("etag").and_then(|tag| {
        let version = tag.strip_prefix("W/\"")?.strip_suffix('"')?;
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
        (path.split('/').count() == 2).then(|| format!("{path}/_history/{version}"))
    });
    if let Some(version) = named {
        return vec![version];
    }
    let Ok(Value::Object(bundle)) = json::parse(&answer.body) else { return Vec::new() };
    let Some(Value::Array(entries)) = bundle.get("entry") else { return Vec::new() };
    let responses = entries.iter().filter_map(|entry| entry.get("response"));
    let locations = responses.filter_map(|response| response.get("location")?.as_str());
    locations.filter_map(version_of).collect()
}

/// `https://host/base/Patient/1/_history/7` as `Patient/1/_history/7`.
fn version_of(location: &str) -> Option<String> {
    let mut parts = location.rsplit('/');
    let (version, history) = (parts.next()?, parts.next()?);
    let (id, resource_type) = (parts.next()?, parts.next()?);
    (history == "_history").then(|| format!("{resource_type}/{id}/_history/{version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, path: &str, headers: &[(&str, &str)], body: &str, expected: &[&str]) {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let answer =
            Answer { status: 200, headers: headers.collect(), body: body.as_bytes().to_vec() };
        let changes = OwnChanges::default();
        changes.note("greeter", &method, path, &answer);
        let all = ["Patient/1/_history/7", "Task/t/_history/1"];
        let own: Vec<&str> =
            all.into_iter().filter(|version| changes.is_own("greeter", version)).collect();
        assert_eq!(own, expected);
        assert!(!all.iter().any(|version| changes.is_own("other", version)));
    }

    #[test]
    fn what_a_bot_wrote_is_its_own() {
        let location = [("Location", "http://127.0.0.1/fhir/R4/Patient/1/_history/7")];
        check(Method::POST, "Patient", &location, "", &["Patient/1/_history/7"]);
        let tag = [("etag", "W/\"7\"")];
        check(Method::PUT, "Patient/1", &tag, "", &["Patient/1/_history/7"]);
        check(Method::GET, "Patient/1", &tag, "", &[]);
        let bundle = r#"{"entry": [{"response": {"location": "Task/t/_history/1"}}, {"response": {"status": "204"}}]}"#;
        check(Method::POST, "", &[], bundle, &["Task/t/_history/1"]);
        check(Method::POST, "", &[], "no JSON", &[]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let changes = OwnChanges::default();
        for number in 0..=KEPT_MAX {
            let location = format!("Patient/1/_history/{number}");
            let answer = Answer {
                status: 200,
                headers: vec![("location".into(), location)],
                body: Vec::new(),
            };
            changes.note("greeter", &Method::PUT, "Patient/1", &answer);
        }
        assert!(!changes.is_own("greeter", "Patient/1/_history/0"));
        assert!(changes.is_own("greeter", "Patient/1/_history/1"));
    }
}
