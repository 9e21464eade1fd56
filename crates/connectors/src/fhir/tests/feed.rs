//! What a source makes of the changes of a datastore.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use pipehat_config::Diagnostics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::CONNECTOR;
use super::{Noting, with_ward};
use crate::contract::{FakeEngine, Gate, MARKER, not_yet, soon};
use crate::tls::testing::{Project, settings};
use crate::{
    BuildContext, ChangeKind, FhirChange, Health, Inbound, LinkState, LocalFhir, ReceiptOutcome,
    Source,
};

fn source(yaml: &str, local: Option<&LocalFhir>) -> Result<Arc<dyn Source>, String> {
    let descriptor = CONNECTOR.source.as_ref().expect("it receives");
    let mut diagnostics = Diagnostics::new();
    let project = Project::empty();
    let context = BuildContext { datastore: local, ..project.context() };
    (descriptor.build)(&settings(yaml, descriptor.schema), &context, &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

fn encounter(id: &str, status: &str) -> Arc<str> {
    format!(r#"{{"resourceType":"Encounter","id":"{id}","status":"{status}","text":"{MARKER}"}}"#)
        .into()
}

fn change(number: u64, id: &str, version: u64, status: Option<&str>) -> FhirChange {
    FhirChange {
        number,
        resource_type: "Encounter".to_owned(),
        id: id.to_owned(),
        version,
        kind: match (status, version) {
            (None, _) => ChangeKind::Delete,
            (Some(_), 1) => ChangeKind::Create,
            (Some(_), _) => ChangeKind::Update,
        },
        resource: status.map(|status| encounter(id, status)),
    }
}

struct Running {
    datastore: Arc<Noting>,
    engine: Arc<FakeEngine>,
    health: Arc<Health>,
    stop: CancellationToken,
    run: JoinHandle<()>,
}

impl Running {
    async fn start(yaml: &str, datastore: &Arc<Noting>) -> Self {
        Self::start_with(yaml, datastore, FakeEngine::new(|_, _| None)).await
    }

    async fn start_with(yaml: &str, datastore: &Arc<Noting>, engine: FakeEngine) -> Self {
        let local = LocalFhir::default();
        local.open(datastore.clone());
        let source = source(yaml, Some(&local)).expect("the settings are sound");
        let (engine, health) = (engine.shared(), Arc::new(Health::default()));
        let stop = CancellationToken::new();
        let bound = soon("bind", source.bind()).await.expect("nothing is taken");
        let run = tokio::spawn(bound.run(engine.clone(), health.clone(), stop.clone()));
        Self { datastore: datastore.clone(), engine, health, stop, run }
    }

    async fn stop(self) {
        self.stop.cancel();
        soon("the source's end", self.run).await.expect("the source does not panic");
        assert_eq!(self.health.snapshot().state, LinkState::Stopped);
        let problem = self.health.snapshot().problem;
        assert!(!format!("{problem:?}").contains(MARKER), "{problem:?}");
    }
}

/// What was handed over: the kind, the resource and its version, and the part.
fn told(inbound: &Inbound) -> String {
    let header = |name: &str| {
        let found = inbound.peer.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let part = inbound.part.as_ref().expect("a part");
    format!(
        "{} {}/{} v{} #{}",
        header("fhir-change"),
        header("fhir-type"),
        header("fhir-id"),
        header("fhir-version"),
        part.index
    )
}

fn all(datastore: &Noting) {
    datastore.change(change(1, "a", 1, Some("planned")));
    datastore.change(change(2, "b", 1, Some("finished")));
    datastore.change(FhirChange {
        resource_type: "Patient".to_owned(),
        ..change(4, "p", 1, Some("finished"))
    });
    datastore.change(change(5, "a", 2, Some("finished")));
    datastore.change(change(6, "b", 2, None));
    datastore.change(change(7, "a", 3, Some("planned")));
    datastore.change(change(9, "a", 4, None));
    datastore.change(change(10, "c", 1, Some("finished")));
}

const FINISHED: &str =
    "{ criteria: \"Encounter?status=finished\", on: [create, update, delete], start: beginning }";

#[tokio::test]
async fn changes_come_in_order_and_only_those_that_meet_the_criteria() {
    let datastore = Noting::new(StatusCode::OK);
    all(&datastore);
    let running = Running::start(FINISHED, &datastore).await;
    let given = running.engine.given(4).await;
    let shown: Vec<String> = given.iter().map(told).collect();
    assert_eq!(
        shown,
        [
            "create Encounter/b v1 #2",
            "update Encounter/a v2 #5",
            "delete Encounter/b v2 #6",
            "create Encounter/c v1 #10",
        ]
    );
    // A deletion gives the version before.
    assert_eq!(given[2].bytes, Bytes::from(encounter("b", "finished").as_bytes().to_vec()));
    running.datastore.change(change(11, "d", 1, Some("finished")));
    let given = running.engine.given(5).await;
    assert_eq!(told(&given[4]), "create Encounter/d v1 #11");
    running.stop().await;

    let datastore = Noting::new(StatusCode::OK);
    all(&datastore);
    let yaml = "{ criteria: Encounter, on: [delete], start: beginning }";
    let running = Running::start(yaml, &datastore).await;
    let shown: Vec<String> = running.engine.given(2).await.iter().map(told).collect();
    assert_eq!(shown, ["delete Encounter/b v2 #6", "delete Encounter/a v4 #9"]);
    running.stop().await;
}

#[tokio::test]
async fn the_next_one_waits_until_the_one_before_is_kept() {
    let datastore = Noting::new(StatusCode::OK);
    all(&datastore);
    let engine = FakeEngine::new(|_, _| None);
    engine.receipts(Gate::Shut);
    let running = Running::start_with(FINISHED, &datastore, engine).await;
    running.engine.given(1).await;
    not_yet("a second change", running.engine.given(2)).await;
    running.engine.receipts(Gate::Open);
    running.engine.given(4).await;
    running.stop().await;
}

#[tokio::test]
async fn a_full_engine_is_waited_for_and_a_busy_one_asked_again() {
    let datastore = Noting::new(StatusCode::OK);
    all(&datastore);
    let engine = FakeEngine::new(|_, _| None);
    engine.admissions(Gate::Shut);
    engine.outcome(ReceiptOutcome::Busy);
    let running = Running::start_with(FINISHED, &datastore, engine).await;
    not_yet("a change", running.engine.given(1)).await;
    running.engine.admissions(Gate::Open);
    running.engine.given(1).await;
    running.engine.outcome(ReceiptOutcome::Kept);
    let shown: Vec<String> = running.engine.given(3).await.iter().map(told).collect();
    assert_eq!(shown[0], "create Encounter/b v1 #2");
    let again = shown.iter().filter(|shown| **shown == shown_first()).count();
    assert!(again >= 2, "{shown:?}");
    running.stop().await;
}

fn shown_first() -> String {
    "create Encounter/b v1 #2".to_owned()
}

#[tokio::test]
async fn a_start_goes_on_where_journal_and_note_say() {
    let check = async |kept: u64, noted: Option<u64>, expected: &str| {
        let datastore = Noting::new(StatusCode::OK);
        all(&datastore);
        *datastore.position.lock().expect("unpoisoned") = noted;
        let engine = FakeEngine::new(|_, _| None);
        engine.parts(kept);
        let running = Running::start_with(FINISHED, &datastore, engine).await;
        let given = running.engine.given(1).await;
        assert_eq!(told(&given[0]), expected, "{kept} {noted:?}");
        running.stop().await;
    };
    check(0, None, "create Encounter/b v1 #2").await;
    check(3, None, "update Encounter/a v2 #5").await;
    check(3, Some(5), "delete Encounter/b v2 #6").await;
    check(7, Some(2), "create Encounter/c v1 #10").await;
}

#[tokio::test]
async fn a_new_channel_begins_with_the_changes_from_now_on() {
    let datastore = Noting::new(StatusCode::OK);
    all(&datastore);
    let running = Running::start("{ criteria: Encounter }", &datastore).await;
    soon("a note", datastore.noted(10)).await;
    datastore.change(change(11, "d", 1, Some("planned")));
    assert_eq!(told(&running.engine.given(1).await[0]), "create Encounter/d v1 #11");
    running.stop().await;
    // Stopped, it has noted where it was.
    assert_eq!(*datastore.position.lock().expect("unpoisoned"), Some(11));
}

#[tokio::test]
async fn a_datastore_older_than_the_channel_is_told_of() {
    let datastore = Noting::new(StatusCode::OK);
    all(&datastore);
    *datastore.position.lock().expect("unpoisoned") = Some(12);
    let running = Running::start(FINISHED, &datastore).await;
    let told_of = async {
        while running.health.snapshot().state != LinkState::Down {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    soon("the problem", told_of).await;
    let problem = running.health.snapshot().problem.expect("a problem");
    assert_eq!(problem.code, "fhir.feed-ahead");
    assert!(problem.detail.contains("change 12") && problem.detail.contains("to 10"));
    // What the channel would hold for those it had is not taken; what comes behind it is.
    datastore.change(change(12, "x", 1, Some("finished")));
    datastore.change(change(13, "d", 1, Some("finished")));
    assert_eq!(told(&running.engine.given(1).await[0]), "create Encounter/d v1 #13");
    assert_eq!(running.health.snapshot().state, LinkState::Up);
    running.stop().await;
}

#[tokio::test]
async fn own_parameters_are_waited_for_and_nothing_is_left_out() {
    let datastore = Noting::new(StatusCode::OK);
    let yaml = "{ criteria: \"Encounter?ward=2w\", custom: [ward], start: beginning }";
    let in_ward = |id: &str, ward: &str| {
        FhirChange {
        resource: Some(
            format!(
                r#"{{"resourceType":"Encounter","id":"{id}","status":"finished","type":[{{"text":"{ward}"}}]}}"#
            )
            .into(),
        ),
        ..change(1, id, 1, Some("finished"))
    }
    };
    datastore.change(in_ward("a", "3E"));
    datastore.change(FhirChange { number: 2, ..in_ward("b", "2W") });
    let running = Running::start(yaml, &datastore).await;
    let told_of = async {
        while running.health.snapshot().state != LinkState::Down {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    soon("the problem", told_of).await;
    let problem = running.health.snapshot().problem.expect("a problem");
    assert_eq!(problem.code, "fhir.feed-parameter");
    assert!(problem.detail.contains("ward"), "{}", problem.detail);
    *datastore.registry.lock().expect("unpoisoned") = with_ward("Encounter.type.text");
    assert_eq!(told(&running.engine.given(1).await[0]), "create Encounter/b v1 #2");
    assert_eq!(running.health.snapshot().state, LinkState::Up);
    running.stop().await;
}

#[tokio::test]
async fn an_ended_channel_gets_nothing() {
    let datastore = Noting::new(StatusCode::OK);
    all(&datastore);
    let engine = FakeEngine::new(|_, _| None);
    engine.admissions(Gate::Ended);
    let running = Running::start_with(FINISHED, &datastore, engine).await;
    soon("the source's end", running.run).await.expect("the source does not panic");
    assert_eq!(running.engine.payloads(), [] as [Bytes; 0]);
}

#[test]
fn settings_that_make_no_sense_are_explained() {
    let local = LocalFhir::default();
    let check = |yaml: &str, code: &str, expected: &str| {
        let text = source(yaml, Some(&local)).err().expect("a mistake");
        assert!(text.contains(code) && text.contains(expected), "{yaml}: {text}");
    };
    check("{ criteria: encounter }", "fhir.setting", "begin with a type");
    check("{ criteria: \"Encounter?stat=x\" }", "fhir.setting", "stat");
    check("{ criteria: \"Encounter?ward=x\" }", "fhir.setting", "named in `custom`");
    check("{ criteria: Encounter, custom: [ward] }", "fhir.setting", "do not ask by it");
    check("{ criteria: Encountr }", "fhir.setting", "did you mean `Encounter`?");
    check("{ criteria: \"Encounter?statsu=x\" }", "fhir.setting", "did you mean `status`?");
    check("{ criteria: \"Encounter?status=finshed\" }", "fhir.setting", "did you mean `finished`?");
    check("{ criteria: \"Encounter?subject.name=x\" }", "fhir.setting", "chains and `_has`");
    check("{ criteria: Encounter, on: [] }", "fhir.setting", "ever come in");
    let text = source("{ criteria: Encounter }", None).err().expect("a mistake");
    assert!(text.contains("fhir.no-datastore"), "{text}");
}
