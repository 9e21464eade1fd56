//! The FHIR destination over real connections on this machine, and over a datastore in this process.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use pipehat_config::Diagnostics;
use pipehat_resource::search::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::CONNECTOR;
use crate::contract::{
    Behaviour, DestinationCase, MARKER, Partner, check_descriptor, check_destination, outbound,
    soon,
};
use crate::http::tests::sending::{Script, Server};
use crate::tls::testing::{Project, settings};
use crate::{
    Attempt, BuildContext, ChangeKind, Destination, FeedError, FhirChange, FhirDatastore,
    FhirRequest, FhirResponse, Health, LocalFhir, Outbound, ResourceChange,
};

mod feed;

#[test]
fn the_descriptor_is_sound() {
    check_descriptor(&CONNECTOR);
}

/// A registry with the parameter `ward`, which means this.
pub(super) fn with_ward(expression: &str) -> Arc<Registry> {
    let definition = format!(
        r#"{{"resourceType":"SearchParameter","url":"urn:ward","name":"ward","status":"active",
            "code":"ward","base":["Encounter"],"type":"string","expression":"{expression}",
            "description":"The ward."}}"#
    );
    let definition = pipehat_resource::json::parse(definition.as_bytes()).expect("JSON");
    Arc::new(Registry::standard().with(&definition).expect("a parameter"))
}

fn built(
    project: &Project,
    local: Option<&LocalFhir>,
    yaml: &str,
    health: Arc<Health>,
) -> Result<(Arc<dyn Destination>, String), String> {
    let descriptor = CONNECTOR.destination.as_ref().expect("it sends");
    let mut diagnostics = Diagnostics::new();
    let settings = settings(yaml, descriptor.schema);
    let context = BuildContext { datastore: local, ..project.context() };
    (descriptor.build)(&settings, &context, health, &mut diagnostics)
        .map(|destination| (destination, diagnostics.to_string()))
        .ok_or_else(|| diagnostics.to_string())
}

fn out(server: &Server, more: &str) -> Arc<dyn Destination> {
    let project = Project::empty();
    project.write("fhir.key", "opensesame\n");
    let yaml = format!("{{ base: \"http://{}/fhir/\", {more} }}", server.address);
    built(&project, None, &yaml, Arc::default()).expect("the settings are sound").0
}

fn patient(id: &str) -> Bytes {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"system":"urn:s","value":"1"}}],"name":[{{"family":"{MARKER}"}}]}}"#
    )
    .into()
}

async fn deliver(destination: &Arc<dyn Destination>, payload: impl Into<Bytes>) -> Attempt {
    let outbound = Outbound { bytes: payload.into(), ..outbound("SENT") };
    soon("an attempt", destination.deliver(outbound)).await
}

/// What became of a delivery, in short.
fn told(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Delivered { reply } => {
            let reply = reply.as_deref().map(String::from_utf8_lossy);
            format!("delivered {}", reply.unwrap_or_default())
        }
        Attempt::Refused { answer, .. } => format!("refused {}", answer.name),
        Attempt::NotSent { code, .. } => format!("not sent: {code}"),
        Attempt::Interrupted { code, .. } => format!("interrupted: {code}"),
        Attempt::Impossible { code, .. } => format!("impossible: {code}"),
    }
}

struct Servers;

fn script(behaviour: Behaviour) -> Script {
    match behaviour {
        Behaviour::Accept => Script::answers("201 Created", "Location: Patient/1\r\n", ""),
        Behaviour::Refuse => {
            Script::answers("422 No", "", r#"{"resourceType":"OperationOutcome"}"#)
        }
        Behaviour::DieBeforeAnswer | Behaviour::Absent => {
            Script { response: None, stays_open: false }
        }
    }
}

impl DestinationCase for Servers {
    type Partner = Server;

    fn descriptor(&self) -> &'static crate::Descriptor {
        &CONNECTOR
    }

    async fn partner(&self, behaviour: Behaviour) -> Option<Server> {
        Some(match behaviour {
            Behaviour::Absent => Server::absent().await,
            present => Server::start(script(present)).await,
        })
    }

    async fn change(&self, partner: &mut Server, behaviour: Behaviour) {
        partner.script(script(behaviour));
        if partner.running.is_none() {
            let listener = TcpListener::bind(&partner.address).await.expect("the port is free");
            partner.serve(listener, None);
        }
    }

    fn payload(&self, name: &str) -> Bytes {
        patient(name)
    }

    fn destination(&self, partner: &Server, health: Arc<Health>) -> Arc<dyn Destination> {
        let yaml = format!("{{ base: \"http://{}\" }}", partner.address);
        built(&Project::empty(), None, &yaml, health).expect("the settings are sound").0
    }
}

#[tokio::test]
async fn the_remote_destination_keeps_the_contract() {
    check_destination(Servers).await;
}

/// A datastore that notes what it is asked, and changes as it is told.
struct Noting {
    status: Mutex<StatusCode>,
    got: Mutex<Vec<FhirRequest>>,
    changes: watch::Sender<Vec<FhirChange>>,
    position: Mutex<Option<u64>>,
    registry: Mutex<Arc<Registry>>,
    notes: watch::Sender<Option<u64>>,
}

impl Noting {
    fn new(status: StatusCode) -> Arc<Self> {
        Arc::new(Self {
            status: Mutex::new(status),
            got: Mutex::default(),
            changes: watch::Sender::default(),
            position: Mutex::default(),
            registry: Mutex::new(Registry::standard()),
            notes: watch::Sender::default(),
        })
    }

    fn change(&self, change: FhirChange) {
        self.changes.send_modify(|changes| changes.push(change));
    }

    /// Waits until this position was noted.
    async fn noted(&self, position: u64) {
        let mut notes = self.notes.subscribe();
        notes.wait_for(|noted| *noted == Some(position)).await.expect("the sender lives in `self`");
    }

    fn requests(&self) -> Vec<FhirRequest> {
        self.got.lock().expect("unpoisoned").clone()
    }
}

impl FhirDatastore for Noting {
    fn exchange(&self, request: FhirRequest) -> BoxFuture<'static, FhirResponse> {
        self.got.lock().expect("unpoisoned").push(request);
        let status = *self.status.lock().expect("unpoisoned");
        async move { FhirResponse { status, headers: HeaderMap::new(), body: Bytes::new() } }
            .boxed()
    }

    fn changes(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<FhirChange>, FeedError>> {
        let changes = self.changes.borrow().clone();
        let later = changes.into_iter().filter(|change| change.number > after);
        let later = later.take(limit.min(3)).collect();
        async move { Ok(later) }.boxed()
    }

    fn newest_change(&self) -> u64 {
        self.changes.borrow().last().map_or(0, |change| change.number)
    }

    fn changed(&self, after: u64) -> BoxFuture<'static, ()> {
        let mut changes = self.changes.subscribe();
        async move {
            let is_later = |changes: &Vec<FhirChange>| {
                changes.last().is_some_and(|change| change.number > after)
            };
            if changes.wait_for(is_later).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    fn version(
        &self,
        resource_type: &str,
        id: &str,
        version: u64,
    ) -> BoxFuture<'static, Result<Option<Arc<str>>, FeedError>> {
        let changes = self.changes.borrow();
        let found = changes.iter().find(|change| {
            change.resource_type == resource_type && change.id == id && change.version == version
        });
        let found = found.and_then(|change| change.resource.clone());
        async move { Ok(found) }.boxed()
    }

    fn registry(&self) -> Arc<Registry> {
        self.registry.lock().expect("unpoisoned").clone()
    }

    fn position(&self, channel: &str) -> BoxFuture<'static, Result<Option<u64>, FeedError>> {
        assert_eq!(channel, "test");
        let position = *self.position.lock().expect("unpoisoned");
        async move { Ok(position) }.boxed()
    }

    fn keep_position(
        &self,
        channel: &str,
        change: u64,
    ) -> BoxFuture<'static, Result<(), FeedError>> {
        assert_eq!(channel, "test");
        *self.position.lock().expect("unpoisoned") = Some(change);
        self.notes.send_replace(Some(change));
        async move { Ok(()) }.boxed()
    }
}

struct Here {
    local: LocalFhir,
    datastore: Arc<Noting>,
}

impl Partner for Here {
    fn got(&self) -> Vec<Bytes> {
        self.datastore.requests().into_iter().map(|request| request.body).collect()
    }
}

struct Datastores;

fn status(behaviour: Behaviour) -> StatusCode {
    match behaviour {
        Behaviour::Refuse => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::CREATED,
    }
}

impl DestinationCase for Datastores {
    type Partner = Here;

    fn descriptor(&self) -> &'static crate::Descriptor {
        &CONNECTOR
    }

    async fn partner(&self, behaviour: Behaviour) -> Option<Here> {
        let here = Here { local: LocalFhir::default(), datastore: Noting::new(status(behaviour)) };
        match behaviour {
            // It lives and ends with us.
            Behaviour::DieBeforeAnswer => return None,
            Behaviour::Absent => {}
            Behaviour::Accept | Behaviour::Refuse => here.local.open(here.datastore.clone()),
        }
        Some(here)
    }

    async fn change(&self, partner: &mut Here, behaviour: Behaviour) {
        *partner.datastore.status.lock().expect("unpoisoned") = status(behaviour);
        partner.local.open(partner.datastore.clone());
    }

    fn payload(&self, name: &str) -> Bytes {
        patient(name)
    }

    fn destination(&self, partner: &Here, health: Arc<Health>) -> Arc<dyn Destination> {
        let local = Some(&partner.local);
        built(&Project::empty(), local, "{ base: local }", health).expect("sound").0
    }
}

#[tokio::test]
async fn the_local_destination_keeps_the_contract() {
    check_destination(Datastores).await;
}

#[tokio::test]
async fn requests_are_what_the_mode_says() {
    let server = Server::start(Script::answers("200 OK", "", "")).await;
    let check = async |more: &str, payload: Bytes, line: &str, condition: Option<&str>| {
        let attempt = deliver(&out(&server, more), payload.clone()).await;
        assert_eq!(told(&attempt), r#"delivered {"status":"200"}"#, "{more}");
        let request = server.requests().pop().expect("a request");
        assert!(request.head.starts_with(&format!("{line} HTTP/1.1\r\n")), "{}", request.head);
        assert_eq!(request.header("if-none-exist"), condition, "{more}");
        assert_eq!(request.header("content-type"), Some("application/fhir+json"));
        assert_eq!(request.header("accept"), Some("application/fhir+json"));
        assert_eq!(request.body, payload);
        request
    };
    let by_identifier = "identifier=urn%3As%7C1";
    check("mode: automatic", patient("p"), "PUT /fhir/Patient/p", None).await;
    check("mode: create", patient("p"), "POST /fhir/Patient", None).await;
    check(
        "mode: create, if_none_exist: identifier",
        patient("p"),
        "POST /fhir/Patient",
        Some(by_identifier),
    )
    .await;
    check(
        "mode: update, search: \"identifier={Patient.identifier.system}|{Patient.identifier.value}\"",
        patient("p"),
        &format!("PUT /fhir/Patient?{by_identifier}"),
        None,
    )
    .await;
    let transaction = Bytes::from(r#"{"resourceType":"Bundle","type":"transaction"}"#);
    check("mode: transaction", transaction.clone(), "POST /fhir", None).await;
    let more =
        "prefer: representation, token: secret:fhir, secret_headers: { X-Api-Key: secret:fhir }";
    let request = check(more, transaction, "POST /fhir", None).await;
    assert_eq!(request.header("prefer"), Some("return=representation"));
    assert_eq!(request.header("authorization"), Some("Bearer opensesame"));
    assert_eq!(request.header("x-api-key"), Some("opensesame"));
}

fn deletion(id: &str) -> Outbound {
    let change = ResourceChange {
        kind: ChangeKind::Delete,
        resource_type: "Patient".to_owned(),
        id: id.to_owned(),
        version: 2,
    };
    Outbound { bytes: patient(id), change: Some(Arc::new(change)), ..outbound("SENT") }
}

#[tokio::test]
async fn a_deletion_deletes_and_what_is_gone_is_deleted() {
    let server = Server::start(Script::answers("204 No Content", "", "")).await;
    let check = async |status: &str, more: &str, line: &str, expected: &str| {
        server.script(Script::answers(status, "", ""));
        let attempt = soon("an attempt", out(&server, more).deliver(deletion("p"))).await;
        let request = server.requests().pop().expect("a request");
        assert!(request.head.starts_with(&format!("{line} HTTP/1.1\r\n")), "{}", request.head);
        assert_eq!((request.header("content-type"), request.body.len()), (None, 0));
        assert!(told(&attempt).starts_with(expected), "{status}: {}", told(&attempt));
    };
    let line = "DELETE /fhir/Patient/p";
    check("204 No Content", "", line, r#"delivered {"status":"204"}"#).await;
    check("200 OK", "mode: update", line, "delivered").await;
    check("404 Not Found", "", line, r#"delivered {"status":"404"}"#).await;
    check("410 Gone", "", line, "delivered").await;
    check("409 Conflict", "", line, "refused 409").await;
    let conditional = "DELETE /fhir/Patient?identifier=urn%3As%7C1";
    check("404 Not Found", "mode: update, search: identifier", conditional, "delivered").await;
    check("412 No", "mode: update, search: identifier", conditional, "refused 412").await;

    // What was written is written as ever.
    server.script(Script::answers("404 Not Found", "", ""));
    let mut written = deletion("p");
    let change = written.change.as_deref().cloned().expect("a change");
    written.change = Some(Arc::new(ResourceChange { kind: ChangeKind::Update, ..change }));
    let attempt = soon("an attempt", out(&server, "").deliver(written)).await;
    assert_eq!(told(&attempt), "refused 404");
    let request = server.requests().pop().expect("a request");
    assert!(request.head.starts_with("PUT /fhir/Patient/p "), "{}", request.head);
}

#[tokio::test]
async fn what_a_search_finds_keeps_its_own_id() {
    let server = Server::start(Script::answers("200 OK", "", "")).await;
    let check = async |more: &str, is_change: bool, expected: Option<&str>| {
        let mut written = deletion("p");
        let change = written.change.as_deref().cloned().expect("a change");
        let change = ResourceChange { kind: ChangeKind::Update, ..change };
        written.change = is_change.then(|| Arc::new(change));
        soon("an attempt", out(&server, more).deliver(written)).await;
        let request = server.requests().pop().expect("a request");
        let resource = pipehat_resource::json::parse(&request.body).expect("JSON");
        assert_eq!(resource.id(), expected, "{more} {is_change}");
        assert_eq!(resource.items("name").len(), 1);
    };
    check("mode: update, search: identifier", true, None).await;
    check("mode: update, search: identifier", false, Some("p")).await;
    check("mode: update", true, Some("p")).await;
}

#[tokio::test]
async fn a_deletion_that_can_not_be_told_is_not_sent() {
    let server = Server::start(Script::answers("200 OK", "", "")).await;
    for more in ["mode: create", "mode: transaction"] {
        let destination = out(&server, more);
        assert!(destination.refuses_deletions().is_some(), "{more}");
        let attempt = soon("an attempt", destination.deliver(deletion("p"))).await;
        assert_eq!(told(&attempt), "impossible: fhir.no-deletion", "{more}");
    }
    assert_eq!(server.requests().len(), 0);
    for more in ["", "mode: update", "mode: update, search: identifier"] {
        assert_eq!(out(&server, more).refuses_deletions(), None, "{more}");
    }
}

#[test]
fn connecting_may_take_no_longer_than_the_whole() {
    let project = Project::empty();
    let check = |more: &str| {
        let yaml = format!("{{ base: \"http://127.0.0.1/\", {more} }}");
        built(&project, None, &yaml, Arc::default()).map(|_| ())
    };
    assert_eq!(check("timeout: 3s"), Ok(()));
    let refused = check("timeout: 3s, connect_timeout: 4s").expect_err("it is longer");
    assert!(refused.contains("includes it"), "{refused}");
}

#[tokio::test]
async fn what_can_not_be_asked_is_not_sent() {
    let server = Server::start(Script::answers("200 OK", "", "")).await;
    let check = async |more: &str, payload: &'static str, expected: &str| {
        let attempt = deliver(&out(&server, more), payload).await;
        assert_eq!(told(&attempt), format!("impossible: {expected}"), "{payload}");
    };
    check("mode: automatic", "MSH|^~\\&|A", "fhir.not-json").await;
    check("mode: automatic", r#"{"resourceType":"Patient"}"#, "fhir.no-id").await;
    check("mode: transaction", r#"{"resourceType":"Patient"}"#, "fhir.no-transaction").await;
    check("mode: update, search: identifier", r#"{"resourceType":"Patient"}"#, "fhir.condition")
        .await;
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn answers_are_judged_and_kept() {
    let server = Server::start(Script::answers("200 OK", "", "")).await;
    let check = async |status: &str, more: &str, body: &str, payload: Bytes, expected: &str| {
        server.script(Script::answers(status, more, body));
        let attempt = deliver(&out(&server, "mode: automatic"), payload).await;
        assert_eq!(told(&attempt), expected, "{status} {body}");
    };
    let headers = "Location: Patient/p/_history/1\r\nETag: W/\"1\"\r\n";
    let entry = r#"delivered {"status":"201","location":"Patient/p/_history/1","etag":"W/\"1\""}"#;
    check("201 Created", headers, "", patient("p"), entry).await;
    check("200 OK", "", "{}", patient("p"), "delivered {}").await;
    for status in ["400", "409", "412", "422", "429", "503"] {
        check(status, "", "{}", patient("p"), &format!("refused {status}")).await;
    }
    let batch = Bytes::from(r#"{"resourceType":"Bundle","type":"batch"}"#);
    let answer = |status: &str| {
        format!(r#"{{"resourceType":"Bundle","entry":[{{"response":{{"status":"{status}"}}}}]}}"#)
    };
    let all = answer("201 Created");
    check("200 OK", "", &all, batch.clone(), &format!("delivered {all}")).await;
    check("200 OK", "", &answer("422"), batch.clone(), "refused entry").await;
    check("200 OK", "", "", batch, "refused unreadable").await;
}

#[tokio::test]
async fn only_a_create_without_a_condition_may_double() {
    let server = Server::start(Script { response: None, stays_open: false }).await;
    let check = async |more: &str, expected: &str| {
        let attempt = deliver(&out(&server, more), patient("p")).await;
        assert_eq!(told(&attempt), format!("interrupted: {expected}"), "{more}");
    };
    check("mode: update", "fhir.response-lost").await;
    check("mode: create, if_none_exist: identifier", "fhir.response-lost").await;
    check("mode: create", "fhir.create-interrupted").await;
}

#[tokio::test]
async fn a_server_that_asks_us_to_wait_is_left_alone() {
    let server = Server::start(Script::answers("429 Slow", "Retry-After: 60\r\n", "")).await;
    let destination = out(&server, "mode: update");
    assert_eq!(told(&deliver(&destination, patient("p")).await), "refused 429");
    let attempt = deliver(&destination, patient("p")).await;
    assert_eq!(told(&attempt), "not sent: fhir.asked-to-wait");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_anew_when_it_is_not_taken() {
    let token = r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#;
    let tokens = Server::start(Script::answers("200 OK", "", token)).await;
    let server = Server::start(Script::answers("200 OK", "", "")).await;
    let more = format!(
        "client: {{ token_url: \"http://{}/token\", id: \"a b\", secret: secret:fhir, scope: \"system/*.cud\" }}",
        tokens.address
    );
    let destination = out(&server, &more);
    for _ in 0..2 {
        assert_eq!(
            told(&deliver(&destination, patient("p")).await),
            r#"delivered {"status":"200"}"#
        );
    }
    let asked = tokens.requests();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].head.starts_with("POST /token HTTP/1.1"), "{}", asked[0].head);
    assert_eq!(asked[0].header("authorization"), Some("Basic YStiOm9wZW5zZXNhbWU="));
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=system%2F*.cud");
    let shown = server.requests().pop().expect("a request");
    assert_eq!(shown.header("authorization"), Some("Bearer abc"));

    server.script(Script::answers("401 Who", "", ""));
    assert_eq!(told(&deliver(&destination, patient("p")).await), "refused 401");
    tokens.script(Script::answers("400 No", "", "{}"));
    assert_eq!(told(&deliver(&destination, patient("p")).await), "not sent: fhir.token-failed");
    assert_eq!((tokens.requests().len(), server.requests().len()), (2, 3));
}

#[tokio::test]
async fn the_datastore_is_told_which_channel_asks() {
    let local = LocalFhir::default();
    let datastore = Noting::new(StatusCode::OK);
    local.open(datastore.clone());
    let yaml = "{ base: local, mode: update, search: identifier }";
    let (destination, _) =
        built(&Project::empty(), Some(&local), yaml, Arc::default()).expect("sound");
    deliver(&destination, patient("p")).await;
    let request = datastore.requests().pop().expect("a request");
    assert_eq!(
        (&*request.channel, request.path.as_str()),
        ("contract", "Patient?identifier=urn%3As%7C1")
    );
    assert!(!format!("{request:?}").contains(MARKER));
}

/// A report that has to stay whose it is.
const REPORT: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
  {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=s|1"}},
  {"resource":{"resourceType":"DiagnosticReport","subject":{"reference":"urn:uuid:1"}},"request":{"method":"PUT","url":"DiagnosticReport?identifier=s|F1",
   "extension":[{"url":"urn:pipehat:keeps","extension":[{"url":"same","valueString":"subject"}]}]}}]}"#;

#[tokio::test]
async fn a_server_that_takes_no_batches_is_asked_one_by_one() {
    let set = |entry: &str| {
        let set = format!(r#"{{"resourceType":"Bundle","type":"searchset","entry":[{entry}]}}"#);
        Script::answers("200 OK", "", &set)
    };
    let stands = r#"{"resource":{"resourceType":"DiagnosticReport","id":"x","subject":{"reference":"Patient/a"}}}"#;
    let server = Server::start(set(stands)).await;
    let destination = out(&server, "");
    let bodies = |server: &Server| -> Vec<String> {
        let requests = server.requests().into_iter();
        requests.map(|own| String::from_utf8_lossy(&own.body).into_owned()).collect()
    };
    let attempt = deliver(&destination, REPORT).await;
    let Attempt::Impossible { code: "fhir.other-patient", detail } = attempt else {
        panic!("{}", told(&attempt))
    };
    assert!(
        detail.starts_with("Bundle.entry[1].resource.subject: the DiagnosticReport"),
        "{detail}"
    );
    let asked = bodies(&server);
    let [patient, batch, report] = asked.as_slice() else { panic!("three questions: {asked:?}") };
    assert!(patient.starts_with("identifier=s|1"), "{patient}");
    assert!(batch.contains(r#""type":"batch""#), "{batch}");
    assert_eq!(report, "identifier=s|F1&_elements=subject&_count=2");
    // Where nothing stands it is sent.
    server.script(set(""));
    assert!(told(&deliver(&destination, REPORT).await).starts_with("delivered"));
    let asked = bodies(&server);
    assert_eq!(asked.len(), 7);
    assert!(!asked[6].contains("urn:pipehat:keeps"), "{}", asked[6]);
}

#[tokio::test]
async fn what_a_pipehat_refuses_to_move_is_parked_whatever_the_settings() {
    let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"business-rule",
        "details":{"coding":[{"code":"pipehat-same"}],"text":"the Encounter stands"},"expression":["Bundle.entry[2].resource.subject"]}]}"#;
    let server = Server::start(Script::answers("422 No", "", outcome)).await;
    let destination = out(&server, "");
    let bundle = r#"{"resourceType":"Bundle","type":"transaction"}"#;
    let attempt = deliver(&destination, bundle).await;
    let Attempt::Impossible { code: "fhir.other-patient", detail } = attempt else {
        panic!("{}", told(&attempt))
    };
    assert_eq!(detail, "Bundle.entry[2].resource.subject: the Encounter stands");
}

#[test]
fn settings_that_make_no_sense_are_explained() {
    let project = Project::empty();
    project.write("fhir.key", "opensesame");
    let local = LocalFhir::default();
    let check = |yaml: &str, code: &str, expected: &str| {
        let made = built(&project, Some(&local), yaml, Arc::default()).map(|_| ());
        let text = made.expect_err("a mistake");
        assert!(text.contains(expected) && text.contains(code), "{yaml}: {text}");
        assert!(!text.contains("opensesame"), "{text}");
    };
    let setting = "fhir.setting";
    check("{ base: locla }", setting, "did you mean `local`?");
    check("{ base: here }", setting, "neither `local` nor the URL");
    check("{ base: fhir.example.org }", setting, "not a URL: it begins with `https://`");
    check("{ base: \"https://a/fhir?x=1\" }", setting, "no `?`");
    check("{ base: local, token: secret:fhir }", setting, "without a network");
    check("{ base: local, search: identifier }", setting, "belongs to `mode: update`");
    check("{ base: local, if_none_exist: identifier, mode: update }", setting, "`mode: create`");
    check("{ base: local, mode: update, search: identifer }", setting, "a condition is");
    let client = "client: { id: a, secret: secret:fhir, token_url: \"http://lab.example/token\" }";
    check(&format!("{{ base: \"https://lab.example\", {client} }}"), setting, "a secret is sent");
    let both = client.replace("http:", "https:");
    check(
        &format!("{{ base: \"https://lab.example\", token: secret:fhir, {both} }}"),
        setting,
        "either with `client`",
    );
    let none = built(&project, None, "{ base: local }", Arc::default()).map(|_| ());
    let text = none.expect_err("a mistake");
    assert!(text.contains("fhir.no-datastore"), "{text}");
    let warned = |yaml: &str| built(&project, Some(&local), yaml, Arc::default()).expect("sound").1;
    let mistyped = warned("{ base: local, mode: create, if_none_exist: 'identifer={Patient.id}' }");
    assert!(mistyped.contains("warning[fhir.setting]"), "{mistyped}");
    assert!(mistyped.contains("did you mean `identifier`"), "{mistyped}");
    let mistyped =
        warned("{ base: local, mode: update, search: 'identifier=a{Patient.id}&nam:exact=x' }");
    assert!(mistyped.contains("has a search parameter `nam`"), "{mistyped}");
    for sound in [
        "search: identifier",
        "search: 'name:exact={Patient.name.family}&subject.identifier=1&_tag=a'",
        "search: '_has:Observation:patient:code={Patient.id}'",
    ] {
        let told = warned(&format!("{{ base: local, mode: update, {sound} }}"));
        assert_eq!(told, "", "{sound}");
    }
    let warned = built(&project, None, "{ base: \"http://lab.example\" }", Arc::default());
    let (_, warned) = warned.expect("only a warning");
    assert!(warned.contains("warning[fhir.plaintext-connection]"), "{warned}");
}
