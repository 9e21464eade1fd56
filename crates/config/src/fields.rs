//! Reads a map key by key, and reports the keys nobody asked for.

use std::collections::BTreeSet;

use crate::diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Diagnostics};
use crate::nearest::nearest;
use crate::node::{Key, Map, Node};
use crate::read::listed;
use crate::schema::Misplaced;
use crate::source::Span;

/// The keys of one map while they are read. Ask for each key, then [`Fields::finish`].
pub struct Fields<'n, 'd> {
    node: &'n Node,
    map: &'n Map,
    name: String,
    diagnostics: &'d mut Diagnostics,
    known: Vec<&'static str>,
    taken: BTreeSet<String>,
    misplaced: Vec<Misplaced>,
    confidential: Vec<&'static str>,
    missing: Vec<Missing>,
    errors_before: usize,
}

impl<'n, 'd> Fields<'n, 'd> {
    /// Begins to read a map, or reports that it is none. `name` is what it is called in errors, such as `mllp`.
    pub fn of(node: &'n Node, name: &str, diagnostics: &'d mut Diagnostics) -> Option<Self> {
        let errors_before = diagnostics.errors();
        let map = node.map(name, diagnostics)?;
        Some(Self {
            node,
            map,
            name: name.to_owned(),
            diagnostics,
            known: Vec::new(),
            taken: BTreeSet::new(),
            misplaced: Vec::new(),
            confidential: Vec::new(),
            missing: Vec::new(),
            errors_before,
        })
    }

    /// Reads a key that must be there. `None` when it is missing or wrong, which is then reported.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'n Node, &mut Diagnostics) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            Some(node) => read(node, self.diagnostics),
            None => {
                self.missing.push(Missing::Key(key));
                None
            }
        }
    }

    /// Reads a key that may be there. `None` when it is not, and when it is wrong, which is then reported.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'n Node, &mut Diagnostics) -> Option<T>,
    ) -> Option<T> {
        self.take(key).and_then(|node| read(node, self.diagnostics))
    }

    /// The node of a key, which from now on is a known one.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        let node = self.map.get(key)?;
        self.taken.insert(key.to_owned());
        Some(node)
    }

    /// The one key of some that must be there, with its node: a source is one connector, a step does one thing.
    /// Reports none of them and more than one of them.
    pub fn exactly_one(&mut self, keys: &[&'static str]) -> Option<(&'static str, &'n Node)> {
        self.known.extend(keys);
        let mut present: Vec<(&'static str, &'n Key, &'n Node)> = keys
            .iter()
            .filter_map(|name| self.map.entry(name).map(|(key, node)| (*name, key, node)))
            .collect();
        self.taken.extend(present.iter().map(|(name, _, _)| (*name).to_owned()));
        present.sort_by_key(|(_, key, _)| key.span.start());
        match present.as_slice() {
            [(name, _, node)] => Some((name, node)),
            [] => {
                self.missing.push(Missing::OneOf(keys.to_vec()));
                None
            }
            [(first, first_key, _), .., (last, last_key, _)] => {
                let message =
                    format!("`{}` can have only one of `{first}` and `{last}`", self.name);
                self.diagnostics.push(
                    Diagnostic::error("config.conflicting-keys", &last_key.span, message)
                        .with_label(&first_key.span, "the other one")
                        .with_help("remove one of them"),
                );
                None
            }
        }
    }

    /// Says where a key belongs that people put here by mistake: `hint` is a sentence such as
    /// "`retry` belongs one level up, beside `mllp`".
    pub fn misplaced(&mut self, key: &'static str, hint: &'static str) {
        self.misplaced.push(Misplaced { key, hint });
    }

    /// The keys that nobody took yet, in the order of the file; they count as taken from now on. For maps with keys
    /// that the user chooses, beside some that are fixed.
    pub fn others(&mut self) -> Vec<(&'n Key, &'n Node)> {
        let map = self.map;
        let others: Vec<_> =
            map.iter().filter(|(key, _)| !self.taken.contains(&key.text)).collect();
        self.taken.extend(others.iter().map(|(key, _)| key.text.clone()));
        others
    }

    /// Whether a key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.map.get(key).is_some()
    }

    /// The place of a key, if it is there.
    pub fn key_span(&self, key: &str) -> Option<&'n Span> {
        self.map.entry(key).map(|(key, _)| &key.span)
    }

    /// The whole map.
    pub fn map(&self) -> &'n Map {
        self.map
    }

    /// The map's place.
    pub fn span(&self) -> &'n Span {
        &self.node.span
    }

    /// For further errors.
    pub fn diagnostics(&mut self) -> &mut Diagnostics {
        self.diagnostics
    }

    /// Says that the value of a key is a secret. It is then not shown when the key is misspelt, either.
    pub fn confidential(&mut self, key: &'static str) {
        self.confidential.push(key);
    }

    /// Reports the keys that nobody took, and those that are missing. True when the map held no error at all.
    pub fn finish(mut self) -> bool {
        let map = self.map;
        let unknown = map.iter().filter(|(key, _)| !self.taken.contains(&key.text));
        let mut meant = Vec::new();
        let mut errors = Vec::new();
        // Whoever has more unknown keys than diagnostics are kept does not miss the rest.
        for (key, node) in unknown.take(DIAGNOSTICS_MAX) {
            let near = nearest(&key.text, self.known.iter().copied());
            if near.is_some_and(|near| self.confidential.contains(&near)) {
                self.diagnostics.conceal(&node.span);
            }
            errors.push(self.unknown(key, near));
            meant.extend(near);
        }
        errors.into_iter().for_each(|error| self.diagnostics.push(error));
        // A misspelt key is not missing as well: one mistake, one error.
        self.missing.retain(|missing| !meant.iter().any(|key| missing.names(key)));
        self.report_missing();
        self.diagnostics.errors() == self.errors_before
    }

    fn report_missing(&mut self) {
        let start = self.start();
        for missing in std::mem::take(&mut self.missing) {
            let (message, help) = match missing {
                Missing::Key(key) => {
                    (format!("`{}` needs the key `{key}`", self.name), format!("add `{key}: …`"))
                }
                Missing::OneOf(keys) => (
                    format!("`{}` needs one of the keys {}", self.name, listed(&keys)),
                    "add one of these keys".to_owned(),
                ),
            };
            let error = Diagnostic::error("config.missing-key", &start, message).with_help(help);
            self.diagnostics.push(error);
        }
    }

    fn unknown(&self, key: &Key, near: Option<&str>) -> Diagnostic {
        let message = format!("unknown key `{}` in `{}`", key.text, self.name);
        let error = Diagnostic::error("config.unknown-key", &key.span, message);
        if let Some(Misplaced { hint, .. }) = self.misplaced.iter().find(|one| one.key == key.text)
        {
            return error.with_help(*hint);
        }
        let Some(near) = near else {
            return match self.known.as_slice() {
                [] => error.with_help(format!("`{}` has no keys", self.name)),
                known => error.with_help(format!("the keys here are {}", all(known))),
            };
        };
        match self.map.entry(near) {
            Some((there, _)) => error
                .with_suggestion(format!("`{near}` is already there"))
                .with_label(&there.span, format!("`{near}` is here"))
                .with_help("remove one of the two"),
            None => error.with_nearest(Some(near)),
        }
    }

    /// Where the map starts: its bracket, or its first key.
    fn start(&self) -> Span {
        let span = &self.node.span;
        match self.map.keys().next() {
            Some(key) if !span.text().starts_with('{') => key.span.clone(),
            _ => Span::new(span.file(), span.start(), span.start() + 1),
        }
    }
}

/// A reader that gives up before [`Fields::finish`] must not lose an error.
impl Drop for Fields<'_, '_> {
    fn drop(&mut self) {
        self.report_missing();
    }
}

/// What must be there and is not. Which of the keys in the map are misspelt is known only at the end.
enum Missing {
    Key(&'static str),
    OneOf(Vec<&'static str>),
}

impl Missing {
    fn names(&self, key: &str) -> bool {
        match self {
            Self::Key(missing) => *missing == key,
            Self::OneOf(missing) => missing.contains(&key),
        }
    }
}

fn all(keys: &[&'static str]) -> String {
    let mut seen = BTreeSet::new();
    let quoted: Vec<String> =
        keys.iter().filter(|key| seen.insert(**key)).map(|key| format!("`{key}`")).collect();
    match quoted.split_last() {
        Some((last, [])) | Some((last, _)) if quoted.len() == 1 => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    /// Reads a map by `read`, and gives the codes with the text they point at.
    fn codes(text: &str, read: impl FnOnce(Fields<'_, '_>)) -> Vec<String> {
        let file = SourceFile::new("a.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let node = Node::parse(&file, &mut diagnostics).expect("the text is YAML");
        read(Fields::of(&node, "mllp", &mut diagnostics).expect("the tree is a map"));
        let shown = |one: &Diagnostic| {
            format!("{} {}", one.code, one.span().map(Span::text).unwrap_or_default())
        };
        diagnostics.iter().map(shown).collect()
    }

    fn text(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
        node.text(diagnostics).map(str::to_owned)
    }

    #[test]
    fn a_key_that_is_near_another_lawful_one_is_missing_all_the_same() {
        let found = codes("idle_timeout: 5m", |mut fields| {
            assert_eq!(fields.required("ack_timeout", text), None);
            assert!(fields.optional("idle_timeout", text).is_some());
            assert!(!fields.finish());
        });
        assert_eq!(found, ["config.missing-key idle_timeout"]);
    }

    #[test]
    fn a_misspelt_key_is_one_error() {
        let found = codes("lisen: a", |mut fields| {
            assert_eq!(fields.required("listen", text), None);
            assert!(!fields.finish());
        });
        assert_eq!(found, ["config.unknown-key lisen"]);
        let found = codes("mlp: a", |mut fields| {
            assert!(fields.exactly_one(&["mllp", "file"]).is_none());
            assert!(!fields.finish());
        });
        assert_eq!(found, ["config.unknown-key mlp"]);
    }

    #[test]
    fn a_reader_that_gives_up_loses_no_missing_key() {
        let found = codes("{ lisen: a }", |mut fields| {
            assert_eq!(fields.required("listen", text), None);
        });
        assert_eq!(found, ["config.missing-key {"]);
    }

    #[test]
    fn one_key_of_several_is_wanted() {
        let found = codes("file: a", |mut fields| {
            let found = fields.exactly_one(&["mllp", "file"]).map(|(name, _)| name);
            assert_eq!(found, Some("file"));
            assert!(fields.finish());
        });
        assert!(found.is_empty());
        let found = codes("file: a\nmllp: b", |mut fields| {
            assert!(fields.exactly_one(&["mllp", "file"]).is_none());
            assert!(!fields.finish());
        });
        assert_eq!(found, ["config.conflicting-keys mllp"]);
    }
}
