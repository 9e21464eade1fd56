//! What a Bundle does not speak of, at a server that does not know the mark: pure.
//!
//! The datastore of this Pipehat takes over itself what stands ([`pipehat_resource::kept`]). For another server it is done
//! here: what stands is asked for, the elements are taken from it, and the version that was read is replaced and no other
//! (`ifMatch`); where nothing stands it is created, unless somebody was quicker (`ifNoneExist`). Whoever was overtaken asks
//! anew. Items of a list are known by what they refer to: what an entry is called that they name is asked for, too.
//!
//! Of an entry of which only a reference has to lead to the same ([`Keeps::same`]) that reference alone is asked for, of many
//! by one batch; it is sent as it is, or nothing is.

use std::collections::HashMap;

use bytes::Bytes;
use memchr::memmem;
use pipehat_resource::json::{self, Value};
use pipehat_resource::kept::{
    IF_FOUND, KEEPS, Keeps, Moved, UnreadableMark, is_only_if_found, reference,
};

use super::lookup::{found as searched, posted, read};
use super::request::{Prepared, batched};
use crate::Found;

/// How many entries a batch asks for.
const BATCH_MAX: usize = 50;

/// A Bundle with entries that keep something of what stands.
#[derive(Debug)]
pub(super) struct Marked {
    bundle: Value,
    entries: Vec<Entry>,
    /// Those of which nothing stays, but which have to stay whose they are.
    held: Vec<Entry>,
    /// What items and such references of those refer to: entries by their `fullUrl`, and what a condition finds.
    named: Vec<(String, Stands)>,
}

/// A reference that would lead elsewhere: which entry, of what type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MovedEntry {
    pub(super) at: usize,
    pub(super) resource_type: String,
    pub(super) moved: Moved,
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
        let (mut entries, mut held) = (Vec::new(), Vec::new());
        for (at, entry) in bundle.items("entry").iter().enumerate() {
            let Some(request) = entry.get("request") else { continue };
            let keeps = Keeps::of_request(request)?;
            let keeps = keeps.or_else(|| is_only_if_found(request).then(Keeps::default));
            let Some(keeps) = keeps else { continue };
            if let Some(stands) = Stands::of(request) {
                let is_patch = request.text("method") == Some("PATCH");
                // What is only made where there is none is changed by nobody.
                let is_held = !is_patch && keeps.takes_nothing();
                if is_held && request.text("method") != Some("PUT") {
                    continue;
                }
                let entry = Entry { at, keeps, stands, is_patch };
                if is_held { held.push(entry) } else { entries.push(entry) }
            }
        }
        if entries.is_empty() && held.is_empty() {
            return Ok(None);
        }
        let named = named_by(&bundle, &entries, &held);
        Ok(Some(Self { bundle, entries, held, named }))
    }

    /// What is asked of the server about the entries that have to stay whose they are: by batches, and how many questions each has.
    pub(super) fn batches(&self) -> impl Iterator<Item = (Prepared, Bytes, usize)> {
        self.held.chunks(BATCH_MAX).map(|held| {
            let questions = held.iter().map(|entry| {
                let (resource_type, query) = entry.question();
                format!("{resource_type}?{query}&_count=2")
            });
            let (prepared, body) = batched(questions);
            (prepared, body, held.len())
        })
    }

    /// The same one by one, of a server that takes no batches.
    pub(super) fn singly(&self) -> impl Iterator<Item = (Prepared, Bytes)> {
        self.held.iter().map(|entry| {
            let (resource_type, query) = entry.question();
            posted(resource_type, &query)
        })
    }

    /// References that would lead elsewhere than where the resources stand, by what was found. `base` is the server's address.
    pub(super) fn moved(&self, found: &[Found], held: &[Found], base: &str) -> Vec<MovedEntry> {
        let called = self.called(found);
        let relative = |text: &str| {
            let own = text.strip_prefix(base).map(|own| own.trim_start_matches('/'));
            own.unwrap_or(text).to_owned()
        };
        let all = self.entries.iter().zip(found).chain(self.held.iter().zip(held));
        let mut moved = Vec::new();
        for (entry, found) in all {
            let Found::One(standing) = found else { continue };
            let told = self.bundle.items("entry").get(entry.at).and_then(|own| own.get("resource"));
            let (Ok(standing), Some(told)) = (json::parse(standing), told) else { continue };
            for element in entry.keeps.same() {
                let Some((from, to)) = reference(&standing, element).zip(reference(told, element))
                else {
                    continue;
                };
                // Of several that are called so the server says that they are.
                let Some(to) = called.get(to).map_or(Some(to), |own| own.as_deref()) else {
                    continue;
                };
                let (from, to) = (relative(from), relative(to));
                if from != to {
                    let resource_type = told.resource_type().unwrap_or_default().to_owned();
                    let moved_to = Moved { element: element.into(), from, to };
                    moved.push(MovedEntry { at: entry.at, resource_type, moved: moved_to });
                }
            }
        }
        moved
    }

    /// Whether entries are bound to the version that was found, or to there being none.
    pub(super) fn takes_over(&self) -> bool {
        !self.entries.is_empty()
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

    /// What is called at the server what items and references refer to, by what was found behind the entries themselves; none
    /// where several are.
    fn called(&self, found: &[Found]) -> HashMap<&str, Option<String>> {
        let mut found = found.iter().skip(self.entries.len());
        let mut called = HashMap::new();
        for (name, stands) in &self.named {
            let own = match stands {
                Stands::Under(path) => Some(Some(path.clone())),
                Stands::Search { .. } => match found.next() {
                    Some(Found::One(standing)) => json::parse(standing).ok().and_then(|own| {
                        let (resource_type, id) = own.resource_type().zip(own.id())?;
                        Some(Some(format!("{resource_type}/{id}")))
                    }),
                    Some(Found::Several(_)) => Some(None),
                    Some(Found::Nothing) | None => None,
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
        let called = |name: &str| called.get(name).cloned().flatten();
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
        }
        all.iter_mut().for_each(strip);
        Settled { body: bundle.to_json().into(), new }
    }
}

/// What a batch found, by the questions' order; none where it doesn't answer each.
pub(super) fn answered(answer: &[u8], count: usize) -> Option<Vec<Found>> {
    let answer = json::parse(answer).ok()?;
    let entries = answer.items("entry");
    if answer.text("type") != Some("batch-response") || entries.len() != count {
        return None;
    }
    let found = entries.iter().map(|entry| {
        let status = entry.get("response")?.text("status")?;
        let set = entry.get("resource").filter(|_| status.starts_with('2'))?;
        searched(set.to_json().as_bytes()).ok()
    });
    found.collect()
}

/// What items and references of others refer to.
fn named_by(bundle: &Value, entries: &[Entry], held: &[Entry]) -> Vec<(String, Stands)> {
    let mut names = Vec::new();
    for entry in entries.iter().chain(held) {
        let Some(told) = bundle.items("entry").get(entry.at) else { continue };
        let resource = told.get("resource");
        let same = entry.keeps.same().filter_map(|own| reference(resource?, own));
        names.extend(same.map(str::to_owned));
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
    let conditions = names.iter().filter_map(|name| {
        let (resource_type, query) = name.split_once('?')?;
        let (resource_type, query) = (resource_type.to_owned(), query.to_owned());
        Some((name.clone(), Stands::Search { resource_type, query }))
    });
    bundle.items("entry").iter().filter_map(is_named).chain(conditions).collect()
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
    /// The search for what stands, and for no more of it than is compared.
    fn question(&self) -> (&str, String) {
        let elements: Vec<&str> =
            self.keeps.same().filter_map(|own| own.split('.').next()).collect();
        let elements = elements.join(",");
        match &self.stands {
            Stands::Under(path) => {
                let (resource_type, id) = path.split_once('/').unwrap_or((path, ""));
                (resource_type, format!("_id={id}&_elements={elements}"))
            }
            Stands::Search { resource_type, query } => {
                (resource_type, format!("{query}&_elements={elements}"))
            }
        }
    }

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

    /// A message about the patient of the first entry: a report by its number, its result by its id, and the order that is only
    /// referred to.
    fn told_of(patient: &str) -> Marked {
        let same = r#""extension":[{"url":"urn:pipehat:keeps","extension":[{"url":"same","valueString":"subject"}]}]"#;
        let subject = r#""subject":{"reference":"urn:uuid:1"}"#;
        let payload = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[
              {{"fullUrl":"urn:uuid:1","resource":{{"resourceType":"Patient"}},"request":{{"method":"POST","url":"Patient","ifNoneExist":"{patient}"}}}},
              {{"resource":{{"resourceType":"DiagnosticReport",{subject}}},"request":{{{same},"method":"PUT","url":"DiagnosticReport?identifier=s|F1"}}}},
              {{"resource":{{"resourceType":"Observation",{subject}}},"request":{{{same},"method":"PUT","url":"Observation/o"}}}},
              {{"resource":{{"resourceType":"ServiceRequest",{subject}}},"request":{{{same},"method":"POST","url":"ServiceRequest","ifNoneExist":"identifier=s|O1"}}}}]}}"#
        );
        Marked::of(payload.as_bytes()).expect("it is read").expect("there is a mark")
    }

    #[test]
    fn whose_it_is_is_asked_at_once() {
        let marked = told_of("identifier=s|1");
        let asked: Vec<String> = marked
            .questions()
            .map(|(own, body, _)| format!("{} {}", own.path, String::from_utf8_lossy(&body)))
            .collect();
        assert_eq!(asked, ["Patient/_search identifier=s|1&_count=2"]);
        let batches: Vec<_> = marked.batches().collect();
        let [(prepared, body, 2)] = batches.as_slice() else { panic!("one batch of two") };
        assert_eq!((prepared.path.as_str(), prepared.has_entries), ("", false));
        let get = |url: &str| format!(r#"{{"request":{{"method":"GET","url":"{url}"}}}}"#);
        let entries = [
            get("DiagnosticReport?identifier=s|F1&_elements=subject&_count=2"),
            get("Observation?_id=o&_elements=subject&_count=2"),
        ]
        .join(",");
        let expected = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}"#);
        assert_eq!(String::from_utf8_lossy(body), expected);
        let singly: Vec<String> = marked
            .singly()
            .map(|(own, body)| format!("{} {}", own.path, String::from_utf8_lossy(&body)))
            .collect();
        assert_eq!(
            singly,
            [
                "DiagnosticReport/_search identifier=s|F1&_elements=subject&_count=2",
                "Observation/_search _id=o&_elements=subject&_count=2"
            ]
        );
        let settled = marked.settled(&[Found::Nothing]);
        assert!(memmem::find(&settled.body, KEEPS.as_bytes()).is_none());
        assert!(memmem::find(&settled.body, b"DiagnosticReport?identifier=s|F1").is_some());
    }

    #[test]
    fn what_would_be_moved_is_told() {
        let marked = told_of("identifier=s|1");
        let patient =
            |id: &str| Found::One(format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#).into());
        let of = |subject: &str| {
            Found::One(format!(r#"{{"id":"x","subject":{{"reference":"{subject}"}}}}"#).into())
        };
        let check = |patient: Found, report: Found, result: Found, expected: &[(usize, &str)]| {
            let moved = marked.moved(&[patient], &[report, result], "https://h.example/fhir/");
            let told: Vec<(usize, &str)> =
                moved.iter().map(|own| (own.at, own.moved.to.as_str())).collect();
            assert_eq!(told, expected);
        };
        let nothing = || Found::Nothing;
        check(patient("a"), of("Patient/a"), of("https://h.example/fhir/Patient/a"), &[]);
        check(patient("a"), nothing(), nothing(), &[]);
        check(patient("a"), Found::One(r#"{"id":"x"}"#.into()), nothing(), &[]);
        check(patient("b"), of("Patient/a"), nothing(), &[(1, "Patient/b")]);
        check(patient("b"), of("Patient/b"), of("Patient/a"), &[(2, "Patient/b")]);
        check(patient("a"), of("https://other.example/Patient/a"), nothing(), &[(1, "Patient/a")]);
        // Who is new is nobody who stands; which of several it is the server doesn't say.
        check(nothing(), of("Patient/a"), nothing(), &[(1, "urn:uuid:1")]);
        check(Found::Several("{}".into()), of("Patient/a"), nothing(), &[]);
    }

    #[test]
    fn a_batch_answers_each_question() {
        let set = r#"{"resourceType":"Bundle","type":"searchset"}"#;
        let one = r#"{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Observation","id":"o"}}]}"#;
        let answer = |entries: &[(&str, &str)]| {
            let entries: Vec<String> = entries
                .iter()
                .map(|(set, status)| {
                    format!(r#"{{"resource":{set},"response":{{"status":"{status}"}}}}"#)
                })
                .collect();
            let entries = entries.join(",");
            format!(r#"{{"resourceType":"Bundle","type":"batch-response","entry":[{entries}]}}"#)
        };
        let both = answer(&[(set, "200 OK"), (one, "200 OK")]);
        let found = answered(both.as_bytes(), 2).expect("both");
        assert_eq!(found[0], Found::Nothing);
        assert!(matches!(found[1], Found::One(_)));
        assert_eq!(answered(both.as_bytes(), 3), None);
        assert_eq!(answered(answer(&[(set, "403 Forbidden")]).as_bytes(), 1), None);
        assert_eq!(answered(b"<html>", 1), None);
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
