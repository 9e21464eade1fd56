//! What a Bundle does not speak of, at a server that does not know the mark: pure.
//!
//! The datastore of this Pipehat takes over itself what stands ([`pipehat_resource::kept`]). For another server it is done
//! here: what stands is asked for, the elements are taken from it, and the version that was read is replaced and no other
//! (`ifMatch`); where nothing stands it is created, unless somebody was quicker (`ifNoneExist`). Whoever was overtaken asks
//! anew. Items of a list are known by what they refer to: what an entry is called that they name is asked for, too.

use std::collections::HashMap;

use bytes::Bytes;
use memchr::memmem;
use pipehat_resource::json::{self, Value};
use pipehat_resource::kept::{IF_FOUND, KEEPS, Keeps, UnreadableMark, is_only_if_found};

use super::lookup::{posted, read};
use super::request::Prepared;
use crate::Found;

/// A Bundle with entries that keep something of what stands.
#[derive(Debug)]
pub(super) struct Marked {
    bundle: Value,
    entries: Vec<Entry>,
    /// Entries that items of those refer to, by their `fullUrl`.
    named: Vec<(String, Stands)>,
}

#[derive(Debug)]
struct Entry {
    at: usize,
    keeps: Keeps,
    stands: Stands,
    /// It changes what it finds, and otherwise nothing.
    is_patch: bool,
}

/// Where it may stand already.
#[derive(Debug)]
enum Stands {
    Under(String),
    Search { resource_type: String, query: String },
}

/// A Bundle for a server that knows no marks.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) body: Bytes,
    /// Entries that are new, as far as is known.
    new: Vec<usize>,
}

impl Marked {
    /// The payload, where it has marks.
    ///
    /// # Errors
    /// What can't be read of them.
    pub(super) fn of(payload: &[u8]) -> Result<Option<Self>, UnreadableMark> {
        let has = |mark: &str| memmem::find(payload, mark.as_bytes()).is_some();
        if !has(KEEPS) && !has(IF_FOUND) {
            return Ok(None);
        }
        let Ok(bundle) = json::parse(payload) else { return Ok(None) };
        let mut entries = Vec::new();
        for (at, entry) in bundle.items("entry").iter().enumerate() {
            let Some(request) = entry.get("request") else { continue };
            let keeps = Keeps::of_request(request)?;
            let keeps = keeps.or_else(|| is_only_if_found(request).then(Keeps::default));
            let Some(keeps) = keeps else { continue };
            if let Some(stands) = Stands::of(request) {
                let is_patch = request.text("method") == Some("PATCH");
                entries.push(Entry { at, keeps, stands, is_patch });
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let named = named_by(&bundle, &entries);
        Ok(Some(Self { bundle, entries, named }))
    }

    /// What is asked of the server, and whether it is a read.
    pub(super) fn questions(&self) -> impl Iterator<Item = (Prepared, Bytes, bool)> {
        let named = self.named.iter().map(|(_, stands)| stands);
        // What stands under an id is called by it.
        let named = named.filter(|stands| matches!(stands, Stands::Search { .. }));
        self.entries.iter().map(|entry| &entry.stands).chain(named).map(|stands| match stands {
            Stands::Under(path) => {
                let (prepared, body) = read(path);
                (prepared, body, true)
            }
            Stands::Search { resource_type, query } => {
                let (prepared, body) = posted(resource_type, query);
                (prepared, body, false)
            }
        })
    }

    /// What the entries that items refer to are called at the server, by what was found behind the entries themselves.
    fn called(&self, found: &[Found]) -> HashMap<&str, String> {
        let mut found = found.iter().skip(self.entries.len());
        let mut called = HashMap::new();
        for (name, stands) in &self.named {
            let own = match stands {
                Stands::Under(path) => Some(path.clone()),
                Stands::Search { .. } => match found.next() {
                    Some(Found::One(standing)) => json::parse(standing).ok().and_then(|own| {
                        let (resource_type, id) = own.resource_type().zip(own.id())?;
                        Some(format!("{resource_type}/{id}"))
                    }),
                    _ => None,
                },
            };
            called.extend(own.map(|own| (name.as_str(), own)));
        }
        called
    }

    /// The Bundle by what was found, in the questions' order.
    pub(super) fn settled(&self, found: &[Found]) -> Settled {
        let mut bundle = self.bundle.clone();
        let mut new = Vec::new();
        let called = self.called(found);
        let called = |name: &str| called.get(name).cloned();
        let all = bundle.as_object_mut().and_then(|bundle| bundle.get_mut("entry"));
        let all = all.and_then(Value::as_array_mut).map(Vec::as_mut_slice).unwrap_or_default();
        for (entry, found) in self.entries.iter().zip(found) {
            let Some(told) = all.get_mut(entry.at) else { continue };
            let standing = match found {
                Found::One(standing) => json::parse(standing).ok(),
                Found::Nothing | Found::Several(_) => None,
            };
            if entry.is_patch {
                entry.patch(standing.as_ref(), *found == Found::Nothing, told);
            } else if let Some(standing) = standing {
                entry.replace(&standing, told, &called);
            } else if *found == Found::Nothing && entry.create(told) {
                new.push(entry.at);
            }
            strip(told);
        }
        Settled { body: bundle.to_json().into(), new }
    }
}

/// The entries that items of others refer to.
fn named_by(bundle: &Value, entries: &[Entry]) -> Vec<(String, Stands)> {
    let mut names = Vec::new();
    for entry in entries {
        let Some(told) = bundle.items("entry").get(entry.at) else { continue };
        for items in entry.keeps.items() {
            names.extend(items.without.iter().map(|own| own.to_string()));
            let path = items.element.split('.');
            let list = path.fold(told.get("resource"), |own, name| own?.get(name));
            if let Some(list) = list {
                collect_references(list, &mut names);
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    let is_named = |entry: &Value| {
        let full_url = entry.text("fullUrl")?;
        names.binary_search_by(|own| own.as_str().cmp(full_url)).ok()?;
        Some((full_url.to_owned(), Stands::of(entry.get("request")?)?))
    };
    bundle.items("entry").iter().filter_map(is_named).collect()
}

fn collect_references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, names)),
        Value::Object(object) => {
            names.extend(value.text("reference").map(str::to_owned));
            object.iter().for_each(|(_, inner)| collect_references(inner, names));
        }
        _ => {}
    }
}

impl Stands {
    fn of(request: &Value) -> Option<Self> {
        let url = request.text("url")?;
        let search = |(resource_type, query): (&str, &str)| Self::Search {
            resource_type: resource_type.to_owned(),
            query: query.to_owned(),
        };
        match request.text("method")? {
            "PUT" => Some(match url.split_once('?') {
                Some(found_by) => search(found_by),
                None => Self::Under(url.to_owned()),
            }),
            "PATCH" => url.split_once('?').filter(|_| is_only_if_found(request)).map(search),
            "POST" => Some(search((url, request.text("ifNoneExist")?))),
            _ => None,
        }
    }
}

impl Entry {
    /// Takes over what is kept, and has the entry replace the version that it was taken from.
    fn replace(
        &self,
        standing: &Value,
        told: &mut Value,
        called: &impl Fn(&str) -> Option<String>,
    ) {
        let Some((resource_type, id)) = standing.resource_type().zip(standing.id()) else { return };
        let Some(told) = told.as_object_mut() else { return };
        if let Some(resource) = told.get_mut("resource") {
            self.keeps.take_over(standing, resource, called);
            if let Some(resource) = resource.as_object_mut() {
                resource.set("id", Value::string(id));
            }
        }
        let Some(request) = told.get_mut("request").and_then(Value::as_object_mut) else { return };
        request.remove("ifNoneExist");
        request.set("method", Value::string("PUT"));
        request.set("url", Value::string(format!("{resource_type}/{id}")));
        if let Some(version) = standing.get("meta").and_then(|meta| meta.text("versionId")) {
            request.set("ifMatch", Value::string(format!("W/\"{version}\"")));
        }
    }

    /// Has the entry change the version that was found. Where nothing was, it asks once more and changes nothing, so that the
    /// entries keep their places in the answer.
    fn patch(&self, standing: Option<&Value>, is_nothing: bool, told: &mut Value) {
        let Some(told) = told.as_object_mut() else { return };
        if is_nothing {
            told.remove("resource");
        }
        let Some(request) = told.get_mut("request").and_then(Value::as_object_mut) else { return };
        if is_nothing {
            request.set("method", Value::string("GET"));
            return;
        }
        let name = standing.and_then(|own| own.resource_type().zip(own.id()));
        let Some((resource_type, id)) = name else { return };
        request.set("url", Value::string(format!("{resource_type}/{id}")));
        let version = standing.and_then(|own| own.get("meta")).and_then(|it| it.text("versionId"));
        if let Some(version) = version {
            request.set("ifMatch", Value::string(format!("W/\"{version}\"")));
        }
    }

    /// Has the entry create and replace nothing; false where the server decides by the id.
    fn create(&self, told: &mut Value) -> bool {
        let Stands::Search { resource_type, query } = &self.stands else { return false };
        let request = told.as_object_mut().and_then(|told| told.get_mut("request"));
        if let Some(request) = request.and_then(Value::as_object_mut) {
            request.set("method", Value::string("POST"));
            request.set("url", Value::string(resource_type.as_str()));
            request.set("ifNoneExist", Value::string(query.as_str()));
        }
        true
    }
}

impl Settled {
    /// Whether the answer says that something stood there which was to be new: what is told of it was not taken.
    pub(super) fn was_overtaken(&self, answer: &[u8]) -> bool {
        if self.new.is_empty() {
            return false;
        }
        let Ok(answer) = json::parse(answer) else { return false };
        let status = |at: &usize| {
            let entry = answer.items("entry").get(*at)?;
            entry.get("response")?.text("status")
        };
        self.new.iter().filter_map(status).any(|status| status.starts_with("200"))
    }
}

/// Whether it may be for others that were quicker that a Bundle was refused (409, 412). Where the same stands as the last time
/// it was asked, or several where one was meant, it is not.
pub(super) fn may_be_overtaken(last: Option<&[Found]>, found: &[Found]) -> bool {
    !found.iter().any(|own| matches!(own, Found::Several(_))) && last != Some(found)
}

fn strip(told: &mut Value) {
    let request = told.as_object_mut().and_then(|told| told.get_mut("request"));
    if let Some(request) = request.and_then(Value::as_object_mut) {
        Keeps::strip(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = r#""extension":[{"url":"urn:pipehat:keeps","extension":[{"url":"element","valueString":"status"}]}]"#;

    fn bundle(request: &str) -> String {
        format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{{"resourceType":"Encounter","status":"in-progress"}},"request":{{{request}}}}}]}}"#
        )
    }

    fn marked(request: &str) -> Marked {
        let payload = bundle(&format!("{request},{MARK}"));
        Marked::of(payload.as_bytes()).expect("it is read").expect("there is a mark")
    }

    /// What becomes of an entry: what is asked, and what is sent where this was found.
    #[track_caller]
    fn check(request: &str, question: &str, found: &Found, expected: &str) {
        let marked = marked(request);
        let asked: Vec<String> = marked
            .questions()
            .map(|(prepared, body, _)| {
                format!("{} {} {}", prepared.method, prepared.path, String::from_utf8_lossy(&body))
            })
            .collect();
        assert_eq!(asked, [question], "{request}");
        let settled = marked.settled(std::slice::from_ref(found));
        let sent = json::parse(&settled.body).expect("it is JSON");
        let entry = sent.items("entry").first().expect("an entry");
        assert_eq!(entry.to_json(), expected, "{request}");
    }

    #[test]
    fn what_stands_is_replaced_at_its_version() {
        let standing =
            r#"{"resourceType":"Encounter","id":"e","meta":{"versionId":"3"},"status":"planned"}"#;
        let found = Found::One(standing.into());
        let expected = r#"{"resource":{"resourceType":"Encounter","status":"planned","id":"e"},"request":{"method":"PUT","url":"Encounter/e","ifMatch":"W/\"3\""}}"#;
        let search = "POST Encounter/_search identifier=s|1&_count=2";
        check(r#""method":"PUT","url":"Encounter?identifier=s|1""#, search, &found, expected);
        let create = r#""method":"POST","url":"Encounter","ifNoneExist":"identifier=s|1""#;
        check(create, search, &found, expected);
        check(r#""method":"PUT","url":"Encounter/e""#, "GET Encounter/e ", &found, expected);
    }

    #[test]
    fn where_nothing_stands_it_is_created() {
        let search = "POST Encounter/_search identifier=s|1&_count=2";
        let told = r#""resource":{"resourceType":"Encounter","status":"in-progress"}"#;
        let create = r#""method":"POST","url":"Encounter","ifNoneExist":"identifier=s|1""#;
        let expected = format!(r#"{{{told},"request":{{{create}}}}}"#);
        check(create, search, &Found::Nothing, &expected);
        let update = r#""method":"PUT","url":"Encounter?identifier=s|1""#;
        let expected = format!(r#"{{{told},"request":{{{create}}}}}"#);
        check(update, search, &Found::Nothing, &expected);
        // Of several the server says that they are.
        let expected = format!(r#"{{{told},"request":{{{update}}}}}"#);
        check(update, search, &Found::Several("{}".into()), &expected);
    }

    #[test]
    fn what_is_changed_if_found_is_changed_at_its_version() {
        let mark = r#""extension":[{"url":"urn:pipehat:if-found","valueBoolean":true}]"#;
        let check = |found: Found, expected: &str| {
            let payload = format!(
                r#"{{"resourceType":"Bundle","entry":[{{"resource":{{"resourceType":"Parameters"}},"request":{{{mark},"method":"PATCH","url":"DocumentReference?identifier=s|1"}}}}]}}"#
            );
            let marked = Marked::of(payload.as_bytes()).expect("it is read").expect("a mark");
            let settled = marked.settled(&[found]);
            let sent = json::parse(&settled.body).expect("it is JSON");
            assert_eq!(sent.items("entry").first().expect("an entry").to_json(), expected);
        };
        let patch = r#"{"resource":{"resourceType":"Parameters"},"request":{"method":"PATCH","url":"DocumentReference"#;
        let standing = r#"{"resourceType":"DocumentReference","id":"d","meta":{"versionId":"3"}}"#;
        let found = Found::One(standing.into());
        check(found, &format!(r#"{patch}/d","ifMatch":"W/\"3\""}}}}"#));
        let nothing = r#"{"request":{"method":"GET","url":"DocumentReference?identifier=s|1"}}"#;
        check(Found::Nothing, nothing);
        check(Found::Several("{}".into()), &format!(r#"{patch}?identifier=s|1"}}}}"#));
    }

    #[test]
    fn items_that_are_not_named_stay() {
        let parts = [
            ("element", "participant"),
            ("by", "actor.reference"),
            ("others", "*"),
            ("without", "urn:uuid:2"),
        ]
        .map(|(url, text)| format!(r#"{{"url":"{url}","valueString":"{text}"}}"#))
        .join(",");
        let actor = |name: &str| format!(r#"{{"actor":{{"reference":"{name}"}}}}"#);
        let told = actor("urn:uuid:1");
        let mark =
            format!(r#"{{"url":"{KEEPS}","extension":[{{"url":"items","extension":[{parts}]}}]}}"#);
        let payload = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[
              {{"fullUrl":"urn:uuid:1","resource":{{"resourceType":"Practitioner"}},"request":{{"method":"PUT","url":"Practitioner?identifier=s|1"}}}},
              {{"fullUrl":"urn:uuid:2","resource":{{"resourceType":"Location"}},"request":{{"method":"PUT","url":"Location/two"}}}},
              {{"fullUrl":"urn:uuid:9","resource":{{"resourceType":"Patient"}},"request":{{"method":"PUT","url":"Patient?identifier=s|9"}}}},
              {{"resource":{{"resourceType":"Appointment","participant":[{told}]}},"request":{{"extension":[{mark}],"method":"PUT","url":"Appointment?identifier=s|A"}}}}]}}"#
        );
        let marked = Marked::of(payload.as_bytes()).expect("it is read").expect("there is a mark");
        let asked: Vec<String> = marked
            .questions()
            .map(|(prepared, body, _)| {
                format!("{} {}", prepared.path, String::from_utf8_lossy(&body))
            })
            .collect();
        assert_eq!(
            asked,
            [
                "Appointment/_search identifier=s|A&_count=2",
                "Practitioner/_search identifier=s|1&_count=2"
            ]
        );
        let participants = |found: &[Found]| {
            let settled = marked.settled(found);
            let sent = json::parse(&settled.body).expect("it is JSON");
            let entry = sent.items("entry").last().expect("an entry").clone();
            assert_eq!(entry.get("request").and_then(|own| own.get("extension")), None);
            let resource = entry.get("resource").and_then(|own| own.get("participant")).cloned();
            resource.expect("participants").to_json()
        };
        let standing =
            [actor("Practitioner/x"), actor("Location/two"), actor("Device/d")].join(",");
        let standing =
            format!(r#"{{"resourceType":"Appointment","id":"a","participant":[{standing}]}}"#);
        let appointment = Found::One(standing.into());
        let known = Found::One(r#"{"resourceType":"Practitioner","id":"x"}"#.into());
        let device = actor("Device/d");
        assert_eq!(participants(&[appointment.clone(), known]), format!("[{device},{told}]"));
        let other = actor("Practitioner/x");
        let expected = format!("[{other},{device},{told}]");
        assert_eq!(participants(&[appointment, Found::Nothing]), expected);
        assert_eq!(participants(&[Found::Nothing, Found::Nothing]), format!("[{told}]"));
    }

    #[test]
    fn who_was_overtaken_knows_it() {
        let marked = marked(r#""method":"PUT","url":"Encounter?identifier=s|1""#);
        let answer = |status: &str| {
            format!(
                r#"{{"resourceType":"Bundle","entry":[{{"response":{{"status":"{status}"}}}}]}}"#
            )
        };
        let created = marked.settled(&[Found::Nothing]);
        assert!(created.was_overtaken(answer("200 OK").as_bytes()));
        assert!(!created.was_overtaken(answer("201 Created").as_bytes()));
        let standing = r#"{"resourceType":"Encounter","id":"e","status":"planned"}"#;
        let replaced = marked.settled(&[Found::One(standing.into())]);
        assert!(!replaced.was_overtaken(answer("200 OK").as_bytes()));
    }

    #[test]
    fn who_is_refused_twice_at_one_version_was_not_overtaken() {
        let standing = |version: u32| [Found::One(format!(r#"{{"meta":"{version}"}}"#).into())];
        assert!(may_be_overtaken(None, &standing(1)));
        assert!(may_be_overtaken(Some(&[Found::Nothing]), &standing(1)));
        assert!(may_be_overtaken(Some(&standing(1)), &standing(2)));
        assert!(!may_be_overtaken(Some(&standing(2)), &standing(2)));
        assert!(!may_be_overtaken(None, &[Found::Several("{}".into())]));
    }

    #[test]
    fn what_has_no_mark_is_sent_as_it_is() {
        let plain = bundle(r#""method":"PUT","url":"Encounter?identifier=s|1""#);
        assert!(Marked::of(plain.as_bytes()).expect("it is read").is_none());
        let text = format!(r#"{{"resourceType":"Basic","code":{{"text":"{KEEPS}"}}}}"#);
        assert!(Marked::of(text.as_bytes()).expect("it is read").is_none());
    }
}
