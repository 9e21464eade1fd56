//! Whether every name that is imported is exported where it is imported from: found when a script is loaded, and not by
//! the first message.

use std::collections::{BTreeMap, HashSet};

use oxc::ast::ast::{
    Declaration, ImportDeclarationSpecifier, ModuleExportName, Program, Statement,
};
use oxc::span::Span;

use super::builtin;
use super::failure::ScriptError;

/// What a module exports, and the names that it imports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    /// The names; none where only running it tells.
    exported: Option<Vec<String>>,
    /// What it exports all of.
    stars: Vec<String>,
    /// The names it imports: from what, and the byte in the source.
    wanted: Vec<Wanted>,
}

#[derive(Debug, Clone)]
struct Wanted {
    specifier: String,
    name: String,
    offset: usize,
}

impl Links {
    /// Of an ES module without types.
    pub(crate) fn of(program: &Program<'_>) -> Self {
        let mut links = Self::default();
        let mut exported = Vec::new();
        for statement in &program.body {
            match statement {
                Statement::ImportDeclaration(it) => {
                    for specifier in it.specifiers.iter().flatten() {
                        let (name, span) = match specifier {
                            ImportDeclarationSpecifier::ImportSpecifier(one) => {
                                (text(&one.imported), one.span)
                            }
                            ImportDeclarationSpecifier::ImportDefaultSpecifier(one) => {
                                ("default".to_owned(), one.span)
                            }
                            ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => continue,
                        };
                        links.want(it.source.value.as_str(), name, span);
                    }
                }
                Statement::ExportFromDeclaration(it) => {
                    for one in &it.specifiers {
                        links.want(it.source.value.as_str(), text(&one.local), one.span);
                        exported.push(text(&one.exported));
                    }
                }
                Statement::ExportAllDeclaration(it) => match &it.exported {
                    Some(name) => exported.push(text(name)),
                    None => links.stars.push(it.source.value.as_str().to_owned()),
                },
                Statement::ExportDefaultDeclaration(_) => exported.push("default".to_owned()),
                Statement::ExportNamedDeclaration(it) => {
                    exported.extend(it.specifiers.iter().map(|one| text(&one.exported)));
                }
                Statement::ExportDeclaration(it) => declared(&it.declaration, &mut exported),
                _ => {}
            }
        }
        links.exported = Some(exported);
        links
    }

    /// Of a module without anything in it.
    pub(crate) fn nothing() -> Self {
        Self { exported: Some(Vec::new()), ..Self::default() }
    }

    fn want(&mut self, specifier: &str, name: String, span: Span) {
        let specifier = specifier.to_owned();
        self.wanted.push(Wanted { specifier, name, offset: span.start as usize });
    }
}

fn text(name: &ModuleExportName<'_>) -> String {
    name.name().as_str().to_owned()
}

/// The names of `export const …`, `export function …`.
fn declared(declaration: &Declaration<'_>, exported: &mut Vec<String>) {
    match declaration {
        Declaration::VariableDeclaration(it) => {
            for one in &it.declarations {
                let names = one.id.get_binding_identifiers();
                exported.extend(names.iter().map(|it| it.name.as_str().to_owned()));
            }
        }
        Declaration::FunctionDeclaration(it) => {
            exported.extend(it.id.iter().map(|it| it.name.as_str().to_owned()));
        }
        Declaration::ClassDeclaration(it) => {
            exported.extend(it.id.iter().map(|it| it.name.as_str().to_owned()));
        }
        _ => {}
    }
}

/// A module as the check sees it.
pub(crate) struct Linked<'g> {
    pub(crate) links: &'g Links,
    /// The ids of what it imports, by what it writes.
    pub(crate) imports: &'g BTreeMap<String, String>,
}

/// Checks what a module imports, and tells each module that lacks something once. `module` finds one by its id, `source`
/// is the text of this one.
pub(crate) fn check<'g>(
    file: &str,
    source: &str,
    own: &Linked<'g>,
    module: &dyn Fn(&str) -> Option<Linked<'g>>,
    errors: &mut Vec<ScriptError>,
) {
    let mut seen = HashSet::new();
    for wanted in &own.links.wanted {
        let Some(id) = own.imports.get(&wanted.specifier) else { continue };
        let mut exports = HashSet::new();
        if !seen.insert(wanted.specifier.as_str())
            || !collect(id, module, &mut HashSet::new(), &mut exports)
        {
            continue;
        }
        let is_missing = |one: &&Wanted| {
            one.specifier == wanted.specifier && !exports.contains(one.name.as_str())
        };
        let missing: Vec<_> = own.links.wanted.iter().filter(is_missing).collect();
        if !missing.is_empty() {
            errors.push(none_of(file, source, id, &missing, &exports));
        }
    }
}

/// Whether a module exports one of these names, as far as that can be known.
pub(crate) fn may_export<'g>(
    id: &str,
    names: &[&str],
    module: &dyn Fn(&str) -> Option<Linked<'g>>,
) -> bool {
    let mut exports = HashSet::new();
    !collect(id, module, &mut HashSet::new(), &mut exports)
        || names.iter().any(|name| exports.contains(name))
}

/// Adds all that a module exports; false if that can't be known.
fn collect<'g>(
    id: &str,
    module: &dyn Fn(&str) -> Option<Linked<'g>>,
    seen: &mut HashSet<String>,
    exports: &mut HashSet<&'g str>,
) -> bool {
    if !seen.insert(id.to_owned()) {
        return true;
    }
    let Some(Linked { links, imports }) = module(id) else { return false };
    let Some(exported) = &links.exported else { return false };
    exports.extend(exported.iter().map(String::as_str));
    // `export *` leaves out the default.
    let had_default = exports.contains("default");
    // One that is not there is told where it is imported.
    let known = links
        .stars
        .iter()
        .all(|star| imports.get(star).is_some_and(|star| collect(star, module, seen, exports)));
    if !had_default {
        exports.remove("default");
    }
    known
}

fn none_of(
    file: &str,
    source: &str,
    id: &str,
    missing: &[&Wanted],
    exports: &HashSet<&str>,
) -> ScriptError {
    let (offset, specifier) =
        missing.first().map_or((0, ""), |first| (first.offset, first.specifier.as_str()));
    let mut names: Vec<_> = missing.iter().map(|one| format!("`{}`", one.name)).collect();
    names.dedup();
    let message = format!("`{specifier}` has no {}", names.join(", "));
    let error = ScriptError::at(file, source, offset, message);
    for one in missing {
        if let Some(alike) = exports.iter().find(|known| known.eq_ignore_ascii_case(&one.name)) {
            return error.with_help(format!("it has `{alike}`, and not `{}`", one.name));
        }
    }
    if id.starts_with(builtin::PREFIX) {
        return error.with_help(format!(
            "`{specifier}` is Pipehat's own here, and has what bots need of it: docs/bots.md lists it"
        ));
    }
    let mut known: Vec<_> =
        exports.iter().filter(|name| !name.starts_with("pipehat:")).copied().collect();
    known.sort_unstable();
    if known.is_empty() {
        return error.with_help("it exports nothing");
    }
    known.truncate(NAMES_SHOWN);
    error.with_help(format!("it exports {}", known.join(", ")))
}

/// How many names a message lists.
const NAMES_SHOWN: usize = 12;
