//! Loading a bot's file: which folder its imports may reach, and what it is run for.

use std::path::{Path, PathBuf};

use pipehat_script::{Input, ProjectDirectory, Script};

use crate::exit::Failure;

/// What marks the folder of a project: a bot may import what is in it.
const MARKS: &[&str] = &["pipehat.yaml", "channels", "package.json", "node_modules", ".pipehat"];

#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("there is no bot {}", .0.display())]
    NoFile(PathBuf),
    #[error("{} says what a bot may and what it runs for: name its script, such as {}", .0.display(), .0.with_extension("ts").display())]
    NoScript(PathBuf),
    #[error("{} is a symbolic link to outside of its project: put the file itself there", .0.display())]
    LedOut(PathBuf),
    #[error("{0}")]
    Script(String),
}

/// A bot's file in its project.
pub(super) struct BotFile {
    /// The folder of the project.
    pub(super) project: PathBuf,
    /// The file, relative to it, with `/`.
    pub(super) entry: String,
}

impl BotFile {
    pub(super) fn find(file: &Path) -> Result<Self, Failure> {
        let no_file = |_| Failure::could_not(LoadError::NoFile(file.to_owned()));
        let whole = file.canonicalize().map_err(no_file)?;
        if whole.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            return Err(Failure::could_not(LoadError::NoScript(file.to_owned())));
        }
        let folder = whole.parent().unwrap_or(Path::new("/"));
        let marked = |folder: &&Path| MARKS.iter().any(|mark| folder.join(mark).exists());
        // Of the project in which the link is, not of where it leads to.
        let beside = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let beside = beside.unwrap_or(Path::new(".")).canonicalize().map_err(no_file)?;
        if beside.ancestors().find(marked).is_some_and(|project| !whole.starts_with(project)) {
            return Err(Failure::could_not(LoadError::LedOut(file.to_owned())));
        }
        let project = folder.ancestors().find(marked).unwrap_or(folder);
        let entry = whole.strip_prefix(project).unwrap_or(&whole);
        let parts: Vec<_> = entry.iter().map(|part| part.to_string_lossy()).collect();
        Ok(Self { project: project.to_owned(), entry: parts.join("/") })
    }

    /// The script, compiled.
    pub(super) fn load(&self) -> Result<Script, Failure> {
        let sources = ProjectDirectory::new(&self.project).map_err(Failure::could_not)?;
        Script::load(&sources, &self.entry)
            .map_err(|error| Failure::could_not(LoadError::Script(error.to_string())))
    }

    /// Who it is: its file's name without the ending.
    pub(super) fn identity(&self) -> String {
        let name = self.entry.rsplit('/').next().unwrap_or(&self.entry);
        format!("Bot/{}", name.split('.').next().unwrap_or(name))
    }
}

/// What a file's content is, by its name and its first bytes.
pub(super) fn content_type(name: &str, bytes: &[u8]) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let start = bytes.trim_ascii_start();
    match ending.as_str() {
        "hl7" | "er7" => "x-application/hl7-v2+er7",
        "json" if is_resource(bytes) => "application/fhir+json",
        "json" => "application/json",
        "txt" | "csv" => "text/plain",
        "xml" => "text/xml",
        _ if start.starts_with(b"MSH") => "x-application/hl7-v2+er7",
        _ if is_resource(bytes) => "application/fhir+json",
        _ if start.starts_with(b"{") => "application/json",
        _ if std::str::from_utf8(bytes).is_ok() => "text/plain",
        _ => "application/octet-stream",
    }
}

fn is_resource(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .is_ok_and(|value| value.get("resourceType").is_some())
}

/// The input in the form that suits its content type.
pub(super) fn input(content_type: &str, bytes: Vec<u8>) -> Input {
    let kind = content_type.split(';').next().unwrap_or(content_type).trim();
    if kind.contains("hl7-v2") {
        // Files have the line ends of their editor; segments end with CR.
        return Input::Hl7(segments_end_with_cr(bytes));
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|error| error.into_bytes());
    if kind.ends_with("/json") || kind.ends_with("+json") {
        return text(bytes).map_or_else(Input::Bytes, Input::Json);
    }
    if kind.starts_with("text/") || kind == "application/x-www-form-urlencoded" {
        return text(bytes).map_or_else(Input::Bytes, Input::Text);
    }
    Input::Bytes(bytes)
}

fn segments_end_with_cr(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.contains(&b'\n') {
        return bytes;
    }
    let mut message = Vec::with_capacity(bytes.len());
    for segment in bytes.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|one| !one.is_empty()) {
        message.extend_from_slice(segment);
        message.push(b'\r');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, content: &str, expected: &str) {
        assert_eq!(content_type(name, content.as_bytes()), expected);
    }

    #[test]
    fn content_is_known_by_its_name_or_its_beginning() {
        check("in.hl7", "x", "x-application/hl7-v2+er7");
        check("in.json", r#"{"resourceType":"Patient"}"#, "application/fhir+json");
        check("in.json", r#"{"a":1}"#, "application/json");
        check("input", "MSH|^~\\&|", "x-application/hl7-v2+er7");
        check("input", "hello", "text/plain");
    }

    #[test]
    fn segments_of_a_file_with_lines_end_with_cr() {
        let Input::Hl7(bytes) = input("x-application/hl7-v2+er7", b"MSH|a\r\nPID|1\n".to_vec())
        else {
            panic!("it is HL7");
        };
        assert_eq!(bytes, b"MSH|a\rPID|1\r");
        assert!(matches!(input("application/fhir+json", b"{}".to_vec()), Input::Json(_)));
        assert!(matches!(input("application/pdf", b"%PDF".to_vec()), Input::Bytes(_)));
    }
}
