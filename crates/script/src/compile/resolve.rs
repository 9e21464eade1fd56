//! What an import means: a file of the project, a package in `node_modules`, a built-in module, or nothing.

use super::builtin;
use super::failure::ScriptError;
use super::graph::Files;
use super::javascript::{Import, ImportKind, Language, Reached};
use super::package::{self, Package};

/// Endings that are tried where an import has none, in this order.
const ENDINGS: &[&str] = &["ts", "mts", "js", "mjs", "cjs", "cts", "json"];

/// Modules of Node.js, which a sandbox has not.
const NODE: &[&str] = &[
    "assert",
    "async_hooks",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// A module that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// One that is part of the program, by its id.
    BuiltIn(String),
    /// A file of the project.
    File(String, Language),
}

/// A folder and what is relative to it, as one path; none if that leads out of the project.
pub(crate) fn join(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part if part.contains(['\\', '\0']) => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What `import` means in `base`, a file of the project with this text.
pub(crate) fn resolve(
    files: &mut Files<'_>,
    base: &str,
    source: &str,
    import: &Import,
) -> Result<Target, ScriptError> {
    let specifier = import.specifier.as_str();
    let at = |message: String| ScriptError::at(base, source, import.offset, message);
    if let Some(id) = builtin::imported(specifier) {
        return Ok(Target::BuiltIn(id));
    }
    if specifier.starts_with("./")
        || specifier.starts_with("../")
        || [".", ".."].contains(&specifier)
    {
        let Some(path) = join(folder_of(base), specifier) else {
            let error = at(format!("`{specifier}` is outside of the project"));
            return Err(error
                .with_help("a bot imports what is in its project, and packages in node_modules"));
        };
        return match file(files, &path)? {
            Some(target) => Ok(target),
            None => Err(at(format!("`{specifier}` is not there: no file {path}"))
                .with_help(format!("{} are tried", ENDINGS.join(", ")))),
        };
    }
    let bare = specifier.strip_prefix("node:").unwrap_or(specifier);
    let top = bare.split('/').next().unwrap_or(bare);
    if specifier.starts_with("node:") {
        return Err(node(at(format!("`{specifier}` is a module of Node.js"))));
    }
    if specifier.starts_with(['/', '#']) || specifier.contains(':') || specifier.contains('\\') {
        let help = "write a path that begins with ./ or ../, or the name of a package";
        return Err(at(format!("`{specifier}` cannot be imported")).with_help(help));
    }
    let (name, inside) = package::split(specifier);
    let mut folder = folder_of(base);
    loop {
        let root = join(folder, &format!("node_modules/{name}")).unwrap_or_default();
        if let Some(package) = Package::read(files, &root)? {
            return in_package(files, &package, inside, import.kind)?.ok_or_else(|| {
                at(format!("the package `{name}` has no `{specifier}`"))
                    .with_help(format!("see `exports` in {root}/package.json"))
            });
        }
        if folder.is_empty() {
            break;
        }
        folder = folder_of(folder);
    }
    if let Some(id) = builtin::of_node(specifier.strip_suffix('/').unwrap_or(specifier)) {
        return Ok(Target::BuiltIn(id));
    }
    if NODE.contains(&top) {
        return Err(node(at(format!("`{specifier}` is a module of Node.js"))));
    }
    let names: Vec<_> = builtin::names().collect();
    Err(at(format!("`{specifier}` is not installed")).with_help(format!(
        "put the package into node_modules of the project; built in are {}",
        names.join(", ")
    )))
}

/// Whether a script can do without what it imports: packages have functions for Node.js alone, which a bot never calls, and
/// try whether another package is there.
pub(crate) fn may_be_absent(import: &Import) -> bool {
    let Import { specifier, reached, .. } = import;
    let bare = specifier.strip_prefix("node:").unwrap_or(specifier);
    let is_of_node =
        specifier.starts_with("node:") || NODE.contains(&bare.split('/').next().unwrap_or(bare));
    match reached {
        Reached::AtOnce => false,
        Reached::Later => is_of_node,
        Reached::Tried => is_of_node || !specifier.starts_with(['.', '/', '#']),
    }
}

fn node(error: ScriptError) -> ScriptError {
    error.with_help(
        "a bot runs in a sandbox with the web's own functions: fetch, crypto, URL, TextEncoder …",
    )
}

/// A file by a path that may leave out its ending, or name the JavaScript that a TypeScript file becomes.
pub(crate) fn file(files: &mut Files<'_>, path: &str) -> Result<Option<Target>, ScriptError> {
    if path.starts_with(builtin::PREFIX) {
        return Ok(None);
    }
    let mut candidates = vec![path.to_owned()];
    for (ending, written) in [(".js", ".ts"), (".mjs", ".mts"), (".cjs", ".cts")] {
        if let Some(plain) = path.strip_suffix(ending) {
            candidates.push(format!("{plain}{written}"));
        }
    }
    candidates.extend(ENDINGS.iter().map(|ending| format!("{path}.{ending}")));
    for candidate in candidates {
        let Some(language) = language(files, &candidate)? else { continue };
        if files.exists(&candidate)? {
            return Ok(Some(Target::File(candidate, language)));
        }
    }
    if let Some(package) = Package::read(files, path)?
        && let Some(main) = package.main()
        && let Some(inside) = join(path, &main)
        && inside != path
        && let Some(found) = file(files, &inside)?
    {
        return Ok(Some(found));
    }
    for ending in ENDINGS {
        let candidate = join(path, &format!("index.{ending}")).unwrap_or_default();
        if let Some(language) = language(files, &candidate)?
            && files.exists(&candidate)?
        {
            return Ok(Some(Target::File(candidate, language)));
        }
    }
    Ok(None)
}

/// How a file is read, by its ending; none if it is not code or data.
fn language(files: &mut Files<'_>, path: &str) -> Result<Option<Language>, ScriptError> {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    Ok(Some(match ending {
        "ts" | "mts" if !path.ends_with(".d.ts") => Language::TypeScript,
        "mjs" => Language::JavaScript,
        "cjs" | "cts" => Language::CommonJs,
        "json" => Language::Json,
        // A project's own files are ES modules; those of packages are what the package says.
        "js" if path.starts_with("node_modules/") || path.contains("/node_modules/") => {
            match package::says_modules(files, path)? {
                true => Language::JavaScript,
                false => files.guess(path)?,
            }
        }
        "js" => Language::JavaScript,
        _ => return Ok(None),
    }))
}

/// What a part of a package is: `.`, or `./inside`.
fn in_package(
    files: &mut Files<'_>,
    package: &Package,
    inside: Option<&str>,
    kind: ImportKind,
) -> Result<Option<Target>, ScriptError> {
    let wanted = inside.map_or_else(|| ".".to_owned(), |inside| format!("./{inside}"));
    let path = match package.exported(&wanted, kind) {
        package::Exported::Path(path) => path,
        package::Exported::Nothing => return Ok(None),
        package::Exported::NotSaid => match inside {
            Some(inside) => inside.to_owned(),
            None => match package.entry(kind) {
                Some(entry) => entry,
                None => "index".to_owned(),
            },
        },
    };
    // A package that points out of its own folder has nothing there.
    match join(&package.root, &path) {
        Some(path) if path.starts_with(&package.root) => file(files, &path),
        _ => Ok(None),
    }
}
