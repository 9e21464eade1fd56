//! The API's driver: a request comes in by HTTP, an interaction is performed, its answer goes out.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::routing::{any, get};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use pipehat_resource::outcome::IssueCode;
use pipehat_resource::search::Registry;
use pipehat_store::datastore::{Datastore, ResourceKey};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::access::{Access, AccessRequest, Principal};
use super::address::{Call, OperationScope, SearchScope, call};
use super::answer::Answer;
use super::audit::{AuditFact, AuditTrail, AuditUnavailable};
use super::bots::BotCalls;
use super::capability;
use super::coding;
use super::conditions::Conditions;
use super::negotiation::{ContentKind, Wanted, content_kind};
use super::parameters::SearchParameters;
use super::prefer::Prefer;
use super::problem::Problem;
use super::query_string::Query;
use super::render::{self, Form};
use super::request::{Content, Request, Setting};
use super::resource::new_id;
use super::shape::Shape;
use super::subscriptions::{self, Subscriptions, WEBSOCKET_PATH};
use super::unknown_parameters;

/// Who writes the bots of the project directory.
pub(crate) const PROJECT: &str = "project";

/// Where the API stands on the server.
pub(crate) const BASE_PATH: &str = "/fhir/R4";

/// The largest body, as it was sent and decoded. Bundles of whole histories have some megabytes.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How much of all requests' bodies is in memory at once.
const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bodies are counted in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// Bodies larger than this are worked on away from the threads that serve.
const ASIDE_BYTES: usize = 512 * 1024;

/// How many requests are under way at once.
const REQUESTS_MAX: usize = 2048;

/// As much of a body that is too large is read before it is refused.
const DRAINED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What the API may be told.
#[derive(Debug, Clone, Default)]
pub struct FhirOptions {
    /// The public address of the API, where it is not what `Host` says: behind a proxy.
    pub base: Option<String>,
    /// The origins whose scripts may call; `*` for every one. Empty: none.
    pub origins: Vec<String>,
}

/// The FHIR R4 REST API over a datastore.
pub struct FhirService {
    pub(super) datastore: Arc<dyn Datastore>,
    pub(super) parameters: Arc<SearchParameters>,
    pub(super) access: Arc<dyn Access>,
    pub(super) audit: Arc<dyn AuditTrail>,
    pub(super) options: FhirOptions,
    /// Who runs bots, once somebody does.
    pub(super) bots: OnceLock<Arc<dyn BotCalls>>,
    bodies: Semaphore,
    requests: Semaphore,
    started: i64,
    pub(super) subscriptions: Option<Arc<Subscriptions>>,
    statement: Mutex<Option<Statement>>,
}

/// A CapabilityStatement and what it was made for.
struct Statement {
    base: String,
    registry: Arc<Registry>,
    json: Arc<str>,
}

impl FhirService {
    /// The API over a datastore.
    pub fn new(
        datastore: Arc<dyn Datastore>,
        parameters: Arc<SearchParameters>,
        access: Arc<dyn Access>,
        audit: Arc<dyn AuditTrail>,
        options: FhirOptions,
    ) -> Self {
        Self {
            datastore,
            parameters,
            access,
            audit,
            options,
            bots: OnceLock::new(),
            bodies: Semaphore::new(BODIES_BYTES_MAX / PIECE_BYTES),
            requests: Semaphore::new(REQUESTS_MAX),
            started: now(),
            subscriptions: None,
            statement: Mutex::new(None),
        }
    }

    /// With Subscriptions: they are checked, announced, and there is a websocket for them.
    #[must_use]
    pub fn with_subscriptions(self, subscriptions: Arc<Subscriptions>) -> Self {
        Self { subscriptions: Some(subscriptions), ..self }
    }

    /// From now on bots are run by this.
    pub(crate) fn use_bots(&self, bots: Arc<dyn BotCalls>) {
        // It is set once, when the node starts.
        let _ = self.bots.set(bots);
    }

    /// The routes of the API.
    pub fn router(self: &Arc<Self>) -> Router {
        let mut routes = Router::new();
        if self.subscriptions.is_some() {
            routes = routes.route(WEBSOCKET_PATH, get(listen));
        }
        routes
            .route("/fhir/R4", any(handle))
            .route("/fhir/R4/", any(handle))
            .route("/fhir/R4/{*below}", any(handle))
            .with_state(Arc::clone(self))
    }

    /// Whether there is a resource type of this name.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.parameters.registry().is_resource_type(name)
    }

    pub(super) async fn serve(
        &self,
        parts: Parts,
        peer: Option<SocketAddr>,
        body: Body,
    ) -> Response {
        let request_id = request_id(&parts.headers);
        if let Some(response) = render::preflight(&parts, &self.options.origins) {
            return response;
        }
        let mut form = Form::of(&parts);
        let work = self.work(&parts, peer, body, &request_id, &mut form);
        let result = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(request = &*request_id, "a request of the FHIR API failed by a defect");
            Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                IssueCode::Exception,
                "the server failed by a defect of its own; its log has more",
            ))
        });
        let mut response = match result {
            Ok(answer) => render::answer(answer, &form).await,
            Err(problem) => render::problem(&problem, &form).await,
        };
        render::common_headers(response.headers_mut(), &request_id, &parts, &self.options.origins);
        response
    }

    async fn work(
        &self,
        parts: &Parts,
        peer: Option<SocketAddr>,
        body: Body,
        request_id: &Arc<str>,
        form: &mut Form,
    ) -> Result<Answer, Problem> {
        let Ok(_permit) = self.requests.try_acquire() else {
            return Err(busy("too many requests are under way"));
        };
        let path = parts.uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
        let read = self.read_head(parts, path, peer, request_id, form).await;
        let (mut request, kind) = match read {
            Ok(read) => read,
            Err((client, problem)) => {
                self.record(AuditFact {
                    request_id: Arc::clone(request_id),
                    at: now(),
                    client,
                    peer,
                    interaction: parts.method.as_str().to_owned(),
                    resource_type: None,
                    resource: None,
                    query: None,
                    status: problem.status(),
                })
                .await?;
                return Err(problem);
            }
        };
        let mut permits = Vec::new();
        if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
            let bytes = self.body(&parts.headers, body, &mut permits).await?;
            let bytes = decoded(&parts.headers, bytes).await?;
            take_content(&mut request, kind, bytes)?;
            if request.query.first("_format").is_some() {
                // A search's form may say it, too.
                form.json = Wanted::of(&parts.headers, &request.query)?.resource()?;
            }
            form.pretty = request.shape.pretty;
        }
        form.base.clone_from(&request.setting.base);
        if request.content.len() > ASIDE_BYTES && runs_on_many_threads() {
            // Reading and checking this much would hold up the reads that share the thread.
            let runtime = tokio::runtime::Handle::current();
            return tokio::task::block_in_place(|| runtime.block_on(self.outermost(&request)));
        }
        self.outermost(&request).await
    }

    async fn outermost(&self, request: &Request) -> Result<Answer, Problem> {
        let result = match request.call {
            Call::Bundle => {
                let result = self.bundle(request).await;
                self.told(request, result).await
            }
            _ => self.audited(request).await,
        };
        if changes(&request.call) {
            self.audit.settle().await.map_err(unaudited)?;
        }
        result
    }

    /// Everything that the head of a request says.
    async fn read_head(
        &self,
        parts: &Parts,
        path: &str,
        peer: Option<SocketAddr>,
        request_id: &Arc<str>,
        form: &mut Form,
    ) -> Result<(Request, ContentKind), (Option<Arc<str>>, Problem)> {
        let base = self.base(parts).map_err(|problem| (None, problem))?;
        let call = call(&parts.method, path, |name| self.knows(name));
        // Clients learn here how to sign in; it says nothing of patients.
        let open = matches!(call, Ok(Call::Capabilities));
        // Requests that come by HTTP have no such extension.
        let own = parts.extensions.get::<super::access::Principal>().cloned();
        let principal = if let Some(own) = own {
            own
        } else if open {
            super::access::Principal {
                client: "anybody".into(),
                scopes: super::access::Scopes::Some(Arc::new([])),
            }
        } else {
            let asked =
                AccessRequest { method: &parts.method, path, headers: &parts.headers, peer };
            self.access.principal(asked).await.map_err(|refusal| (None, refusal.into()))?
        };
        let client = Some(Arc::clone(&principal.client));
        let setting =
            Setting { base, principal, now: now(), request_id: Arc::clone(request_id), peer };
        head(parts, call, setting, form).map_err(|problem| (client, problem))
    }

    /// The public address of the API.
    pub(super) fn base(&self, parts: &Parts) -> Result<String, Problem> {
        if let Some(base) = &self.options.base {
            return Ok(base.trim_end_matches('/').to_owned());
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let host = host.unwrap_or("localhost");
        let plain = host.len() <= 255
            && host.bytes().all(|byte| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_')
            });
        if plain {
            return Ok(format!("http://{host}{BASE_PATH}"));
        }
        Err(Problem::bad_request(IssueCode::Value, "the header Host is not a host and port")
            .at_location("Host"))
    }

    /// Reads a body, as far as there is room for it.
    pub(super) async fn body<'s>(
        &'s self,
        headers: &HeaderMap,
        body: Body,
        permits: &mut Vec<SemaphorePermit<'s>>,
    ) -> Result<Bytes, Problem> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse::<usize>().ok());
        let mut body = body;
        if announced.is_some_and(|length| length > REQUEST_BYTES_MAX) {
            // What could not be read to its end is not begun.
            if announced.is_some_and(|length| length <= DRAINED_BYTES_MAX) {
                drain(&mut body).await;
            }
            return Err(too_large());
        }
        let reading = async {
            let mut first = Bytes::new();
            let mut all = BytesMut::new();
            let mut length = 0_usize;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else {
                    return Err(Problem::bad_request(
                        IssueCode::Incomplete,
                        "the body ends too early",
                    ));
                };
                let Ok(piece) = frame.into_data() else { continue };
                length = length.saturating_add(piece.len());
                if length > REQUEST_BYTES_MAX {
                    drop((first, all));
                    permits.clear();
                    drain(&mut body).await;
                    return Err(too_large());
                }
                while length.div_ceil(PIECE_BYTES) > permits.len() {
                    let permit = self.bodies.try_acquire();
                    permits.push(permit.map_err(|_| busy("too many large bodies are under way"))?);
                }
                if all.is_empty() && first.is_empty() {
                    first = piece;
                } else {
                    if all.is_empty() {
                        all.extend_from_slice(&std::mem::take(&mut first));
                    }
                    all.extend_from_slice(&piece);
                }
            }
            Ok(if all.is_empty() { first } else { all.freeze() })
        };
        tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or_else(|_| {
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                IssueCode::Timeout,
                "the body did not arrive in time",
            ))
        })
    }

    /// Performs an interaction and tells the audit.
    pub(super) async fn audited(&self, request: &Request) -> Result<Answer, Problem> {
        let result = self.perform(request).await;
        self.told(request, result).await
    }

    /// Tells the audit how an interaction ended, before anybody else learns it.
    pub(super) async fn told(
        &self,
        request: &Request,
        result: Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let status = match &result {
            Ok(answer) => answer.status,
            Err(problem) => problem.status(),
        };
        let mut fact = fact(request, status);
        if fact.resource.is_none()
            && let Ok(answer) = &result
        {
            // What was created, or found by a condition.
            fact.resource = answer.location.as_deref().and_then(key_of_address);
        }
        self.record(fact).await?;
        result
    }

    async fn record(&self, fact: AuditFact) -> Result<(), Problem> {
        self.audit.record(fact).await.map_err(unaudited)
    }

    /// Who wants to listen at the websocket; the audit is told.
    pub(super) async fn listener(
        &self,
        parts: &Parts,
        peer: Option<SocketAddr>,
    ) -> Result<Principal, Problem> {
        let path = parts.uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
        let asked = AccessRequest { method: &parts.method, path, headers: &parts.headers, peer };
        let principal = self.access.principal(asked).await.map_err(Problem::from);
        let status = match &principal {
            Ok(_) => StatusCode::SWITCHING_PROTOCOLS,
            Err(problem) => problem.status(),
        };
        self.record(AuditFact {
            request_id: request_id(&parts.headers),
            at: now(),
            client: principal.as_ref().ok().map(|principal| Arc::clone(&principal.client)),
            peer,
            interaction: "$subscriptions".to_owned(),
            resource_type: Some("Subscription".to_owned()),
            resource: None,
            query: None,
            status,
        })
        .await?;
        principal
    }

    /// Whether what somebody showed before opens something still.
    pub(super) async fn opens(&self, parts: &Parts, peer: Option<SocketAddr>) -> bool {
        let path = parts.uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
        let asked = AccessRequest { method: &parts.method, path, headers: &parts.headers, peer };
        self.access.principal(asked).await.is_ok()
    }

    async fn perform(&self, request: &Request) -> Result<Answer, Problem> {
        unknown_parameters::refuse(request)?;
        self.refuse_changed_project_bot(request)?;
        match &request.call {
            Call::Capabilities => self.capabilities(request),
            Call::Read(key) => self.read(request, key).await,
            Call::VersionRead(key, version) => self.version_read(request, key, version).await,
            Call::Create(name) => self.create(request, name).await,
            Call::Update(key) => self.update(request, key).await,
            Call::ConditionalUpdate(name) => self.conditional_update(request, name).await,
            Call::Patch(key) => self.patch(request, key).await,
            Call::ConditionalPatch(name) => self.conditional_patch(request, name).await,
            Call::Delete(key) => self.delete(request, key).await,
            Call::ConditionalDelete(name) => self.conditional_delete(request, name).await,
            Call::History(scope) => self.history(request, scope).await,
            Call::Search(scope) => self.search(request, scope).await,
            Call::Operation { name, on, by_post } => {
                self.operation(request, name, on, *by_post).await
            }
            // Bundles don't stand in Bundles, and the outermost is not performed here.
            Call::Bundle => Err(Problem::bad_request(
                IssueCode::NotSupported,
                "a batch or transaction can't stand in another",
            )),
        }
    }

    /// What stands in the project directory is changed there.
    fn refuse_changed_project_bot(&self, request: &Request) -> Result<(), Problem> {
        let (Call::Update(key) | Call::Patch(key) | Call::Delete(key)) = &request.call else {
            return Ok(());
        };
        let own = &*request.setting.principal.client == PROJECT;
        let of_project = key.resource_type == "Bot"
            && self.bots.get().is_some_and(|bots| bots.is_of_project(&key.id));
        if of_project && !own { Err(super::bots::of_project()) } else { Ok(()) }
    }

    fn capabilities(&self, request: &Request) -> Result<Answer, Problem> {
        match request.query.first("mode") {
            None | Some("full" | "normative" | "") => {}
            Some("terminology") => {
                return Err(Problem::new(
                    StatusCode::NOT_FOUND,
                    IssueCode::NotSupported,
                    "this server is no terminology service",
                )
                .at_location("mode"));
            }
            Some(_) => {
                return Err(Problem::bad_request(
                    IssueCode::Value,
                    "mode is full, normative or terminology",
                )
                .at_location("mode"));
            }
        }
        let registry = self.parameters.registry();
        let base = &request.setting.base;
        let mut cached = self.statement.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = &*cached
            && statement.base == *base
            && Arc::ptr_eq(&statement.registry, &registry)
        {
            return Ok(Answer::shared(Arc::clone(&statement.json)));
        }
        let cors = !self.options.origins.is_empty();
        let websocket = self.subscriptions.as_ref().and_then(|_| {
            let server = base.strip_suffix(BASE_PATH)?.strip_prefix("http")?;
            Some(format!("ws{server}{WEBSOCKET_PATH}"))
        });
        let about = capability::About {
            base,
            started: self.started,
            cors,
            websocket: websocket.as_deref(),
        };
        let json: Arc<str> = capability::statement(&registry, about).to_json().into();
        *cached = Some(Statement { base: base.clone(), registry, json: Arc::clone(&json) });
        Ok(Answer::shared(json))
    }
}

/// A request for the websocket of Subscriptions.
async fn listen(
    State(service): State<Arc<FhirService>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: axum::extract::Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let answered = match (upgrade, &service.subscriptions) {
        (Ok(upgrade), Some(subscriptions)) => {
            let subscriptions = Arc::clone(subscriptions);
            subscriptions::upgrade(Arc::clone(&service), subscriptions, &parts, peer, upgrade).await
        }
        _ => Err(Problem::bad_request(
            IssueCode::NotSupported,
            "this address is a websocket for Subscriptions: connect with a websocket client",
        )),
    };
    match answered {
        Ok(response) => response,
        Err(problem) => render::problem(&problem, &Form::of(&parts)).await,
    }
}

async fn handle(
    State(service): State<Arc<FhirService>>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let mut body = Some(body);
    if let Some(response) = render::preflight(&parts, &service.options.origins) {
        return response;
    }
    if let Some(response) = service.bot_call(&parts, peer, &mut body).await {
        return response;
    }
    service.serve(parts, peer, body.unwrap_or_default()).await
}

/// What the head asks, once who asks is known.
fn head(
    parts: &Parts,
    call: Result<Call, Problem>,
    setting: Setting,
    form: &mut Form,
) -> Result<(Request, ContentKind), Problem> {
    let call = call?;
    let query = Query::parse(parts.uri.query().unwrap_or_default())
        .map_err(|error| Problem::bad_request(IssueCode::Value, error.to_string()))?;
    let shape = Shape::of(&query)?;
    form.pretty = shape.pretty;
    let wanted = Wanted::of(&parts.headers, &query)?;
    if !is_binary_read(&call) {
        form.json = wanted.resource()?;
    }
    // The part that is shown of what a change gives back is all of it.
    let shape = match call {
        Call::Read(_)
        | Call::VersionRead(..)
        | Call::Search(_)
        | Call::History(_)
        | Call::Operation { .. } => shape,
        _ => Shape { pretty: shape.pretty, ..Shape::default() },
    };
    form.shape = match call {
        Call::Read(_) | Call::VersionRead(..) => shape.clone(),
        _ => Shape { pretty: shape.pretty, ..Shape::default() },
    };
    let kind = content_kind(&parts.headers)?;
    let security_context = parts.headers.get("x-security-context");
    let security_context =
        security_context.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = Request {
        call,
        conditions: Conditions::of_headers(&parts.headers)?,
        prefer: Prefer::of_headers(&parts.headers),
        content: Content::None,
        query,
        wanted,
        shape,
        security_context,
        setting: Arc::new(setting),
    };
    Ok((request, kind))
}

fn is_binary_read(call: &Call) -> bool {
    matches!(call, Call::Read(key) | Call::VersionRead(key, _) if key.resource_type == "Binary")
}

/// Puts a body where it belongs: the parameters of a form are those of the search.
fn take_content(request: &mut Request, kind: ContentKind, bytes: Bytes) -> Result<(), Problem> {
    let searches = matches!(request.call, Call::Search(_))
        || matches!(request.call, Call::Operation { .. }) && kind == ContentKind::Form;
    if !searches {
        if !bytes.is_empty() || kind != ContentKind::None {
            request.content = Content::Bytes(kind, bytes);
        }
        return Ok(());
    }
    if bytes.is_empty() {
        return Ok(());
    }
    if kind != ContentKind::Form {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueCode::NotSupported,
            "send a search with Content-Type: application/x-www-form-urlencoded",
        )
        .at_location("Content-Type"));
    }
    let wrong = |text: String| Problem::bad_request(IssueCode::Value, text);
    let text =
        std::str::from_utf8(&bytes).map_err(|_| wrong("the form is not UTF-8".to_owned()))?;
    let form = Query::parse(text).map_err(|error| wrong(error.to_string()))?;
    request.query.merge(form).map_err(|error| wrong(error.to_string()))?;
    let shape = Shape::of(&request.query)?;
    request.shape = shape;
    Ok(())
}

async fn decoded(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Problem> {
    let Some(coding) = headers.get(header::CONTENT_ENCODING) else { return Ok(body) };
    let coding = coding.to_str().unwrap_or("?").to_owned();
    let work = move || coding::decode(&coding, body, REQUEST_BYTES_MAX);
    let decoded = tokio::task::spawn_blocking(work).await.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, IssueCode::Exception, "decoding failed")
    })?;
    decoded.map_err(|error| match error {
        coding::CodingError::Unknown => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueCode::NotSupported,
            error.to_string(),
        )
        .at_location("Content-Encoding"),
        coding::CodingError::TooLarge { .. } => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, IssueCode::TooLong, error.to_string())
        }
        coding::CodingError::Damaged(_) => {
            Problem::bad_request(IssueCode::Structure, error.to_string())
                .at_location("Content-Encoding")
        }
    })
}

/// Whether an interaction may change something, so that its record must be durable before its answer.
fn changes(call: &Call) -> bool {
    match call {
        Call::Create(_)
        | Call::Update(_)
        | Call::ConditionalUpdate(_)
        | Call::Patch(_)
        | Call::ConditionalPatch(_)
        | Call::Delete(_)
        | Call::ConditionalDelete(_)
        | Call::Bundle => true,
        Call::Operation { by_post, .. } => *by_post,
        Call::Capabilities
        | Call::Read(_)
        | Call::VersionRead(..)
        | Call::History(_)
        | Call::Search(_) => false,
    }
}

pub(super) fn unaudited(error: AuditUnavailable) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        IssueCode::NoStore,
        format!("{error}; without it nothing is shown"),
    )
    .with_header(header::RETRY_AFTER, "5")
}

/// Reads on and forgets what comes. Most clients read nothing before all is sent: without this they would see a broken
/// connection and no answer.
async fn drain(body: &mut Body) {
    let reading = async {
        let mut left = DRAINED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whoever is slower than that sees no answer.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        IssueCode::TooLong,
        format!("a request has at most {REQUEST_BYTES_MAX} bytes"),
    )
}

fn busy(text: &str) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, IssueCode::Throttled, format!("{text}; try again"))
        .with_header(header::RETRY_AFTER, "1")
}

/// The client's id of a request where it can be written anywhere, or one of ours.
pub(crate) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let plain = |text: &&str| {
        (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    };
    given.filter(plain).map_or_else(|| new_id().into(), Into::into)
}

/// The resource of a version's address below the base.
fn key_of_address(address: &str) -> Option<ResourceKey> {
    let (resource_type, rest) = address.split_once('/')?;
    let (id, _) = rest.split_once('/')?;
    Some(ResourceKey { resource_type: resource_type.to_owned(), id: id.to_owned() })
}

/// What the audit is told of an interaction.
fn fact(request: &Request, status: StatusCode) -> AuditFact {
    let (interaction, resource_type, resource) = match &request.call {
        Call::Capabilities => ("capabilities", None, None),
        Call::Read(key) => ("read", None, Some(key)),
        Call::VersionRead(key, _) => ("vread", None, Some(key)),
        Call::Create(name) => ("create", Some(name), None),
        Call::Update(key) => ("update", None, Some(key)),
        Call::ConditionalUpdate(name) => ("update", Some(name), None),
        Call::Patch(key) => ("patch", None, Some(key)),
        Call::ConditionalPatch(name) => ("patch", Some(name), None),
        Call::Delete(key) => ("delete", None, Some(key)),
        Call::ConditionalDelete(name) => ("delete", Some(name), None),
        Call::History(scope) => match scope {
            pipehat_store::datastore::HistoryScope::All => ("history-system", None, None),
            pipehat_store::datastore::HistoryScope::Type(name) => {
                ("history-type", Some(name), None)
            }
            pipehat_store::datastore::HistoryScope::Resource(key) => {
                ("history-instance", None, Some(key))
            }
        },
        Call::Search(scope) => match scope {
            SearchScope::All => ("search-system", None, None),
            SearchScope::Type(name) => ("search-type", Some(name), None),
            SearchScope::Compartment(key, member) => ("search-type", member.as_ref(), Some(key)),
        },
        Call::Bundle => ("batch", None, None),
        Call::Operation { on, .. } => match on {
            OperationScope::System => ("operation", None, None),
            OperationScope::Type(name) => ("operation", Some(name), None),
            OperationScope::Resource(key) | OperationScope::Version(key, _) => {
                ("operation", None, Some(key))
            }
        },
    };
    let interaction = match &request.call {
        Call::Operation { name, .. } => format!("${name}"),
        _ => interaction.to_owned(),
    };
    let setting = &request.setting;
    let resource_type =
        resource_type.cloned().or_else(|| resource.map(|key| key.resource_type.clone()));
    AuditFact {
        request_id: Arc::clone(&setting.request_id),
        at: setting.now,
        client: Some(Arc::clone(&setting.principal.client)),
        peer: setting.peer,
        interaction,
        resource_type,
        resource: resource.cloned(),
        query: Some(request.query.encoded()).filter(|query| !query.is_empty()),
        status,
    }
}

/// Whether there are threads to leave the others' work to.
fn runs_on_many_threads() -> bool {
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    flavor == tokio::runtime::RuntimeFlavor::MultiThread
}

/// Microseconds since 1970 (UTC).
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
