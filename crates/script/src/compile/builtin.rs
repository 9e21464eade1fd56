//! The modules that are part of the program: what bots import, the web's globals, and the worker's own.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::failure::ScriptError;
use super::javascript::{self, Compiled, Language};

/// Their TypeScript, by path.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// Before the path of a built-in module in what the engine calls it. No file of a project begins so.
pub(crate) const PREFIX: &str = "pipehat:";

/// The native layer, which the sandbox makes.
pub(crate) const HOST: &str = "pipehat:host";

/// The worker's own module, made for each script.
pub(crate) const BOOT: &str = "pipehat:boot";

/// What a bot imports, and where it is.
const IMPORTED: &[(&str, &str)] = &[
    ("pipehat", "pipehat/index.ts"),
    ("@medplum/core", "medplum/index.ts"),
    ("@medplum/fhirtypes", "medplum/fhirtypes.ts"),
    ("node:buffer", BUFFER),
];

const BUFFER: &str = "node/buffer.ts";

/// What puts `Buffer` among the globals.
pub(crate) const GLOBAL_BUFFER: &str = "pipehat:node/global.ts";

/// Modules that are types only.
const EMPTY: &[&str] = &["@medplum/fhirtypes"];

/// The id of a module without anything in it.
pub(crate) const NOTHING: &str = "pipehat:nothing";

/// What a module that is not there exports instead: why.
pub(crate) const ABSENT: &str = "pipehat:absent";

/// The id and the code of a module in the place of one that is not there, and is told only to who reaches it.
pub(crate) fn absent(specifier: &str, why: &str) -> (String, String) {
    let why = serde_json::Value::from(why);
    (format!("{ABSENT}/{specifier}"), format!("const why={why};export{{why as {ABSENT:?}}};\n"))
}

static COMPILED: LazyLock<BTreeMap<String, Result<Compiled, ScriptError>>> = LazyLock::new(|| {
    let compile = |(path, source): &(&str, &str)| {
        let id = format!("{PREFIX}{path}");
        let compiled = javascript::compile(&id, source, Language::TypeScript);
        (id, compiled)
    };
    FILES.iter().map(compile).collect()
});

/// A built-in module by its id.
pub(crate) fn module(id: &str) -> Option<&'static Result<Compiled, ScriptError>> {
    COMPILED.get(id)
}

/// What an import in a bot means, if it is one of ours.
pub(crate) fn imported(specifier: &str) -> Option<String> {
    let (_, path) = IMPORTED.iter().find(|(name, _)| *name == specifier)?;
    let id = format!("{PREFIX}{path}");
    match COMPILED.contains_key(&id) {
        true => Some(id),
        false if EMPTY.contains(&specifier) => Some(NOTHING.to_owned()),
        false => None,
    }
}

/// What a module of Node.js is, as far as there is one, where the project has no package of that name.
pub(crate) fn of_node(name: &str) -> Option<String> {
    (name == "buffer").then(|| format!("{PREFIX}{BUFFER}"))
}

/// What an import in a built-in module means.
pub(crate) fn resolve(base: &str, specifier: &str) -> Option<String> {
    if specifier == HOST {
        return Some(HOST.to_owned());
    }
    if !specifier.starts_with('.') {
        return imported(specifier);
    }
    let folder = base.strip_prefix(PREFIX)?.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = super::resolve::join(folder, specifier)?;
    let plain = path.strip_suffix(".js").unwrap_or(&path);
    let candidates = [path.clone(), format!("{plain}.ts"), format!("{path}/index.ts")];
    let mut ids = candidates.iter().map(|path| format!("{PREFIX}{path}"));
    ids.find(|id| COMPILED.contains_key(id))
}

/// The names of all, for a message.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    IMPORTED.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_module_compiles_and_finds_its_imports() {
        for (id, compiled) in &*COMPILED {
            let compiled = compiled.as_ref().unwrap_or_else(|error| panic!("{error}"));
            for import in &compiled.imports {
                let found = resolve(id, &import.specifier);
                assert!(found.is_some(), "{id} imports {}", import.specifier);
            }
        }
    }

    /// They stay from one message to the next, like a bot's modules that were found to keep nothing.
    #[test]
    fn no_built_in_module_has_state_that_changes() {
        for (id, compiled) in &*COMPILED {
            let Ok(compiled) = compiled else { continue };
            let assigned = compiled.changes.filter(|(_, why)| {
                ["assigned", "private static", "written to"].iter().any(|part| why.contains(part))
            });
            assert_eq!(assigned, None, "{id}");
        }
    }
}
