//! Calls of bots: `$execute` and `$deploy`, whose bodies and answers are whatever the bot takes and gives.
//!
//! Running one needs `system/Bot.x`, deploying code `system/Bot.u`. A run has the bot's own scopes. An HL7 message is
//! answered by an HL7 message in the same content type, also where the bot failed: AE with an ERR segment.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pipehat_resource::json::{Value, parse};
use pipehat_resource::outcome::{Issue, IssueCode, operation_outcome};
use pipehat_store::datastore::ResourceKey;

use super::access::{AccessRequest, Permission, Principal};
use super::audit::AuditFact;
use super::head::request_id;
use super::problem::Problem;
use super::query_string::Query;
use super::recording::unaudited;
use super::render::{self, Form};
use super::service::{BASE_PATH, FhirService, now};

/// Who runs and deploys bots.
pub(crate) trait BotCalls: Send + Sync {
    /// Runs a bot.
    fn execute(&self, call: BotCall) -> BoxFuture<'_, Result<BotAnswer, Problem>>;

    /// Gives a bot code; the resource with it.
    fn deploy<'a>(&'a self, bot: Value, body: &'a [u8]) -> BoxFuture<'a, Result<Value, Problem>>;

    /// How a run stands that nobody waited for.
    fn status<'a>(&'a self, bot: &'a str, run: u64) -> BoxFuture<'a, Result<BotAnswer, Problem>>;

    /// Whether a bot is the project's, which nobody changes here.
    fn is_of_project(&self, id: &str) -> bool;

    /// The bot of the project that has this identifier.
    fn identified(&self, system: Option<&str>, value: &str) -> Option<String>;
}

/// A run that is asked for.
pub(crate) struct BotCall {
    /// The id of the bot.
    pub(crate) bot: String,
    /// Who asks, for the record.
    pub(crate) client: Arc<str>,
    /// The content type of the body.
    pub(crate) content_type: String,
    /// Headers that the bot may see.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Bytes,
    /// Whether nobody waits for it.
    pub(crate) is_async: bool,
}

/// What is answered.
pub(crate) struct BotAnswer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
    /// The run, for `Content-Location` of one that nobody waits for.
    pub(crate) run: u64,
    /// Whether it is not through yet.
    pub(crate) is_under_way: bool,
}

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Called {
    Execute(Option<String>),
    Deploy(String),
    Status(String, u64),
}

/// What an address below the base calls; none for what is no call of a bot.
fn called(method: &Method, path: &str) -> Option<Called> {
    let rest = path.strip_prefix("/Bot/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    match (method, parts.as_slice()) {
        (&Method::POST | &Method::GET, ["$execute"]) => Some(Called::Execute(None)),
        (&Method::POST | &Method::GET, [id, "$execute"]) => {
            Some(Called::Execute(Some((*id).to_owned())))
        }
        (&Method::POST, [id, "$deploy"]) => Some(Called::Deploy((*id).to_owned())),
        (&Method::GET, [id, "$execute", run]) => {
            Some(Called::Status((*id).to_owned(), run.parse().ok()?))
        }
        _ => None,
    }
}

/// Headers that a bot is not shown: they open doors, or are the connection's.
const HIDDEN: [&str; 6] =
    ["authorization", "cookie", "proxy-authorization", "host", "connection", "content-length"];

/// The most headers that a bot is shown.
const HEADERS_MAX: usize = 64;

impl FhirService {
    /// Answers a call of a bot; none for what is another matter.
    pub(super) async fn bot_call(
        &self,
        parts: &Parts,
        peer: Option<SocketAddr>,
        body: &mut Option<Body>,
    ) -> Option<Response> {
        let calls = self.bots.get()?;
        let path = parts.uri.path().strip_prefix(BASE_PATH)?;
        let called = called(&parts.method, path)?;
        let body = body.take()?;
        let request_id = request_id(&parts.headers);
        let mut form = Form::of(parts);
        let answered = self.answer_call(&**calls, called, parts, peer, body, &request_id).await;
        let mut response = match answered {
            Ok(response) => response,
            Err(problem) => {
                form.base = self.base(parts).unwrap_or_default();
                render::problem(&problem, &form).await
            }
        };
        render::common_headers(response.headers_mut(), &request_id, parts, &self.options.origins);
        Some(response)
    }

    async fn answer_call(
        &self,
        calls: &dyn BotCalls,
        called: Called,
        parts: &Parts,
        peer: Option<SocketAddr>,
        body: Body,
        request_id: &Arc<str>,
    ) -> Result<Response, Problem> {
        let path = parts.uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
        let asked = AccessRequest { method: &parts.method, path, headers: &parts.headers, peer };
        let principal = self.access.principal(asked).await.map_err(Problem::from);
        let (client, result) = match principal {
            Err(problem) => (self.access.claimed(&parts.headers), Err(problem)),
            Ok(principal) => {
                let client = Some(Arc::clone(&principal.client));
                (client, self.carry_out(calls, &called, parts, body, &principal).await)
            }
        };
        let (status, id) = match &result {
            Ok((response, id)) => (response.status(), Some(id.clone())),
            Err(problem) => (problem.status(), None),
        };
        let (interaction, named) = match called {
            Called::Execute(id) => ("$execute", id),
            Called::Deploy(id) => ("$deploy", Some(id)),
            Called::Status(id, _) => ("$execute", Some(id)),
        };
        let fact = AuditFact {
            request_id: Arc::clone(request_id),
            at: now(),
            client,
            peer,
            interaction: interaction.to_owned(),
            resource_type: Some("Bot".to_owned()),
            resource: id.or(named).map(|id| ResourceKey { resource_type: "Bot".to_owned(), id }),
            query: None,
            status,
        };
        self.audit.record(fact).await.map_err(unaudited)?;
        self.audit.settle().await.map_err(unaudited)?;
        result.map(|(response, _)| response)
    }

    async fn carry_out(
        &self,
        calls: &dyn BotCalls,
        called: &Called,
        parts: &Parts,
        body: Body,
        principal: &Principal,
    ) -> Result<(Response, String), Problem> {
        let permission = match called {
            Called::Execute(_) | Called::Status(..) => Permission::Execute,
            Called::Deploy(_) => Permission::Update,
        };
        if principal.require("Bot", permission)?.is_some() {
            return Err(super::access::forbidden(
                "this client's scope for Bot has a filter, by which no bot is run or deployed",
            ));
        }
        let mut permits = Vec::new();
        let bytes = self.body(&parts.headers, body, &mut permits).await?;
        match called {
            Called::Deploy(id) => {
                self.deploy(calls, id, &bytes, principal).await.map(|answer| (answer, id.clone()))
            }
            Called::Status(id, run) => {
                let answer = calls.status(id, *run).await?;
                Ok((self.bot_response(answer, parts, id), id.clone()))
            }
            Called::Execute(id) => {
                let query = Query::parse(parts.uri.query().unwrap_or_default())
                    .map_err(|error| Problem::bad_request(IssueCode::Value, error.to_string()))?;
                let id = match id {
                    Some(id) => id.clone(),
                    None => self.identified(calls, &query).await?,
                };
                let content_type = parts.headers.get(header::CONTENT_TYPE);
                let content_type = content_type.and_then(|value| value.to_str().ok());
                let prefers = parts.headers.get_all("prefer").iter();
                let mut prefers = prefers.filter_map(|value| value.to_str().ok());
                let call = BotCall {
                    bot: id.clone(),
                    client: Arc::clone(&principal.client),
                    // Without a body there is nothing to say a type of.
                    content_type: content_type.unwrap_or("application/json").to_owned(),
                    headers: shown(&parts.headers),
                    body: bytes,
                    is_async: prefers.any(|value| {
                        value.split([',', ';']).any(|part| part.trim() == "respond-async")
                    }),
                };
                let answer = calls.execute(call).await?;
                Ok((self.bot_response(answer, parts, &id), id))
            }
        }
    }

    async fn deploy(
        &self,
        calls: &dyn BotCalls,
        id: &str,
        body: &[u8],
        principal: &Principal,
    ) -> Result<Response, Problem> {
        let key = ResourceKey { resource_type: "Bot".to_owned(), id: id.to_owned() };
        let version = self.datastore.read(&key).await?;
        let resource = version.as_ref().and_then(|version| version.body.as_deref());
        let Some(resource) = resource.and_then(|body| parse(body.as_bytes()).ok()) else {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                IssueCode::NotFound,
                "there is no such Bot: create it first",
            ));
        };
        if calls.is_of_project(id) {
            return Err(of_project());
        }
        let deployed = calls.deploy(resource, body).await?;
        let version = version.map_or(0, |version| version.version);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
        // Nobody else's change in between is lost.
        if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{version}\"")) {
            headers.insert(header::IF_MATCH, tag);
        }
        let path = format!("Bot/{id}");
        let asked = super::local::Asked {
            method: Method::PUT,
            path: &path,
            headers,
            body: deployed.to_json().into(),
        };
        let (status, _, body) = super::local::ask(self, principal.clone(), asked).await;
        if !status.is_success() {
            let outcome = parse(&body).unwrap_or_else(|_| {
                operation_outcome(&[Issue::error(IssueCode::Exception, "the Bot can't be changed")])
            });
            return Err(Problem::with_outcome(status, outcome));
        }
        let all_ok = operation_outcome(&[Issue {
            severity: pipehat_resource::outcome::Severity::Information,
            ..Issue::error(IssueCode::Informational, "deployed")
        }]);
        Ok(raw(StatusCode::OK, "application/fhir+json; charset=utf-8", all_ok.to_json().into()))
    }

    /// The bot of `identifier=system|value`.
    async fn identified(&self, calls: &dyn BotCalls, query: &Query) -> Result<String, Problem> {
        let Some(identifier) = query.first("identifier").filter(|text| !text.is_empty()) else {
            return Err(Problem::bad_request(
                IssueCode::Required,
                "say which bot: Bot/ID/$execute, or Bot/$execute?identifier=SYSTEM|VALUE",
            )
            .at_location("identifier"));
        };
        let (system, value) = match identifier.split_once('|') {
            Some((system, value)) => (Some(system), value),
            None => (None, identifier),
        };
        if let Some(id) = calls.identified(system, value) {
            return Ok(id);
        }
        let mut search = Query::default();
        search.push("identifier", identifier);
        search.push("_count", "2");
        let path = format!("Bot?{}", search.encoded());
        let own = Principal { client: "bots".into(), scopes: super::access::Scopes::All };
        let asked = super::local::Asked {
            method: Method::GET,
            path: &path,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let (status, _, body) = super::local::ask(self, own, asked).await;
        let bundle = parse(&body).unwrap_or(Value::Null);
        let mut ids = bundle.items("entry").iter().filter_map(|entry| entry.get("resource")?.id());
        match (status.is_success(), ids.next(), ids.next()) {
            (true, Some(id), None) => Ok(id.to_owned()),
            (true, Some(_), Some(_)) => Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                IssueCode::MultipleMatches,
                "several bots have this identifier",
            )),
            (true, None, _) => Err(Problem::new(
                StatusCode::NOT_FOUND,
                IssueCode::NotFound,
                "no bot has this identifier",
            )),
            (false, ..) => {
                Err(Problem::bad_request(IssueCode::Value, "the identifier can't be searched"))
            }
        }
    }

    fn bot_response(&self, answer: BotAnswer, parts: &Parts, bot: &str) -> Response {
        let mut response = raw(answer.status, &answer.content_type, answer.body);
        let headers = response.headers_mut();
        if let Ok(run) = HeaderValue::from_str(&answer.run.to_string()) {
            headers.insert("x-pipehat-run", run);
        }
        if answer.is_under_way {
            let base = self.base(parts).unwrap_or_default();
            let place = format!("{base}/Bot/{bot}/$execute/{}", answer.run);
            if let Ok(place) = HeaderValue::from_str(&place) {
                headers.insert(header::CONTENT_LOCATION, place);
            }
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Refuses what would change a bot of the project.
pub(super) fn of_project() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        IssueCode::BusinessRule,
        "this bot is deployed from the project directory: change it there",
    )
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter().filter(|(name, _)| !HIDDEN.contains(&name.as_str()));
    let shown = shown.take(HEADERS_MAX).filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    shown.collect()
}

fn raw(status: StatusCode, content_type: &str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(value) = HeaderValue::from_str(content_type).ok().filter(|value| !value.is_empty())
    {
        headers.insert(header::CONTENT_TYPE, value);
    }
    // What a bot makes must not run as if it were ours.
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_calls() {
        let check = |method: Method, path: &str, expected: Option<Called>| {
            assert_eq!(called(&method, path), expected, "{path}");
        };
        check(Method::POST, "/Bot/$execute", Some(Called::Execute(None)));
        check(Method::POST, "/Bot/a/$execute", Some(Called::Execute(Some("a".to_owned()))));
        check(Method::POST, "/Bot/a/$deploy", Some(Called::Deploy("a".to_owned())));
        check(Method::GET, "/Bot/a/$execute/7", Some(Called::Status("a".to_owned(), 7)));
        check(Method::GET, "/Bot/a/$deploy", None);
        check(Method::GET, "/Bot/a", None);
        check(Method::POST, "/Patient/a/$execute", None);
        check(Method::GET, "/Bot/a/$execute/x", None);
    }
}
