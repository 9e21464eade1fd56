//! What `case.json` says of a case: its own, and behind it the one of all cases of the bot, in the folder above.
//!
//! ```json
//! { "now": "2026-01-01T00:00:00Z", "contentType": "text/csv", "secrets": { "token": "x" }, "headers": { "a": "b" },
//!   "channel": "adt-in", "limits": { "cpu": "60s", "time": "120s" } }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pipehat_config::{Diagnostic, Diagnostics, Node, SourceFile, nearest};
use pipehat_engine::project::bot_limits;
use pipehat_script::Limits;
use serde_json::Value;

use super::case::{read, wrong, wrong_at};
use crate::exit::Failure;

/// The file.
const FACTS: &str = "case.json";

/// All that it may say.
const KNOWN: &[&str] = &["now", "contentType", "secrets", "headers", "channel", "limits"];

/// What is said of a case beside its input.
#[derive(Default)]
pub(super) struct CaseFacts {
    pub(super) now: Option<Timestamp>,
    pub(super) content_type: Option<String>,
    pub(super) secrets: Option<BTreeMap<String, String>>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    pub(super) channel: Option<String>,
    limits: Option<(PathBuf, Node)>,
}

impl CaseFacts {
    /// What is said of the case in this folder.
    pub(super) fn of(case: &Path) -> Result<Self, Failure> {
        let own = Self::read(&case.join(FACTS))?;
        let Some(folder) = case.parent() else { return Ok(own) };
        let all = Self::read(&folder.join(FACTS))?;
        Ok(Self {
            now: own.now.or(all.now),
            content_type: own.content_type.or(all.content_type),
            secrets: own.secrets.or(all.secrets),
            headers: own.headers.or(all.headers),
            channel: own.channel.or(all.channel),
            limits: own.limits.or(all.limits),
        })
    }

    /// What the case may use, where that is another than what the bot may. What is not named is the bot's.
    pub(super) fn limits(&self, of_the_bot: &Limits) -> Result<Option<Limits>, Failure> {
        let Some((path, node)) = &self.limits else { return Ok(None) };
        let mut diagnostics = Diagnostics::new();
        let limits = bot_limits(node, of_the_bot, &mut diagnostics);
        first_mistake(path, &diagnostics)?;
        Ok(limits)
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let Some(content) = read(path)? else { return Ok(Self::default()) };
        let facts: Value =
            serde_json::from_slice(&content).map_err(|error| wrong(path, error.to_string()))?;
        let members = facts.as_object().ok_or_else(|| {
            wrong(path, "it is no object: write { \"now\": \"2026-01-01T00:00:00Z\" }")
        })?;
        let mut read = Self::default();
        for (name, value) in members {
            let text = || {
                let no_text = || wrong(path, format!("`{name}` is no text: put it in quotes"));
                value.as_str().map(str::to_owned).ok_or_else(no_text)
            };
            match name.as_str() {
                "now" => {
                    let no_time = |_| wrong(path, "`now` is no time like 2026-01-01T00:00:00Z");
                    read.now = Some(text()?.parse().map_err(no_time)?);
                }
                "contentType" => read.content_type = Some(text()?),
                "secrets" | "headers" => {
                    let texts = texts(value).ok_or_else(|| {
                        let what = format!(
                            "`{name}` is no object of texts: write {{ \"name\": \"value\" }}"
                        );
                        wrong(path, what)
                    })?;
                    match name.as_str() {
                        "secrets" => read.secrets = Some(texts),
                        _ => read.headers = Some(texts),
                    }
                }
                "channel" => read.channel = Some(text()?),
                "limits" => read.limits = Some((path.to_owned(), limits_of(path, &content)?)),
                other => {
                    let what = match nearest(other, KNOWN.iter().copied()) {
                        Some(near) => format!("there is no `{other}`: did you mean `{near}`?"),
                        None => format!("there is no `{other}`: {} are known", KNOWN.join(", ")),
                    };
                    return Err(wrong(path, what));
                }
            }
        }
        Ok(read)
    }
}

fn texts(value: &Value) -> Option<BTreeMap<String, String>> {
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    value.as_object()?.iter().map(text).collect()
}

/// `limits` with its places in the file. JSON is YAML, so it is read as that of a bot's file is.
fn limits_of(path: &Path, content: &[u8]) -> Result<Node, Failure> {
    let file = SourceFile::new(path.display().to_string(), String::from_utf8_lossy(content));
    let mut diagnostics = Diagnostics::new();
    let whole = Node::parse(&file, &mut diagnostics);
    first_mistake(path, &diagnostics)?;
    let limits = whole.as_ref().and_then(|node| node.as_map()?.get("limits")).cloned();
    limits.ok_or_else(|| wrong(path, "`limits` can't be read"))
}

fn first_mistake(path: &Path, diagnostics: &Diagnostics) -> Result<(), Failure> {
    diagnostics.iter().next().map_or(Ok(()), |mistake| Err(told(path, mistake)))
}

fn told(path: &Path, mistake: &Diagnostic) -> Failure {
    let more = mistake.suggestion.iter().chain(&mistake.help).cloned().collect::<Vec<_>>();
    let mut what = mistake.message.clone();
    if !more.is_empty() {
        what = format!("{what}: {}", more.join("; "));
    }
    match mistake.line_column() {
        Some(at) => wrong_at(path, at.line, at.column, what),
        None => wrong(path, what),
    }
}
