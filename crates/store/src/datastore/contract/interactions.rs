//! Writing and reading.

use super::Fixture;
use super::fixture::{create, create_if_none, delete, json, key, search, told, update};
use crate::datastore::{
    Applied, ChangeNumber, HistoryQuery, HistoryScope, Interaction, Outcome, Precondition, Refusal,
};

const NONE: Precondition = Precondition::None;

pub(super) async fn a_create_can_be_read(fixture: &Fixture) {
    let text = r#"{"resourceType":"Patient","id":"a","active":true,"multipleBirthInteger":1.50}"#;
    assert_eq!(told(&fixture.one(create(text)).await), ("created", 1));
    let version = fixture.read("Patient/a").await.unwrap();
    assert_eq!(version.change, ChangeNumber(1));
    assert_eq!(
        version.body.as_deref(),
        Some(
            r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"2023-11-14T22:13:20.000Z"},"active":true,"multipleBirthInteger":1.50}"#
        )
    );
    assert_eq!(fixture.read("Patient/b").await, None);
    assert_eq!(fixture.read("Observation/a").await, None);
    let again = fixture.refused(create(text)).await;
    assert_eq!(again, Refusal::Exists(key("Patient/a")));
}

pub(super) async fn an_update_makes_a_version_unless_it_changes_nothing(fixture: &Fixture) {
    let first = r#"{"resourceType":"Patient","id":"a","active":true}"#;
    let second = r#"{"resourceType":"Patient","id":"a","active":false}"#;
    assert_eq!(told(&fixture.one(update(first, NONE)).await), ("created", 1));
    assert_eq!(told(&fixture.one(update(first, NONE)).await), ("unchanged", 1));
    assert_eq!(told(&fixture.one(update(second, NONE)).await), ("updated", 2));
    let stored = fixture.read("Patient/a").await.unwrap();
    let same = stored.body.clone().unwrap();
    assert_eq!(told(&fixture.one(update(&same, NONE)).await), ("unchanged", 2));
    let one = fixture.store.version(&key("Patient/a"), 1).await.unwrap().unwrap();
    assert!(one.body.unwrap().contains(r#""active":true"#));
    assert!(one.last_updated < stored.last_updated);
    assert_eq!(fixture.store.version(&key("Patient/a"), 3).await.unwrap(), None);
    let query = HistoryQuery {
        scope: HistoryScope::Resource(key("Patient/a")),
        since: None,
        at: None,
        before: None,
        limit: 10,
    };
    let versions = fixture.store.history(&query).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [2, 1]);
}

pub(super) async fn preconditions_are_kept(fixture: &Fixture) {
    let text = r#"{"resourceType":"Patient","id":"a","active":true}"#;
    let other = r#"{"resourceType":"Patient","id":"a","active":false}"#;
    let conflict =
        |expected, current| Refusal::VersionConflict { key: key("Patient/a"), expected, current };
    assert_eq!(fixture.refused(update(text, Precondition::Version(1))).await, conflict(1, 0));
    assert_eq!(told(&fixture.one(update(text, Precondition::Absent)).await), ("created", 1));
    assert_eq!(
        fixture.refused(update(text, Precondition::Absent)).await,
        Refusal::Exists(key("Patient/a"))
    );
    assert_eq!(fixture.refused(update(other, Precondition::Version(2))).await, conflict(2, 1));
    assert_eq!(told(&fixture.one(update(other, Precondition::Version(1))).await), ("updated", 2));
    let stale =
        Interaction::Delete { key: key("Patient/a"), precondition: Precondition::Version(1) };
    assert_eq!(fixture.refused(stale).await, conflict(1, 2));
}

pub(super) async fn a_deletion_is_a_version_and_an_update_brings_it_back(fixture: &Fixture) {
    let text = r#"{"resourceType":"Patient","id":"a","active":true}"#;
    assert_eq!(told(&fixture.one(delete("Patient/a")).await), ("deleted", 0));
    fixture.one(create(text)).await;
    assert_eq!(told(&fixture.one(delete("Patient/a")).await), ("deleted", 2));
    assert_eq!(told(&fixture.one(delete("Patient/a")).await), ("deleted", 0));
    let gone = fixture.read("Patient/a").await.unwrap();
    assert_eq!((gone.version, gone.body), (2, None));
    assert!(fixture.found("Patient?").await.is_empty());
    assert_eq!(told(&fixture.one(update(text, NONE)).await), ("created", 3));
    assert_eq!(fixture.found("Patient?").await, ["Patient/a"]);
    let changes = fixture.store.changes(ChangeNumber(1), 10).await.unwrap();
    let told: Vec<_> = changes.iter().map(|one| (one.change.0, one.version)).collect();
    assert_eq!(told, [(2, 2), (3, 3)]);
    assert_eq!(*fixture.store.newest_change().borrow(), ChangeNumber(3));
}

pub(super) async fn a_group_is_applied_whole_or_not_at_all(fixture: &Fixture) {
    let a = create(r#"{"resourceType":"Patient","id":"a"}"#);
    let stale = update(r#"{"resourceType":"Patient","id":"b"}"#, Precondition::Version(4));
    let Applied::Refused(refusal) = fixture.try_apply(vec![a.clone(), stale]).await else {
        panic!("the second can't be applied");
    };
    assert_eq!(refusal.interaction, 1);
    assert_eq!(fixture.read("Patient/a").await, None);
    assert!(fixture.found("Patient?").await.is_empty());
    let twice = vec![a.clone(), update(r#"{"resourceType":"Patient","id":"a"}"#, NONE)];
    let Applied::Refused(refusal) = fixture.try_apply(twice).await else {
        panic!("a resource can't be written twice");
    };
    assert_eq!(refusal.refusal, Refusal::Twice(key("Patient/a")));
    let read = Interaction::Read { key: key("Patient/a"), version: None };
    let outcomes = fixture.apply(vec![a, read]).await;
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), [("created", 1), ("read", 1)]);
}

fn patient(id: &str, identifiers: &[&str]) -> String {
    let identifiers: Vec<String> = identifiers
        .iter()
        .map(|value| format!(r#"{{"system":"urn:x","value":"{value}"}}"#))
        .collect();
    format!(r#"{{"resourceType":"Patient","id":"{id}","identifier":[{}]}}"#, identifiers.join(","))
}

pub(super) async fn conditional_creates_make_one(fixture: &Fixture) {
    let condition = "Patient?identifier=urn:x|1";
    let outcome = fixture.one(create_if_none(&patient("a", &["1"]), condition)).await;
    assert_eq!(told(&outcome), ("created", 1));
    let outcome = fixture.one(create_if_none(&patient("b", &["1"]), condition)).await;
    let Outcome::Unchanged(version) = outcome else { panic!("it is there: {outcome:?}") };
    assert_eq!(version.key, key("Patient/a"));
    // Two that ask for the same in one group are one.
    let condition = "Patient?identifier=urn:x|2";
    let outcomes = fixture
        .apply(vec![
            create_if_none(&patient("c", &["2"]), condition),
            create_if_none(&patient("d", &["2"]), condition),
        ])
        .await;
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), [("created", 1), ("unchanged", 1)]);
    fixture.one(create(&patient("e", &["2"]))).await;
    let outcome = fixture.refused(create_if_none(&patient("f", &["2"]), condition)).await;
    assert_eq!(outcome, Refusal::SeveralMatch);
}

pub(super) async fn a_transaction_names_its_own_entries(fixture: &Fixture) {
    fixture.one(create(&patient("known", &["7"]))).await;
    let named = |resource: &str, full_url: &str, condition: Option<&str>| Interaction::Create {
        resource: json(resource),
        if_none_exist: condition.map(search),
        full_url: Some(full_url.to_owned()),
    };
    let observation = |id: &str, subject: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"{id}","subject":{{"reference":"{subject}"}}}}"#
        )
    };
    fixture
        .apply(vec![
            named(&patient("new", &["8"]), "urn:uuid:1", None),
            named(&patient("x", &["7"]), "urn:uuid:2", Some("Patient?identifier=urn:x|7")),
            create(&observation("o1", "urn:uuid:1")),
            create(&observation("o2", "urn:uuid:2")),
            create(&observation("o3", "Patient?identifier=urn:x|8")),
        ])
        .await;
    for (observation, patient) in [("o1", "new"), ("o2", "known"), ("o3", "new")] {
        let stored = fixture.read(&format!("Observation/{observation}")).await.unwrap();
        let expected = format!(r#""reference":"Patient/{patient}""#);
        assert!(stored.body.as_deref().unwrap().contains(&expected), "{observation}");
    }
    assert_eq!(
        fixture.found("Observation?subject=Patient/new").await,
        ["Observation/o1", "Observation/o3"]
    );
    let lost = fixture.refused(create(&observation("o4", "Patient?identifier=urn:x|9"))).await;
    assert_eq!(lost, Refusal::Reference { reference: "Patient?identifier".to_owned(), matches: 0 });
    // Conditions may lead in a circle, and are about what the group makes, not about what stood there.
    let linked = |id: &str, own: &str, other: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"system":"urn:x","value":"{own}"}}],"link":[{{"other":{{"reference":"Patient?identifier=urn:x|{other}"}},"type":"seealso"}}]}}"#
        )
    };
    let known = update(&linked("known", "12", "10"), Precondition::None);
    let circle = vec![create(&linked("l1", "10", "11")), create(&linked("l2", "11", "12")), known];
    fixture.apply(circle).await;
    for (from, to) in [("l1", "l2"), ("l2", "known"), ("known", "l1")] {
        assert_eq!(
            fixture.found(&format!("Patient?link=Patient/{to}")).await,
            [format!("Patient/{from}")]
        );
    }
    let lost = fixture.refused(create(&linked("l3", "13", "7"))).await;
    assert_eq!(lost, Refusal::Reference { reference: "Patient?identifier".to_owned(), matches: 0 });
}

/// Runs one for each number side by side.
async fn parallel<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    work: impl Fn(usize) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(work(number))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

pub(super) async fn twenty_parallel_conditional_creates_make_one(fixture: &Fixture) {
    for round in 0..5 {
        let answers = parallel(20, |number| {
            let fixture = fixture.clone();
            async move {
                // Half of them ask for the other identifier of the same patient.
                let (one, two) = (format!("{round}a"), format!("{round}b"));
                let asked = if number % 2 == 0 { &one } else { &two };
                let resource = patient(&format!("r{round}n{number}"), &[&one, &two]);
                let condition = format!("Patient?identifier=urn:x|{asked}");
                told(&fixture.one(create_if_none(&resource, &condition)).await)
            }
        })
        .await;
        let created = answers.iter().filter(|answer| **answer == ("created", 1)).count();
        let found = answers.iter().filter(|answer| **answer == ("unchanged", 1)).count();
        assert_eq!((created, found), (1, 19), "round {round}");
    }
}

pub(super) async fn parallel_updates_with_if_match_lose_nothing(fixture: &Fixture) {
    fixture.one(create(r#"{"resourceType":"Basic","id":"a","code":{"text":"0"}}"#)).await;
    let tries = parallel(20, |_| {
        let fixture = fixture.clone();
        async move {
            let mut tries = 0;
            loop {
                tries += 1;
                let stored = fixture.read("Basic/a").await.unwrap();
                let count = json(stored.body.as_deref().unwrap());
                let count: u64 = count.get("code").unwrap().text("text").unwrap().parse().unwrap();
                let next = count + 1;
                let text =
                    format!(r#"{{"resourceType":"Basic","id":"a","code":{{"text":"{next}"}}}}"#);
                let precondition = Precondition::Version(stored.version);
                match fixture.try_apply(vec![update(&text, precondition)]).await {
                    Applied::Done(_) => return tries,
                    Applied::Refused(refusal) => {
                        let refusal = refusal.refusal;
                        assert!(matches!(refusal, Refusal::VersionConflict { .. }), "{refusal}");
                    }
                }
            }
        }
    })
    .await;
    assert!(tries.iter().sum::<i32>() >= 20);
    let stored = fixture.read("Basic/a").await.unwrap();
    assert_eq!(stored.version, 21);
    assert!(stored.body.unwrap().contains(r#""text":"20""#));
}

pub(super) async fn crossing_transactions_all_succeed(fixture: &Fixture) {
    let count = |text: u64, id: u64| {
        format!(r#"{{"resourceType":"Basic","id":"c{id}","code":{{"text":"{text}"}}}}"#)
    };
    fixture.apply((0..6).map(|id| create(&count(0, id))).collect()).await;
    // Each changes three of six, in an order of its own, some together with what depends on a condition.
    let answers = parallel(40, |number| {
        let fixture = fixture.clone();
        async move {
            let number = number as u64;
            let mut group: Vec<_> = (0..3)
                .map(|step| {
                    let id = (number * 5 + step * (1 + number % 5)) % 6;
                    update(&count(number * 10 + step + 1, id), NONE)
                })
                .collect();
            if number.is_multiple_of(3) {
                let value = format!("shared{}", number % 2);
                group.insert(
                    0,
                    create_if_none(
                        &patient(&format!("x{number}"), &[&value]),
                        &format!("Patient?identifier=urn:x|{value}"),
                    ),
                );
            }
            match fixture.try_apply(group).await {
                Applied::Done(_) => true,
                Applied::Refused(refusal) => {
                    assert!(matches!(refusal.refusal, Refusal::Twice(_)), "{}", refusal.refusal);
                    false
                }
            }
        }
    })
    .await;
    assert!(answers.iter().filter(|answer| **answer).count() > 20);
    assert_eq!(fixture.found("Patient?").await.len(), 2);
    let verified = fixture.store.verify(&|_| {}).await.unwrap();
    assert_eq!((verified.problems_all, verified.problems), (0, vec![]));
}

pub(super) async fn one_of_many_creates_gets_an_id(fixture: &Fixture) {
    let answers = parallel(20, |_| {
        let fixture = fixture.clone();
        async move {
            let group = vec![create(r#"{"resourceType":"Basic","id":"same","code":{"text":"x"}}"#)];
            matches!(fixture.try_apply(group).await, Applied::Done(_))
        }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer).count(), 1);
    assert_eq!(fixture.read("Basic/same").await.unwrap().version, 1);
}

pub(super) async fn who_follows_changes_misses_none(fixture: &Fixture) {
    const WRITERS: usize = 16;
    const EACH: usize = 20;
    let follower = tokio::spawn({
        let fixture = fixture.clone();
        async move {
            let mut newest = fixture.store.newest_change();
            let (mut seen, mut last) = (Vec::new(), ChangeNumber(0));
            while seen.len() < WRITERS * EACH * 2 {
                let wait = std::time::Duration::from_secs(20);
                let changes = fixture.store.changes(last, 50).await.unwrap();
                if changes.is_empty() {
                    tokio::time::timeout(wait, newest.changed()).await.unwrap().unwrap();
                }
                for change in changes {
                    assert!(change.change > last);
                    last = change.change;
                    seen.push((change.key, change.version));
                }
            }
            seen
        }
    });
    parallel(WRITERS, |writer| {
        let fixture = fixture.clone();
        async move {
            for number in 0..EACH {
                let (a, b) = (format!("a{writer}x{number}"), format!("b{writer}x{number}"));
                let resource =
                    |id: &str| format!(r#"{{"resourceType":"Basic","id":"{id}","code":{{}}}}"#);
                fixture.apply(vec![create(&resource(&a)), create(&resource(&b))]).await;
            }
        }
    })
    .await;
    let mut seen = follower.await.unwrap();
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((all, seen.len()), (WRITERS * EACH * 2, WRITERS * EACH * 2));
}
