//! What the lookups of a case find: resources given beside it, searched as a datastore would.

use bytes::Bytes;
use pipehat_config::{Diagnostic, Diagnostics};
use pipehat_connectors::{BotOutcome, BotResult, Found};
use pipehat_resource::json::{self, Value};
use pipehat_resource::search::{Handling, Registry, Search, SearchOptions, extract, query_pairs};

use crate::effects::{LookupAnswer, LookupRequest};
use crate::program::BOT;

/// The file of the resources that are searched.
pub(super) const DATASTORE: &str = "datastore.json";

/// The resources of a case, and answers that are given word for word.
#[derive(Debug, Default)]
pub(super) struct CaseDatastore {
    resources: Option<Vec<Value>>,
    /// By which lookup of the case they answer, from 1.
    answers: Vec<(usize, Vec<Value>)>,
    /// What bots return, by which run of the case it is, from 1.
    bots: Vec<(usize, BotResult)>,
    runs: usize,
    /// What was asked and how many were found, or why that can't be told.
    asked: Vec<String>,
    unanswered: Option<String>,
}

/// The lookup that a file answers: `lookup.json` the first, `lookup.2.json` the second.
pub(super) fn answered_by(file: &str) -> Option<usize> {
    match file.strip_prefix("lookup.")? {
        "json" => Some(1),
        numbered => numbered.strip_suffix(".json")?.parse().ok().filter(|number| *number > 0),
    }
}

/// The run of a bot that a file answers, and whether by JSON: `bot.hl7` the first, `bot.2.json` the second.
pub(super) fn returned_by(file: &str) -> Option<(usize, bool)> {
    let (number, ending) = match file.strip_prefix("bot.")?.split_once('.') {
        None => (1, file.strip_prefix("bot.")?),
        Some((number, ending)) => (number.parse().ok().filter(|number| *number > 0)?, ending),
    };
    match ending {
        "hl7" => Some((number, false)),
        "json" => Some((number, true)),
        _ => None,
    }
}

impl CaseDatastore {
    /// Takes what a bot returns.
    pub(super) fn add_returned(&mut self, (number, is_json): (usize, bool), content: Vec<u8>) {
        let result = match is_json {
            true => BotResult::Json(content.into()),
            // A file has other line ends than a message.
            false => BotResult::Text(
                String::from_utf8_lossy(&content).replace("\r\n", "\n").replace('\n', "\r").into(),
            ),
        };
        self.bots.push((number, result));
    }

    /// What a bot is said to have given.
    fn returned(&mut self, request: &LookupRequest) -> Option<LookupAnswer> {
        self.runs += 1;
        let given = self.bots.iter().find(|(of, _)| *of == self.runs);
        let Some((_, result)) = given else {
            self.unanswered = Some(format!(
                "the case does not say what the bot `{}` returns: put it into `bot.hl7` or `bot.json`",
                request.query
            ));
            return None;
        };
        let outcome = BotOutcome { result: result.clone(), ..BotOutcome::default() };
        Some(LookupAnswer::Found(Found::One(outcome.to_bytes())))
    }

    /// What a read gives: what stands among the resources; of several versions of one the first, and the one that is
    /// asked for by its `meta.versionId`.
    fn read(&self, request: &LookupRequest) -> Option<LookupAnswer> {
        let asked = &*request.resource_type;
        let (address, version) = match asked.split_once("/_history/") {
            Some((address, version)) => (address, Some(version)),
            None => (asked, None),
        };
        let mut resources = self.resources.iter().flatten();
        let found = resources.find(|resource| {
            let name = resource.resource_type().zip(resource.id());
            let its_version = resource.get("meta").and_then(|meta| meta.text("versionId"));
            name.is_some_and(|(name, id)| format!("{name}/{id}") == address)
                && (version.is_none() || its_version == version)
        });
        Some(LookupAnswer::Found(match found {
            Some(resource) => Found::One(Bytes::from(resource.to_json())),
            None => Found::Nothing,
        }))
    }

    /// Takes the resources of a file: one, a list of them, or the entries of a Bundle.
    pub(super) fn add_resources(
        &mut self,
        path: &str,
        content: &[u8],
        diagnostics: &mut Diagnostics,
    ) {
        self.resources = read(path, content, diagnostics);
    }

    /// Takes the answer to a lookup.
    pub(super) fn add_answer(
        &mut self,
        number: usize,
        path: &str,
        content: &[u8],
        diagnostics: &mut Diagnostics,
    ) {
        if let Some(resources) = read(path, content, diagnostics) {
            self.answers.push((number, resources));
        }
    }

    pub(super) fn has_resources(&self) -> bool {
        self.resources.is_some()
    }

    /// What a lookup is answered; none where the case does not say.
    pub(super) fn answer(&mut self, request: &LookupRequest) -> Option<LookupAnswer> {
        if &*request.resource_type == BOT {
            return self.returned(request);
        }
        if request.query.is_empty() {
            return self.read(request);
        }
        let number = self.asked.len() + 1;
        let given = self.answers.iter().find(|(of, _)| *of == number);
        let found = match (given, &self.resources) {
            (Some((_, answer)), _) => Ok(answer.iter().collect()),
            (None, Some(resources)) => search(request, resources),
            (None, None) => Err("the case does not say what it finds".to_owned()),
        };
        let found = found
            .map_err(|why| self.unanswered = Some(format!("`{}`: {why}", request.search())))
            .ok()?;
        let is_outcome = |value: &&Value| value.resource_type() == Some("OperationOutcome");
        let found_in_words = match found.len() {
            0 => "nothing",
            1 => "one",
            _ => "several",
        };
        self.asked.push(format!("`{}` found {found_in_words}", request.search()));
        let json = |value: &Value| Bytes::from(value.to_json());
        Some(match found.as_slice() {
            [] => LookupAnswer::Found(Found::Nothing),
            [outcome] if is_outcome(outcome) => {
                LookupAnswer::Refused { detail: "the case answers with an error".to_owned() }
            }
            [one] => LookupAnswer::Found(Found::One(json(one))),
            [first, ..] => LookupAnswer::Found(Found::Several(json(first))),
        })
    }

    /// What was searched and found, for a person who wonders why a case came out otherwise.
    pub(super) fn asked(&self) -> &[String] {
        &self.asked
    }

    /// Whether what is not answered is what a bot returns.
    pub(super) fn lacks_a_bot(&self) -> bool {
        self.bots.iter().all(|(of, _)| *of != self.runs)
            && self.runs > 0
            && self.unanswered.is_some()
    }

    /// The lookup that has no answer in the case, and why.
    pub(super) fn unanswered(&self) -> Option<&str> {
        self.unanswered.as_deref()
    }
}

fn read(path: &str, content: &[u8], diagnostics: &mut Diagnostics) -> Option<Vec<Value>> {
    let value = json::parse(content).map_err(|error| error.to_string());
    let resources = value.map(|value| match value {
        Value::Array(resources) => resources,
        bundle if bundle.resource_type() == Some("Bundle") => {
            let entries = bundle.items("entry").iter();
            entries.filter_map(|entry| entry.get("resource").cloned()).collect()
        }
        resource => vec![resource],
    });
    let sound = resources.and_then(|resources| {
        let all = resources.iter().all(|resource| resource.resource_type().is_some());
        if all { Ok(resources) } else { Err("a resource has no `resourceType`".to_owned()) }
    });
    sound
        .map_err(|why| {
            let message = format!("these are no FHIR resources: {why}");
            diagnostics.push(
                Diagnostic::error_in_file("project.unreadable", path, message)
                    .with_help("write a resource, a list of them, or a Bundle"),
            );
        })
        .ok()
}

/// The resources that meet a search, in the order of the file.
fn search<'v>(request: &LookupRequest, resources: &'v [Value]) -> Result<Vec<&'v Value>, String> {
    let registry = Registry::standard();
    let options = SearchOptions { handling: Handling::Strict, ..SearchOptions::default() };
    let pairs = query_pairs(&request.query);
    let searched = Search::parse(&[&request.resource_type], &pairs, &registry, &options);
    let searched = searched.map_err(|problems| match problems.first() {
        Some(problem) => format!("a case can't search by this: {problem}"),
        None => "a case can't search by this".to_owned(),
    })?;
    if searched.search.looks_at_others() {
        return Err("a case does not follow references in a search".to_owned());
    }
    let of_type = resources
        .iter()
        .filter(|resource| resource.resource_type() == Some(&*request.resource_type));
    let meets = |resource: &&Value| {
        let entries = extract(resource, &registry, "", 0);
        searched.search.matches(resource, &entries) == Some(true)
    };
    Ok(of_type.filter(meets).collect())
}
