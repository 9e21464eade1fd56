//! `pipehat generate --list`: the types that a version has.

use pipehat_dictionary::Event;
use pipehat_testdata::{Selection, SelectionError};
use serde_json::json;

use super::arguments::Asked;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Lists the types of a version, or those of one message code.
pub(super) fn list(
    asked: Asked,
    code: Option<&str>,
    json: bool,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let fits =
        |event: &Event| code.is_none_or(|code| event.message_code().eq_ignore_ascii_case(code));
    let events: Vec<Event> = Selection::all(asked.version).filter(fits).collect();
    if events.is_empty() {
        let code = code.unwrap_or_default().to_owned();
        let version = asked.name;
        return Err(Failure::usage(SelectionError::UnknownCode { code, version }));
    }
    let name = |event: &Event| match event.trigger_event() {
        "" => event.message_code().to_owned(),
        trigger => format!("{}^{trigger}", event.message_code()),
    };
    if json {
        let list: Vec<_> = events
            .iter()
            .map(|event| json!({ "type": name(event), "structure": event.structure_name() }))
            .collect();
        let list = json!({ "version": asked.name, "types": list });
        terminal.write(|output| writeln!(output, "{list}"))?;
        return Ok(Exit::Ok);
    }
    let width = events.iter().map(|event| name(event).len()).max().unwrap_or_default();
    terminal.write(|output| {
        events.iter().try_for_each(|event| {
            writeln!(output, "{:width$}  {}", name(event), event.structure_name())
        })
    })?;
    Ok(Exit::Ok)
}
