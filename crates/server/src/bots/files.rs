//! Files on SFTP servers, as a run asks for them: on servers that its bot was granted by name.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pipehat_connectors::{SftpEntry, SftpError, SftpServer};
use pipehat_script::{Answer, AskError};
use serde_json::{Value, json};

/// One thing to be done.
pub(super) struct FileRequest<'r> {
    pub(super) server: &'r str,
    pub(super) operation: &'r str,
    pub(super) path: &'r str,
    /// The new path of `rename`.
    pub(super) argument: Option<&'r str>,
    pub(super) body: &'r [u8],
}

/// How long a file may take that is finished after the run.
const FINISH_TIME: Duration = Duration::from_secs(60);

/// What is to be done with a file once what its run sent is kept.
#[derive(Debug)]
pub(super) struct FileToFinish {
    server: String,
    path: String,
    /// The new path; none removes it.
    to: Option<String>,
}

impl FileToFinish {
    /// What a request wants done later, if it does.
    pub(super) fn of(request: &FileRequest<'_>) -> Option<Self> {
        let to = match request.operation {
            "renameWhenSent" => Some(request.argument.unwrap_or_default().to_owned()),
            "removeWhenSent" => None,
            _ => return None,
        };
        let (server, path) = (request.server.to_owned(), request.path.to_owned());
        Some(Self { server, path, to })
    }
}

/// Finishes files, in order. Gives why not, without their names.
pub(super) async fn finish(
    files: Vec<FileToFinish>,
    servers: &BTreeMap<String, SftpServer>,
) -> Result<(), String> {
    for FileToFinish { server: name, path, to } in files {
        let outcome = match (servers.get(&name), &to) {
            (None, _) => return Err(format!("the project has no SFTP server `{name}` any more")),
            (Some(server), Some(to)) => server.rename(&path, to, FINISH_TIME).await,
            (Some(server), None) => server.remove(&path, FINISH_TIME).await,
        };
        outcome.map_err(|error| {
            let what = if to.is_some() { "renamed" } else { "removed" };
            format!("what it sent was taken, but a file on `{name}` could not be {what}: {error}")
        })?;
    }
    Ok(())
}

/// The server, where the bot was granted it.
pub(super) fn granted<'s>(
    name: &str,
    granted: &[String],
    servers: &'s BTreeMap<String, SftpServer>,
) -> Result<&'s SftpServer, AskError> {
    if !granted.iter().any(|granted| granted == name) {
        return Err(AskError::Refused(format!(
            "this bot may not use the SFTP server `{name}`: add it to `allow: {{ sftp: [{name}] }}`"
        )));
    }
    servers.get(name).ok_or_else(|| {
        AskError::Refused(format!(
            "the project has no SFTP server `{name}`: name it under `sftp` in pipehat.yaml"
        ))
    })
}

/// Does it, within the time that the run still has.
pub(super) async fn answer(
    request: &FileRequest<'_>,
    server: &SftpServer,
    remaining: Duration,
) -> Result<Answer, AskError> {
    let &FileRequest { operation, path, argument, body, .. } = request;
    let done = Answer { status: 200, ..Answer::default() };
    let outcome = match operation {
        "list" => server.list(path, remaining).await.map(|entries| listing(&entries)),
        "get" => server.get(path, remaining).await.map(|body| Answer { body, ..done }),
        "put" => server.put(path, body, remaining).await.map(|()| done),
        "rename" => {
            let to = argument.unwrap_or_default();
            server.rename(path, to, remaining).await.map(|()| done)
        }
        "remove" => server.remove(path, remaining).await.map(|()| done),
        _ => return Err(AskError::Failed("SFTP has no such operation".to_owned())),
    };
    // Files are named to the run alone: a name may hold a patient's number.
    outcome.map_err(|error| AskError::Failed(told(request, &error)))
}

fn told(request: &FileRequest<'_>, error: &SftpError) -> String {
    let FileRequest { server, operation, path, argument, .. } = request;
    let to = argument.map(|to| format!(" to `{to}`")).unwrap_or_default();
    let words = error.told().map(|told| format!(": {told}")).unwrap_or_default();
    format!("sftp {operation} `{path}`{to} on `{server}`: {error}{words}")
}

fn listing(entries: &[SftpEntry]) -> Answer {
    let entries = entries.iter().map(|entry| {
        let mut shown = json!({ "name": entry.name, "kind": entry.kind.name() });
        if let Some(size) = entry.size {
            shown["size"] = json!(size);
        }
        let modified = entry.modified.and_then(|time| Timestamp::from_second(time.into()).ok());
        if let Some(modified) = modified {
            shown["modified"] = json!(modified.to_string());
        }
        shown
    });
    let body = Value::Array(entries.collect()).to_string().into_bytes();
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Answer { status: 200, headers, body }
}

#[cfg(test)]
mod tests {
    use pipehat_connectors::FileKind;

    use super::*;

    #[test]
    fn a_listing_is_json() {
        let whole = SftpEntry {
            name: "a\n\".hl7".to_owned(),
            kind: FileKind::File,
            size: Some(12),
            modified: Some(1_767_225_600),
        };
        let bare =
            SftpEntry { name: "in".to_owned(), kind: FileKind::Folder, size: None, modified: None };
        let body = listing(&[whole, bare]).body;
        assert_eq!(
            String::from_utf8(body).expect("JSON"),
            r#"[{"name":"a\n\".hl7","kind":"file","size":12,"modified":"2026-01-01T00:00:00Z"},{"name":"in","kind":"folder"}]"#
        );
    }

    #[test]
    fn what_went_wrong_is_told_with_the_files() {
        let request = FileRequest {
            server: "laboratory",
            operation: "rename",
            path: "a",
            argument: Some("done/a"),
            body: b"",
        };
        let error = SftpError::Failed { code: 4, told: "quota exceeded".to_owned() };
        assert_eq!(
            told(&request, &error),
            "sftp rename `a` to `done/a` on `laboratory`: the server failed (SFTP status 4): quota exceeded"
        );
    }
}
