//! What is told of another than it stands with.

use pipehat_resource::json::Value;
use pipehat_resource::kept::Keeps;

use super::Fixture;
use super::fixture::{create, delete, json, key, search, told, update};
use crate::datastore::{Applied, GroupRefusal, Interaction, Precondition, Refusal};

const NONE: Precondition = Precondition::None;

fn whose() -> Option<Keeps> {
    let mut keeps = Keeps::default();
    keeps.hold("subject");
    Some(keeps)
}

fn report(status: &str, subject: &str) -> Value {
    json(&format!(
        r#"{{"resourceType":"DiagnosticReport","identifier":[{{"value":"F1"}}],"status":"{status}","code":{{"text":"x"}},"subject":{{"reference":"{subject}"}}}}"#
    ))
}

/// The report with the number F1.
fn by_number(resource: Value) -> Interaction {
    Interaction::ConditionalUpdate {
        search: search("DiagnosticReport?identifier=F1"),
        resource,
        new_id: "f1".to_owned(),
        precondition: NONE,
        keeps: whose(),
        full_url: None,
    }
}

/// A Patient with a number, as a message brings it along.
fn patient(number: &str) -> Interaction {
    Interaction::ConditionalUpdate {
        search: search(&format!("Patient?identifier={number}")),
        resource: json(&format!(
            r#"{{"resourceType":"Patient","identifier":[{{"value":"{number}"}}]}}"#
        )),
        new_id: format!("p{number}"),
        precondition: NONE,
        keeps: None,
        full_url: Some(format!("urn:uuid:{number}")),
    }
}

/// A message about a patient, and the report F1 as it tells it.
fn message(number: &str, status: &str) -> Vec<Interaction> {
    vec![patient(number), by_number(report(status, &format!("urn:uuid:{number}")))]
}

fn moved() -> Refusal {
    Refusal::Moved { resource_type: "DiagnosticReport".to_owned(), element: "subject".to_owned() }
}

async fn check_refused(fixture: &Fixture, interactions: Vec<Interaction>, at: usize) {
    match fixture.try_apply(interactions).await {
        Applied::Done(outcomes) => panic!("was not refused: {outcomes:?}"),
        Applied::Refused(GroupRefusal { interaction, refusal }) => {
            assert_eq!((interaction, refusal), (at, moved()));
        }
    }
}

pub(super) async fn a_number_takes_nothing_away_from_whom_it_is(fixture: &Fixture) {
    fixture.apply(message("1", "partial")).await;
    assert_eq!(told(&fixture.apply(message("1", "partial")).await[1]), ("unchanged", 1));
    assert_eq!(told(&fixture.apply(message("1", "final")).await[1]), ("updated", 2));
    let stands = fixture.read("DiagnosticReport/f1").await;
    check_refused(fixture, message("2", "final"), 1).await;
    assert_eq!(fixture.read("DiagnosticReport/f1").await, stands);
    assert!(fixture.read("Patient/p2").await.is_none(), "the transaction is refused as a whole");
    let text = moved().to_string();
    assert!(text.contains("DiagnosticReport") && text.contains("`subject`"), "{text}");
    assert!(!text.contains("p1") && !text.contains("F1"), "{text}");
    // By whatever it is named.
    fixture.one(patient("2")).await;
    let other = fixture.refused(by_number(report("final", "Patient?identifier=2"))).await;
    assert_eq!(other, moved());
    assert_eq!(fixture.refused(by_number(report("final", "Group/p1"))).await, moved());
    let own = by_number(report("amended", "Patient?identifier=1"));
    assert_eq!(told(&fixture.one(own).await), ("updated", 3));
    // A person has seen whose it is: then the same message is taken.
    let mut corrected = report("amended", "Patient/p2");
    corrected.as_object_mut().unwrap().insert(1, "id", Value::string("f1"));
    fixture.one(update(&corrected.to_json(), NONE)).await;
    assert_eq!(told(&fixture.apply(message("2", "final")).await[1]).0, "updated");
    check_refused(fixture, message("1", "final"), 1).await;
    fixture.one(delete("DiagnosticReport/f1")).await;
    assert_eq!(told(&fixture.apply(message("1", "final")).await[1]).0, "created");
    // What stands without a patient is nobody's.
    let nobodys = r#"{"resourceType":"DiagnosticReport","id":"f1","identifier":[{"value":"F1"}],"status":"final","code":{"text":"x"}}"#;
    let found = fixture.found("DiagnosticReport?identifier=F1").await;
    let nobodys = nobodys.replace("f1", found[0].trim_start_matches("DiagnosticReport/"));
    fixture.one(update(&nobodys, NONE)).await;
    assert_eq!(told(&fixture.apply(message("2", "final")).await[1]).0, "updated");
}

pub(super) async fn what_was_merged_is_the_same(fixture: &Fixture) {
    let linked = |id: &str, number: &str, kind: &str, other: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"value":"{number}"}}],"link":[{{"other":{{"reference":"Patient/{other}"}},"type":"{kind}"}}]}}"#
        )
    };
    fixture.apply(message("1", "partial")).await;
    fixture.one(patient("2")).await;
    check_refused(fixture, message("2", "final"), 1).await;
    // Linked, which is no merge.
    fixture.one(update(&linked("p1", "1", "seealso", "p2"), NONE)).await;
    let told_of = |number: &str, status: &str| {
        by_number(report(status, &format!("Patient?identifier={number}")))
    };
    assert_eq!(fixture.refused(told_of("2", "final")).await, moved());
    // By the merge of this very transaction, and of one before.
    let merge = update(&linked("p1", "1", "replaced-by", "p2"), NONE);
    assert_eq!(told(&fixture.apply(vec![told_of("2", "final"), merge]).await[0]), ("updated", 2));
    assert_eq!(told(&fixture.one(told_of("1", "amended")).await), ("updated", 3));
    assert_eq!(told(&fixture.one(told_of("2", "final")).await), ("updated", 4));
    // Over a third.
    fixture.one(create(&linked("p3", "3", "replaces", "p2"))).await;
    assert_eq!(told(&fixture.one(told_of("1", "amended")).await), ("updated", 5));
    assert_eq!(told(&fixture.one(told_of("3", "final")).await), ("updated", 6));
    // Who is nobody of those.
    fixture.one(patient("4")).await;
    assert_eq!(fixture.refused(told_of("4", "final")).await, moved());
    // Unlinked again.
    fixture
        .one(update(r#"{"resourceType":"Patient","id":"p3","identifier":[{"value":"3"}]}"#, NONE))
        .await;
    assert_eq!(fixture.refused(told_of("1", "final")).await, moved());
}

pub(super) async fn who_shares_a_transaction_is_not_refused_with_another(fixture: &Fixture) {
    let by_id = |id: usize, subject: &str| {
        let resource = json(&format!(
            r#"{{"resourceType":"Observation","id":"o{id}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"{subject}"}}}}"#
        ));
        Interaction::Update { resource, precondition: NONE, keeps: whose(), full_url: None }
    };
    let all = 0..20;
    fixture.apply(all.clone().map(|id| by_id(id, "Patient/a")).collect()).await;
    let each = all.map(|id| {
        let subject = if id % 4 == 0 { "Patient/b" } else { "Patient/a" };
        let mut interaction = by_id(id, subject);
        if let Interaction::Update { resource, .. } = &mut interaction {
            resource.as_object_mut().unwrap().set("status", Value::string("amended"));
        }
        fixture.try_apply(vec![interaction])
    });
    for (id, applied) in futures_util::future::join_all(each).await.into_iter().enumerate() {
        let is_refused = matches!(applied, Applied::Refused(_));
        assert_eq!(is_refused, id % 4 == 0, "{id}");
        let version = fixture.store.read(&key(&format!("Observation/o{id}"))).await.unwrap();
        assert_eq!(version.unwrap().version, if is_refused { 1 } else { 2 });
    }
}
