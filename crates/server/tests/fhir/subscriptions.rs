//! Subscriptions: real changes through the API, real calls of an endpoint, a real websocket.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt};
use http::HeaderValue;
use http::{HeaderMap, StatusCode};
use pipehat_server::fhir::{
    Access, AccessRefusal, AccessRequest, Clients, Decision, Delivered, DeliveryFailure,
    FhirOptions, Notice, Patience, Permission, Principal, Scope, Scopes, SearchParameters,
    Subscriber, SubscriptionOptions, Subscriptions, TokenAccess,
};
use pipehat_store::datastore::Trigger;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use crate::harness::{Server, TOKEN, open_store};

/// The longest wait for anything that must happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server with Subscriptions, which can be stopped and started again.
struct World {
    server: Server,
    subscriptions: Arc<Subscriptions>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

struct Setup {
    patience: Patience,
    subscribers: Vec<Arc<dyn Subscriber>>,
    access: Arc<dyn Access>,
    clients: Option<Arc<dyn Clients>>,
}

impl Default for Setup {
    fn default() -> Self {
        let patience = Patience {
            first: Duration::from_millis(20),
            most: Duration::from_millis(100),
            timeout: Duration::from_secs(5),
            attempts_max: 10_000,
            ..Patience::default()
        };
        let access = Arc::new(TokenAccess::new(TOKEN));
        Self { patience, subscribers: Vec::new(), access, clients: None }
    }
}

impl Setup {
    fn giving_up_after(attempts_max: u32) -> Self {
        let setup = Self::default();
        Self { patience: Patience { attempts_max, ..setup.patience }, ..setup }
    }

    async fn start(self, folder: &Path) -> World {
        self.start_beside(folder, folder).await
    }

    /// A node with a book of its own, on a datastore that others may share.
    async fn start_beside(self, folder: &Path, own: &Path) -> World {
        let parameters = Arc::new(SearchParameters::new(""));
        let datastore = open_store(folder, parameters.rules());
        let options = SubscriptionOptions {
            patience: self.patience,
            subscribers: self.subscribers,
            clients: self.clients,
            ..SubscriptionOptions::default()
        };
        let book = own.join("deliveries.sqlite");
        let subscriptions =
            Subscriptions::open(Arc::clone(&datastore), Arc::clone(&parameters), book, options);
        let subscriptions = subscriptions.await.expect("Subscriptions start");
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&subscriptions).run(stop.clone()));
        let with = Some(Arc::clone(&subscriptions));
        let server =
            Server::of(datastore, parameters, self.access, FhirOptions::default(), None, with);
        World { server, subscriptions, stop, running }
    }
}

impl World {
    async fn new() -> (Self, TempDir) {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup) -> (Self, TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        (setup.start(folder.path()).await, folder)
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.expect("they stop in good order");
    }

    /// Puts a Subscription in its place and waits until it is active.
    async fn subscribe(&self, id: &str, criteria: &str, channel: &Value) {
        self.server.put(&subscription(id, criteria, channel)).await;
        self.await_status(id, "active").await;
    }

    async fn await_status(&self, id: &str, status: &str) {
        let path = format!("/Subscription/{id}");
        eventually(status, async || self.server.get(&path).await.value()["status"] == status).await;
    }

    async fn put_patient(&self, id: &str, family: &str, active: bool) -> Value {
        self.server.put(&patient(id, family, active)).await.value()
    }

    async fn delete(&self, path: &str) {
        self.server.send(&format!("DELETE {path}"), "", "").await.expect(204);
    }

    async fn figures(&self) -> (u64, u64, u64) {
        let figures = self.subscriptions.figures().await.expect("figures");
        (figures.active, figures.waiting, figures.dead_letters)
    }
}

fn subscription(id: &str, criteria: &str, channel: &Value) -> Value {
    json!({ "resourceType": "Subscription", "id": id, "status": "requested", "reason": "a test",
        "criteria": criteria, "channel": channel })
}

fn patient(id: &str, family: &str, active: bool) -> Value {
    json!({ "resourceType": "Patient", "id": id, "active": active, "name": [{ "family": family }] })
}

/// Waits until something holds, for as long as it may take.
async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A request that an endpoint got.
#[derive(Debug, Clone)]
struct Call {
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// `interaction Type/id/_history/version`.
    fn what(&self) -> String {
        format!("{} {}", self.header("x-pipehat-interaction"), self.header("x-pipehat-resource"))
    }
}

/// What a listener is told next, heartbeats passed over.
async fn next_text<S>(socket: &mut S) -> String
where
    S: Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
{
    let heard = async {
        loop {
            match socket.next().await.expect("open").expect("a message") {
                Message::Text(text) => return text.to_string(),
                Message::Close(_) => return "closed".to_owned(),
                _ => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, heard).await.expect("it is told something")
}

type Answer = Box<dyn Fn(&Call) -> u16 + Send + Sync>;

/// An endpoint.
#[derive(Clone)]
struct Hook {
    inner: Arc<HookInner>,
    address: SocketAddr,
}

struct HookInner {
    answer: Mutex<Answer>,
    /// What was answered with 200.
    taken: watch::Sender<Vec<Call>>,
    refused: watch::Sender<u64>,
}

impl Hook {
    async fn start() -> Self {
        let inner = Arc::new(HookInner {
            answer: Mutex::new(Box::new(|_| 200)),
            taken: watch::Sender::new(Vec::new()),
            refused: watch::Sender::new(0),
        });
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { inner, address }
    }

    fn answers(&self, answer: impl Fn(&Call) -> u16 + Send + Sync + 'static) {
        *self.inner.answer.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(answer);
    }

    fn channel(&self) -> Value {
        let endpoint = format!("http://{}/hook", self.address);
        json!({ "type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json" })
    }

    /// Waits until so many calls were taken, and gives all.
    async fn taken(&self, count: usize) -> Vec<Call> {
        let mut taken = self.inner.taken.subscribe();
        let calls = tokio::time::timeout(DEADLINE, taken.wait_for(|calls| calls.len() >= count));
        match calls.await {
            Ok(calls) => calls.expect("the endpoint lives").clone(),
            Err(_) => panic!("{count} calls never came: {:?}", self.whats()),
        }
    }

    async fn refused(&self, count: u64) {
        let mut refused = self.inner.refused.subscribe();
        let enough = tokio::time::timeout(DEADLINE, refused.wait_for(|refused| *refused >= count));
        enough.await.expect("calls come").expect("the endpoint lives");
    }

    fn whats(&self) -> Vec<String> {
        self.inner.taken.borrow().iter().map(Call::what).collect()
    }
}

async fn answer(State(hook): State<Arc<HookInner>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let call = Call { headers, body };
    let status = {
        let answer = hook.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer(&call)
    };
    if status == 200 {
        hook.taken.send_modify(|taken| taken.push(call));
    } else {
        hook.refused.send_modify(|refused| *refused += 1);
    }
    StatusCode::from_u16(status).expect("a status")
}

#[tokio::test]
async fn creates_updates_and_deletions_are_told() {
    let (world, _folder) = World::new().await;
    let hook = Hook::start().await;
    let mut channel = hook.channel();
    channel["header"] = json!(["X-Key: 7", "Authorization: Bearer theirs"]);
    let mut asked = subscription("s", "Patient?active=true", &channel);
    asked["extension"] = json!([{ "valueString": "secret",
        "url": "https://www.medplum.com/fhir/StructureDefinition/subscription-secret" }]);
    world.server.put(&asked).await;
    // It takes effect behind its own change, active already or not.
    let first = world.put_patient("p", "Ash", true).await;
    world.put_patient("other", "Elm", false).await;
    world.put_patient("p", "Ash", false).await;
    world.put_patient("p", "Birch", true).await;
    world.delete("/Patient/p").await;
    world.delete("/Patient/other").await;
    world.put_patient("p", "Cedar", true).await;
    let calls = hook.taken(4).await;
    let whats: Vec<String> = calls.iter().map(Call::what).collect();
    assert_eq!(
        whats,
        [
            "create Patient/p/_history/1",
            "update Patient/p/_history/3",
            "delete Patient/p/_history/4",
            "create Patient/p/_history/5",
        ]
    );
    let [create, _, delete, _] = calls.as_slice() else { panic!("four") };
    assert_eq!(create.value(), first);
    assert_eq!(create.header("content-type"), "application/fhir+json");
    assert_eq!(create.header("x-pipehat-subscription"), "Subscription/s");
    assert_eq!((create.header("x-key"), create.header("authorization")), ("7", "Bearer theirs"));
    assert_eq!(create.header("x-signature").len(), 64);
    assert_eq!(delete.value(), json!({}));
    assert_eq!(delete.header("x-medplum-deleted-resource"), "Patient/p");
    world.await_status("s", "active").await;
    world.stop().await;
}

#[tokio::test]
async fn without_a_payload_nothing_of_a_resource_is_told() {
    let (world, _folder) = World::new().await;
    let hook = Hook::start().await;
    let mut channel = hook.channel();
    channel.as_object_mut().expect("an object").remove("payload");
    world.subscribe("s", "Patient", &channel).await;
    world.put_patient("p", "Ash", true).await;
    let calls = hook.taken(1).await;
    assert!(calls[0].body.is_empty());
    assert_eq!(calls[0].header("content-length"), "0");
    assert_eq!((calls[0].what().as_str(), calls[0].header("content-type")), (" ", ""));
    world.stop().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_in_order_and_holds_up_nobody_else() {
    let (world, _folder) = World::new().await;
    let hook = Hook::start().await;
    world.subscribe("s", "Patient", &hook.channel()).await;
    hook.answers(|call| if call.value()["id"] == "bad" { 503 } else { 200 });
    for family in ["Ash", "Birch", "Cedar"] {
        world.put_patient("bad", family, true).await;
    }
    world.put_patient("good", "Elm", true).await;
    hook.taken(1).await;
    assert_eq!(hook.whats(), ["create Patient/good/_history/1"]);
    hook.refused(10).await;
    world.put_patient("good", "Elm", false).await;
    hook.taken(2).await;
    eventually("only those of one wait", async || world.figures().await == (1, 3, 0)).await;
    hook.answers(|_| 200);
    hook.taken(5).await;
    let bad: Vec<String> = hook.whats().into_iter().filter(|what| what.contains("/bad/")).collect();
    let expected = ["create Patient/bad/_history/1", "update Patient/bad/_history/2"];
    assert_eq!(bad[..2], expected);
    assert_eq!(bad[2], "update Patient/bad/_history/3");
    eventually("nothing waits", async || world.figures().await == (1, 0, 0)).await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_given_up_is_a_dead_letter_that_can_be_delivered_again() {
    let (world, _folder) = World::with(Setup::giving_up_after(2)).await;
    let hook = Hook::start().await;
    world.subscribe("s", "Patient?active=true", &hook.channel()).await;
    hook.answers(|_| 500);
    world.put_patient("p", "Ash", true).await;
    world.put_patient("p", "Birch", true).await;
    eventually("both are given up", async || world.figures().await == (1, 0, 2)).await;
    let letters = world.subscriptions.dead_letters(None, (0, String::new()), 10).await;
    let letters = letters.expect("dead letters");
    let letter = &letters[0];
    assert_eq!((letter.subscription.as_str(), letter.resource.as_str()), ("s", "Patient/p"));
    assert_eq!((letter.attempts, letter.why.as_str(), letter.version), (2, "HTTP 500", 1));
    let said = async || world.server.get("/Subscription/s").await.value()["error"].is_string();
    eventually("the Subscription says so", said).await;
    assert_eq!(world.server.get("/Subscription/s").await.value()["status"], "active");
    let states = world.subscriptions.states().await.expect("states");
    assert_eq!((states[0].dead_letters, states[0].problem.as_deref()), (2, Some("HTTP 500")));
    let origin = format!("http://{}", hook.address);
    assert_eq!(states[0].endpoint.as_deref(), Some(origin.as_str()), "without its path");
    hook.answers(|_| 200);
    let one = world.subscriptions.redeliver(Some("s".to_owned()), Some(letter.change)).await;
    assert_eq!(one.expect("redelivered").redelivered, 1);
    hook.taken(1).await;
    assert_eq!(world.subscriptions.redeliver(None, None).await.expect("done").redelivered, 1);
    hook.taken(2).await;
    assert_eq!(hook.whats(), ["create Patient/p/_history/1", "update Patient/p/_history/2"]);
    eventually("none is left", async || world.figures().await == (1, 0, 0)).await;
    eventually("the Subscription says so no more", async || !said().await).await;
    assert_eq!(world.server.get("/Subscription/s").await.value()["status"], "active");
    world.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = Setup::default().start(folder.path()).await;
    let hook = Hook::start().await;
    world.subscribe("s", "Patient", &hook.channel()).await;
    hook.answers(|_| 503);
    world.put_patient("p", "Ash", true).await;
    hook.refused(1).await;
    // Nothing follows any more: what comes now is found at the next start, a Subscription among it.
    world.stop.cancel();
    world.running.await.expect("they stop in good order");
    world.server.put(&patient("p", "Birch", true)).await;
    let second = subscription("t", "Patient?name=cedar", &hook.channel());
    world.server.put(&second).await;
    world.server.put(&patient("p", "Cedar", true)).await;
    drop((world.server, world.subscriptions));
    hook.answers(|_| 200);
    let world = Setup::default().start(folder.path()).await;
    let calls = hook.taken(4).await;
    let of = |id: &str| -> Vec<String> {
        let own = format!("Subscription/{id}");
        let own = calls.iter().filter(|call| call.header("x-pipehat-subscription") == own);
        own.map(Call::what).collect()
    };
    assert_eq!(
        of("s"),
        [
            "create Patient/p/_history/1",
            "update Patient/p/_history/2",
            "update Patient/p/_history/3",
        ]
    );
    assert_eq!(of("t"), ["update Patient/p/_history/3"]);
    world.stop().await;
    // Once more: nothing is told twice after a stop in good order.
    let world = Setup::default().start(folder.path()).await;
    world.put_patient("last", "Elm", true).await;
    let calls = hook.taken(5).await;
    assert_eq!((calls.len(), calls[4].what()), (5, "create Patient/last/_history/1".to_owned()));
    world.stop().await;
}

#[tokio::test]
async fn changes_of_a_subscription_take_effect_at_once() {
    let (world, _folder) = World::new().await;
    let (hook, sentinel) = (Hook::start().await, Hook::start().await);
    world.subscribe("s", "Patient", &hook.channel()).await;
    world.subscribe("sentinel", "Patient", &sentinel.channel()).await;
    world.put_patient("a", "Ash", true).await;
    hook.taken(1).await;
    let mut off = subscription("s", "Patient", &hook.channel());
    off["status"] = json!("off");
    world.server.put(&off).await;
    world.put_patient("b", "Birch", true).await;
    sentinel.taken(2).await;
    world.server.put(&subscription("s", "Patient?name=elm", &hook.channel())).await;
    world.put_patient("c", "Cedar", true).await;
    world.put_patient("d", "Elm", true).await;
    hook.taken(2).await;
    world.delete("/Subscription/s").await;
    world.put_patient("e", "Elm", true).await;
    sentinel.taken(5).await;
    assert_eq!(hook.whats(), ["create Patient/a/_history/1", "create Patient/d/_history/1"]);
    // One that is over is turned off.
    let mut over = subscription("over", "Patient", &hook.channel());
    over["end"] = json!("2020-01-01T00:00:00Z");
    world.server.put(&over).await;
    world.await_status("over", "off").await;
    world.stop().await;
}

#[tokio::test]
async fn a_changed_endpoint_gets_what_waited() {
    let setup = Setup::default();
    let patience = Patience {
        first: Duration::from_secs(600),
        most: Duration::from_secs(600),
        ..setup.patience
    };
    let (world, _folder) = World::with(Setup { patience, ..setup }).await;
    let (old, new) = (Hook::start().await, Hook::start().await);
    old.answers(|_| 404);
    world.subscribe("s", "Patient", &old.channel()).await;
    world.put_patient("p", "Ash", true).await;
    old.refused(1).await;
    world.server.put(&subscription("s", "Patient", &new.channel())).await;
    assert_eq!(new.taken(1).await[0].what(), "create Patient/p/_history/1");
    world.stop().await;
}

/// Takes what is for bots, and fails when it is let go.
struct Held {
    called: watch::Sender<u64>,
    let_go: watch::Sender<bool>,
}

impl Subscriber for Held {
    fn takes(&self, endpoint: &str) -> bool {
        endpoint.starts_with("Bot/")
    }

    fn deliver<'a>(&'a self, _: &'a str, _: &'a Notice) -> Delivered<'a> {
        Box::pin(async move {
            self.called.send_modify(|called| *called += 1);
            let _ = self.let_go.subscribe().wait_for(|let_go| *let_go).await;
            Err(DeliveryFailure::new("not here"))
        })
    }
}

#[tokio::test]
async fn what_was_under_way_when_the_endpoint_changed_goes_to_the_new_one() {
    let setup = Setup::default();
    let patience = Patience {
        first: Duration::from_secs(600),
        most: Duration::from_secs(600),
        timeout: DEADLINE,
        attempts_max: 1,
        ..setup.patience
    };
    let held = Arc::new(Held { called: watch::Sender::new(0), let_go: watch::Sender::new(false) });
    let subscribers: Vec<Arc<dyn Subscriber>> = vec![Arc::clone(&held) as Arc<dyn Subscriber>];
    let (world, _folder) = World::with(Setup { patience, subscribers, ..setup }).await;
    let old = json!({ "type": "rest-hook", "endpoint": "Bot/b" });
    world.subscribe("s", "Patient", &old).await;
    let new = Hook::start().await;
    // As many as take an endpoint for one that is down.
    for number in 0..8 {
        world.put_patient(&format!("p{number}"), "Ash", true).await;
    }
    let mut called = held.called.subscribe();
    let all = tokio::time::timeout(DEADLINE, called.wait_for(|called| *called >= 4)).await;
    all.expect("the old one is called").expect("it lives");
    world.subscribe("s", "Patient", &new.channel()).await;
    held.let_go.send_replace(true);
    let mut taken: Vec<String> = new.taken(8).await.iter().map(Call::what).collect();
    taken.sort();
    let expected: Vec<String> =
        (0..8).map(|number| format!("create Patient/p{number}/_history/1")).collect();
    assert_eq!(taken, expected);
    assert_eq!(*held.called.borrow(), 4);
    world.stop().await;
}

/// Takes what is for bots but of those called `Hang`, of which it never ends.
struct Hanging(watch::Sender<Vec<String>>);

impl Subscriber for Hanging {
    fn takes(&self, endpoint: &str) -> bool {
        endpoint.starts_with("Bot/")
    }

    fn deliver<'a>(&'a self, _: &'a str, notice: &'a Notice) -> Delivered<'a> {
        Box::pin(async move {
            if notice.body.as_deref().is_some_and(|body| body.contains("\"Hang\"")) {
                std::future::pending::<()>().await;
            }
            self.0.send_modify(|taken| taken.push(notice.key.id.clone()));
            Ok(())
        })
    }
}

#[tokio::test]
async fn resources_at_which_an_endpoint_hangs_do_not_hold_up_the_others() {
    let setup = Setup::default();
    // So long that none of them has failed when the test ends.
    let patience = Patience { timeout: Duration::from_secs(600), ..setup.patience };
    let hanging = Arc::new(Hanging(watch::Sender::new(Vec::new())));
    let subscribers: Vec<Arc<dyn Subscriber>> = vec![Arc::clone(&hanging) as Arc<dyn Subscriber>];
    let (world, _folder) = World::with(Setup { patience, subscribers, ..setup }).await;
    let channel =
        json!({ "type": "rest-hook", "endpoint": "Bot/b", "payload": "application/fhir+json" });
    world.subscribe("s", "Patient", &channel).await;
    for number in 0..8 {
        world.put_patient(&format!("h{number}"), "Hang", true).await;
    }
    for number in 0..20 {
        world.put_patient(&format!("p{number}"), "Ash", true).await;
    }
    let mut taken = hanging.0.subscribe();
    let taken = tokio::time::timeout(DEADLINE, taken.wait_for(|taken| taken.len() == 20)).await;
    taken.expect("the others are told").expect("it lives");
    world.stop().await;
}

#[tokio::test]
async fn what_can_not_be_active_is_refused() {
    let (world, _folder) = World::new().await;
    let hook = Hook::start().await;
    let elsewhere =
        json!({ "type": "rest-hook", "endpoint": "http://169.254.169.254/latest/meta-data" });
    let email = json!({ "type": "email", "endpoint": "mailto:a@example.org" });
    for (criteria, channel, code) in [
        ("Patient?nothing=1", hook.channel(), "not-supported"),
        ("AuditEvent", hook.channel(), "not-supported"),
        ("AuditEvent?action=R", hook.channel(), "not-supported"),
        ("Nothing?active=true", hook.channel(), "business-rule"),
        ("?active=true", hook.channel(), "business-rule"),
        ("Patient?organization.name=x", hook.channel(), "not-supported"),
        ("Patient?birthdate=soon", hook.channel(), "business-rule"),
        ("Patient", elsewhere.clone(), "business-rule"),
        ("Patient", email, "not-supported"),
    ] {
        let asked = subscription("s", criteria, &channel);
        world.server.json("PUT /Subscription/s", &asked).await.refused(422, code);
        // One that is off may say anything.
        let mut off = asked;
        off["status"] = json!("off");
        world.server.put(&off).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn one_that_came_by_another_way_has_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = Setup::default().start(folder.path()).await;
    // A patch is not known beforehand.
    let hook = Hook::start().await;
    world.subscribe("s", "Patient", &hook.channel()).await;
    let patch = json!([{ "op": "replace", "path": "/criteria", "value": "Patient?nothing=1" }]);
    let reply = world.server.send(
        "PATCH /Subscription/s",
        "content-type: application/json-patch+json",
        patch.to_string(),
    );
    reply.await.expect(200);
    world.await_status("s", "error").await;
    let error = world.server.get("/Subscription/s").await.value()["error"].to_string();
    assert!(error.contains("nothing"), "{error}");
    assert_eq!(world.figures().await.0, 0);
    world.stop().await;
}

/// A Subscription with criteria by FHIRPath.
fn with_condition(id: &str, channel: &Value, condition: &str) -> Value {
    let mut asked = subscription(id, "Patient", channel);
    asked["extension"] = json!([{ "valueString": condition,
        "url": "https://medplum.com/fhir/StructureDefinition/fhir-path-criteria-expression" }]);
    asked
}

#[tokio::test]
async fn a_condition_that_leads_nowhere_is_refused() {
    let (world, _folder) = World::new().await;
    let hook = Hook::start().await;
    for (condition, said) in [
        ("%foo = 1", "column 1: there is no variable `%foo`"),
        ("%current.nosuch = 1", "Patient has no element `nosuch`"),
        ("%previous.gender = 'femal'", "did you mean `female`?"),
        ("Encounter.status = 'planned'", "is of type Patient, and not Encounter"),
        ("%current.(", "can't be read"),
    ] {
        let mut asked = with_condition("s", &hook.channel(), condition);
        let reply = world.server.json("PUT /Subscription/s", &asked).await;
        let text = reply.value().to_string();
        reply.refused(422, "business-rule");
        assert!(text.contains(said), "{condition}: {text}");
        asked["status"] = json!("off");
        world.server.put(&asked).await;
    }
    let asked = with_condition("s", &hook.channel(), "%current.active and %previous.active.not()");
    world.server.put(&asked).await;
    world.await_status("s", "active").await;
    world.stop().await;
}

#[tokio::test]
async fn a_condition_that_fails_is_a_failure_and_no_silence() {
    let (world, _folder) = World::new().await;
    let hook = Hook::start().await;
    let condition = "%current.name.single().family = 'Elm'";
    world.server.put(&with_condition("s", &hook.channel(), condition)).await;
    world.await_status("s", "active").await;
    let mut two = patient("two", "Secret", true);
    two["name"] = json!([{ "family": "Secret" }, { "family": "Elm" }]);
    world.server.put(&two).await;
    // R4: the server has an error, and says which; nothing of a patient.
    world.await_status("s", "error").await;
    let error = async || world.server.get("/Subscription/s").await.value()["error"].clone();
    let said = error().await.as_str().expect("a text").to_owned();
    assert!(said.contains("FHIRPath") && said.contains("expected one item"), "{said}");
    assert!(!said.contains("Secret") && !said.contains("Elm"), "{said}");
    let failing = async || {
        let states = world.subscriptions.states().await.expect("states");
        let state = &states[0];
        state.active
            && (state.waiting, state.failing) == (1, 1)
            && state.problem.as_deref().is_some_and(|why| why.contains("expected one item"))
    };
    eventually("people see it", failing).await;
    // It goes on with all others meanwhile.
    world.put_patient("no", "Ash", true).await;
    world.put_patient("yes", "Elm", true).await;
    hook.taken(1).await;
    assert_eq!(hook.whats(), ["create Patient/yes/_history/1"]);
    eventually("one alone waits", async || world.figures().await == (1, 1, 0)).await;
    assert_eq!(error().await.as_str(), Some(said.as_str()));
    // Mended, what waited is decided anew.
    let mended = "%current.name.where(family = 'Elm').exists()";
    world.server.put(&with_condition("s", &hook.channel(), mended)).await;
    hook.taken(2).await;
    assert_eq!(hook.whats()[1], "create Patient/two/_history/1");
    world.await_status("s", "active").await;
    eventually("the error is gone", async || error().await.is_null()).await;
    eventually("nothing waits", async || world.figures().await == (1, 0, 0)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_condition_that_goes_on_failing_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = Setup::giving_up_after(2).start(folder.path()).await;
    let hook = Hook::start().await;
    let condition = "%current.name.family > 5";
    world.server.put(&with_condition("s", &hook.channel(), condition)).await;
    world.await_status("s", "active").await;
    world.put_patient("p", "Ash", true).await;
    eventually("it is given up", async || world.figures().await == (1, 0, 1)).await;
    let letters = world.subscriptions.dead_letters(None, (0, String::new()), 10).await;
    let letter = &letters.expect("dead letters")[0];
    assert_eq!((letter.attempts, letter.resource.as_str()), (2, "Patient/p"));
    assert!(letter.why.contains("is not defined for these types"), "{}", letter.why);
    world.await_status("s", "error").await;
    world.stop().await;
    // Through a restart it is told, and decided when a person says so.
    let world = Setup::giving_up_after(2).start(folder.path()).await;
    world.await_status("s", "error").await;
    world.server.put(&with_condition("s", &hook.channel(), "%current.active = false")).await;
    let done = world.subscriptions.redeliver(Some("s".to_owned()), None).await;
    assert_eq!(done.expect("redelivered").redelivered, 1);
    eventually("nothing was to be told", async || world.figures().await == (1, 0, 0)).await;
    assert!(hook.whats().is_empty());
    world.await_status("s", "active").await;
    world.stop().await;
}

struct Fixed(Arc<[Scope]>);

impl Access for Fixed {
    fn principal<'a>(&'a self, _: AccessRequest<'a>) -> Decision<'a> {
        let scopes = Scopes::Some(Arc::clone(&self.0));
        Box::pin(std::future::ready(Ok(Principal { client: "lab".into(), scopes })))
    }
}

#[tokio::test]
async fn a_client_subscribes_to_what_it_may_read() {
    use Permission::{Create, Read, Update};
    let scope = |resource_type: &str, may: &[Permission]| Scope {
        resource_type: Some(resource_type.to_owned()),
        may: may.to_vec(),
        filter: None,
    };
    let scopes = [scope("Subscription", &[Create, Update, Read]), scope("Observation", &[Read])];
    let access = Arc::new(Fixed(scopes.into()));
    let (world, _folder) = World::with(Setup { access, ..Setup::default() }).await;
    let hook = Hook::start().await;
    world.server.put(&subscription("s", "Observation", &hook.channel())).await;
    let asked = subscription("t", "Patient", &hook.channel());
    for call in ["PUT /Subscription/t", "POST /Subscription", "PUT /Subscription?_id=t"] {
        world.server.json(call, &asked).await.refused(403, "forbidden");
    }
    let patch = json!([{ "op": "replace", "path": "/criteria", "value": "Patient" }]);
    let json_patch = "content-type: application/json-patch+json";
    let reply = world.server.send("PATCH /Subscription/s", json_patch, patch.to_string()).await;
    reply.refused(403, "forbidden");
    world.stop().await;
}

#[tokio::test]
async fn no_patch_runs_a_bot_for_who_may_run_none() {
    use Permission::{Create, Execute, Read, Search, Update};
    let scope = |resource_type: Option<&str>, may: &[Permission]| Scope {
        resource_type: resource_type.map(str::to_owned),
        may: may.to_vec(),
        filter: None,
    };
    let all = scope(None, &[Create, Update, Read, Search]);
    for may_run in [false, true] {
        let bot = may_run.then(|| scope(Some("Bot"), &[Execute]));
        let access = Arc::new(Fixed([all.clone()].into_iter().chain(bot).collect()));
        let bots = Arc::new(Bots(watch::Sender::new(Vec::new())));
        let subscribers: Vec<Arc<dyn Subscriber>> = vec![bots];
        let (world, _folder) = World::with(Setup { access, subscribers, ..Setup::default() }).await;
        let hook = Hook::start().await;
        world.server.put(&subscription("s", "Observation", &hook.channel())).await;
        let json_patch =
            json!([{ "op": "replace", "path": "/channel/endpoint", "value": "Bot/b" }]);
        let merge_patch = json!({ "channel": { "endpoint": "Bot/b" } });
        let fhirpath_patch = json!({ "resourceType": "Parameters", "parameter": [{
            "name": "operation",
            "part": [
                { "name": "type", "valueCode": "replace" },
                { "name": "path", "valueString": "Subscription.channel.endpoint" },
                { "name": "value", "valueUrl": "Bot/b" }
            ]
        }] });
        let entry = |url: &str| {
            json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
                "resource": { "resourceType": "Binary", "contentType": "application/json-patch+json",
                    "data": STANDARD.encode(json_patch.to_string()) },
                "request": { "method": "PATCH", "url": url }
            }] })
        };
        let fhir = "content-type: application/fhir+json";
        let of_json = "content-type: application/json-patch+json";
        let merge = "content-type: application/merge-patch+json";
        let asked = [
            ("PATCH /Subscription/s", of_json, &json_patch),
            ("PATCH /Subscription?_id=s", of_json, &json_patch),
            ("PATCH /Subscription/s", merge, &merge_patch),
            ("PATCH /Subscription/s", fhir, &fhirpath_patch),
            ("POST /", fhir, &entry("Subscription/s")),
            ("POST /", fhir, &entry("Subscription?_id=s")),
        ];
        for (call, content_type, body) in asked {
            let reply = world.server.send(call, content_type, body.to_string()).await;
            if may_run {
                reply.expect(200);
            } else {
                reply.refused(403, "forbidden");
                // What runs no bot it may patch.
                let end = json!([{ "op": "replace", "path": "/reason", "value": "other" }]);
                let reply = world.server.send("PATCH /Subscription/s", of_json, end.to_string());
                reply.await.expect(200);
            }
        }
        let stands = world.server.get("/Subscription/s").await.value();
        let runs = stands["channel"]["endpoint"].as_str().unwrap_or_default().contains("Bot/");
        assert_eq!(runs, may_run);
        world.stop().await;
    }
}

/// Takes what is for bots.
struct Bots(watch::Sender<Vec<(String, u64, Trigger, u32)>>);

impl Subscriber for Bots {
    fn takes(&self, endpoint: &str) -> bool {
        endpoint.starts_with("Bot/")
    }

    fn deliver<'a>(&'a self, endpoint: &'a str, notice: &'a Notice) -> Delivered<'a> {
        Box::pin(async move {
            assert_eq!(endpoint, "Bot/b");
            let body = notice.body.as_deref().unwrap_or_default();
            if notice.attempts == 0 {
                return Err(DeliveryFailure::new("not yet"));
            }
            let family = body.split("\"family\":\"").nth(1).unwrap_or_default();
            let family = family.split('"').next().unwrap_or_default().to_owned();
            let told = (family, notice.version, notice.trigger, notice.attempts);
            self.0.send_modify(|all| all.push(told));
            Ok(())
        })
    }
}

#[tokio::test]
async fn subscribers_take_endpoints_of_their_own() {
    let bots = Arc::new(Bots(watch::Sender::new(Vec::new())));
    let subscribers: Vec<Arc<dyn Subscriber>> = vec![Arc::clone(&bots) as Arc<dyn Subscriber>];
    let (world, _folder) = World::with(Setup { subscribers, ..Setup::default() }).await;
    let channel = json!({ "type": "rest-hook", "endpoint": "Bot/b" });
    world.subscribe("s", "Patient", &channel).await;
    world.put_patient("p", "Ash", true).await;
    world.put_patient("p", "Birch", true).await;
    world.delete("/Patient/p").await;
    let mut told = bots.0.subscribe();
    let told = tokio::time::timeout(DEADLINE, told.wait_for(|told| told.len() == 3)).await;
    let told = told.expect("three").expect("bots live").clone();
    assert_eq!(
        told,
        [
            ("Ash".to_owned(), 1, Trigger::Create, 1),
            ("Birch".to_owned(), 2, Trigger::Update, 1),
            ("Birch".to_owned(), 3, Trigger::Delete, 1),
        ]
    );
    world.stop().await;
}

#[tokio::test]
async fn writes_do_not_wait_for_an_endpoint_that_never_answers() {
    let (world, _folder) = World::new().await;
    // Connections are accepted by the system, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}/", silent.local_addr().expect("an address"));
    let channel =
        json!({ "type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json" });
    let hook = Hook::start().await;
    world.subscribe("dead", "Patient", &channel).await;
    world.subscribe("live", "Patient", &hook.channel()).await;
    let mut slowest = Duration::ZERO;
    for number in 0..200 {
        let begun = Instant::now();
        world.put_patient(&format!("p{number}"), "Ash", true).await;
        slowest = slowest.max(begun.elapsed());
    }
    // An attempt takes 5 s here; no write takes anything near.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    hook.taken(200).await;
    // All for the dead one.
    eventually("200 wait", async || world.figures().await == (2, 200, 0)).await;
    world.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), world.running)
        .await
        .expect("a stop does not wait for a dead endpoint")
        .expect("they stop in good order");
}

#[tokio::test]
async fn listeners_at_the_websocket_are_pinged() {
    let (world, _folder) = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let routes = world.server.router();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let statement = world.server.get("/metadata").await.value();
    let extension = &statement["rest"][0]["extension"][0];
    let name = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket";
    assert_eq!(extension["url"], name);
    assert_eq!(extension["valueUri"], "ws://fhir.test/fhir/R4/$subscriptions");
    let url = format!("ws://{address}/fhir/R4/$subscriptions");
    let refused = tokio_tungstenite::connect_async(&url).await.expect_err("a token is needed");
    assert!(refused.to_string().contains("401"), "{refused}");

    let socket = json!({ "type": "websocket" });
    world.subscribe("w", "Patient?active=true", &socket).await;
    // Nobody listens yet: that is not lost.
    world.put_patient("early", "Ash", true).await;
    let hook = Hook::start().await;
    world.subscribe("s", "Patient", &hook.channel()).await;
    world.put_patient("early", "Ash", false).await;
    hook.taken(1).await;

    // A browser's script has no other header than this.
    let mut request = url.clone().into_client_request().expect("a request");
    let wrong = HeaderValue::from_static("bearer, wrong");
    request.headers_mut().insert("sec-websocket-protocol", wrong);
    let refused = tokio_tungstenite::connect_async(request).await.expect_err("a wrong token");
    assert!(refused.to_string().contains("401"), "{refused}");
    let mut request = url.into_client_request().expect("a request");
    let token = format!("bearer, {TOKEN}").parse().expect("a header");
    request.headers_mut().insert("sec-websocket-protocol", token);
    let (mut socket, answer) = tokio_tungstenite::connect_async(request).await.expect("a socket");
    assert_eq!(answer.headers()["sec-websocket-protocol"], "bearer");
    let mut say = async |text: &str, expected: &[&str]| {
        if !text.is_empty() {
            socket.send(Message::text(text)).await.expect("sent");
        }
        for expected in expected {
            assert_eq!(next_text(&mut socket).await, *expected);
        }
    };
    let none = "there is no such active Subscription with a websocket";
    say("hello", &["error expected `bind ` and the id of a Subscription"]).await;
    say("bind nobody", &[&format!("error nobody {none}")]).await;
    say("bind s", &[&format!("error s {none}")]).await;
    say("bind w", &["bound w", "ping w"]).await;
    world.put_patient("p", "Ash", true).await;
    say("", &["ping w"]).await;
    world.put_patient("p", "Ash", false).await;
    world.put_patient("p", "Ash", true).await;
    world.delete("/Patient/p").await;
    say("", &["ping w", "ping w"]).await;
    // What was told is not told again to the next one.
    say("bind w", &["bound w"]).await;
    // An update of the Subscription keeps who is bound; its end is told.
    world.subscribe("w", "Patient?active=false", &json!({ "type": "websocket" })).await;
    world.put_patient("q", "Ash", false).await;
    say("", &["ping w"]).await;
    world.delete("/Subscription/w").await;
    say("", &[&format!("error w {none}")]).await;
    say("bind w", &[&format!("error w {none}")]).await;
    // One that was made a moment ago, behind much else, is waited for.
    let entries: Vec<Value> = (0..400)
        .map(|n| {
            let mut resource = patient("-", "Elm", true);
            resource.as_object_mut().map(|resource| resource.remove("id"));
            json!({ "resource": resource, "request": { "method": "POST", "url": "Patient" },
                "fullUrl": format!("urn:uuid:00000000-0000-4000-8000-{n:012}") })
        })
        .collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    world
        .server
        .send("POST /", "content-type: application/fhir+json", bundle.to_string())
        .await
        .expect(200);
    let socket = json!({ "type": "websocket" });
    world.server.put(&subscription("late", "Patient?active=true", &socket)).await;
    say("bind late", &["bound late"]).await;
    world.stop.cancel();
    say("", &["closed"]).await;
    world.running.await.expect("they stop in good order");
}

/// Who has the token may do everything; all others read Subscriptions and observations.
struct Narrow;

impl Access for Narrow {
    fn principal<'a>(&'a self, request: AccessRequest<'a>) -> Decision<'a> {
        let given = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let scope = |name: &str| Scope {
            resource_type: Some(name.to_owned()),
            may: vec![Permission::Read],
            filter: None,
        };
        let scopes = match given == Some(&format!("Bearer {TOKEN}")) {
            true => Scopes::All,
            false => Scopes::Some([scope("Subscription"), scope("Observation")].into()),
        };
        Box::pin(std::future::ready(Ok(Principal { client: "lab".into(), scopes })))
    }
}

#[tokio::test]
async fn a_listener_hears_of_what_it_may_read() {
    let setup = Setup { access: Arc::new(Narrow), ..Setup::default() };
    let (world, _folder) = World::with(setup).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let routes = world.server.router();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let websocket = json!({ "type": "websocket" });
    world.subscribe("p", "Patient", &websocket).await;
    world.subscribe("o", "Observation", &websocket).await;
    let url = format!("ws://{address}/fhir/R4/$subscriptions");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
    let unread = "this client may not read all that the Subscription is about";
    for (text, expected) in [("bind p", format!("error p {unread}")), ("bind o", "bound o".into())]
    {
        socket.send(Message::text(text)).await.expect("sent");
        assert_eq!(next_text(&mut socket).await, expected);
    }
    // One that becomes about something else is heard no more.
    world.subscribe("o", "Patient", &websocket).await;
    world.put_patient("a", "Ash", true).await;
    assert_eq!(next_text(&mut socket).await, format!("error o {unread}"));
    world.subscribe("o", "Observation", &websocket).await;
    socket.send(Message::text("bind o")).await.expect("sent");
    assert_eq!(next_text(&mut socket).await, "bound o");
    world.stop().await;
}

/// Clients that have a name as their token, and may do everything until they are revoked.
#[derive(Default)]
struct Named(Mutex<Arc<HashSet<String>>>);

impl Named {
    fn revoke(&self, client: &str) {
        let mut revoked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *revoked = Arc::new(revoked.iter().cloned().chain([client.to_owned()]).collect());
    }
}

impl Clients for Named {
    fn revoked(&self) -> Arc<HashSet<String>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Access for Named {
    fn principal<'a>(&'a self, request: AccessRequest<'a>) -> Decision<'a> {
        let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let name = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("nobody");
        let may = vec![
            Permission::Create,
            Permission::Read,
            Permission::Update,
            Permission::Delete,
            Permission::Search,
        ];
        let scope = Scope { resource_type: None, may, filter: None };
        let decided = match self.revoked().contains(name) {
            true => Err(AccessRefusal::Unauthorized { challenge: "Bearer" }),
            false => Ok(Principal { client: name.into(), scopes: Scopes::Some([scope].into()) }),
        };
        Box::pin(std::future::ready(decided))
    }
}

#[tokio::test]
async fn what_a_client_subscribed_to_ends_with_it() {
    let named = Arc::new(Named::default());
    let setup = Setup {
        access: Arc::clone(&named) as _,
        clients: Some(Arc::clone(&named) as _),
        ..Setup::default()
    };
    let (world, folder) = World::with(setup).await;
    let hook = Hook::start().await;
    let as_client = |client: &str| {
        format!("authorization: Bearer {client}\ncontent-type: application/fhir+json")
    };
    let put = async |client: &str, id: &str, channel: &Value| {
        let mut asked = subscription(id, "Patient", channel);
        // Whatever a client says of who wrote it.
        asked["extension"] = json!([{ "url": "urn:pipehat:subscription-client",
            "valueString": "somebody" }]);
        let call = format!("PUT /Subscription/{id}");
        let written = world.server.send(&call, &as_client(client), asked.to_string()).await;
        let signature = &written.value()["extension"][0]["valueString"];
        assert_eq!(signature, client);
        world.await_status(id, "active").await;
    };
    put("gone", "of-gone", &hook.channel()).await;
    put("gone", "taken-over", &hook.channel()).await;
    put("stays", "taken-over", &hook.channel()).await;
    put("stays", "of-stays", &json!({ "type": "websocket" })).await;
    let patch = json!([{ "op": "remove", "path": "/extension/0" }]).to_string();
    let headers = "authorization: Bearer gone\ncontent-type: application/json-patch+json";
    let refused = world.server.send("PATCH /Subscription/of-gone", headers, patch).await;
    refused.refused(422, "not-supported");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let routes = world.server.router();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let connect = async |client: &str| {
        let url = format!("ws://{address}/fhir/R4/$subscriptions");
        let mut request = url.into_client_request().expect("a request");
        let token = format!("Bearer {client}").parse().expect("a header");
        request.headers_mut().insert("authorization", token);
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("a socket");
        socket.send(Message::text("bind of-stays")).await.expect("sent");
        assert_eq!(next_text(&mut socket).await, "bound of-stays");
        socket
    };
    let (mut gone, mut stays) = (connect("gone").await, connect("stays").await);

    named.revoke("gone");
    let closed = async {
        loop {
            match gone.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.reason.to_string(),
                Some(Ok(_)) => {}
                other => return format!("{other:?}"),
            }
        }
    };
    let closed = tokio::time::timeout(DEADLINE, closed).await.expect("it is closed");
    assert_eq!(closed, "the credentials open nothing any more");
    world.await_status("of-gone", "error").await;
    let error = world.server.get("/Subscription/of-gone").await.value()["error"].clone();
    assert_eq!(error, "the client that wrote this Subscription was revoked");
    world.put_patient("p", "Ash", true).await;
    hook.taken(1).await;
    assert_eq!(next_text(&mut stays).await, "ping of-stays");
    eventually("nothing waits", async || world.figures().await == (2, 0, 0)).await;
    world.stop().await;

    // A restart does not bring it back, were it active still.
    let setup = Setup {
        access: Arc::clone(&named) as _,
        clients: Some(Arc::clone(&named) as _),
        ..Setup::default()
    };
    let world = setup.start(folder.path()).await;
    eventually("two are active", async || world.figures().await.0 == 2).await;
    world.stop().await;
}

#[tokio::test]
async fn of_several_nodes_one_calls_and_another_goes_on() {
    if !crate::postgres::is_asked_for() {
        return;
    }
    let (folder, own) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    let first = Setup::default().start(folder.path()).await;
    let second = Setup::default().start_beside(folder.path(), own.path()).await;
    let hook = Hook::start().await;
    first.subscribe("s", "Patient", &hook.channel()).await;
    for number in 0..10 {
        let node = if number % 2 == 0 { &first } else { &second };
        node.put_patient(&format!("p{number}"), "Ash", true).await;
    }
    hook.taken(10).await;
    eventually("both have come so far", async || {
        let settled = async |world: &World| world.figures().await == (1, 0, 0);
        settled(&first).await && settled(&second).await
    })
    .await;
    let calls = |prefix: &str| hook.whats().iter().filter(|what| what.contains(prefix)).count();
    assert_eq!(calls("/p"), 10, "each once: {:?}", hook.whats());
    first.stop().await;
    for number in 0..10 {
        second.put_patient(&format!("q{number}"), "Elm", true).await;
    }
    eventually("the second goes on", async || {
        (0..10).all(|number| calls(&format!("/q{number}/")) > 0)
    })
    .await;
    second.stop().await;
}
