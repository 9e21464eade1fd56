//! A script, compiled.

use std::sync::Arc;

use crate::compile::{Graph, ScriptErrors, Sources, is_commonjs, json_given};
use crate::sandbox::check_readable;

/// A script with all it imports, compiled. It is cheap to clone, and may be given to any thread.
#[derive(Clone)]
pub struct Script {
    pub(crate) graph: Arc<Graph>,
}

/// What a script's handler gives that is JSON for certain, with the places: `bots/a.ts:3:5`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonGiven {
    /// Where it returns it first.
    pub returned: Option<String>,
    /// What it sends it to, and where.
    pub sent: Vec<(String, String)>,
}

/// Whether a script's modules stay from one run to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reuse {
    /// They are evaluated once and frozen: nothing in them can change.
    Kept,
    /// They are evaluated anew for each run, which takes longer.
    Fresh {
        /// The file for which that is.
        file: String,
        /// The line.
        line: u32,
        /// Why.
        reason: &'static str,
    },
}

impl Script {
    /// Compiles the script at `entry`, a path relative to the project, and all it imports.
    ///
    /// # Errors
    /// All that is not TypeScript or JavaScript, or not supported, and all imports of what is not there; or else what the engine
    /// can't read.
    pub fn load(sources: &dyn Sources, entry: &str) -> Result<Self, ScriptErrors> {
        let graph = Graph::load(sources, entry)?;
        match ScriptErrors::of(check_readable(&graph, sources)) {
            None => Ok(Self { graph: Arc::new(graph) }),
            Some(errors) => Err(errors),
        }
    }

    /// Whether a text is CommonJS, as compilers of TypeScript write it (`exports.handler = …`): its name ends in `.cjs`, then.
    pub fn is_commonjs(source: &str) -> bool {
        is_commonjs(source)
    }

    /// Whether it exports a handler; true where only a run can tell.
    pub fn may_have_handler(&self) -> bool {
        self.graph.may_have_handler()
    }

    /// What its handler gives that is JSON, as far as the text says so; else only a run can tell.
    pub fn json_given(&self) -> JsonGiven {
        let file = self.graph.entry();
        let Some(module) = self.graph.modules.get(file) else { return JsonGiven::default() };
        let place = |(line, column)| {
            let (line, column) = module.positions.source(line, column)?;
            Some(format!("{file}:{line}:{column}"))
        };
        let given = json_given(&module.code);
        let sent = given.sent.into_iter().filter_map(|(to, at)| Some((to, place(at)?)));
        JsonGiven { returned: given.returned.and_then(place), sent: sent.collect() }
    }

    /// Whether its modules stay from one run to the next, and why not.
    pub fn reuse(&self) -> Reuse {
        match &self.graph.changes {
            None => Reuse::Kept,
            Some(changes) => {
                let (file, line, reason) = (changes.file.clone(), changes.line, changes.reason);
                Reuse::Fresh { file, line, reason }
            }
        }
    }

    /// The files it is made of, relative to the project: a change of any of them changes it.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.graph.own.iter().map(String::as_str)
    }
}
