//! `docs/codes.md`: every code an operator may meet, what it means and what to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pipehat_connectors::{CONNECTORS, SFTP_CODES, TLS_CODES};

use crate::page::cell;

const HEAD: &str = "\
<!-- Made from the codes' own descriptions by `cargo xtask docs`; change them there. -->

# Operator codes

Every code that Pipehat shows: in `pipehat check`, in `pipehat messages` and `status`, in log lines
and in answers of the admin API. Codes are stable; texts beside them may get better.
";

/// What the codes with one beginning are about.
const GROUPS: &[(&str, &str)] = &[
    ("api", "Answers of the admin API."),
    ("bot", "Mistakes in bots' files, shown by `pipehat check`; and why runs of bots failed."),
    ("channel", "Mistakes in channel files, shown by `pipehat check`."),
    ("config", "Mistakes in any file of a project, shown by `pipehat check`."),
    ("configuration", "A change of the configuration."),
    ("decided", "What a person decided about a message."),
    ("delivery", "Why a delivery was parked, whatever the connector."),
    ("fhir", "The FHIR connector."),
    ("file", "The file connector."),
    ("http", "The HTTP connector."),
    ("message", "Decisions about messages that can't be taken."),
    ("mllp", "The MLLP connector."),
    ("overlay", "Mistakes in a site's overlays of translations, shown by `pipehat check`."),
    ("profile", "Mistakes in profiles, shown by `pipehat check` and `pipehat profile`."),
    (
        "program",
        "What came of a channel's steps: why a message was parked or filtered, and findings.",
    ),
    ("project", "Mistakes in a project as a whole, shown by `pipehat check`."),
    ("receive", "What was noticed when a message came in."),
    ("reply", "What became of an answer to a sender."),
    ("sftp", "SFTP servers: their settings, and why something could not be done on one."),
    ("source", "What became of a source, whatever the connector."),
    ("tls", "Certificates, keys and unencrypted connections, whichever connector they belong to."),
    ("validation", "What `validate` steps found in messages."),
    ("upkeep", "Looking after the FHIR datastore."),
    (
        "translate",
        "What a `translate` step could not say in the other standard: findings of a message.",
    ),
];

/// A code with its cause and its remedy.
type Described = (&'static str, &'static str);

/// Every code there is.
pub(crate) fn codes() -> BTreeMap<&'static str, Described> {
    let connectors = CONNECTORS.iter().flat_map(|connector| connector.codes);
    let connectors = connectors.chain(TLS_CODES).chain(SFTP_CODES);
    let connectors = connectors.map(|code| (code.code, (code.cause, code.remedy)));
    let others = [
        pipehat_config::CODES,
        pipehat_engine::project::CODES,
        pipehat_dictionary::profile::CODES,
        pipehat_engine::CODES,
        pipehat_server::CODES,
    ];
    let others = others.into_iter().flatten().map(|code| (code.code, (code.cause, code.remedy)));
    connectors.chain(others).collect()
}

/// The page.
pub(crate) fn text() -> String {
    let mut page = String::from(HEAD);
    let mut group = "";
    for (code, (cause, remedy)) in codes() {
        let prefix = prefix(code);
        if prefix != group {
            group = prefix;
            let about = GROUPS.iter().find(|(name, _)| *name == prefix).map_or("", |(_, doc)| doc);
            // Writing to a string can't fail.
            let _ = write!(
                page,
                "\n## {prefix}\n\n{about}\n\n| code | what it means | what to do |\n| --- | --- | --- |\n"
            );
        }
        let (cause, remedy) = (cell(cause), cell(remedy));
        let _ = writeln!(page, "| <a id=\"{}\"></a>`{code}` | {cause} | {remedy} |", anchor(code));
    }
    page
}

/// What a link to a code names.
pub(crate) fn anchor(code: &str) -> String {
    code.replace('.', "-")
}

fn prefix(code: &str) -> &str {
    code.split_once('.').map_or(code, |(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::page::root;

    #[test]
    fn every_code_has_a_group_a_cause_and_a_remedy() {
        for (code, (cause, remedy)) in codes() {
            assert!(GROUPS.iter().any(|(name, _)| *name == prefix(code)), "{code} has no group");
            assert!(!cause.is_empty() && !remedy.is_empty(), "{code} is not explained");
        }
    }

    #[test]
    fn no_group_is_empty() {
        let codes = codes();
        for (group, _) in GROUPS {
            assert!(codes.keys().any(|code| prefix(code) == *group), "{group} has no codes");
        }
    }

    /// Looks at the sources for texts that have the form of a code.
    #[test]
    fn every_code_in_the_sources_is_explained() {
        let mut unknown = Vec::new();
        visit(&root().join("crates"), &mut |path, text| {
            let product = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for code in texts_like_codes(product) {
                if !codes().contains_key(code) {
                    unknown.push(format!("{}: {code}", path.display()));
                }
            }
        });
        assert!(unknown.is_empty(), "give these an entry in a CODES list:\n{}", unknown.join("\n"));
    }

    #[test]
    fn texts_like_codes_are_found() {
        let text =
            r#"("program.park", "project.no-channels") "pipehat.yml" "config.rs" "mllp.X" "api""#;
        let found: Vec<&str> = texts_like_codes(text).collect();
        assert_eq!(found, ["program.park", "project.no-channels"]);
    }

    /// Words of conditions that begin as codes do.
    const WORDS: [&str; 4] = ["fhir.change", "fhir.type", "fhir.id", "fhir.version"];

    fn texts_like_codes(text: &str) -> impl Iterator<Item = &str> {
        text.split('"').filter(|text| {
            text.split_once('.').is_some_and(|(group, rest)| {
                GROUPS.iter().any(|(name, _)| *name == group)
                    && !rest.is_empty()
                    && rest.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase())
                    && !["rs", "yaml", "yml", "json", "toml"].contains(&rest)
                    && !WORDS.contains(text)
            })
        })
    }

    fn visit(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry of it").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["tests", "benches", "golden", "templates", "contract"].contains(&&*name) {
                    visit(&path, look);
                }
            } else if name.ends_with(".rs") && name != "tests.rs" && name != "testing.rs" {
                look(&path, &fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
}
