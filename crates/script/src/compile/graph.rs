//! All modules of a script, compiled and bound to each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::builtin;
use super::failure::{ScriptError, ScriptErrors};
use super::javascript::{self, Compiled, Language};
use super::links::{self, Linked, Links};
use super::position::Positions;
use super::resolve::{self, Target};
use super::sources::Sources;

/// How many modules a script may have.
const MODULES_MAX: usize = 2_000;

/// How much source they may have together.
const SOURCE_BYTES_MAX: usize = 32 << 20;

/// A module that can run.
pub(crate) struct Module {
    /// The JavaScript.
    pub(crate) code: String,
    /// Where it was written.
    pub(crate) positions: Positions,
    /// The ids of what it imports, by what it writes.
    pub(crate) imports: BTreeMap<String, String>,
    /// The names that it exports and imports.
    links: Links,
}

/// Why a script's modules are evaluated for each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) reason: &'static str,
}

/// All modules of a script.
pub(crate) struct Graph {
    /// By id: the path of a file, or that of a built-in module after its prefix.
    pub(crate) modules: BTreeMap<String, Module>,
    /// The ids of the bot's own and of its packages, in the order in which they were found.
    pub(crate) own: Vec<String>,
    /// Why they cannot be kept from one run to the next.
    pub(crate) changes: Option<Changes>,
    /// Whether they may change what is not their own: then the globals cannot be kept either.
    pub(crate) touches_globals: bool,
    /// Files that can't be compiled; there are none in a graph that was loaded.
    broken: BTreeSet<String>,
}

/// Whether anything stays in an engine from one run to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All modules.
    All,
    /// The built-in ones; the bot's own are evaluated anew under another name, for so many runs.
    BuiltIn {
        /// An engine lets go of a module only with all others.
        runs: usize,
    },
    /// Nothing.
    Nothing,
}

/// How many times an engine evaluates a script's own modules anew at most, and how much of their text that may come to.
const ANEW_MAX: usize = 64;
const ANEW_BYTES_MAX: usize = 4 << 20;

/// The built-in modules that each script has.
const ALWAYS: &[&str] = &["pipehat:web/index.ts", "pipehat:sandbox/harden.ts", "pipehat:entry.ts"];

impl Graph {
    /// Compiles `entry` and all it imports.
    pub(crate) fn load(sources: &dyn Sources, entry: &str) -> Result<Self, ScriptErrors> {
        let mut files = Files { sources, texts: HashMap::new(), bytes: 0 };
        let path = resolve::join("", entry).unwrap_or_default();
        let Some(Target::File(entry, language)) = resolve::file(&mut files, &path)? else {
            return Err(ScriptError::of_file(entry, "there is no such file").into());
        };
        let mut graph = Self {
            modules: BTreeMap::new(),
            own: Vec::new(),
            changes: None,
            touches_globals: false,
            broken: BTreeSet::new(),
        };
        let mut open = vec![Target::File(entry, language)];
        open.extend(ALWAYS.iter().map(|id| Target::BuiltIn((*id).to_owned())));
        let mut errors = Vec::new();
        while let Some(target) = open.pop() {
            if graph.modules.len() >= MODULES_MAX {
                let file = graph.own.first().map_or("", String::as_str);
                let message = format!("it imports more than {MODULES_MAX} modules");
                return Err(ScriptError::of_file(file, message).into());
            }
            match target {
                Target::BuiltIn(id) => graph.add_built_in(&id, &mut open)?,
                Target::File(path, language) => {
                    graph.add(&mut files, path, language, &mut open, &mut errors);
                }
            }
        }
        graph.check_links(&mut files, &mut errors);
        ScriptErrors::of(errors).map_or(Ok(graph), Err)
    }

    /// That what its own modules import is exported where they import it from.
    fn check_links(&self, files: &mut Files<'_>, errors: &mut Vec<ScriptError>) {
        let linked = |id: &str| self.linked(id);
        for id in &self.own {
            if let (Some(own), Ok(Some(source))) = (linked(id), files.text(id)) {
                links::check(id, &source, &own, &linked, errors);
            }
        }
    }

    fn linked(&self, id: &str) -> Option<Linked<'_>> {
        let Module { links, imports, .. } = self.modules.get(id)?;
        Some(Linked { links, imports })
    }

    /// Whether the file that the worker runs exports what it calls, as far as that can be known.
    pub(crate) fn may_have_handler(&self) -> bool {
        links::may_export(self.entry(), &["handler", "default"], &|id| self.linked(id))
    }

    /// The id of the file that the worker runs.
    pub(crate) fn entry(&self) -> &str {
        self.own.first().map_or("", String::as_str)
    }

    /// Whether `Buffer` is among its globals.
    pub(crate) fn has_buffer(&self) -> bool {
        self.modules.contains_key(builtin::GLOBAL_BUFFER)
    }

    /// Whether a script's own modules are written to throw `null`, as far as their text shows it.
    pub(crate) fn throws_null(&self) -> bool {
        let own = self.own.iter().filter_map(|id| self.modules.get(id));
        let mut codes = own.map(|module| module.code.as_str());
        codes.any(|code| code.contains("throw null") || code.contains("reject(null"))
    }

    /// What of it stays in an engine.
    pub(crate) fn keep(&self) -> Keep {
        if self.changes.is_none() {
            return Keep::All;
        }
        let own = self.own.iter().filter_map(|id| self.modules.get(id));
        let bytes: usize = own.map(|module| module.code.len()).sum();
        let runs = (ANEW_BYTES_MAX / bytes.max(1)).min(ANEW_MAX);
        match self.touches_globals || runs < 2 {
            true => Keep::Nothing,
            false => Keep::BuiltIn { runs },
        }
    }

    fn add_built_in(&mut self, id: &str, open: &mut Vec<Target>) -> Result<(), ScriptError> {
        if self.modules.contains_key(id) || id == builtin::HOST {
            return Ok(());
        }
        let mut imports = BTreeMap::new();
        let (code, positions, links) = match builtin::module(id) {
            None => (String::from("export {};\n"), Positions::same(), Links::nothing()),
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(Compiled { code, positions, imports: written, links, .. })) => {
                for import in written {
                    let Some(found) = builtin::resolve(id, &import.specifier) else {
                        let message = format!("`{}` is not there", import.specifier);
                        return Err(ScriptError::of_file(id, message));
                    };
                    open.push(Target::BuiltIn(found.clone()));
                    imports.insert(import.specifier.clone(), found);
                }
                (code.clone(), positions.clone(), links.clone())
            }
        };
        self.modules.insert(id.to_owned(), Module { code, positions, imports, links });
        Ok(())
    }

    /// Puts a module in the place of one that is not there, for who reaches it to be told so.
    fn add_absent(&mut self, specifier: &str, error: &ScriptError) -> String {
        let help = error.help.iter().map(|help| format!(": {help}"));
        let why = [error.message.clone()].into_iter().chain(help).collect::<String>();
        let (id, code) = builtin::absent(specifier, &why);
        let (positions, links) = (Positions::same(), Links::nothing());
        let module = Module { code, positions, imports: BTreeMap::new(), links };
        self.modules.insert(id.clone(), module);
        id
    }

    /// Takes in a file, and what it imports; what is wrong with it is told, and its other imports are followed.
    fn add(
        &mut self,
        files: &mut Files<'_>,
        path: String,
        language: Language,
        open: &mut Vec<Target>,
        errors: &mut Vec<ScriptError>,
    ) {
        if self.modules.contains_key(&path) || self.broken.contains(&path) {
            return;
        }
        let read = files.text(&path).map(Option::unwrap_or_default).and_then(|source| {
            let compiled = javascript::compile(&path, &source, language)?;
            Ok((source, compiled))
        });
        let (source, compiled) = match read {
            Ok(read) => read,
            Err(error) => {
                errors.push(error);
                self.broken.insert(path);
                return;
            }
        };
        if let Some((offset, reason)) = compiled.changes
            && self.changes.is_none()
        {
            let line = ScriptError::at(&path, &source, offset, "").line;
            self.changes = Some(Changes { file: path.clone(), line, reason });
        }
        if names_buffer(&source) {
            open.push(Target::BuiltIn(builtin::GLOBAL_BUFFER.to_owned()));
        }
        self.touches_globals |= compiled.touches_globals;
        let mut imports = BTreeMap::new();
        let mut wanted = Vec::new();
        for import in &compiled.imports {
            let target = match resolve::resolve(files, &path, &source, import) {
                Ok(target) => target,
                Err(error) if resolve::may_be_absent(import) => {
                    let id = self.add_absent(&import.specifier, &error);
                    imports.insert(import.specifier.clone(), id);
                    continue;
                }
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let id = match &target {
                Target::BuiltIn(id) | Target::File(id, _) => id.clone(),
            };
            imports.insert(import.specifier.clone(), id);
            wanted.push(target);
        }
        open.extend(wanted.into_iter().rev());
        let Compiled { code, positions, links, .. } = compiled;
        self.own.push(path.clone());
        self.modules.insert(path, Module { code, positions, imports, links });
    }
}

/// Whether a text has `Buffer` as a word: only then is it made, for it costs each engine a moment.
fn names_buffer(source: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    source.match_indices("Buffer").any(|(at, name)| {
        let before = source.as_bytes().get(..at).and_then(<[u8]>::last);
        let behind = source.as_bytes().get(at.saturating_add(name.len()));
        !before.is_some_and(is_word) && !behind.is_some_and(is_word)
    })
}

/// The files of a project, each read once.
pub(crate) struct Files<'s> {
    sources: &'s dyn Sources,
    texts: HashMap<String, Option<String>>,
    bytes: usize,
}

impl Files<'_> {
    /// A file's text; none if there is no such file.
    pub(crate) fn text(&mut self, path: &str) -> Result<Option<String>, ScriptError> {
        if let Some(known) = self.texts.get(path) {
            return Ok(known.clone());
        }
        let failed = |error| ScriptError::of_file(path, format!("cannot be read: {error}"));
        let text = match self.sources.read(path).map_err(failed)? {
            None => None,
            Some(bytes) => {
                self.bytes = self.bytes.saturating_add(bytes.len());
                if self.bytes > SOURCE_BYTES_MAX {
                    let message =
                        format!("it and what came before have more than {SOURCE_BYTES_MAX} bytes");
                    return Err(ScriptError::of_file(path, message));
                }
                let text = String::from_utf8(bytes);
                Some(text.map_err(|_| ScriptError::of_file(path, "it is not UTF-8"))?)
            }
        };
        self.texts.insert(path.to_owned(), text.clone());
        Ok(text)
    }

    pub(crate) fn exists(&mut self, path: &str) -> Result<bool, ScriptError> {
        Ok(self.text(path)?.is_some())
    }

    /// What a `.js` file of a package is, of which the package does not say it.
    pub(crate) fn guess(&mut self, path: &str) -> Result<Language, ScriptError> {
        let text = self.text(path)?.unwrap_or_default();
        let modules = text.lines().any(|line| {
            let line = line.trim_start();
            let starts = |word: &str| {
                line.strip_prefix(word)
                    .is_some_and(|rest| rest.starts_with([' ', '{', '*', '"', '\'']))
            };
            starts("import") || starts("export")
        });
        Ok(if modules { Language::JavaScript } else { Language::CommonJs })
    }
}
