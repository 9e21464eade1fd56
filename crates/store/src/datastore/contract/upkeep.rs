//! Patches, and looking after a store.

use std::sync::Arc;

use pipehat_resource::json::Value;
use pipehat_resource::kept::Keeps;
use pipehat_resource::search::{IndexEntry, Search};

use super::Fixture;
use super::fixture::{create, delete, json, key, rules, search, told, update};
use crate::datastore::{
    ChangeNumber, Interaction, Outcome, ParameterNames, Precondition, Refusal, Rules,
    TypeStatistics, export, import,
};

const NONE: Precondition = Precondition::None;

fn patch(reference: &str, operations: &str) -> Interaction {
    Interaction::Patch { key: key(reference), patch: json(operations), precondition: NONE }
}

pub(super) async fn a_patch_changes_what_stands_there(fixture: &Fixture) {
    fixture.one(create(r#"{"resourceType":"Patient","id":"a","gender":"male"}"#)).await;
    let replace = r#"[{"op":"replace","path":"/gender","value":"female"}]"#;
    assert_eq!(told(&fixture.one(patch("Patient/a", replace)).await), ("updated", 2));
    assert_eq!(told(&fixture.one(patch("Patient/a", replace)).await), ("unchanged", 2));
    assert_eq!(fixture.found("Patient?gender=female").await, ["Patient/a"]);
    let missing = fixture.refused(patch("Patient/b", replace)).await;
    assert_eq!(missing, Refusal::NotFound(key("Patient/b")));
    let test = r#"[{"op":"test","path":"/gender","value":"male"}]"#;
    assert!(matches!(fixture.refused(patch("Patient/a", test)).await, Refusal::Patch(_)));
    let wrong = r#"[{"op":"replace","path":"/gender","value":"blue"}]"#;
    assert!(matches!(fixture.refused(patch("Patient/a", wrong)).await, Refusal::Invalid(_)));
    let conditional = |condition: &str, if_found: bool| Interaction::ConditionalPatch {
        search: search(condition),
        patch: json(r#"[{"op":"add","path":"/active","value":true}]"#),
        precondition: NONE,
        if_found,
    };
    let female = "Patient?gender=female";
    assert_eq!(told(&fixture.one(conditional(female, false)).await), ("updated", 3));
    assert_eq!(told(&fixture.one(conditional(female, true)).await), ("unchanged", 3));
    let male = "Patient?gender=male";
    assert_eq!(fixture.refused(conditional(male, false)).await, Refusal::NoneMatches);
    assert!(matches!(fixture.one(conditional(male, true)).await, Outcome::Read(None)));
    fixture.one(delete("Patient/a")).await;
    let gone = fixture.refused(patch("Patient/a", replace)).await;
    assert_eq!(gone, Refusal::Gone(key("Patient/a")));
}

pub(super) async fn conditions_find_what_is_changed(fixture: &Fixture) {
    let by_condition = |resource: &str, condition: &str| Interaction::ConditionalUpdate {
        search: search(condition),
        resource: json(resource),
        new_id: "new".to_owned(),
        precondition: NONE,
        keeps: None,
        full_url: None,
    };
    let male = r#"{"resourceType":"Patient","identifier":[{"value":"1"}],"gender":"male"}"#;
    let other = r#"{"resourceType":"Patient","identifier":[{"value":"1"}],"gender":"other"}"#;
    let condition = "Patient?identifier=1";
    assert_eq!(told(&fixture.one(by_condition(male, condition)).await), ("created", 1));
    assert_eq!(told(&fixture.one(by_condition(other, condition)).await), ("updated", 2));
    assert_eq!(fixture.found(condition).await, ["Patient/new"]);
    let named = r#"{"resourceType":"Patient","id":"x","identifier":[{"value":"1"}]}"#;
    assert_eq!(fixture.refused(by_condition(named, condition)).await, Refusal::IdMismatch);
    let taken = r#"{"resourceType":"Patient","id":"new","identifier":[{"value":"2"}]}"#;
    let none = "Patient?identifier=2";
    assert_eq!(
        fixture.refused(by_condition(taken, none)).await,
        Refusal::Taken(key("Patient/new"))
    );
    assert_eq!(fixture.found(condition).await, ["Patient/new"]);
    fixture
        .one(create(r#"{"resourceType":"Patient","id":"y","identifier":[{"value":"1"}]}"#))
        .await;
    assert_eq!(fixture.refused(by_condition(male, condition)).await, Refusal::SeveralMatch);
    let remove = |several| Interaction::ConditionalDelete {
        search: search(condition),
        several,
        precondition: Precondition::None,
    };
    assert_eq!(fixture.refused(remove(false)).await, Refusal::SeveralMatch);
    assert_eq!(told(&fixture.one(remove(true)).await).0, "deleted");
    assert!(fixture.found("Patient?").await.is_empty());
    assert_eq!(told(&fixture.one(remove(true)).await), ("deleted", 0));
}

/// What a writer doesn't speak of is taken from what stands, in the same transaction, and found by.
pub(super) async fn elements_stay_as_they_stand(fixture: &Fixture) {
    let mut keeps = Keeps::default();
    keeps.keep("gender");
    keeps.keep("maritalStatus.text");
    let told_of = |gender: &str, more: &str| {
        let name = r#""resourceType":"Patient","identifier":[{"value":"1"}]"#;
        json(&format!(r#"{{{name},"gender":"{gender}"{more}}}"#))
    };
    let condition = "Patient?identifier=1";
    let by_condition = |resource: Value| Interaction::ConditionalUpdate {
        search: search(condition),
        resource,
        new_id: "a".to_owned(),
        precondition: NONE,
        keeps: Some(keeps.clone()),
        full_url: None,
    };
    let by_id = |mut resource: Value| {
        resource.as_object_mut().unwrap().insert(1, "id", Value::string("a"));
        let keeps = Some(keeps.clone());
        Interaction::Update { resource, precondition: NONE, keeps, full_url: None }
    };
    let married = r#","maritalStatus":{"text":"married"}"#;
    let first = fixture.one(by_condition(told_of("male", married))).await;
    assert_eq!(told(&first), ("created", 1), "where nothing stands it is made as it is");
    for change in [by_condition(told_of("other", "")), by_id(told_of("other", ""))] {
        assert_eq!(told(&fixture.one(change).await), ("unchanged", 1));
    }
    let deceased = told_of("other", r#","deceasedBoolean":true"#);
    assert_eq!(told(&fixture.one(by_condition(deceased.clone())).await), ("updated", 2));
    assert_eq!(told(&fixture.one(by_condition(deceased)).await), ("unchanged", 2));
    assert_eq!(fixture.found("Patient?gender=male&deceased=true").await, ["Patient/a"]);
    assert!(fixture.found("Patient?gender=other").await.is_empty());
    // Beside others that share a transaction it sees what they made.
    let group =
        vec![by_id(told_of("female", "")), create(r#"{"resourceType":"Patient","id":"b"}"#)];
    fixture.apply(group).await;
    assert_eq!(fixture.found("Patient?gender=male").await, ["Patient/a"]);
    fixture.one(delete("Patient/a")).await;
    fixture.one(by_id(told_of("female", ""))).await;
    assert_eq!(fixture.found("Patient?gender=female").await, ["Patient/a"]);
    // What comes of the two is a resource, or nothing.
    let mut deceased = Keeps::default();
    deceased.keep("deceasedBoolean");
    fixture.one(create(r#"{"resourceType":"Patient","id":"c","deceasedBoolean":true}"#)).await;
    let refused = fixture
        .refused(Interaction::Update {
            resource: json(
                r#"{"resourceType":"Patient","id":"c","deceasedDateTime":"2026-01-01"}"#,
            ),
            precondition: NONE,
            keeps: Some(deceased),
            full_url: None,
        })
        .await;
    assert!(matches!(refused, Refusal::Invalid(_)), "{refused:?}");
}

/// An update leaves the rows of the index that stay alone: what is left must be what a resource of its own has.
pub(super) async fn an_update_is_found_by_what_it_has(fixture: &Fixture) {
    let names = |names: &[&str]| {
        let names: Vec<String> =
            names.iter().map(|name| format!(r#"{{"family":"{name}"}}"#)).collect();
        format!(
            r#"{{"resourceType":"Patient","id":"a","active":true,"name":[{}],"birthDate":"2001-01-01"}}"#,
            names.join(",")
        )
    };
    let all = ["Ash", "Elm", "Fir", "Oak"];
    let versions: [&[&str]; 7] = [
        &["Ash", "Elm", "Oak"],
        &["Ash", "Fir", "Oak"],
        &["Fir", "Ash", "Oak", "Elm"],
        &["Oak"],
        &[],
        &["Ash", "Ash", "Elm"],
        &["Elm", "Ash"],
    ];
    for (at, stand) in versions.iter().enumerate() {
        // An update of what another of the same group has made counts, too.
        let other = r#"{"resourceType":"Patient","id":"b","name":[{"family":"Yew"}]}"#;
        let group = vec![update(&names(stand), NONE), update(other, NONE)];
        fixture.apply(group).await;
        for name in all {
            let expected: &[&str] = if stand.contains(&name) { &["Patient/a"] } else { &[] };
            assert_eq!(fixture.found(&format!("Patient?family={name}")).await, expected, "{at}");
        }
        assert_eq!(fixture.found("Patient?birthdate=2001-01-01").await, ["Patient/a"]);
        let verified = fixture.store.verify(&|_| {}).await.unwrap();
        assert_eq!(verified.problems, [], "{at}");
    }
}

/// Finds everything by one text.
struct Other(Arc<dyn Rules>);

impl Rules for Other {
    fn parameters(&self) -> Vec<ParameterNames> {
        self.0.parameters()
    }

    fn extract(&self, resource: &Value) -> Vec<IndexEntry> {
        let mut changed = resource.clone();
        if let Some(object) = changed.as_object_mut() {
            object.set("gender", Value::string("unknown"));
        }
        self.0.extract(&changed)
    }

    fn fold(&self, text: &str) -> String {
        self.0.fold(text)
    }

    fn condition(&self, text: &str, now: i64) -> Option<Search> {
        self.0.condition(text, now)
    }

    fn patch(&self, resource: &Value, patch: &Value, now: i64) -> Result<Value, Refusal> {
        self.0.patch(resource, patch, now)
    }

    fn fingerprint(&self) -> String {
        "other".to_owned()
    }
}

pub(super) async fn other_rules_find_when_indexed_anew(fixture: &Fixture) {
    let store = &fixture.store;
    for id in 0..250 {
        let text = format!(r#"{{"resourceType":"Patient","id":"p{id}","gender":"male"}}"#);
        fixture.one(create(&text)).await;
    }
    fixture.one(delete("Patient/p7")).await;
    assert!(store.is_indexed().await.unwrap());
    store.use_rules(Arc::new(Other(rules()))).await.unwrap();
    assert!(!store.is_indexed().await.unwrap());
    assert_eq!(store.count(&search("Patient?gender=unknown")).await.unwrap(), 0);
    let told = std::sync::atomic::AtomicU64::new(0);
    let done = store
        .reindex(&[], &|progress| told.store(progress.done, std::sync::atomic::Ordering::Relaxed))
        .await
        .unwrap();
    assert_eq!((done, told.into_inner()), (249, 250), "a deleted one is gone through only");
    assert!(store.is_indexed().await.unwrap());
    assert_eq!(store.count(&search("Patient?gender=unknown")).await.unwrap(), 249);
    assert_eq!(store.count(&search("Patient?gender=male")).await.unwrap(), 0);
    let verified = store.verify(&|_| {}).await.unwrap();
    assert_eq!((verified.resources, verified.deleted, verified.versions), (249, 1, 251));
    assert_eq!(verified.problems_all, 0);
    store.use_rules(rules()).await.unwrap();
    let verified = store.verify(&|_| {}).await.unwrap();
    assert_eq!(verified.problems_all, 249, "found by values they don't have");
}

pub(super) async fn a_store_can_be_taken_elsewhere(fixture: &Fixture) {
    let store = &fixture.store;
    for id in 0..450 {
        let text = format!(
            r#"{{"resourceType":"Patient","id":"p{id}","gender":"male","multipleBirthInteger":{id}}}"#
        );
        fixture.one(create(&text)).await;
    }
    fixture.one(create(r#"{"resourceType":"Basic","id":"b","code":{"text":"x"}}"#)).await;
    fixture.one(update(r#"{"resourceType":"Patient","id":"p0","gender":"female"}"#, NONE)).await;
    fixture.one(delete("Patient/p1")).await;
    let statistics = store.statistics().await.unwrap();
    let patients = TypeStatistics { resources: 449, deleted: 1, versions: 452 };
    assert_eq!(statistics.types.get("Patient"), Some(&patients));
    assert_eq!(statistics.newest, ChangeNumber(453));
    assert!(statistics.bytes > 100_000);
    let mut all = Vec::new();
    assert_eq!(export(store.as_ref(), &[], &mut all).await.unwrap(), 450);
    let mut basics = Vec::new();
    let types = ["Basic".to_owned()];
    assert_eq!(export(store.as_ref(), &types, &mut basics).await.unwrap(), 1);
    assert!(basics.starts_with(br#"{"resourceType":"Basic","id":"b","#));
    // What is there already stays; what was deleted is not in it.
    let again = import(store.as_ref(), &mut all.as_slice(), 0).await.unwrap();
    assert_eq!((again.created, again.updated, again.unchanged), (0, 0, 450));
    fixture.one(delete("Basic/b")).await;
    let again = import(store.as_ref(), &mut all.as_slice(), 0).await.unwrap();
    assert_eq!((again.created, again.updated, again.unchanged), (1, 0, 449));
    for (line, expected) in [
        ("{}", "line 2: this is no resource with a resourceType and an id"),
        (r#"{"resourceType":"Foo","id":"1"}"#, "line 2: the resourceType is none of FHIR R4"),
        (
            r#"{"resourceType":"Patient","id":"a b"}"#,
            "line 2: the id is not 1 to 64 of `A-Z`, `a-z`, `0-9`, `-` and `.`",
        ),
        (
            r#"{"resourceType":"AuditEvent","id":"forged"}"#,
            "line 2: AuditEvents are the server's own, made of its audit: they can't be taken in",
        ),
        (
            r#"{"resourceType":"Patient","id":"a","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}}"#,
            "line 2: the tag SUBSETTED says that this is only a part of a resource",
        ),
    ] {
        let text = format!("\n{line}\n");
        let refused = import(store.as_ref(), &mut text.as_bytes(), 0).await.unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
    let wrong = import(store.as_ref(), &mut &b"\n{}\n"[..], 0).await.unwrap_err();
    assert_eq!(wrong.to_string(), "line 2: this is no resource with a resourceType and an id");
}
