//! Reads a map key by key, and reports the keys nobody asked for.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Diagnostics};
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
                self.missing(key);
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
        let present: Vec<(&'static str, &'n Key, &'n Node)> = keys
            .iter()
            .filter_map(|name| self.map.entry(name).map(|(key, node)| (*name, key, node)))
            .collect();
        self.taken.extend(present.iter().map(|(name, _, _)| (*name).to_owned()));
        match present.as_slice() {
            [(name, _, node)] => Some((name, node)),
            [] => {
                // A misspelt one is reported as unknown; that it is missing, too, would be the same said twice.
                let near =
                    self.map.keys().any(|key| nearest(&key.text, keys.iter().copied()).is_some());
                if !near {
                    let message = format!("`{}` needs one of {}", self.name, listed(keys));
                    let error = Diagnostic::error("config.missing-key", &self.start(), message);
                    self.diagnostics.push(error.with_help("add one of these keys"));
                }
                self.errors_before = self.errors_before.min(self.diagnostics.errors());
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

    /// Reports the keys that nobody took. True when the map held no error at all.
    pub fn finish(self) -> bool {
        for key in self.map.keys().filter(|key| !self.taken.contains(&key.text)) {
            let error = self.unknown(key);
            self.diagnostics.push(error);
        }
        self.diagnostics.errors() == self.errors_before
    }

    fn unknown(&self, key: &Key) -> Diagnostic {
        let message = format!("unknown key `{}` in `{}`", key.text, self.name);
        let error = Diagnostic::error("config.unknown-key", &key.span, message);
        if let Some(Misplaced { hint, .. }) = self.misplaced.iter().find(|one| one.key == key.text)
        {
            return error.with_help(*hint);
        }
        let Some(near) = nearest(&key.text, self.known.iter().copied()) else {
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

    fn missing(&mut self, key: &'static str) {
        // A misspelt key is reported by `finish`, with the suggestion; one mistake, one error.
        let misspelt = self.map.keys().any(|there| {
            !self.known.contains(&there.text.as_str()) && nearest(&there.text, [key]).is_some()
        });
        if misspelt {
            return;
        }
        let message = format!("`{}` needs the key `{key}`", self.name);
        let help = format!("add `{key}: …`");
        let error = Diagnostic::error("config.missing-key", &self.start(), message).with_help(help);
        self.diagnostics.push(error);
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
