//! A transaction: all of its entries or none (FHIR R4 §3.1.0.11.2).

use std::collections::HashSet;

use http::StatusCode;
use pipehat_resource::json::Value;
use pipehat_resource::outcome::{Issue, IssueCode};
use pipehat_store::datastore::{Applied, Group, Interaction, Outcome};

use super::address::{Call, version_number};
use super::answer::Answer;
use super::batch::{Entry, refused, shown};
use super::given_back;
use super::operation;
use super::problem::Problem;
use super::read::{missing, no_version, there};
use super::request::{Content, Request};
use super::service::FhirService;
use super::write::unanswered;

/// When an entry is processed, whatever its place in the Bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Delete,
    Post,
    PutOrPatch,
    Get,
}

/// What an entry is to the datastore.
enum Part {
    /// An interaction of the group, by its position there.
    Interaction(usize, &'static str),
    /// A search of the group, with what its Bundle needs.
    Search(usize, Box<super::search::AskedPage>),
    /// Something that changes nothing, done when the group is.
    Afterwards,
}

impl FhirService {
    /// Applies the entries together; the answers in the entries' order.
    pub(super) async fn transaction(
        &self,
        around: &Request,
        entries: Vec<Result<Entry, Problem>>,
    ) -> Result<Vec<Answer>, Problem> {
        let mut read = Vec::with_capacity(entries.len());
        for (position, entry) in entries.into_iter().enumerate() {
            read.push(entry.map_err(|problem| problem.in_entry(position))?);
        }
        refuse_twice(&read)?;
        refuse_dangling(&read)?;
        let mut order: Vec<usize> = (0..read.len()).collect();
        // A stable sort: within a turn the entries' order holds.
        order.sort_by_key(|position| read.get(*position).map(|entry| turn(&entry.request.call)));
        let mut interactions = Vec::new();
        let mut origins = Vec::new();
        let mut parts: Vec<Option<Part>> = read.iter().map(|_| None).collect();
        for position in order {
            let (Some(entry), Some(slot)) = (read.get(position), parts.get_mut(position)) else {
                continue;
            };
            let number = interactions.len();
            let (part, interaction) =
                self.part(entry, number).await.map_err(|problem| problem.in_entry(position))?;
            *slot = Some(part);
            if let Some(interaction) = interaction {
                interactions.push(interaction);
                origins.push(position);
            }
        }
        let outcomes = if interactions.is_empty() {
            Vec::new()
        } else {
            let group = Group { interactions, now: around.setting.now };
            match self.datastore.apply(group).await? {
                Applied::Done(outcomes) => outcomes,
                Applied::Refused(refused) => {
                    let origin = origins.get(refused.interaction).copied().unwrap_or_default();
                    let refusal = refused.refusal;
                    let problem = match read.get(origin) {
                        Some(entry) => given_back::refusal(&entry.request, refusal),
                        None => refusal.into(),
                    };
                    return Err(problem.in_entry(origin));
                }
            }
        };
        self.parameters.notice(&outcomes);
        let mut answers = Vec::with_capacity(read.len());
        for (entry, part) in read.iter().zip(parts) {
            let answer = self.answer(entry, part, &outcomes).await;
            answers.push(answer.unwrap_or_else(|problem| refused(&problem)));
        }
        Ok(answers)
    }

    /// What an entry becomes; `number` is the place of its interaction in the group.
    async fn part(
        &self,
        entry: &Entry,
        number: usize,
    ) -> Result<(Part, Option<Interaction>), Problem> {
        let request = &entry.request;
        let full_url = entry.full_url.clone();
        let (what, interaction) = match &request.call {
            Call::Create(name) => {
                ("created", self.create_interaction(request, name, full_url).await?)
            }
            Call::Update(key) => {
                ("updated", self.update_interaction(request, key, full_url).await?)
            }
            Call::ConditionalUpdate(name) => {
                ("updated", self.conditional_update_interaction(request, name, full_url).await?)
            }
            Call::Patch(key) => ("patched", self.patch_interaction(request, key).await?),
            Call::ConditionalPatch(name) => {
                ("patched", self.conditional_patch_interaction(request, name)?)
            }
            Call::Delete(key) => ("deleted", self.delete_interaction(request, key).await?),
            Call::ConditionalDelete(name) => {
                ("deleted", self.conditional_delete_interaction(request, name)?)
            }
            Call::Read(key) if !self.filters(request, &key.resource_type)? => {
                ("read", Interaction::Read { key: key.clone(), version: None })
            }
            Call::VersionRead(key, version)
                if version_number(version).is_some()
                    && !self.filters(request, &key.resource_type)? =>
            {
                let version = version_number(version);
                ("read", Interaction::Read { key: key.clone(), version })
            }
            Call::Search(scope) => {
                let asked = self.search_asked(request, scope)?;
                let interaction = Interaction::Search(Box::new(asked.request.clone()));
                return Ok((Part::Search(number, Box::new(asked)), Some(interaction)));
            }
            Call::Operation { name, on, by_post } => {
                if !operation::is_known(name, on) {
                    return Err(operation::not_supported(name));
                }
                if *by_post && operation::changes(name) {
                    return Err(Problem::bad_request(
                        IssueCode::NotSupported,
                        "an operation that changes something can't be part of a transaction",
                    ));
                }
                return Ok((Part::Afterwards, None));
            }
            _ => return Ok((Part::Afterwards, None)),
        };
        Ok((Part::Interaction(number, what), Some(interaction)))
    }

    /// Whether a client sees only a part of a type, so that a read needs a look.
    fn filters(&self, request: &Request, resource_type: &str) -> Result<bool, Problem> {
        let principal = &request.setting.principal;
        Ok(principal.require(resource_type, super::access::Permission::Read)?.is_some())
    }

    async fn answer(
        &self,
        entry: &Entry,
        part: Option<Part>,
        outcomes: &[Outcome],
    ) -> Result<Answer, Problem> {
        let request = &entry.request;
        match part {
            None | Some(Part::Afterwards) => {
                let answer = self.audited(request).await?;
                Ok(shown(request, answer))
            }
            Some(Part::Search(number, asked)) => match outcomes.get(number) {
                Some(Outcome::Found(page)) => {
                    self.told(request, Ok(Answer::text(asked.bundle(request, page)))).await
                }
                _ => Err(unanswered()),
            },
            Some(Part::Interaction(number, what)) => {
                let outcome = outcomes.get(number).ok_or_else(unanswered)?;
                let answer = match (outcome, &request.call) {
                    (Outcome::Read(found), Call::Read(key)) => {
                        there(found.as_ref(), || missing(key))
                            .and_then(|found| self.shown(request, found))
                    }
                    (Outcome::Read(found), Call::VersionRead(key, _)) => {
                        there(found.as_ref(), || no_version(key))
                            .and_then(|found| self.shown(request, found))
                    }
                    (outcome, _) => Ok(self.changed(request, outcome, what).await),
                };
                let answer = self.told(request, answer).await?;
                Ok(shown(request, answer))
            }
        }
    }
}

fn turn(call: &Call) -> Turn {
    match call {
        Call::Delete(_) | Call::ConditionalDelete(_) => Turn::Delete,
        Call::Create(_) => Turn::Post,
        Call::Update(_)
        | Call::ConditionalUpdate(_)
        | Call::Patch(_)
        | Call::ConditionalPatch(_) => Turn::PutOrPatch,
        Call::Capabilities
        | Call::Read(_)
        | Call::VersionRead(..)
        | Call::History(_)
        | Call::Search(_)
        | Call::Bundle
        | Call::Operation { .. } => Turn::Get,
    }
}

/// Refuses entries that change one resource twice, and `fullUrl`s that come twice. What conditions find is known
/// only to the datastore, which refuses the same.
fn refuse_twice(entries: &[Entry]) -> Result<(), Problem> {
    let mut changed = HashSet::new();
    let mut full_urls = HashSet::new();
    for (position, entry) in entries.iter().enumerate() {
        let target = match &entry.request.call {
            Call::Update(key) | Call::Patch(key) | Call::Delete(key) => {
                Some(format!("{}/{}", key.resource_type, key.id))
            }
            Call::ConditionalUpdate(name)
            | Call::ConditionalPatch(name)
            | Call::ConditionalDelete(name) => {
                Some(format!("{name}?{}", entry.request.query.encoded()))
            }
            _ => None,
        };
        if target.is_some_and(|target| !changed.insert(target)) {
            return Err(twice("another entry changes the same resource").in_entry(position));
        }
        // Only what is created or changed is named by its fullUrl.
        let named = turn(&entry.request.call) != Turn::Get;
        let full_url = entry.full_url.as_deref().filter(|_| named);
        if full_url.is_some_and(|url| !full_urls.insert(url)) {
            return Err(twice("another entry has the same fullUrl").in_entry(position));
        }
    }
    Ok(())
}

/// Refuses references to an entry that is not there. What begins with `urn:uuid:` means nothing outside of the Bundle
/// (FHIR R4 §2.36.4.1), so stored it would never lead anywhere.
fn refuse_dangling(entries: &[Entry]) -> Result<(), Problem> {
    let is_named = |entry: &&Entry| {
        matches!(entry.request.call, Call::Create(_) | Call::Update(_) | Call::ConditionalUpdate(_))
    };
    let named: HashSet<&str> =
        entries.iter().filter(is_named).filter_map(|entry| entry.full_url.as_deref()).collect();
    for (position, entry) in entries.iter().enumerate() {
        let Content::Value(resource) = &entry.request.content else { continue };
        let start = resource.resource_type().unwrap_or("resource");
        if let Some(place) = dangling(resource, start, &named) {
            let text = "the reference names no entry that this transaction creates or updates";
            let issue = Issue::error(IssueCode::NotFound, text).at(place);
            return Err(Problem::of(StatusCode::BAD_REQUEST, &[issue]).in_entry(position));
        }
    }
    Ok(())
}

/// Where a reference names an entry that is not there.
fn dangling(value: &Value, place: &str, named: &HashSet<&str>) -> Option<String> {
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(at, item)| dangling(item, &format!("{place}[{at}]"), named)),
        // The entries of a Bundle that is stored as one name each other.
        Value::Object(_) if value.resource_type() == Some("Bundle") => None,
        Value::Object(object) => object.iter().find_map(|(name, value)| {
            let place = || format!("{place}.{name}");
            match value {
                Value::String(text) if name == "reference" => {
                    let url = text.split('#').next().unwrap_or(text);
                    let is_entry = url.starts_with("urn:uuid:") || url.starts_with("urn:oid:");
                    (is_entry && !named.contains(url)).then(place)
                }
                Value::Array(_) | Value::Object(_) => dangling(value, &place(), named),
                _ => None,
            }
        }),
        _ => None,
    }
}

fn twice(text: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, IssueCode::Duplicate, text)
}
