//! The API's driver: a request comes in by HTTP, an interaction is performed, its answer goes out.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::routing::{any, get};
use futures_util::FutureExt;
use http::request::Parts;
use http::{Method, StatusCode, header};
use pipehat_resource::outcome::IssueCode;
use pipehat_store::datastore::Datastore;
use tokio::sync::Semaphore;

use super::access::Access;
use super::address::Call;
use super::answer::Answer;
use super::audit::AuditTrail;
use super::body::{self, decoded, take_content};
use super::bots::BotCalls;
use super::capability;
use super::head::request_id;
use super::negotiation::Wanted;
use super::parameters::SearchParameters;
use super::problem::Problem;
use super::recording::{changes, unaudited};
use super::render::{self, Form};
use super::request::Request;
use super::subscriptions::{self, Subscriptions, WEBSOCKET_PATH};
use super::unknown_parameters;

/// Who writes the bots of the project directory.
pub(crate) const PROJECT: &str = "project";

/// Where the API stands on the server.
pub(crate) const BASE_PATH: &str = "/fhir/R4";

/// Bodies larger than this are worked on away from the threads that serve.
const ASIDE_BYTES: usize = 512 * 1024;

/// How many requests are under way at once.
const REQUESTS_MAX: usize = 2048;

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
    pub(super) bodies: Semaphore,
    requests: Semaphore,
    pub(super) started: i64,
    pub(super) subscriptions: Option<Arc<Subscriptions>>,
    pub(super) statement: Mutex<Option<capability::Statement>>,
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
            bodies: body::room(),
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
                let fact = self.fact_of_head(parts, client, peer, request_id, problem.status());
                self.record(fact).await?;
                return Err(problem);
            }
        };
        let mut permits = Vec::new();
        if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
            let taken = async {
                let bytes = self.body(&parts.headers, body, &mut permits).await?;
                let bytes = decoded(&parts.headers, bytes).await?;
                take_content(&mut request, kind, bytes)
            };
            if let Err(problem) = taken.await {
                // What was asked is known, though not what was sent with it.
                return self.told(&request, Err(problem)).await;
            }
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

    pub(super) async fn perform(&self, request: &Request) -> Result<Answer, Problem> {
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

pub(super) fn busy(text: &str) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, IssueCode::Throttled, format!("{text}; try again"))
        .with_header(header::RETRY_AFTER, "1")
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
