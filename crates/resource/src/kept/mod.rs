//! Elements that a writer does not speak of: where a resource stands already, they stay as they stand.
//!
//! An update replaces a resource as a whole (FHIR R4 §3.1.0.4), but who feeds a store may know only a part of it. The feed
//! marks its request, in a Bundle, by an extension on `entry.request`; whoever performs it takes the elements that are
//! named from what stands. Where nothing stands the resource is made as it is. A server that does not know the extension
//! passes over it, as over any other of a request.
//!
//! Of a list ([`Items`]) items can stay that the writer does not name, and what it does not tell of those that it names.
//! And all elements can stay that the writer does not tell (`*`), but for those that it names as told ([`Keeps::tell`]).
//!
//! A reference can be named that has to lead to the same as where the resource stands ([`Keeps::hold`]): else the writer means
//! another thing by the same number, and is refused.
//!
//! What is taken over is decided here and nowhere else; who reads what stands, and sees to it that nobody changes it
//! meanwhile, is the datastore or the sender of the Bundle. A code `unknown` that stands is nothing to keep.

mod alike;
mod items;
mod same;
mod untold;

use thiserror::Error;

use crate::json::{Object, Value};

pub use items::{At, Items, Others, WITHOUT_MAX};
pub use same::{LINKED_MAX, Linked, Moved, SAME_RULE, moved_text, reference};

/// The extension's address.
pub const KEEPS: &str = "urn:pipehat:keeps";

/// The address of another mark, of a conditional patch: it changes what it finds, and where it finds nothing there is nothing
/// to do. Without it such a patch is refused (FHIR R4 §3.1.0.6), and the Bundle with it.
pub const IF_FOUND: &str = "urn:pipehat:if-found";

/// Whether a request has the mark [`IF_FOUND`].
pub fn is_only_if_found(request: &Value) -> bool {
    let is_mark = |own: &Value| {
        own.text("url") == Some(IF_FOUND)
            && own.get("valueBoolean").and_then(Value::as_bool) == Some(true)
    };
    request.items("extension").iter().any(is_mark)
}

/// The mark [`IF_FOUND`], to stand among the extensions of a request.
pub fn if_found_mark() -> Value {
    let mut mark = Object::with_capacity(2);
    mark.set("url", Value::string(IF_FOUND));
    mark.set("valueBoolean", Value::Bool(true));
    Value::Object(mark)
}

/// More elements are refused.
pub const ELEMENTS_MAX: usize = 64;

/// A deeper path is refused.
pub const DEPTH_MAX: usize = 8;

/// A mark that can't be read. Names its parts, never a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnreadableMark {
    /// A part is none that there is, or has no value.
    #[error(
        "an extension `{KEEPS}` has the parts `element`, `told`, `items`, `follows` and `same`, each with what it names"
    )]
    Part,
    /// An element is no path of members.
    #[error("an element of `{KEEPS}` is a path of members, such as `status` or `period.end`")]
    Path,
    /// There are too many, of elements or of marks.
    #[error(
        "an extension `{KEEPS}` stands once on a request, and names at most {ELEMENTS_MAX} elements, of a list at most {WITHOUT_MAX} that go"
    )]
    TooMany,
}

/// What of a resource stays as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keeps {
    elements: Vec<Box<str>>,
    items: Vec<Items>,
    follows: Vec<Follows>,
    told: Vec<Box<str>>,
    same: Vec<Box<str>>,
}

/// A code that goes by another element, where that is kept: the place of a visit by the visit's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follows {
    /// Whose code it is: `location.status`.
    pub element: Box<str>,
    /// What it goes by: `status`.
    pub of: Box<str>,
    /// The codes that are only assumed; an item without one is, too. All others stay.
    pub instead_of: Vec<Box<str>>,
    /// What it is for each code of the other; none for what is not among them.
    pub codes: Vec<(Box<str>, Box<str>)>,
}

impl Keeps {
    /// The mark of a request in a Bundle; none where it has none.
    ///
    /// # Errors
    /// What can't be read of it.
    pub fn of_request(request: &Value) -> Result<Option<Self>, UnreadableMark> {
        let marks = request.items("extension").iter();
        let mut marks = marks.filter(|own| own.text("url") == Some(KEEPS));
        let Some(mark) = marks.next() else { return Ok(None) };
        if marks.next().is_some() {
            return Err(UnreadableMark::TooMany);
        }
        let mut keeps = Self::default();
        for part in mark.items("extension") {
            match part.text("url") {
                Some("element") => keeps.keep(kept_of(part)?),
                Some("told") => keeps.tell(path_of(part)?),
                Some("items") => keeps.keep_items(Items::read(part)?),
                Some("follows") => keeps.follow(Follows::read(part)?),
                Some("same") => keeps.hold(path_of(part)?),
                _ => return Err(UnreadableMark::Part),
            }
            let count = keeps.elements.len() + keeps.items.len() + keeps.follows.len();
            if count + keeps.told.len() + keeps.same.len() > ELEMENTS_MAX {
                return Err(UnreadableMark::TooMany);
            }
        }
        if keeps.is_empty() {
            return Err(UnreadableMark::Part);
        }
        Ok(Some(keeps))
    }

    /// The request without its marks.
    pub fn strip(request: &mut Object) {
        let Some(extensions) = request.get_mut("extension").and_then(Value::as_array_mut) else {
            return;
        };
        extensions.retain(|own| !matches!(own.text("url"), Some(KEEPS | IF_FOUND)));
        if extensions.is_empty() {
            request.remove("extension");
        }
    }

    /// Keeps one more element: `period.end`; all that are not told: `*`, or within another: `period.*`.
    pub fn keep(&mut self, element: impl Into<Box<str>>) {
        self.elements.push(element.into());
    }

    /// Says of one more element that it is told, though it may have no value: `*` does not keep it.
    pub fn tell(&mut self, element: impl Into<Box<str>>) {
        self.told.push(element.into());
    }

    /// Keeps of one more list what is not told of it.
    pub fn keep_items(&mut self, items: Items) {
        self.items.push(items);
    }

    /// Has one more code follow.
    pub fn follow(&mut self, follows: Follows) {
        self.follows.push(follows);
    }

    /// The elements that stay as they stand; `*` for all that are not told.
    pub fn elements(&self) -> impl Iterator<Item = &str> {
        self.elements.iter().map(|own| &**own)
    }

    /// The elements that `*` does not keep.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        self.told.iter().map(|own| &**own)
    }

    /// The lists of which not every item need be told.
    pub fn items(&self) -> &[Items] {
        &self.items
    }

    /// The lists, to be told more of.
    pub fn items_mut(&mut self) -> &mut [Items] {
        &mut self.items
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.takes_nothing() && self.same.is_empty()
    }

    /// Whether nothing is taken from what stands.
    pub fn takes_nothing(&self) -> bool {
        self.elements.is_empty() && self.items.is_empty() && self.follows.is_empty()
    }

    /// The mark, to stand among the extensions of a request.
    pub fn mark(&self) -> Value {
        let elements = self.elements.iter().map(|own| part("element", "valueString", own));
        let elements = elements.chain(self.told.iter().map(|own| part("told", "valueString", own)));
        let same = self.same.iter().map(|own| part("same", "valueString", own));
        let elements = same.chain(elements);
        let items = self.items.iter().map(Items::mark);
        let parts = elements.chain(items).chain(self.follows.iter().map(Follows::mark)).collect();
        whole(KEEPS, parts)
    }

    /// Has in `told` what `standing` has of the elements that are kept. `called` knows what an entry of the Bundle is called
    /// where it stands (`Practitioner/1`), by its `fullUrl`: items are known by what they refer to.
    pub fn take_over(
        &self,
        standing: &Value,
        told: &mut Value,
        called: &impl Fn(&str) -> Option<String>,
    ) {
        for items in &self.items {
            items.take_over(standing, told, called);
        }
        self.take_over_untold(standing, told);
        for element in &self.elements {
            let Some(kept) = found(standing, element) else { continue };
            if kept.as_str() != Some("unknown") {
                put(told, element, kept.clone());
                // What a primitive says besides its value.
                let besides = besides(element);
                match found(standing, &besides) {
                    Some(kept) => put(told, &besides, kept.clone()),
                    None => take_out(told, &besides),
                }
            }
        }
        self.order(standing, told);
        for follows in &self.follows {
            let is_kept = self.elements.contains(&follows.of);
            let code = found(standing, &follows.of).and_then(Value::as_str);
            if let Some(code) = code.filter(|code| is_kept && *code != "unknown") {
                follows.apply(code, told);
            }
        }
    }
}

impl Follows {
    fn read(part: &Value) -> Result<Self, UnreadableMark> {
        let (mut element, mut of) = (None, None);
        let (mut instead_of, mut codes) = (Vec::new(), Vec::new());
        for part in part.items("extension") {
            match part.text("url") {
                Some("element") => element = Some(path_of(part)?),
                Some("of") => of = Some(path_of(part)?),
                Some("instead-of") => instead_of.push(code_of(part)?),
                Some(other) => codes.push((other.into(), code_of(part)?)),
                None => return Err(UnreadableMark::Part),
            }
        }
        if instead_of.len() + codes.len() > ELEMENTS_MAX {
            return Err(UnreadableMark::TooMany);
        }
        let (Some(element), Some(of)) = (element, of) else { return Err(UnreadableMark::Part) };
        Ok(Self { element, of, instead_of, codes })
    }

    fn mark(&self) -> Value {
        let mut parts = vec![
            part("element", "valueString", &self.element),
            part("of", "valueString", &self.of),
        ];
        parts.extend(self.instead_of.iter().map(|own| part("instead-of", "valueCode", own)));
        parts.extend(self.codes.iter().map(|(of, code)| part(of, "valueCode", code)));
        whole("follows", parts)
    }

    fn apply(&self, code: &str, told: &mut Value) {
        let (above, name) = match self.element.rsplit_once('.') {
            Some((above, name)) => (Some(above), name),
            None => (None, &*self.element),
        };
        let holder = match above {
            Some(above) => found_mut(told, above),
            None => Some(told),
        };
        let code = self.codes.iter().find(|(of, _)| **of == *code).map(|(_, code)| &**code);
        match holder {
            Some(Value::Array(items)) => {
                items.iter_mut().for_each(|item| self.set(item, name, code));
            }
            Some(item) => self.set(item, name, code),
            None => {}
        }
    }

    fn set(&self, item: &mut Value, name: &str, code: Option<&str>) {
        let is_assumed = match item.text(name) {
            Some(own) => self.instead_of.iter().any(|other| **other == *own),
            None => item.get(name).is_none(),
        };
        let Some(item) = item.as_object_mut().filter(|_| is_assumed) else { return };
        match code {
            Some(code) => drop(item.set(name, Value::string(code))),
            None => drop(item.remove(name)),
        }
    }
}

fn whole(url: &str, parts: Vec<Value>) -> Value {
    let mut whole = Object::with_capacity(2);
    whole.set_known("url", Value::string(url));
    whole.set_known("extension", Value::Array(parts));
    Value::Object(whole)
}

fn part(url: &str, member: &'static str, value: &str) -> Value {
    let mut part = Object::with_capacity(2);
    part.set_known("url", Value::string(url));
    part.set_known(member, Value::string(value));
    Value::Object(part)
}

fn path_of(part: &Value) -> Result<Box<str>, UnreadableMark> {
    let path = part.text("valueString").ok_or(UnreadableMark::Part)?;
    let is_member =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // What it is, and where it is, is no matter of its content.
    let is_own = matches!(path, "resourceType" | "id" | "meta") || path.starts_with("meta.");
    let is_path = path.split('.').count() <= DEPTH_MAX && path.split('.').all(is_member);
    if is_path && !is_own { Ok(path.into()) } else { Err(UnreadableMark::Path) }
}

/// A path, or one that ends in `*`.
fn kept_of(part: &Value) -> Result<Box<str>, UnreadableMark> {
    match part.text("valueString") {
        Some("*") => Ok("*".into()),
        Some(path) if path.ends_with(".*") => {
            let above = path.trim_end_matches(".*");
            path_of(&self::part("element", "valueString", above))?;
            Ok(path.into())
        }
        _ => path_of(part),
    }
}

fn code_of(part: &Value) -> Result<Box<str>, UnreadableMark> {
    part.text("valueCode").map(Box::from).ok_or(UnreadableMark::Part)
}

/// `period._end` of `period.end`.
fn besides(element: &str) -> String {
    match element.rsplit_once('.') {
        Some((above, name)) => format!("{above}._{name}"),
        None => format!("_{element}"),
    }
}

fn found<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}

fn found_mut<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split('.').try_fold(value, |value, name| value.as_object_mut()?.get_mut(name))
}

/// Puts a value at a path, with the objects around it. What has no place (a list stands there) is left out.
fn put(value: &mut Value, path: &str, kept: Value) {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let Some(object) = value.as_object_mut() else { return };
    let Some(rest) = rest else {
        object.set(name, kept);
        return;
    };
    if object.get(name).is_none() {
        object.set(name, Value::Object(Object::new()));
    }
    if let Some(inner) = object.get_mut(name) {
        put(inner, rest, kept);
    }
}

fn take_out(value: &mut Value, path: &str) {
    let (holder, name) = match path.rsplit_once('.') {
        Some((above, name)) => (found_mut(value, above), name),
        None => (Some(value), path),
    };
    if let Some(object) = holder.and_then(Value::as_object_mut) {
        object.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn read(text: &str) -> Value {
        parse(text.as_bytes()).expect("it is JSON")
    }

    fn visits() -> Keeps {
        let mut keeps = Keeps::default();
        keeps.keep("status");
        keeps.keep("period.end");
        let codes = [("planned", "planned"), ("in-progress", "active"), ("finished", "completed")];
        keeps.follow(Follows {
            element: "location.status".into(),
            of: "status".into(),
            instead_of: vec!["active".into(), "planned".into()],
            codes: codes.into_iter().map(|(of, code)| (of.into(), code.into())).collect(),
        });
        keeps
    }

    #[track_caller]
    fn check(standing: &str, told: &str, expected: &str) {
        let mut merged = read(told);
        visits().take_over(&read(standing), &mut merged, &|_| None);
        assert_eq!(merged.to_json(), expected, "{told} over {standing}");
    }

    #[test]
    fn what_is_kept_stays_as_it_stands() {
        check(r#"{"status":"planned"}"#, r#"{"status":"in-progress"}"#, r#"{"status":"planned"}"#);
        check(
            r#"{"status":"finished","period":{"start":"2026-01-01","end":"2026-01-02"}}"#,
            r#"{"status":"in-progress","period":{"start":"2026-01-01"}}"#,
            r#"{"status":"finished","period":{"start":"2026-01-01","end":"2026-01-02"}}"#,
        );
        check(
            r#"{"status":"finished","period":{"end":"2026-01-02"}}"#,
            r#"{"status":"unknown"}"#,
            r#"{"status":"finished","period":{"end":"2026-01-02"}}"#,
        );
    }

    #[test]
    fn what_is_not_known_is_not_kept() {
        let told = r#"{"status":"in-progress","location":[{"status":"active"}]}"#;
        check(r#"{"status":"unknown"}"#, told, told);
        check("{}", told, told);
    }

    #[test]
    fn what_a_primitive_says_besides_its_value_goes_with_it() {
        check(
            r#"{"status":"planned"}"#,
            r#"{"status":"in-progress","_status":{"extension":[{"url":"urn:x"}]}}"#,
            r#"{"status":"planned"}"#,
        );
        check(
            r#"{"status":"planned","_status":{"id":"a"}}"#,
            r#"{"status":"in-progress"}"#,
            r#"{"status":"planned","_status":{"id":"a"}}"#,
        );
    }

    #[test]
    fn a_code_that_follows_goes_by_what_is_kept() {
        let told = |status: &str| {
            format!(
                r#"{{"status":"{status}","location":[{{"status":"active"}},{{"status":"completed"}},{{"x":1}}]}}"#
            )
        };
        let placed = |status: &str, first: &str, last: &str| {
            format!(
                r#"{{"status":"{status}","location":[{{{first}}},{{"status":"completed"}},{{"x":1{last}}}]}}"#
            )
        };
        let of = |status: &str| format!(r#"{{"status":"{status}"}}"#);
        check(
            &of("planned"),
            &told("in-progress"),
            &placed("planned", r#""status":"planned""#, r#","status":"planned""#),
        );
        check(
            &of("finished"),
            &told("in-progress"),
            &placed("finished", r#""status":"completed""#, r#","status":"completed""#),
        );
        check(&of("cancelled"), &told("in-progress"), &placed("cancelled", "", ""));
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mut request = read(r#"{"method":"PUT","extension":[{"url":"urn:other"}]}"#);
        let extensions = found_mut(&mut request, "extension").and_then(Value::as_array_mut);
        extensions.expect("they are there").push(visits().mark());
        assert_eq!(Keeps::of_request(&request), Ok(Some(visits())));
        Keeps::strip(request.as_object_mut().expect("an object"));
        assert_eq!(request.to_json(), r#"{"method":"PUT","extension":[{"url":"urn:other"}]}"#);
        assert_eq!(Keeps::of_request(&request), Ok(None));
    }

    #[test]
    fn a_mark_may_say_whose_it_is_and_nothing_else() {
        let mut keeps = Keeps::default();
        keeps.hold("subject");
        let mark = keeps.mark();
        assert_eq!(
            mark.to_json(),
            r#"{"url":"urn:pipehat:keeps","extension":[{"url":"same","valueString":"subject"}]}"#
        );
        let mut request = Object::new();
        request.set("extension", Value::Array(vec![mark]));
        assert_eq!(Keeps::of_request(&Value::Object(request)), Ok(Some(keeps.clone())));
        assert!(keeps.takes_nothing() && !keeps.is_empty());
        let mut told = read(r#"{"status":"final"}"#);
        keeps.take_over(&read(r#"{"status":"partial","code":{}}"#), &mut told, &|_| None);
        assert_eq!(told.to_json(), r#"{"status":"final"}"#);
    }

    #[test]
    fn a_mark_that_can_not_be_read_is_refused() {
        let check = |parts: &str, expected: UnreadableMark| {
            let request =
                read(&format!(r#"{{"extension":[{{"url":"{KEEPS}","extension":[{parts}]}}]}}"#));
            assert_eq!(Keeps::of_request(&request), Err(expected), "{parts}");
        };
        check(r#"{"url":"elements","valueString":"status"}"#, UnreadableMark::Part);
        check(r#"{"url":"element"}"#, UnreadableMark::Part);
        check(r#"{"url":"same"}"#, UnreadableMark::Part);
        check(r#"{"url":"same","valueString":"*"}"#, UnreadableMark::Path);
        check(r#"{"url":"follows","extension":[]}"#, UnreadableMark::Part);
        check("", UnreadableMark::Part);
        for path in
            ["", "a..b", "a[0]", "id", "meta", "meta.tag", "resourceType", "a.b.c.d.e.f.g.h.i"]
        {
            let part = format!(r#"{{"url":"element","valueString":"{path}"}}"#);
            check(&part, UnreadableMark::Path);
        }
        let one = r#"{"url":"element","valueString":"status"}"#;
        check(&vec![one; ELEMENTS_MAX + 1].join(","), UnreadableMark::TooMany);
        let most = vec![one; ELEMENTS_MAX].join(",");
        let request =
            read(&format!(r#"{{"extension":[{{"url":"{KEEPS}","extension":[{most}]}}]}}"#));
        assert!(Keeps::of_request(&request).is_ok());
    }
}
