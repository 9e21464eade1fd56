//! What the datastore says of all it ever took, compared with the books.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::writer::{Books, KEY, MARK, TRANSACTION_PARTS};
use crate::harness::{Connection, Random};

/// How many searches are made for what was written.
const SEARCHES: u64 = 60;

/// One version, as the history shows it.
struct Version {
    /// `None` where it was deleted.
    resource: Option<Value>,
    mark: Option<String>,
}

type Versions = BTreeMap<(String, u64), Version>;

/// Compares all that is there with the books.
pub(super) fn check(connection: &mut Connection, books: &Books, seed: u64) {
    let versions = history(connection);
    acknowledged_versions(books, &versions);
    nothing_else(books, &versions);
    transactions(books, &versions);
    conditional_creates(books, &versions);
    counters(&versions);
    searches(connection, &versions, seed);
    audit(connection, books);
}

fn get(connection: &mut Connection, path: &str) -> Value {
    let answered = connection.call("GET", path, &[], None).expect("the node answers");
    assert_eq!(answered.status, 200, "{path}: {}", String::from_utf8_lossy(&answered.body));
    answered.json()
}

/// All pages of a bundle.
fn pages(connection: &mut Connection, first: &str, mut entry: impl FnMut(&Value)) {
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let bundle = get(connection, &path);
        bundle["entry"].as_array().into_iter().flatten().for_each(&mut entry);
        let links = bundle["link"].as_array().cloned().unwrap_or_default();
        let link = links.iter().find(|link| link["relation"] == "next");
        next = link.and_then(|link| link["url"].as_str()).map(|url| {
            url.find("/fhir/R4").map_or_else(|| url.to_owned(), |at| url[at..].to_owned())
        });
    }
}

fn history(connection: &mut Connection) -> Versions {
    let mut versions = Versions::new();
    pages(connection, "/fhir/R4/_history?_count=1000", |entry| {
        let url = entry["request"]["url"].as_str().expect("a URL");
        let resource = entry.get("resource").cloned();
        let reference = match &resource {
            Some(resource) => format!(
                "{}/{}",
                resource["resourceType"].as_str().expect("a type"),
                resource["id"].as_str().expect("an id")
            ),
            None => url.to_owned(),
        };
        let etag = entry["response"]["etag"].as_str().expect("an ETag");
        let version = etag.trim_start_matches("W/").trim_matches('"');
        let mark = resource.as_ref().and_then(|resource| identifier(resource, MARK));
        let key = (reference, version.parse().expect("versions are numbers"));
        let before = versions.insert(key, Version { resource, mark });
        assert!(before.is_none(), "a version comes twice: {entry}");
    });
    versions
}

fn identifier(resource: &Value, system: &str) -> Option<String> {
    let identifiers = resource["identifier"].as_array()?;
    let found = identifiers.iter().find(|identifier| identifier["system"] == system)?;
    found["value"].as_str().map(str::to_owned)
}

/// Each acknowledged version is there, with its content; and before it all others of its resource.
fn acknowledged_versions(books: &Books, versions: &Versions) {
    for (key, mark) in &books.versions {
        let found = versions.get(key);
        let found = found.unwrap_or_else(|| panic!("{key:?} is lost"));
        assert_eq!(found.mark, *mark, "{key:?} is another");
    }
    for (reference, version) in versions.keys() {
        let before = (reference.clone(), version - 1);
        assert!(*version == 1 || versions.contains_key(&before), "{before:?} is missing");
    }
}

/// What is there was acknowledged, or its answer was lost; what was refused is not there.
fn nothing_else(books: &Books, versions: &Versions) {
    let acknowledged: BTreeSet<&String> = books.versions.values().flatten().collect();
    let mut seen: BTreeMap<&String, usize> = BTreeMap::new();
    for (key, version) in versions {
        let Some(mark) = &version.mark else {
            assert!(version.resource.is_none(), "{key:?} has no mark");
            continue;
        };
        *seen.entry(mark).or_default() += 1;
        assert!(!books.refused.contains(mark), "{key:?} was refused");
        let known = acknowledged.contains(mark) || books.uncertain.contains(mark);
        assert!(known, "{key:?}: nobody wrote {mark}");
    }
    for (mark, count) in seen {
        let may = if books.transactions_sent.contains(mark) { TRANSACTION_PARTS } else { 1 };
        assert_eq!(count, may, "{mark} is there {count} times");
    }
}

/// A transaction is there whole or not at all, and refers to what it made.
fn transactions(books: &Books, versions: &Versions) {
    let mut patients = BTreeMap::new();
    let mut keys = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for ((reference, _), version) in versions {
        let Some(resource) = &version.resource else { continue };
        if reference.starts_with("Patient/") {
            patients.insert(reference.as_str(), version.mark.as_ref());
            keys.insert(reference.as_str(), identifier(resource, KEY));
        }
    }
    for ((reference, _), version) in versions {
        let Some(resource) = version.resource.as_ref().filter(|_| reference.starts_with("Obs"))
        else {
            continue;
        };
        let subject = resource["subject"]["reference"].as_str().expect("a subject");
        assert_eq!(patients.get(subject), Some(&version.mark.as_ref()), "{reference}");
        let focus = resource["focus"][0]["reference"].as_str().expect("a focus");
        assert!(keys.get(focus).is_some_and(Option::is_some), "{reference}: {focus}");
        seen.extend(&version.mark);
    }
    let lost: Vec<_> = books.transactions.iter().filter(|mark| !seen.contains(mark)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost");
}

/// Of each key there is one resource, and whoever asked was told of it.
fn conditional_creates(books: &Books, versions: &Versions) {
    let mut by_key: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((reference, _), version) in versions {
        let key = version.resource.as_ref().and_then(|resource| identifier(resource, KEY));
        if let Some(key) = key {
            by_key.entry(key).or_default().insert(reference.clone());
        }
    }
    for (key, found) in &by_key {
        assert_eq!(found.len(), 1, "{key} is there more than once: {found:?}");
    }
    for (key, told) in &books.conditional {
        assert_eq!(by_key.get(key), Some(told), "{key}");
    }
}

/// No change by `If-Match` was lost: each counted on from the one before.
fn counters(versions: &Versions) {
    let mut counted = 0;
    for ((reference, number), version) in versions {
        let Some(resource) = version.resource.as_ref().filter(|_| reference.contains("/counter"))
        else {
            continue;
        };
        assert_eq!(resource["multipleBirthInteger"], *number, "{reference}");
        counted += 1;
    }
    assert!(counted > 0, "something was counted");
}

/// What is there is found, what is deleted is not.
fn searches(connection: &mut Connection, versions: &Versions, seed: u64) {
    let mut random = Random::new(seed);
    let firsts: Vec<_> = versions
        .iter()
        .filter(|((reference, version), _)| reference.starts_with("Patient/") && *version == 1)
        .collect();
    for _ in 0..SEARCHES {
        let chosen = random.below(firsts.len() as u64) as usize;
        let ((reference, _), version) = firsts[chosen];
        let mark = version.mark.as_ref().expect("a first version has content");
        let newest = versions.range((reference.clone(), 0)..=(reference.clone(), u64::MAX));
        let (_, newest) = newest.last().expect("there is one");
        let expected = u64::from(newest.mark.as_ref() == Some(mark));
        let path = format!("/fhir/R4/Patient?identifier={MARK}%7C{mark}&_summary=count");
        assert_eq!(get(connection, &path)["total"], expected, "{reference}");
    }
}

/// Of each change that was acknowledged stands in the audit who made it.
fn audit(connection: &mut Connection, books: &Books) {
    let mut told = BTreeSet::new();
    pages(connection, "/fhir/R4/AuditEvent?_count=1000", |entry| {
        let entities = entry["resource"]["entity"].as_array();
        for entity in entities.into_iter().flatten() {
            if let Some(id) = entity["what"]["identifier"]["value"].as_str() {
                told.insert(id.to_owned());
            }
        }
    });
    let missing: Vec<_> = books.requests.difference(&told).collect();
    assert!(missing.is_empty(), "the audit does not know of {missing:?}");
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use serde_json::json;

    use super::*;

    fn version(versions: &mut Versions, reference: &str, number: u64, mark: &str, more: Value) {
        let mut resource = json!({ "identifier": [{ "system": MARK, "value": mark }] });
        if let Some(key) = more["key"].as_str() {
            let list = resource["identifier"].as_array_mut().expect("a list");
            list.push(json!({ "system": KEY, "value": key }));
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            resource[name] = value.clone();
        }
        let version = Version { resource: Some(resource), mark: Some(mark.to_owned()) };
        versions.insert((reference.to_owned(), number), version);
    }

    /// A store in which all agrees, and the books of it.
    fn sound() -> (Versions, Books) {
        let (mut versions, mut books) = (Versions::new(), Books::default());
        version(&mut versions, "Patient/a", 1, "a", json!({}));
        version(&mut versions, "Patient/k", 1, "t-c", json!({ "key": "k1" }));
        version(&mut versions, "Patient/t", 1, "t", json!({}));
        version(&mut versions, "List/w0", 1, "t", json!({}));
        let references = json!({ "subject": { "reference": "Patient/t" },
            "focus": [{ "reference": "Patient/k" }] });
        version(&mut versions, "Observation/o", 1, "t", references);
        for count in 1..=2 {
            let more = json!({ "multipleBirthInteger": count });
            version(&mut versions, "Patient/counter0", count, &format!("c{count}"), more);
        }
        for (key, version) in &versions {
            books.versions.insert(key.clone(), version.mark.clone());
        }
        books.transactions_sent.insert("t".to_owned());
        books.transactions.insert("t".to_owned());
        let found = BTreeSet::from(["Patient/k".to_owned()]);
        books.conditional.insert("k1".to_owned(), found);
        books.refused.insert("refused".to_owned());
        (versions, books)
    }

    fn is_found_wrong(change: impl Fn(&mut Versions, &mut Books)) -> bool {
        let (mut versions, mut books) = sound();
        change(&mut versions, &mut books);
        let checked = catch_unwind(AssertUnwindSafe(|| {
            acknowledged_versions(&books, &versions);
            nothing_else(&books, &versions);
            transactions(&books, &versions);
            conditional_creates(&books, &versions);
            counters(&versions);
        }));
        checked.is_err()
    }

    #[test]
    fn the_checks_find_what_does_not_agree() {
        assert!(!is_found_wrong(|_, _| {}));
        let key = |reference: &str, version| (reference.to_owned(), version);
        let lost = |reference: &'static str, number| {
            is_found_wrong(move |versions, _| drop(versions.remove(&key(reference, number))))
        };
        assert!(lost("Patient/a", 1) && lost("Patient/counter0", 2));
        // Not acknowledged, and there by half.
        let half = |reference: &'static str| {
            is_found_wrong(move |versions, books| {
                books.transactions.clear();
                books.versions.retain(|_, mark| mark.as_deref() != Some("t"));
                books.uncertain.insert("t".to_owned());
                versions.remove(&key(reference, 1));
            })
        };
        assert!(half("Patient/t") && half("List/w0") && half("Observation/o"));
        assert!(is_found_wrong(|versions, books| {
            version(versions, "Patient/twin", 1, "twin", json!({ "key": "k1" }));
            books.uncertain.insert("twin".to_owned());
        }));
        assert!(is_found_wrong(|versions, _| {
            version(versions, "Patient/a", 1, "other", json!({}));
        }));
        assert!(is_found_wrong(|versions, _| {
            version(versions, "Patient/x", 1, "refused", json!({}));
        }));
        assert!(is_found_wrong(|versions, books| {
            let more = json!({ "multipleBirthInteger": 2 });
            version(versions, "Patient/counter0", 3, "late", more);
            books.uncertain.insert("late".to_owned());
        }));
    }
}
