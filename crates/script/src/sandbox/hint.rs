//! What is said beside the engine's own words where a bot names what a sandbox has not.

/// What Node.js and browsers have as globals, and what to write instead.
const ABSENT: [(&str, &str); 10] = [
    ("process", "it is of Node.js, and not here: a secret is asked by `secret(name)` of `pipehat`"),
    ("require", "it is of Node.js, and not here: write `import`"),
    ("module", "it is of Node.js, and not here: write `export`"),
    ("exports", "it is of Node.js, and not here: write `export`"),
    ("global", "it is of Node.js, and not here: write `globalThis`"),
    ("__dirname", NO_FILES),
    ("__filename", NO_FILES),
    ("setImmediate", "it is of Node.js, and not here: write `setTimeout(f, 0)`"),
    ("XMLHttpRequest", "it is of browsers, and not here: write `fetch`"),
    ("Intl", "no locales are carried: write dates and numbers yourself"),
];

const NO_FILES: &str =
    "it is of Node.js, and not here: a bot has no files; it imports them, or asks `sftp`";

/// What to do where a name is not there, by the engine's words for that.
pub(super) fn of_absent(words: &str) -> Option<&'static str> {
    let name = words.strip_prefix("ReferenceError: ")?.strip_suffix(" is not defined")?;
    let name = name.trim_matches('\'');
    ABSENT.iter().find(|(absent, _)| *absent == name).map(|(_, hint)| *hint)
}
