//! `package.json`: which file of a package is meant.

use serde_json::Value;

use super::failure::ScriptError;
use super::graph::Files;
use super::javascript::ImportKind;
use super::resolve::join;

/// How deep conditions may be nested.
const CONDITION_DEPTH_MAX: usize = 16;

/// A package's `package.json`.
pub(crate) struct Package {
    /// The folder it is in.
    pub(crate) root: String,
    content: Value,
}

/// What `exports` says of a path.
pub(crate) enum Exported {
    /// This file, relative to the package.
    Path(String),
    /// It does not export that.
    Nothing,
    /// There is no `exports`.
    NotSaid,
}

/// The package's name and what is meant inside: `@scope/name/inside`.
pub(crate) fn split(specifier: &str) -> (&str, Option<&str>) {
    let names = if specifier.starts_with('@') { 2 } else { 1 };
    match specifier.match_indices('/').nth(names - 1) {
        Some((at, _)) => (&specifier[..at], Some(&specifier[at + 1..])),
        None => (specifier, None),
    }
}

impl Package {
    pub(crate) fn read(files: &mut Files<'_>, root: &str) -> Result<Option<Self>, ScriptError> {
        let path = join(root, "package.json").unwrap_or_default();
        let Some(text) = files.text(&path)? else { return Ok(None) };
        let content = serde_json::from_str(&text)
            .map_err(|error| ScriptError::of_file(&path, format!("not JSON: {error}")))?;
        Ok(Some(Self { root: root.to_owned(), content }))
    }

    fn text(&self, member: &str) -> Option<String> {
        self.content.get(member)?.as_str().map(str::to_owned)
    }

    /// The main file.
    pub(crate) fn main(&self) -> Option<String> {
        self.text("main")
    }

    /// The main file where `exports` says nothing.
    pub(crate) fn entry(&self, kind: ImportKind) -> Option<String> {
        match kind {
            ImportKind::Import => self.text("module").or_else(|| self.main()),
            ImportKind::Require => self.main(),
        }
    }

    fn says_modules(&self) -> bool {
        self.text("type").as_deref() == Some("module")
    }

    /// What `exports` says of `.` or `./inside`.
    pub(crate) fn exported(&self, wanted: &str, kind: ImportKind) -> Exported {
        let Some(exports) = self.content.get("exports").filter(|it| !it.is_null()) else {
            return Exported::NotSaid;
        };
        let found = match exports.as_object() {
            Some(map) if map.keys().any(|key| key.starts_with('.')) => match map.get(wanted) {
                Some(target) => condition(target, kind, CONDITION_DEPTH_MAX),
                None => pattern(map, wanted, kind),
            },
            _ if wanted == "." => condition(exports, kind, CONDITION_DEPTH_MAX),
            _ => None,
        };
        found.map_or(Exported::Nothing, Exported::Path)
    }
}

/// The file for the first condition that holds.
fn condition(target: &Value, kind: ImportKind, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    match target {
        Value::String(path) => path.starts_with("./").then(|| path.clone()),
        Value::Array(either) => either.iter().find_map(|it| condition(it, kind, depth)),
        Value::Object(conditions) => conditions.iter().find_map(|(name, target)| {
            let holds = match name.as_str() {
                "pipehat" | "default" => true,
                "import" | "module" => kind == ImportKind::Import,
                "require" => kind == ImportKind::Require,
                _ => false,
            };
            holds.then(|| condition(target, kind, depth)).flatten()
        }),
        _ => None,
    }
}

/// The file by the longest pattern with one `*` that fits.
fn pattern(map: &serde_json::Map<String, Value>, wanted: &str, kind: ImportKind) -> Option<String> {
    let fits = |key: &str| {
        let (before, after) = key.split_once('*')?;
        let part = wanted.strip_prefix(before)?.strip_suffix(after)?;
        Some((before.len(), part.to_owned()))
    };
    let matches = map.iter().filter_map(|(key, target)| Some((fits(key)?, target)));
    let ((_, part), target) = matches.max_by_key(|((length, _), _)| *length)?;
    condition(target, kind, CONDITION_DEPTH_MAX).map(|path| path.replace('*', &part))
}

/// Whether the package that a file belongs to says that its `.js` files are ES modules.
pub(crate) fn says_modules(files: &mut Files<'_>, file: &str) -> Result<bool, ScriptError> {
    let mut folder = file;
    while let Some((above, name)) = folder.rsplit_once('/') {
        if name == "node_modules" {
            break;
        }
        if let Some(package) = Package::read(files, above)? {
            return Ok(package.says_modules());
        }
        folder = above;
    }
    Ok(false)
}
