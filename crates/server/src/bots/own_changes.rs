//! Changes that bots made themselves: a bot is not run for what it wrote, else one that updates the resource it is run for
//! would run for ever. Of each is known how many runs led to it, one for the change of the other: bots that answer each
//! other's changes are stopped after [`CHAIN_MAX`].
//!
//! Kept in memory, the newest of them: a run that was cut short by a restart may be followed by one for its own change.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use pipehat_resource::json::{self, Value};
use pipehat_script::Answer;
use tokio::sync::Notify;

/// How many are kept: far more than can wait between a write and the Subscription that follows it.
const KEPT_MAX: usize = 100_000;

/// How many runs may follow from each other, each for a change that the one before made. Steps of a process that several
/// bots share are far fewer.
pub(super) const CHAIN_MAX: u16 = 32;

/// Who made a change, and how many runs led to it.
type Made = (String, u16);

/// The newest changes that bots made.
#[derive(Default)]
pub(super) struct OwnChanges {
    kept: Mutex<Kept>,
    /// Wakes who waits for writes to end.
    ended: Notify,
}

#[derive(Default)]
struct Kept {
    /// By version: `Patient/1/_history/7`.
    known: HashMap<String, Vec<Made>>,
    order: VecDeque<String>,
    /// The writes under way, by numbers in the order in which they began.
    open: BTreeSet<u64>,
    begun: u64,
}

/// A write of a bot that is under way, until it is dropped.
pub(super) struct Writing<'o> {
    changes: &'o OwnChanges,
    number: u64,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.changes.kept().open.remove(&self.number);
        self.changes.ended.notify_waiters();
    }
}

impl OwnChanges {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a bot writes: what it changes can be heard of before it is answered.
    pub(super) fn writing(&self) -> Writing<'_> {
        let mut kept = self.kept();
        kept.begun = kept.begun.saturating_add(1);
        let number = kept.begun;
        kept.open.insert(number);
        drop(kept);
        Writing { changes: self, number }
    }

    /// Waits until it is known whether a version that stands was made by a bot.
    pub(super) async fn settle(&self, version: &str) {
        let begun = self.kept().begun;
        loop {
            // Made before it is looked, so that no end is missed.
            let ended = self.ended.notified();
            {
                let kept = self.kept();
                let is_open = kept.open.first().is_some_and(|number| *number <= begun);
                if !is_open || kept.known.contains_key(version) {
                    return;
                }
            }
            ended.await;
        }
    }

    /// Takes note of what a bot's request changed, in a run that so many others led to.
    pub(super) fn note(
        &self,
        (bot, chain): (&str, u16),
        method: &Method,
        path: &str,
        answer: &Answer,
    ) {
        if method.is_safe() || !(200..300).contains(&answer.status) {
            return;
        }
        let versions = versions(path, answer);
        let mut kept = self.kept();
        for version in versions {
            let made = (bot.to_owned(), chain.saturating_add(1));
            if let Some(known) = kept.known.get_mut(&version) {
                // One that changes nothing is answered with the version that stands.
                if !known.iter().any(|(own, _)| own == bot) {
                    known.push(made);
                }
                continue;
            }
            kept.known.insert(version.clone(), vec![made]);
            kept.order.push_back(version);
            if kept.order.len() > KEPT_MAX
                && let Some(oldest) = kept.order.pop_front()
            {
                kept.known.remove(&oldest);
            }
        }
    }

    /// Whether a version is a bot's own.
    pub(super) fn is_own(&self, bot: &str, version: &str) -> bool {
        let kept = self.kept();
        kept.known.get(version).is_some_and(|made| made.iter().any(|(own, _)| own == bot))
    }

    /// How many runs led to a version; none where no bot made it.
    pub(super) fn chain(&self, version: &str) -> u16 {
        let kept = self.kept();
        let made = kept.known.get(version).and_then(|made| made.first());
        made.map_or(0, |(_, chain)| *chain)
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
        changes.note(("greeter", 2), &method, path, &answer);
        let all = ["Patient/1/_history/7", "Task/t/_history/1"];
        let own: Vec<&str> =
            all.into_iter().filter(|version| changes.is_own("greeter", version)).collect();
        assert_eq!(own, expected);
        assert!(!all.iter().any(|version| changes.is_own("other", version)));
        assert!(own.iter().all(|version| changes.chain(version) == 3));
        assert_eq!(changes.chain("Patient/2/_history/1"), 0);
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
            changes.note(("greeter", 0), &Method::PUT, "Patient/1", &answer);
        }
        assert!(!changes.is_own("greeter", "Patient/1/_history/0"));
        assert!(changes.is_own("greeter", "Patient/1/_history/1"));
    }
}
