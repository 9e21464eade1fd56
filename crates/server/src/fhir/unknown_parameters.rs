//! Parameters of an address that mean nothing there. Searches look after theirs themselves.

use http::StatusCode;
use pipehat_resource::outcome::{Issue, IssueCode};

use super::address::Call;
use super::prefer::Handling;
use super::problem::Problem;
use super::query_string::Query;
use super::request::Request;
use super::{history, search};

/// What every answer may be asked for.
pub(super) const FORM: [&str; 4] = ["_format", "_pretty", "_summary", "_elements"];

/// Names longer than this are not shown.
const SHOWN_MAX: usize = 64;

/// Refuses what a read or a history does not know, where handling is strict. Where it is lenient it is passed over
/// without a word: neither a resource nor a history (each of its entries is a version, FHIR R4 `bdl-3`) has a place for one.
pub(super) fn refuse(request: &Request) -> Result<(), Problem> {
    let known = match &request.call {
        Call::Read(_) | Call::VersionRead(..) => &[],
        Call::History(_) => history::PARAMETERS,
        _ => return Ok(()),
    };
    passed_over(&request.query, known, request.prefer.handling).map(|_| ())
}

/// Warnings about what is not known, which handling that is strict refuses.
pub(super) fn passed_over(
    query: &Query,
    known: &[&str],
    handling: Handling,
) -> Result<Vec<Issue>, Problem> {
    let names = query.pairs().iter().map(|(name, _)| name.as_str());
    let unknown = names.filter(|name| !FORM.contains(name) && !known.contains(name));
    let texts = unknown.map(|name| text(name, known));
    if handling == Handling::Lenient {
        let warning = |text| Issue::warning(IssueCode::NotSupported, text + "; it was ignored");
        return Ok(texts.map(warning).collect());
    }
    let issues: Vec<Issue> =
        texts.map(|text| Issue::error(IssueCode::NotSupported, text)).collect();
    if issues.is_empty() { Ok(issues) } else { Err(Problem::of(StatusCode::BAD_REQUEST, &issues)) }
}

fn text(name: &str, known: &[&str]) -> String {
    let of_ours = |name: &&&str| matches!(**name, search::AFTER | history::BEFORE);
    let known: Vec<&str> =
        FORM.iter().chain(known).filter(|name| !of_ours(name)).copied().collect();
    let plain = name.len() <= SHOWN_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte));
    let name = if plain { format!("`{name}`") } else { "that".to_owned() };
    format!("there is no parameter {name} here; there are {}", known.join(", "))
}
