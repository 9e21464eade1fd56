//! A Subscription resource, read and checked.

use std::sync::Arc;

use pipehat_config::nearest;
use pipehat_resource::fhirpath::{Context, EvaluationError, Expression, Item};
use pipehat_resource::json::{Object, Value};
use pipehat_resource::outcome::{Issue, IssueCode};
use pipehat_resource::search::{
    Handling, Registry, Search, SearchOptions, parse_date, query_pairs,
};
use pipehat_store::datastore::Trigger;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::endpoint::{self, EndpointRules};
use super::subscriber::Subscriber;

/// How many headers a channel may have.
const HEADERS_MAX: usize = 20;

/// Medplum's extensions, which its users know, with and without `www`.
const SUPPORTED_INTERACTION: &str =
    "medplum.com/fhir/StructureDefinition/subscription-supported-interaction";
const SECRET: &str = "medplum.com/fhir/StructureDefinition/subscription-secret";
const MAX_ATTEMPTS: &str = "medplum.com/fhir/StructureDefinition/subscription-max-attempts";
const PATH_CRITERIA: &str = "medplum.com/fhir/StructureDefinition/fhir-path-criteria-expression";

/// What `Subscription.error` says while something of it was given up.
pub(super) const GIVEN_UP: &str =
    "notifications could not be delivered and were given up: see the dead letters";

/// What `Subscription.error` begins with while the criteria by FHIRPath failed for a change: it goes on with all others.
pub(super) const UNDECIDED: &str = "the criteria by FHIRPath fail for some changes";

/// What a Subscription asks for.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    /// Its id.
    pub(super) id: String,
    /// What a resource must meet, as it was written.
    criteria: String,
    /// The same, read.
    pub(super) search: Search,
    /// The type of those resources.
    pub(super) resource_type: String,
    /// How it is told.
    pub(super) channel: Channel,
    /// The changes it is told of.
    pub(super) triggers: Vec<Trigger>,
    /// What must hold of a change, by FHIRPath over `%previous` and `%current`.
    pub(super) condition: Option<Arc<Expression>>,
    /// From when on it is told nothing, in microseconds since 1970 (UTC).
    pub(super) end: Option<i64>,
    /// After how many attempts a delivery is given up, where it says so.
    pub(super) attempts_max: Option<u32>,
    /// What it says of changes that it was not told.
    pub(super) note: Note,
    /// The client that wrote it.
    pub(super) client: Option<String>,
}

/// How a Subscription is told.
#[derive(Debug, Clone)]
pub(super) enum Channel {
    /// Deliveries go to an endpoint.
    Hook(Hook),
    /// Listeners at the websocket are told that something is there.
    WebSocket,
}

/// An endpoint and what it is sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hook {
    /// As it was written.
    pub(super) endpoint: String,
    /// The address, where it is one and no subscriber's own.
    pub(super) url: Option<Url>,
    /// The media type of the resource that is sent along; `None` for a bare notification.
    pub(super) payload: Option<String>,
    /// Headers.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// What the body is signed with.
    pub(super) secret: Option<String>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Addresses, headers and secrets open doors.
        f.debug_struct("Hook").field("payload", &self.payload).finish_non_exhaustive()
    }
}

/// What a Subscription says of changes that it was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// There are none.
    None,
    /// Some were given up.
    GivenUp,
    /// Its criteria fail for some.
    Undecided,
}

impl Note {
    pub(super) fn of(resource: &Value) -> Self {
        match resource.text("error") {
            Some(GIVEN_UP) => Self::GivenUp,
            Some(text) if text.starts_with(UNDECIDED) => Self::Undecided,
            _ => Self::None,
        }
    }
}

/// What a Subscription resource says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// To be activated.
    Requested,
    /// Told of changes.
    Active,
    /// Told of changes, but of those for which its criteria fail. R4: the server has an error, and tries on.
    Failing,
    /// Told nothing.
    Silent,
}

impl Status {
    /// Reads it from the resource.
    pub(super) fn of(resource: &Value) -> Self {
        match resource.text("status") {
            Some("requested") => Self::Requested,
            Some("active") => Self::Active,
            Some("error") if Note::of(resource) == Note::Undecided => Self::Failing,
            _ => Self::Silent,
        }
    }
}

/// What Subscriptions are read with.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) registry: &'a Registry,
    /// The server's own address, where known.
    pub(super) base: &'a str,
    pub(super) rules: &'a EndpointRules,
    pub(super) subscribers: &'a [std::sync::Arc<dyn Subscriber>],
    /// In microseconds since 1970 (UTC).
    pub(super) now: i64,
}

impl Subscription {
    /// Reads a valid Subscription resource.
    ///
    /// # Errors
    /// Everything for which it can't be active.
    pub(super) fn read(resource: &Value, reading: Reading<'_>) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        let criteria =
            criteria(resource.text("criteria").unwrap_or_default(), reading, &mut issues);
        let channel = channel(resource, reading, &mut issues);
        let triggers = triggers(resource, &mut issues);
        let condition = extension(resource, PATH_CRITERIA).and_then(|extension| {
            let text = extension.text("valueString").unwrap_or_default();
            match Expression::parse(text) {
                Ok(expression) => Some(Arc::new(expression)),
                Err(error) => {
                    let text = format!("the criteria by FHIRPath can't be read: {error}");
                    issues.push(
                        Issue::error(IssueCode::BusinessRule, text).at("Subscription.extension"),
                    );
                    None
                }
            }
        });
        let attempts_max = extension(resource, MAX_ATTEMPTS).and_then(|extension| {
            let number = extension.get("valueInteger")?.as_number()?.as_i64()?;
            u32::try_from(number.max(1)).ok()
        });
        let end = resource.text("end").and_then(parse_date).map(|end| end.from);
        match (criteria, channel) {
            (Some((resource_type, search)), Some(channel)) if issues.is_empty() => Ok(Self {
                id: resource.id().unwrap_or_default().to_owned(),
                criteria: resource.text("criteria").unwrap_or_default().to_owned(),
                search,
                resource_type,
                channel,
                triggers,
                condition,
                end,
                attempts_max,
                note: Note::of(resource),
                client: client_of(resource).map(str::to_owned),
            }),
            _ => Err(issues),
        }
    }

    /// Reads its criteria by other search parameters.
    ///
    /// # Errors
    /// They can't be read any more.
    pub(super) fn read_again(&self, reading: Reading<'_>) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        match criteria(&self.criteria, reading, &mut issues) {
            Some((resource_type, search)) => Ok(Self { resource_type, search, ..self.clone() }),
            None => Err(issues),
        }
    }

    /// Whether its condition by FHIRPath holds of a change: of a creation nothing was before, of a deletion nothing is
    /// after it.
    ///
    /// # Errors
    /// That can't be told: the condition can't be evaluated, or gives several items.
    pub(super) fn holds(
        &self,
        previous: Option<&Value>,
        current: Option<&Value>,
    ) -> Result<bool, EvaluationError> {
        let Some(condition) = &self.condition else { return Ok(true) };
        let context = Context::new(jiff::Timestamp::now())
            .with_variable("previous", previous.map(Item::resource).into_iter().collect())
            .with_variable("current", current.map(Item::resource).into_iter().collect());
        let Some(root) = current.or(previous) else { return Ok(false) };
        Ok(condition.test(&Item::resource(root), &context)? == Some(true))
    }

    /// What of its condition leads nowhere: it would never hold, or always fail. Asked when it is written; one that stands
    /// goes on as it is.
    pub(super) fn doubts(&self) -> Vec<Issue> {
        let Some(condition) = &self.condition else { return Vec::new() };
        let variables = [("previous", &*self.resource_type), ("current", &*self.resource_type)];
        let issue = |doubt: pipehat_resource::fhirpath::Doubt| {
            let (written, known) = doubt.problem.alternatives();
            let near = nearest(written, known);
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let (column, problem) = (doubt.column, &doubt.problem);
            let text =
                format!("the criteria by FHIRPath lead nowhere: column {column}: {problem}{near}");
            Issue::error(IssueCode::BusinessRule, text).at("Subscription.extension")
        };
        condition.doubts(&self.resource_type, &variables).into_iter().map(issue).collect()
    }

    /// Whether what it is told by was changed since: where, what of a resource, or by which condition.
    pub(super) fn has_moved(&self, before: &Self) -> bool {
        let condition = |of: &Self| of.condition.as_ref().map(|one| one.as_str().to_owned());
        self.hook() != before.hook() || condition(self) != condition(before)
    }

    /// Its endpoint, where it has one.
    pub(super) fn hook(&self) -> Option<&Hook> {
        match &self.channel {
            Channel::Hook(hook) => Some(hook),
            Channel::WebSocket => None,
        }
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self, now: i64) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

/// Says in a Subscription which client wrote it: an extension that only the server sets.
const CLIENT: &str = "urn:pipehat:subscription-client";

/// The client that wrote a Subscription.
fn client_of(resource: &Value) -> Option<&str> {
    resource.items("extension").iter().find(|extension| is_client(extension))?.text("valueString")
}

fn is_client(extension: &Value) -> bool {
    extension.text("url") == Some(CLIENT)
}

/// Writes into a Subscription which client wrote it; `None` for one that can't be revoked. What somebody else wrote there
/// goes.
pub(in crate::fhir) fn sign(resource: &mut Value, client: Option<&str>) {
    let mut extensions: Vec<Value> = resource
        .items("extension")
        .iter()
        .filter(|extension| !is_client(extension))
        .cloned()
        .collect();
    if let Some(client) = client {
        let signature: Object =
            [("url", Value::from(CLIENT)), ("valueString", client.into())].into_iter().collect();
        extensions.push(signature.into());
    }
    let Some(object) = resource.as_object_mut() else { return };
    if extensions.is_empty() {
        object.remove("extension");
    } else {
        object.set("extension", Value::Array(extensions));
    }
}

/// Whether a Subscription runs a bot.
pub(in crate::fhir) fn runs_bot(resource: &Value) -> bool {
    let endpoint = resource.get("channel").and_then(|channel| channel.text("endpoint"));
    endpoint.is_some_and(|endpoint| endpoint.trim().starts_with("Bot/"))
}

/// The type that criteria are about, as far as that can be made out.
pub(in crate::fhir) fn criteria_type(resource: &Value) -> Option<&str> {
    let criteria = resource.text("criteria")?.trim().trim_start_matches('/');
    Some(criteria.split_once('?').map_or(criteria, |(name, _)| name))
}

/// FHIR R4 Subscription.criteria: a search as it would stand behind the base.
fn criteria(text: &str, reading: Reading<'_>, issues: &mut Vec<Issue>) -> Option<(String, Search)> {
    const PLACE: &str = "Subscription.criteria";
    let text = text.trim().trim_start_matches('/');
    let (name, query) = text.split_once('?').unwrap_or((text, ""));
    if !reading.registry.is_resource_type(name) {
        let text = "the criteria must begin with a resource type: `Patient?active=true`";
        issues.push(Issue::error(IssueCode::BusinessRule, text).at(PLACE));
        return None;
    }
    if name == "AuditEvent" {
        let text = "AuditEvents are made when they are asked for, and no Subscription is told of one; search for them";
        issues.push(Issue::error(IssueCode::NotSupported, text).at(PLACE));
        return None;
    }
    let options = SearchOptions {
        base_url: reading.base,
        handling: Handling::Strict,
        now: reading.now,
        only_criteria: true,
        ..SearchOptions::default()
    };
    match Search::parse(&[name], &query_pairs(query), reading.registry, &options) {
        Err(problems) => {
            issues.extend(problems.into_iter().map(|problem| {
                let code = IssueCode::ALL
                    .iter()
                    .find(|code| code.as_str() == problem.kind.issue_code())
                    .copied()
                    .unwrap_or(IssueCode::Processing);
                // What is merely wrong is told as a rule of ours: the resource itself is valid.
                let code = if code == IssueCode::Invalid { IssueCode::BusinessRule } else { code };
                Issue::error(code, problem.to_string()).at(PLACE)
            }));
            None
        }
        Ok(parsed) if parsed.search.looks_at_others() => {
            let text = "criteria that ask about other resources (chains, _has) are not supported";
            issues.push(Issue::error(IssueCode::NotSupported, text).at(PLACE));
            None
        }
        Ok(parsed) => Some((name.to_owned(), parsed.search)),
    }
}

fn channel(resource: &Value, reading: Reading<'_>, issues: &mut Vec<Issue>) -> Option<Channel> {
    let channel = resource.get("channel")?;
    match channel.text("type") {
        Some("websocket") => return Some(Channel::WebSocket),
        Some("rest-hook") => {}
        _ => {
            let text = "this server has the channels rest-hook and websocket";
            issues
                .push(Issue::error(IssueCode::NotSupported, text).at("Subscription.channel.type"));
            return None;
        }
    }
    let Some(endpoint) = channel.text("endpoint") else {
        let text = "a rest-hook needs an endpoint";
        issues
            .push(Issue::error(IssueCode::BusinessRule, text).at("Subscription.channel.endpoint"));
        return None;
    };
    let mut url = None;
    if !reading.subscribers.iter().any(|subscriber| subscriber.takes(endpoint)) {
        match reading.rules.check(endpoint) {
            Ok(checked) => url = Some(checked),
            Err(text) => issues.push(
                Issue::error(IssueCode::BusinessRule, text).at("Subscription.channel.endpoint"),
            ),
        }
    }
    let payload = channel.text("payload").map(str::trim).filter(|payload| !payload.is_empty());
    if payload.is_some_and(|payload| !is_json(payload)) {
        let text =
            "resources are sent as application/fhir+json; without a payload, nothing of them is";
        issues.push(Issue::error(IssueCode::NotSupported, text).at("Subscription.channel.payload"));
    }
    let mut headers = Vec::new();
    for (at, line) in channel.items("header").iter().enumerate() {
        let read = match line.as_str() {
            _ if at >= HEADERS_MAX => Err("a channel has at most 20 headers"),
            Some(line) => endpoint::header(line),
            None => continue,
        };
        match read {
            Ok(header) => headers.push(header),
            Err(text) => {
                let place = format!("Subscription.channel.header[{at}]");
                issues.push(Issue::error(IssueCode::BusinessRule, text).at(place));
            }
        }
        if at >= HEADERS_MAX {
            break;
        }
    }
    let secret = extension(resource, SECRET).and_then(|extension| extension.text("valueString"));
    Some(Channel::Hook(Hook {
        endpoint: endpoint.to_owned(),
        url,
        payload: payload.map(str::to_owned),
        headers,
        secret: secret.map(str::to_owned),
    }))
}

fn is_json(payload: &str) -> bool {
    let name = payload.split(';').next().unwrap_or_default().trim();
    ["application/fhir+json", "application/json", "text/json", "json"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

fn triggers(resource: &Value, issues: &mut Vec<Issue>) -> Vec<Trigger> {
    let mut triggers = Vec::new();
    for extension in extensions(resource, SUPPORTED_INTERACTION) {
        match extension.text("valueCode") {
            Some("create") => triggers.push(Trigger::Create),
            Some("update") => triggers.push(Trigger::Update),
            Some("delete") => triggers.push(Trigger::Delete),
            _ => {
                let text = "subscription-supported-interaction is create, update or delete";
                issues
                    .push(Issue::error(IssueCode::BusinessRule, text).at("Subscription.extension"));
            }
        }
    }
    if triggers.is_empty() {
        triggers = vec![Trigger::Create, Trigger::Update, Trigger::Delete];
    }
    triggers
}

fn extension<'r>(resource: &'r Value, name: &str) -> Option<&'r Value> {
    extensions(resource, name).next()
}

fn extensions<'r>(resource: &'r Value, name: &str) -> impl Iterator<Item = &'r Value> {
    let own = resource.items("extension").iter();
    let channel = resource.get("channel").map(|channel| channel.items("extension"));
    own.chain(channel.unwrap_or_default()).filter(move |extension| {
        let url = extension.text("url").and_then(|url| url.strip_prefix("https://"));
        url.is_some_and(|url| url.strip_prefix("www.").unwrap_or(url) == name)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use pipehat_resource::json::parse;

    use super::*;

    pub(in super::super) fn read(json: &str) -> Result<Subscription, Vec<String>> {
        let resource = parse(json.as_bytes()).expect("JSON");
        let (registry, rules) = (Registry::standard(), EndpointRules::default());
        let reading = Reading {
            registry: &registry,
            base: "",
            rules: &rules,
            subscribers: &[],
            now: 1_790_000_000_000_000,
        };
        let place = |issue: Issue| {
            format!("{} {}", issue.code.as_str(), issue.expression.unwrap_or_default())
        };
        Subscription::read(&resource, reading)
            .map_err(|issues| issues.into_iter().map(place).collect())
    }

    pub(in super::super) fn of(criteria: &str, channel: &str, more: &str) -> String {
        format!(
            r#"{{"resourceType":"Subscription","id":"s","status":"requested","reason":"r","criteria":"{criteria}","channel":{channel}{more}}}"#
        )
    }

    pub(in super::super) const HOOK: &str = r#"{"type":"rest-hook","endpoint":"http://127.0.0.1:9/x","payload":"application/fhir+json"}"#;

    #[track_caller]
    fn check(criteria: &str, channel: &str, more: &str, expected: &[&str]) {
        let found = read(&of(criteria, channel, more)).err().unwrap_or_default();
        assert_eq!(found, expected, "{criteria} {channel} {more}");
    }

    #[test]
    fn what_can_be_active() {
        check("Patient?name=ann&active=true", HOOK, "", &[]);
        check("Patient", HOOK, "", &[]);
        check("/Observation?code=http://loinc.org|1975-2", HOOK, "", &[]);
        check("Patient?", r#"{"type":"websocket"}"#, "", &[]);
        check("Patient", r#"{"type":"rest-hook","endpoint":"http://localhost/"}"#, "", &[]);
    }

    #[test]
    fn what_can_not() {
        check("Person?x=1", HOOK, "", &["not-supported Subscription.criteria"]);
        check("Nothing?x=1", HOOK, "", &["business-rule Subscription.criteria"]);
        check("Patient?_sort=name", HOOK, "", &["not-supported Subscription.criteria"]);
        check("Patient?birthdate=soon", HOOK, "", &["business-rule Subscription.criteria"]);
        check("Observation?patient.name=x", HOOK, "", &["not-supported Subscription.criteria"]);
        check("Patient", r#"{"type":"email"}"#, "", &["not-supported Subscription.channel.type"]);
        let place = "business-rule Subscription.channel.endpoint";
        check("Patient", r#"{"type":"rest-hook"}"#, "", &[place]);
        let elsewhere = r#"{"type":"rest-hook","endpoint":"https://example.org/"}"#;
        check("Patient", elsewhere, "", &[place]);
        let xml = r#"{"type":"rest-hook","endpoint":"http://localhost/","payload":"application/fhir+xml"}"#;
        check("Patient", xml, "", &["not-supported Subscription.channel.payload"]);
        let host =
            r#"{"type":"rest-hook","endpoint":"http://localhost/","header":["A: b","Host: x"]}"#;
        check("Patient", host, "", &["business-rule Subscription.channel.header[1]"]);
    }

    #[test]
    fn extensions_say_more() {
        let more = r#","end":"2026-12-01T00:00:00Z","extension":[
            {"url":"https://medplum.com/fhir/StructureDefinition/subscription-supported-interaction","valueCode":"delete"},
            {"url":"https://medplum.com/fhir/StructureDefinition/subscription-max-attempts","valueInteger":3},
            {"url":"https://www.medplum.com/fhir/StructureDefinition/subscription-secret","valueString":"key"}]"#;
        let read = read(&of("Patient", HOOK, more)).expect("a subscription");
        assert_eq!(read.triggers, [Trigger::Delete]);
        assert_eq!(read.attempts_max, Some(3));
        assert!(!read.is_over(1_790_000_000_000_000) && read.is_over(1_800_000_000_000_000));
        let Channel::Hook(hook) = &read.channel else { panic!("a hook") };
        assert_eq!(hook.secret.as_deref(), Some("key"));
        assert!(!format!("{read:?}").contains("key"));
        let more = r#","extension":[{"url":"https://medplum.com/fhir/StructureDefinition/fhir-path-criteria-expression","valueString":"%previous.("}]"#;
        check("Patient", HOOK, more, &["business-rule Subscription.extension"]);
    }
}
