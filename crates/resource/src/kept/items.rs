//! Lists of which a writer names some items only.
//!
//! An item is known by a key: the text at a path in it, an order of them where not every item has the first. Items of one
//! key are one group, told or kept together. What stays stands before what is told, in its own order; so the same told again
//! changes nothing.
//!
//! Where an item is known by two places together ([`super::alike`]), it is one that is told by any of its keys.

use std::collections::{HashMap, HashSet, VecDeque};

use super::alike::Told;
use super::{DEPTH_MAX, ELEMENTS_MAX, UnreadableMark, found, part, path_of, put, whole};
use crate::json::Value;

/// More items that go are refused.
pub const WITHOUT_MAX: usize = 1000;

/// A list of which not every item need be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    /// The list: `participant`.
    pub element: Box<str>,
    /// What an item is known by: the first of these that it has. Where one of them is two places (`system+value`), an item is
    /// one that is told where it is like that by any of them.
    pub by: Vec<At>,
    /// What an item keeps of the one that stands, where it does not tell it itself: `period.end`.
    pub keeps: Vec<Box<str>>,
    /// Which of the items that are not told stay.
    pub others: Others,
    /// Keys of items that go: as they stand, the `fullUrl` of an entry for a reference to it, or a place with its text.
    pub without: Vec<Box<str>>,
}

/// A place in an item, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// A path through objects and lists: `actor.reference`, `type.text`; or two, as `system+value`, of which the
    /// first may be one of several, as `system|assigner.reference+value`.
    pub path: Box<str>,
    /// The text there; one that ends in `*` begins so. None: whatever it is, and each other text is another key.
    pub text: Option<Box<str>>,
}

/// Which items stay that are not told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Others {
    /// None of them.
    #[default]
    None,
    /// Those that have this.
    Which(At),
    /// All.
    All,
}

impl At {
    /// `actor.reference`, `type.text=placer contact` or `actor.reference=Patient/*`.
    pub fn of(text: &str) -> Option<Self> {
        let (path, text) = match text.split_once('=') {
            Some((path, text)) => (path, Some(text)),
            None => (text, None),
        };
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_path =
            |path: &str| path.split('.').count() <= DEPTH_MAX && path.split('.').all(is_name);
        let is_place = match path.split_once('+') {
            Some((one, other)) => text.is_none() && one.split('|').all(is_path) && is_path(other),
            None => is_path(path),
        };
        is_place.then(|| Self { path: path.into(), text: text.map(Box::from) })
    }

    fn written(&self) -> String {
        match &self.text {
            Some(text) => format!("{}={text}", self.path),
            None => self.path.to_string(),
        }
    }

    fn read(part: &Value) -> Result<Self, UnreadableMark> {
        let text = part.text("valueString").ok_or(UnreadableMark::Part)?;
        Self::of(text).ok_or(UnreadableMark::Path)
    }

    /// The key of an item that has this.
    fn key(&self, item: &Value, called: &impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut texts = Vec::new();
        texts_at(item, &self.path, &mut texts);
        let mut texts = texts.into_iter().map(|text| called(&text).unwrap_or(text));
        match &self.text {
            None => texts.next(),
            Some(own) => texts
                .any(|text| match own.strip_suffix('*') {
                    Some(start) => text.starts_with(start),
                    None => **own == *text,
                })
                .then(|| self.written()),
        }
    }
}

/// The texts at a path; of a coding its system and its code.
pub(super) fn texts_at(value: &Value, path: &str, texts: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts_at(item, path, texts)),
        Value::String(text) if path.is_empty() => texts.push(text.to_string()),
        Value::Object(_) if path.is_empty() => {
            if let Some(code) = value.text("code") {
                texts.push(format!("{}|{code}", value.text("system").unwrap_or_default()));
            }
        }
        Value::Object(_) => {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(inner) = value.get(name) {
                texts_at(inner, rest, texts);
            }
        }
        _ => {}
    }
}

impl Items {
    pub(super) fn read(part: &Value) -> Result<Self, UnreadableMark> {
        let mut element = None;
        let mut items = Self::default();
        let parts = part.items("extension");
        let gone = parts.iter().filter(|own| own.text("url") == Some("without")).count();
        if gone > WITHOUT_MAX || parts.len() - gone > ELEMENTS_MAX {
            return Err(UnreadableMark::TooMany);
        }
        for part in parts {
            match part.text("url") {
                Some("element") if element.is_none() => element = Some(path_of(part)?),
                Some("by") => items.by.push(At::read(part)?),
                Some("keeps") => items.keeps.push(path_of(part)?),
                Some("others") if items.others == Others::None => {
                    items.others = match part.text("valueString") {
                        Some("*") => Others::All,
                        _ => Others::Which(At::read(part)?),
                    };
                }
                Some("without") => {
                    let key = part.text("valueString").ok_or(UnreadableMark::Part)?;
                    items.without.push(key.into());
                }
                _ => return Err(UnreadableMark::Part),
            }
        }
        let Some(element) = element.filter(|_| !items.by.is_empty()) else {
            return Err(UnreadableMark::Part);
        };
        items.element = element;
        Ok(items)
    }

    pub(super) fn mark(&self) -> Value {
        let text = |url, text: &str| part(url, "valueString", text);
        let mut parts = vec![text("element", &self.element)];
        parts.extend(self.by.iter().map(|own| text("by", &own.written())));
        parts.extend(self.keeps.iter().map(|own| text("keeps", own)));
        match &self.others {
            Others::None => {}
            Others::Which(at) => parts.push(text("others", &at.written())),
            Others::All => parts.push(text("others", "*")),
        }
        parts.extend(self.without.iter().map(|own| text("without", own)));
        whole("items", parts)
    }

    /// Has the items go that a resource has of the list.
    pub fn take_out(&mut self, resource: &Value) {
        let items = found(resource, &self.element).and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            let key = self.key(item, &|_| None).map(String::into_boxed_str);
            self.without.extend(key.filter(|key| !self.without.contains(key)));
        }
    }

    /// The key of an item; none where it has nothing to be known by.
    fn key(&self, item: &Value, called: &impl Fn(&str) -> Option<String>) -> Option<String> {
        self.by.iter().find_map(|at| at.key(item, called))
    }

    /// Has in the told list the items of the one that stands which stay, and in the told items what they keep.
    pub(super) fn take_over(
        &self,
        standing: &Value,
        told: &mut Value,
        called: &impl Fn(&str) -> Option<String>,
    ) {
        let Some(standing) = found(standing, &self.element).and_then(Value::as_array) else {
            return;
        };
        if self.by.iter().any(|at| at.path.contains('+')) {
            self.take_over_alike(standing, told, called);
            return;
        }
        let news = found(told, &self.element).and_then(Value::as_array);
        let news = news.unwrap_or_default();
        // The told keys, and what stands of each.
        let mut groups: HashMap<String, VecDeque<&Value>> = HashMap::new();
        let mut bare = HashSet::new();
        let mut new_keys = Vec::with_capacity(news.len());
        for item in news {
            let key = self.key(item, called);
            match &key {
                Some(key) => drop(groups.entry(key.clone()).or_default()),
                None => drop(bare.insert(item.to_json())),
            }
            new_keys.push(key);
        }
        let keys: Vec<Option<String>> = standing.iter().map(|own| self.key(own, called)).collect();
        for (item, key) in standing.iter().zip(&keys) {
            if let Some(group) = key.as_ref().and_then(|key| groups.get_mut(key)) {
                group.push_back(item);
            }
        }
        let gone: HashSet<String> =
            self.without.iter().map(|own| called(own).unwrap_or_else(|| own.to_string())).collect();
        let mut merged = Vec::with_capacity(standing.len().saturating_add(news.len()));
        for (item, key) in standing.iter().zip(&keys) {
            let is_told_or_gone = match key {
                Some(key) => groups.contains_key(key) || gone.contains(key),
                // What nothing tells apart is told again as it stands.
                None => bare.contains(&item.to_json()),
            };
            if !is_told_or_gone && !self.is_gone(item, called) && self.stays(item, called) {
                merged.push(item.clone());
            }
        }
        for (item, key) in news.iter().zip(&new_keys) {
            let mut item = item.clone();
            let before = key.as_ref().and_then(|key| groups.get_mut(key)?.pop_front());
            if let Some(before) = before {
                self.keep(before, &mut item);
            }
            merged.push(item);
        }
        self.put(standing, merged, told);
    }

    /// The same, of items of which any key may be told.
    fn take_over_alike(
        &self,
        standing: &[Value],
        told: &mut Value,
        called: &impl Fn(&str) -> Option<String>,
    ) {
        let news = found(told, &self.element).and_then(Value::as_array).unwrap_or_default();
        let Some((last, firsts)) = self.by.split_last() else { return };
        let news = untold_old(last, standing, news, called);
        let now = || news.iter().copied().filter(|own| !is_old(own));
        let firsts: Vec<Told> = firsts.iter().map(|at| Told::of(&at.path, now(), called)).collect();
        let last = Told::of(&last.path, news.iter().copied(), called);
        let stays = |item: &&Value| {
            let is_replaced = !is_old(item) && firsts.iter().any(|key| key.is_told(item, called));
            !is_replaced
                && !last.is_told(item, called)
                && !self.is_gone(item, called)
                && self.stays(item, called)
        };
        let merged = standing.iter().filter(stays).chain(news.iter().copied()).cloned().collect();
        self.put(standing, merged, told);
    }

    /// Puts the list where it stands.
    fn put(&self, standing: &[Value], mut merged: Vec<Value>, told: &mut Value) {
        if merged.is_empty() {
            return;
        }
        // Another order says nothing else.
        if is_same_but_for_order(standing, &merged) {
            merged = standing.to_vec();
        }
        put(told, &self.element, Value::Array(merged));
    }

    /// Whether an item goes by a place with its text.
    fn is_gone(&self, item: &Value, called: &impl Fn(&str) -> Option<String>) -> bool {
        let places = self.without.iter().filter_map(|own| At::of(own));
        let mut places = places.filter(|at| at.text.is_some());
        places.any(|at| at.key(item, called).is_some())
    }

    fn stays(&self, item: &Value, called: &impl Fn(&str) -> Option<String>) -> bool {
        match &self.others {
            Others::None => false,
            Others::Which(at) => at.key(item, called).is_some(),
            Others::All => true,
        }
    }

    fn keep(&self, before: &Value, own: &mut Value) {
        for path in &self.keeps {
            if found(own, path).is_none()
                && let Some(kept) = found(before, path)
            {
                put(own, path, kept.clone());
            }
        }
    }
}

/// Whether an item was replaced before (`use` `old`: R4 identifier-use): what is told of now is no further correction of it.
fn is_old(item: &Value) -> bool {
    item.text("use") == Some("old")
}

/// The told items without those that stand as old ones. Whoever still tells such an item knows less than what stands; but where
/// old ones are told, too, it is told which is which now.
fn untold_old<'v>(
    last: &At,
    standing: &[Value],
    news: &'v [Value],
    called: &impl Fn(&str) -> Option<String>,
) -> Vec<&'v Value> {
    let is_it = |own: &&Value| is_old(own);
    if news.iter().any(is_old) || !standing.iter().any(is_old) {
        return news.iter().collect();
    }
    let old = Told::of(&last.path, standing.iter().filter(is_it), called);
    news.iter().filter(|own| !old.is_told(own, called)).collect()
}

fn is_same_but_for_order(one: &[Value], other: &[Value]) -> bool {
    let texts = |items: &[Value]| {
        let mut texts: Vec<String> = items.iter().map(Value::to_json).collect();
        texts.sort_unstable();
        texts
    };
    one.len() == other.len() && texts(one) == texts(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use crate::kept::{KEEPS, Keeps};

    fn read(text: &str) -> Value {
        parse(text.as_bytes()).expect("it is JSON")
    }

    fn at(text: &str) -> At {
        At::of(text).expect("a place")
    }

    fn participants() -> Items {
        let by = ["type.text=placer contact", "actor.reference=Patient/*", "actor.reference"];
        Items {
            element: "participant".into(),
            by: by.into_iter().map(at).collect(),
            others: Others::All,
            ..Items::default()
        }
    }

    fn places() -> Items {
        Items {
            element: "location".into(),
            by: vec![at("location.reference")],
            keeps: vec!["period.end".into()],
            others: Others::Which(at("status=completed")),
            without: Vec::new(),
        }
    }

    /// What comes of told items over those that stand, and of the same told once more.
    #[track_caller]
    fn check(items: Items, standing: &str, told: &str, expected: &str) {
        let element = items.element.clone();
        let mut keeps = Keeps::default();
        keeps.keep_items(items);
        let called = |name: &str| (name == "urn:uuid:1").then(|| "Practitioner/1".to_owned());
        let list = |items: &str| format!(r#"{{"{element}":[{items}]}}"#);
        let mut merged = read(&list(told));
        keeps.take_over(&read(&list(standing)), &mut merged, &called);
        assert_eq!(merged.to_json(), list(expected), "{told} over {standing}");
        let mut again = read(&list(told));
        keeps.take_over(&merged, &mut again, &called);
        assert_eq!(again, merged, "{told} told again");
    }

    fn actor(name: &str, more: &str) -> String {
        format!(r#"{{"actor":{{"reference":"{name}"}}{more}}}"#)
    }

    #[test]
    fn items_that_are_not_named_stay() {
        let [one, two, new] =
            ["Practitioner/1", "Location/2", "Device/3"].map(|own| actor(own, ""));
        let moved = actor("Practitioner/1", r#","status":"declined""#);
        check(participants(), &format!("{one},{two}"), &moved, &format!("{two},{moved}"));
        // What is told as it stands changes nothing.
        check(participants(), &format!("{one},{two}"), &one, &format!("{one},{two}"));
        check(participants(), &format!("{one},{two}"), &new, &format!("{one},{two},{new}"));
        let told = format!("{new},{moved}");
        check(participants(), &format!("{two},{one}"), &told, &format!("{two},{new},{moved}"));
        check(participants(), &format!("{one},{two}"), "", &format!("{one},{two}"));
        check(participants(), "", &one, &one);
    }

    #[test]
    fn an_entry_is_known_by_what_it_is_called_where_it_stands() {
        let named = actor("urn:uuid:1", r#","status":"declined""#);
        let (one, two) = (actor("Practitioner/1", ""), actor("Location/2", ""));
        check(participants(), &format!("{one},{two}"), &named, &format!("{two},{named}"));
        let gone = Items { without: vec!["urn:uuid:1".into()], ..participants() };
        check(gone.clone(), &format!("{one},{two}"), "", &two);
        // What is told stands, whatever goes.
        check(gone, &one, &named, &named);
    }

    #[test]
    fn the_first_key_that_an_item_has_counts() {
        let contact = |name| actor(name, r#","type":[{"text":"placer contact"}]"#);
        let [patient, other] = ["Patient/1", "Patient/2"].map(|own| actor(own, ""));
        let own = actor("Practitioner/1", "");
        // Who is asked back is one, whoever it is; who takes part besides is another matter.
        let standing = format!("{},{own},{patient}", contact("Practitioner/1"));
        let told = contact("Practitioner/2");
        check(participants(), &standing, &told, &format!("{own},{patient},{told}"));
        // The patients that are told are all of them.
        let two = format!("{patient},{other}");
        check(participants(), &format!("{own},{patient}"), &other, &format!("{own},{other}"));
        check(participants(), &format!("{patient},{own}"), &two, &format!("{own},{two}"));
        check(participants(), &format!("{two},{own}"), &patient, &format!("{own},{patient}"));
    }

    #[test]
    fn what_nothing_tells_apart_stays_once() {
        let bare = r#"{"status":"accepted"}"#;
        let own = actor("Practitioner/1", "");
        check(participants(), &format!("{bare},{own}"), &own, &format!("{bare},{own}"));
        check(participants(), &format!("{own},{bare}"), bare, &format!("{own},{bare}"));
    }

    #[test]
    fn an_item_keeps_what_it_does_not_tell() {
        let place = |name: &str, more: &str| {
            format!(r#"{{"location":{{"reference":"Location/{name}"}}{more}}}"#)
        };
        let left = place("1", r#","status":"completed","period":{"end":"2026-03-01"}"#);
        let told = place("1", r#","status":"active""#);
        let expected = place("1", r#","status":"active","period":{"end":"2026-03-01"}"#);
        check(places(), &left, &told, &expected);
        let later = place("1", r#","period":{"end":"2026-03-02"}"#);
        check(places(), &left, &later, &later);
        // A place that was left stays, one that was not is replaced.
        let held = place("2", r#","status":"active""#);
        check(
            places(),
            &format!("{held},{left}"),
            &place("3", ""),
            &format!("{left},{}", place("3", "")),
        );
    }

    #[test]
    fn a_coding_is_known_by_its_system_and_code() {
        let services = Items {
            element: "serviceType".into(),
            by: vec![at("coding"), at("text")],
            others: Others::All,
            without: vec!["urn:s|B".into(), "Bath".into()],
            ..Items::default()
        };
        let code = |code: &str, more: &str| {
            format!(r#"{{"coding":[{{"system":"urn:s","code":"{code}"{more}}}]}}"#)
        };
        let standing =
            format!(r#"{},{},{{"text":"Bath"}},{{"text":"Walk"}}"#, code("A", ""), code("B", ""));
        let told = code("A", r#","display":"a""#);
        check(services, &standing, &told, &format!(r#"{{"text":"Walk"}},{told}"#));
    }

    #[test]
    fn an_old_number_is_corrected_by_no_other() {
        let numbers = || Items {
            element: "identifier".into(),
            by: vec![at("system+type.text"), at("system+value")],
            others: Others::All,
            ..Items::default()
        };
        let number = |value: &str, more: &str| {
            format!(r#"{{"system":"urn:s","value":"{value}","type":{{"text":"MR"}}{more}}}"#)
        };
        let old = |value: &str| number(value, r#","use":"old""#);
        let [one, two, three] = ["1", "2", "3"].map(|own| number(own, ""));
        let changed = format!("{two},{}", old("1"));
        check(numbers(), &one, &changed, &changed);
        check(numbers(), &changed, &two, &changed);
        check(numbers(), &changed, &three, &format!("{},{three}", old("1")));
        // Who tells what is old by now changes nothing.
        check(numbers(), &changed, &one, &changed);
        let again = format!("{three},{}", old("2"));
        check(numbers(), &changed, &again, &format!("{},{again}", old("1")));
        let back = format!("{one},{}", old("2"));
        check(numbers(), &changed, &back, &back);
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mut keeps = Keeps::default();
        keeps.keep_items(places());
        keeps.keep_items(Items { without: vec!["urn:uuid:1".into()], ..participants() });
        let request = format!(r#"{{"extension":[{}]}}"#, keeps.mark().to_json());
        assert_eq!(Keeps::of_request(&read(&request)), Ok(Some(keeps)));
    }

    #[test]
    fn a_mark_that_can_not_be_read_is_refused() {
        let check = |parts: &str, expected: UnreadableMark| {
            let request = read(&format!(
                r#"{{"extension":[{{"url":"{KEEPS}","extension":[{{"url":"items","extension":[{parts}]}}]}}]}}"#
            ));
            assert_eq!(Keeps::of_request(&request), Err(expected), "{parts}");
        };
        let part = |url: &str, text: &str| format!(r#"{{"url":"{url}","valueString":"{text}"}}"#);
        let (element, by) = (part("element", "participant"), part("by", "actor.reference"));
        check(&element, UnreadableMark::Part);
        check(&by, UnreadableMark::Part);
        check(&format!("{element},{element},{by}"), UnreadableMark::Part);
        check(&format!("{element},{}", part("by", "actor[0]")), UnreadableMark::Path);
        check(&format!("{element},{by},{}", part("keeps", "a..b")), UnreadableMark::Path);
        check(&format!("{element},{by},{}", part("with", "x")), UnreadableMark::Part);
        check(&format!("{},{by}", part("element", "meta.tag")), UnreadableMark::Path);
        let many = vec![part("without", "x"); WITHOUT_MAX + 1].join(",");
        check(&format!("{element},{by},{many}"), UnreadableMark::TooMany);
        let many = vec![part("by", "x"); ELEMENTS_MAX].join(",");
        check(&format!("{element},{many}"), UnreadableMark::TooMany);
    }
}
