//! Searching: each kind of value, what is joined, orders, pages, and what comes along.

use pipehat_resource::search::{ALTERNATIVES_MAX, Filter, Search};

use super::Fixture;
use super::fixture::{create, delete, search, shown, update};
use crate::datastore::{DatastoreError, Precondition, SearchRequest};

const PEOPLE: [&str; 6] = [
    r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"1","type":{"coding":[{"system":"urn:t","code":"MR"}]}},{"system":"urn:ssn","value":"1"}],"name":[{"family":"Müller","given":["Anna"]}],"gender":"female","birthDate":"1980-05-01","generalPractitioner":[{"reference":"Practitioner/d1"}],"managingOrganization":{"reference":"Organization/o2"}}"#,
    r#"{"resourceType":"Patient","id":"p2","identifier":[{"system":"urn:mrn","value":"2"}],"name":[{"family":"Muller","given":["Annabel","Bea"]}],"gender":"male","birthDate":"1990-01-01","managingOrganization":{"reference":"Organization/o1"}}"#,
    r#"{"resourceType":"Patient","id":"p3","identifier":[{"value":"3"}],"name":[{"family":"50%_off"}],"gender":"female"}"#,
    r#"{"resourceType":"Patient","id":"p4","name":[{"family":"50xyoff"}],"birthDate":"1970-01-01","meta":{"tag":[{"system":"urn:tag","code":"t"}]}}"#,
    r#"{"resourceType":"Organization","id":"o1","name":"North"}"#,
    r#"{"resourceType":"Organization","id":"o2","name":"South","partOf":{"reference":"Organization/o1"}}"#,
];

const OBSERVATIONS: [&str; 6] = [
    r#"{"resourceType":"Observation","id":"b1","status":"final","code":{"coding":[{"system":"urn:loinc","code":"A","display":"Alpha Beta"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2020-01-10","valueQuantity":{"value":5.4,"unit":"mg","system":"urn:ucum","code":"mg"}}"#,
    r#"{"resourceType":"Observation","id":"b2","status":"final","code":{"coding":[{"system":"urn:loinc","code":"B"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2020-02-10","valueQuantity":{"value":7,"unit":"mg"}}"#,
    r#"{"resourceType":"Observation","id":"b3","status":"amended","code":{"coding":[{"system":"urn:loinc","code":"A"}]},"subject":{"reference":"Patient/p2"},"effectivePeriod":{"start":"2020-01-01","end":"2020-03-01"},"valueQuantity":{"value":5,"comparator":"<","system":"urn:ucum","code":"mg"}}"#,
    r#"{"resourceType":"Observation","id":"b4","status":"final","code":{"coding":[{"system":"urn:other","code":"A"}]},"subject":{"reference":"Patient/p3","identifier":{"system":"urn:mrn","value":"3"}},"hasMember":[{"reference":"Observation/b1"}]}"#,
    r#"{"resourceType":"Observation","id":"b5","status":"final","code":{"coding":[{"system":"urn:loinc","code":"BP"}]},"subject":{"reference":"Patient/gone"},"effectiveDateTime":"2021-01-01","component":[{"code":{"coding":[{"system":"urn:loinc","code":"S"}]},"valueQuantity":{"value":140}},{"code":{"coding":[{"system":"urn:loinc","code":"D"}]},"valueQuantity":{"value":90}}],"text":{"div":"<div xmlns='x'>Blood <b>pressure</b> élevée</div>"},"note":[{"text":"measured lying"}]}"#,
    r#"{"resourceType":"ValueSet","id":"v1","url":"http://x.org/a/b"}"#,
];

async fn filled(fixture: &Fixture) {
    let all = PEOPLE.iter().chain(&OBSERVATIONS);
    fixture.apply(all.map(|resource| create(resource)).collect()).await;
    fixture
        .one(create(r#"{"resourceType":"Patient","id":"p9","name":[{"family":"Muller"}]}"#))
        .await;
    fixture.one(delete("Patient/p9")).await;
}

/// What each search finds, ids apart by spaces.
pub(super) async fn check(fixture: &Fixture, cases: &[(&str, &str)]) {
    for (asked, expected) in cases {
        let found = fixture.found(asked).await;
        let ids: Vec<String> = found
            .iter()
            .map(|reference| {
                let (_, id) = reference.split_once('/').unwrap();
                let along = if reference.starts_with('(') { "+" } else { "" };
                format!("{along}{}", id.trim_end_matches(')'))
            })
            .collect();
        assert_eq!(ids.join(" "), *expected, "{asked}");
        let total = fixture.store.count(&search(asked)).await.unwrap();
        let matched = ids.iter().filter(|id| !id.starts_with('+')).count();
        assert_eq!(total, matched as u64, "the count of {asked}");
    }
}

pub(super) async fn values_are_compared_as_their_kind_says(fixture: &Fixture) {
    filled(fixture).await;
    check(
        fixture,
        &[
            ("Patient?", "p1 p2 p3 p4"),
            ("Patient?name=mull", "p1 p2"),
            ("Patient?name=MÜLL", "p1 p2"),
            ("Patient?name:exact=Muller", "p2"),
            ("Patient?name:exact=muller", ""),
            ("Patient?name:contains=nab", "p2"),
            ("Patient?name=ann,50", "p1 p2 p3 p4"),
            ("Patient?name=ann&name=bea", "p2"),
            // % and _ are letters like any other.
            ("Patient?name:exact=50%25_off", "p3"),
            ("Patient?name:contains=%25_", "p3"),
            ("Patient?family=%25", ""),
            ("Patient?family=_", ""),
            ("Patient?identifier=1", "p1"),
            ("Patient?identifier=urn:mrn|1", "p1"),
            ("Patient?identifier=urn:ssn|1", "p1"),
            ("Patient?identifier=urn:ssn|2", ""),
            ("Patient?identifier=|3", "p3"),
            ("Patient?identifier=|1", ""),
            ("Patient?identifier=urn:mrn|", "p1 p2"),
            ("Patient?identifier:of-type=urn:t|MR|1", "p1"),
            ("Patient?identifier:of-type=urn:t|XX|1", ""),
            ("Patient?identifier=urn:mrn|1,urn:mrn|2", "p1 p2"),
            ("Patient?gender=female", "p1 p3"),
            ("Patient?gender:not=female", "p2 p4"),
            ("Patient?gender:missing=true", "p4"),
            ("Patient?gender:missing=false", "p1 p2 p3"),
            ("Patient?_id:missing=true", ""),
            ("Patient?_id:missing=false", "p1 p2 p3 p4"),
            ("Patient?_lastUpdated:missing=false&gender=female", "p1 p3"),
            ("Patient?gender=female&_lastUpdated:missing=true", ""),
            ("Patient?birthdate=1980-05-01", "p1"),
            ("Patient?birthdate=1980", "p1"),
            ("Patient?birthdate=ne1980", "p2 p4"),
            ("Patient?birthdate=gt1980-05-01", "p2"),
            ("Patient?birthdate=ge1980-05-01", "p1 p2"),
            ("Patient?birthdate=lt1980-05-01", "p4"),
            ("Patient?birthdate=le1980-05-01", "p1 p4"),
            ("Patient?birthdate=ge1975&birthdate=lt1985", "p1"),
            ("Patient?_id=p1,p3,o1", "p1 p3"),
            ("Patient?_tag=urn:tag|t", "p4"),
            ("Observation?code=urn:loinc|A", "b1 b3"),
            ("Observation?code:text=alpha", "b1"),
            ("Observation?date=2020-01-10", "b1"),
            ("Observation?date=sa2020-02-01", "b2 b5"),
            ("Observation?date=eb2020-02-01", "b1"),
            ("Observation?date=gt2020-02-20", "b3 b5"),
            ("Observation?date=lt2020-01-05", "b3"),
            ("Observation?date=2020", "b1 b2 b3"),
            ("Observation?value-quantity=5.4", "b1"),
            ("Observation?value-quantity=5.40|urn:ucum|mg", "b1"),
            ("Observation?value-quantity=5.4||mg", "b1"),
            ("Observation?value-quantity=5.4|urn:ucum|kg", ""),
            ("Observation?value-quantity=gt5.4", "b2"),
            ("Observation?value-quantity=ge5.4", "b1 b2"),
            ("Observation?value-quantity=lt5", "b3"),
            ("Observation?value-quantity=lt6", "b1 b3"),
            ("Observation?subject=Patient/p1", "b1 b2"),
            ("Observation?subject=p1", "b1 b2"),
            ("Observation?subject:Patient=p1", "b1 b2"),
            ("Observation?subject:identifier=urn:mrn|3", "b4"),
            ("Observation?code-value-quantity=urn:loinc|A$gt5", "b1"),
            ("Observation?component-code-value-quantity=urn:loinc|S$gt100", "b5"),
            ("Observation?component-code-value-quantity=urn:loinc|D$gt100", ""),
            ("ValueSet?url=http://x.org/a/b", "v1"),
            ("ValueSet?url=http://x.org/a", ""),
            ("ValueSet?url:below=http://x.org/a", "v1"),
            ("ValueSet?url:above=http://x.org/a/b/c", "v1"),
            ("Observation?_text=pressure", "b5"),
            ("Observation?_text=blood%20elevee", "b5"),
            ("Observation?_text=lying", ""),
            ("Observation?_content=lying", "b5"),
            ("Observation?_content=nothing", ""),
        ],
    )
    .await;
}

pub(super) async fn chains_lead_through_references(fixture: &Fixture) {
    filled(fixture).await;
    check(
        fixture,
        &[
            ("Observation?subject:Patient.name=mull", "b1 b2 b3"),
            ("Observation?patient.gender=female", "b1 b2 b4"),
            ("Observation?patient.gender=female&code=urn:loinc|A", "b1"),
            ("Observation?patient.organization.name=x", ""),
            ("Observation?subject:Patient._id=p1", "b1 b2"),
            ("Observation?has-member.code=urn:loinc|A", "b4"),
            ("Patient?_has:Observation:patient:code=urn:loinc|B", "p1"),
            ("Patient?_has:Observation:patient:status=amended", "p2"),
            ("Patient?_has:Observation:patient:_id=b4", "p3"),
            (
                "Organization?_has:Patient:organization:_has:Observation:patient:status=amended",
                "o1",
            ),
            ("Observation?patient.birthdate=ge1990", "b3"),
            ("Observation?patient.birthdate:missing=true", "b4"),
        ],
    )
    .await;
}

pub(super) async fn orders_are_kept_over_pages(fixture: &Fixture) {
    filled(fixture).await;
    check(
        fixture,
        &[
            ("Patient?_sort=birthdate", "p4 p1 p2 p3"),
            ("Patient?_sort=-birthdate", "p2 p1 p4 p3"),
            ("Patient?_sort=-_id", "p4 p3 p2 p1"),
            ("Patient?_sort=gender,-birthdate", "p1 p3 p2 p4"),
            ("Patient?_sort=family", "p3 p4 p1 p2"),
            ("Patient?name=mull&_sort=-birthdate", "p2 p1"),
            ("Observation?_sort=-date", "b5 b2 b1 b3 b4"),
            ("Observation?_sort=_lastUpdated", "b1 b2 b3 b4 b5"),
            ("Observation?_sort=-_lastUpdated&status=final", "b5 b4 b2 b1"),
        ],
    )
    .await;
    for asked in [
        "Patient?",
        "Patient?_sort=birthdate",
        "Patient?_sort=-birthdate",
        "Patient?_sort=gender,-birthdate",
        "Patient?_sort=-_id",
        "Patient?_sort=_lastUpdated",
        "Patient?_sort=-_lastUpdated",
        "Patient?name=m,5&_sort=family",
        "Observation?status=final,amended",
        "Observation?status=final",
        "Observation?status=final&_sort=-date",
    ] {
        let all = fixture.found(asked).await;
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = fixture.page(asked, 1, after).await;
            paged.extend(shown(&page));
            // What others write meanwhile does not matter.
            let id = format!("w{}", paged.len());
            fixture
                .one(update(
                    &format!(r#"{{"resourceType":"Basic","id":"{id}"}}"#),
                    Precondition::None,
                ))
                .await;
            fixture.one(delete(&format!("Basic/{id}"))).await;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
            assert!(paged.len() < 20, "{asked} has no end");
        }
        assert_eq!(paged, all, "{asked}");
        let total = fixture.page(asked, 100, None).await.total;
        assert_eq!(total, Some(all.len() as u64), "{asked}");
    }
    let page = fixture.page("Patient?_total=accurate", 1, None).await;
    assert_eq!((page.matches.len(), page.total), (1, Some(4)));
    let page = fixture.page("Patient?_summary=count", 1, None).await;
    assert_eq!((page.matches.len(), page.total), (0, Some(4)));
    assert_eq!(fixture.page("Patient?", 1, None).await.total, None);
}

pub(super) async fn a_page_belongs_to_its_search(fixture: &Fixture) {
    filled(fixture).await;
    let next = fixture.page("Patient?_sort=birthdate", 1, None).await.next;
    for (asked, after) in [
        ("Patient?_sort=-birthdate", next.clone()),
        ("Observation?_sort=date", next),
        ("Patient?", Some("made-up".to_owned())),
    ] {
        let request = SearchRequest { search: search(asked), visible: Vec::new(), limit: 1, after };
        let answer = fixture.store.search(&request).await;
        assert!(matches!(answer, Err(DatastoreError::Page)), "{asked}");
    }
}

pub(super) async fn what_is_referred_to_comes_along(fixture: &Fixture) {
    filled(fixture).await;
    check(
        fixture,
        &[
            ("Observation?_id=b1&_include=Observation:subject", "b1 +p1"),
            ("Observation?_id=b5&_include=Observation:subject", "b5"),
            ("Observation?_id=b1&_include=Observation:encounter", "b1"),
            ("Observation?_id=b1&_include=Observation:*", "b1 +p1"),
            ("Patient?_id=p1&_revinclude=Observation:subject", "p1 +b1 +b2"),
            (
                "Observation?_id=b1&_include=Observation:subject&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
                "b1 +p1 +o2 +o1",
            ),
            ("Observation?_id=b1,b2&_include=Observation:subject", "b1 b2 +p1"),
            ("Patient?_id=p1&_revinclude=Observation:subject&_revinclude:iterate=Observation:has-member", "p1 +b1 +b2 +b4"),
        ],
    )
    .await;
}

pub(super) async fn only_what_is_visible_is_shown(fixture: &Fixture) {
    filled(fixture).await;
    let filter = |text: &str| -> Option<Filter> { Some(Filter::All(search(text).filters)) };
    let ask = async |asked: &str, visible: Vec<(String, Option<Filter>)>| {
        let request = SearchRequest { search: search(asked), visible, limit: 100, after: None };
        let page = fixture.store.search(&request).await.unwrap();
        shown(&page).join(" ")
    };
    let women = || vec![("Patient".to_owned(), filter("Patient?gender=female"))];
    assert_eq!(ask("Patient?", women()).await, "Patient/p1 Patient/p3");
    assert_eq!(ask("Patient?identifier=2", women()).await, "");
    assert_eq!(ask("Patient?_sort=-birthdate", women()).await, "Patient/p1 Patient/p3");
    assert_eq!(ask("Observation?", women()).await, "");
    let both = || [women(), vec![("Observation".to_owned(), None)]].concat();
    assert_eq!(
        ask("Observation?code=A&_include=Observation:subject", both()).await,
        "Observation/b1 Observation/b3 Observation/b4 (Patient/p1) (Patient/p3)"
    );
    assert_eq!(ask("Organization?_revinclude=Patient:organization", both()).await, "");
}

pub(super) async fn all_types_are_searched_together(fixture: &Fixture) {
    filled(fixture).await;
    let all = fixture.found("?").await;
    assert_eq!(all.len(), PEOPLE.len() + OBSERVATIONS.len());
    let search = Search {
        resource_types: vec!["ValueSet".to_owned(), "Organization".to_owned()],
        ..Search::default()
    };
    assert_eq!(fixture.store.count(&search).await.unwrap(), 3);
    assert_eq!(fixture.found("?_id=b1,p1").await, ["Patient/p1", "Observation/b1"]);
}

pub(super) async fn wide_searches_find_the_same(fixture: &Fixture) {
    filled(fixture).await;
    // More than are gone through as a set, so that the other ways are taken.
    let mut id = 0;
    for _ in 0..50 {
        let group = (0..100).map(|_| {
            id += 1;
            let gender = if id % 2 == 0 { "male" } else { "female" };
            let (month, day) = (id % 12 + 1, id % 28 + 1);
            create(&format!(
                r#"{{"resourceType":"Patient","id":"w{id}","name":[{{"family":"Wide{id}"}}],"gender":"{gender}","birthDate":"2001-{month:02}-{day:02}","identifier":[{{"system":"urn:all","value":"same"}},{{"system":"urn:two","value":"same"}}]}}"#
            ))
        });
        fixture.apply(group.collect()).await;
    }
    for (asked, total) in [
        ("Patient?identifier=same", 5000),
        ("Patient?identifier=urn:all|same", 5000),
        ("Patient?name=wide", 5000),
        ("Patient?name=wide&gender=male", 2500),
        ("Patient?name=wide&identifier=same", 5000),
        ("Patient?name=wide&birthdate=ge2001-01-01", 5000),
        ("Patient?name=wide&_sort=birthdate", 5000),
        ("Patient?identifier=same&_sort=-birthdate", 5000),
        ("Patient?birthdate=ge2001-06-01&_sort=birthdate", 2916),
        ("Patient?_sort=-_lastUpdated", 5004),
        ("Patient?_sort=-gender,birthdate", 5004),
        ("Patient?gender:not=male", 2503),
    ] {
        let counted = fixture.store.count(&search(asked)).await.unwrap();
        let mut seen = std::collections::HashSet::new();
        let mut after = None;
        loop {
            let page = fixture.page(asked, 700, after).await;
            for reference in shown(&page) {
                assert!(seen.insert(reference), "{asked} shows one twice");
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!((seen.len(), counted), (total, total as u64), "{asked}");
    }
    let page = fixture.page("Patient?birthdate=ge2001-06-01&_sort=birthdate", 2, None).await;
    let first = page.matches.first().unwrap().version.body.as_deref().unwrap();
    assert!(first.contains("2001-06-0"), "{first}");
}

pub(super) async fn canonical_addresses_are_followed(fixture: &Fixture) {
    let all = [
        r#"{"resourceType":"Questionnaire","id":"q1","status":"active","url":"http://x.org/q","version":"1","publisher":"One"}"#,
        r#"{"resourceType":"Questionnaire","id":"q2","status":"active","url":"http://x.org/q","version":"2","publisher":"Two"}"#,
        r#"{"resourceType":"QuestionnaireResponse","id":"any","status":"completed","questionnaire":"http://x.org/q"}"#,
        r#"{"resourceType":"QuestionnaireResponse","id":"two","status":"amended","questionnaire":"http://x.org/q|2"}"#,
        r#"{"resourceType":"QuestionnaireResponse","id":"here","status":"completed","questionnaire":"Questionnaire/q1"}"#,
        r#"{"resourceType":"Questionnaire","id":"gone","status":"active","url":"http://x.org/q","version":"3","publisher":"Two"}"#,
        r#"{"resourceType":"Library","id":"l","status":"active","type":{"text":"x"},"relatedArtifact":[{"type":"depends-on","resource":"http://x.org/q|1"}]}"#,
    ];
    fixture.apply(all.iter().map(|resource| create(resource)).collect()).await;
    fixture.one(delete("Questionnaire/gone")).await;
    check(
        fixture,
        &[
            (
                "QuestionnaireResponse?_id=two&_include=QuestionnaireResponse:questionnaire",
                "two +q2",
            ),
            ("QuestionnaireResponse?_id=any&_include=*", "any +q1 +q2"),
            ("QuestionnaireResponse?_id=here&_include=*", "here +q1"),
            (
                "Questionnaire?_id=q1&_revinclude=QuestionnaireResponse:questionnaire",
                "q1 +any +here",
            ),
            ("Questionnaire?_id=q1&_revinclude=Library:depends-on", "q1 +l"),
            ("Questionnaire?_id=q2&_revinclude=Library:depends-on", "q2"),
            ("QuestionnaireResponse?questionnaire.publisher=two", "any two"),
            ("QuestionnaireResponse?questionnaire.publisher=one", "any here"),
            ("QuestionnaireResponse?questionnaire.publisher=one,two&status=completed", "any here"),
            ("Questionnaire?_has:QuestionnaireResponse:questionnaire:status=amended", "q2"),
            ("Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed", "q1 q2"),
            (
                "Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed&version=1",
                "q1",
            ),
        ],
    )
    .await;
}

pub(super) async fn labels_in_use_are_told(fixture: &Fixture) {
    let all = [
        r#"{"resourceType":"Patient","id":"a","meta":{"tag":[{"system":"urn:t","code":"x"}]}}"#,
        r#"{"resourceType":"Patient","id":"b","meta":{"tag":[{"system":"urn:t","code":"x"}],"profile":["http://x.org/p"]}}"#,
        r#"{"resourceType":"Patient","id":"c","meta":{"tag":[{"system":"urn:t","code":"x"}]}}"#,
        r#"{"resourceType":"Person","id":"d","meta":{"security":[{"code":"R"}]}}"#,
        r#"{"resourceType":"Person","id":"e"}"#,
    ];
    fixture.apply(all.iter().map(|resource| create(resource)).collect()).await;
    let check = |types: &'static [&'static str], limit: usize, expected: &'static str| async move {
        let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
        let found = fixture.store.labelled(&types, limit).await.unwrap();
        let ids: Vec<&str> = found.iter().map(|version| version.key.id.as_str()).collect();
        assert_eq!(ids.join(" "), expected, "{types:?} {limit}");
    };
    check(&[], 10, "a b d").await;
    check(&["Patient"], 10, "a b").await;
    check(&["Person", "Observation"], 10, "d").await;
    check(&["Observation"], 10, "").await;
    check(&[], 2, "a b").await;
    fixture.one(delete("Patient/a")).await;
    check(&["Patient"], 10, "b").await;
}

/// As many values as one parameter takes, of every kind; the last is the one that finds something.
pub(super) async fn as_many_values_as_may_be_are_asked_for(fixture: &Fixture) {
    filled(fixture).await;
    let many = |prefix: &str, last: &str| {
        let mut text = String::new();
        for number in 1..ALTERNATIVES_MAX {
            text.push_str(&format!("{prefix}{number},"));
        }
        text + last
    };
    let cases = [
        ("Patient?name", many("zz", "ann"), "p1 p2"),
        ("Patient?name:contains", many("zz", "nab"), "p2"),
        ("Patient?name:exact", many("zz", "Muller"), "p2"),
        ("Patient?identifier", many("zz", "1"), "p1"),
        ("Patient?identifier", many("urn:mrn|zz", "urn:mrn|2"), "p2"),
        ("Patient?identifier", many("|zz", "|3"), "p3"),
        ("Patient?identifier:not", many("urn:mrn|zz", "urn:mrn|2"), "p1 p3 p4"),
        ("Patient?identifier:of-type", many("urn:t|MR|zz", "urn:t|MR|1"), "p1"),
        ("Patient?general-practitioner", many("Practitioner/zz", "Practitioner/d1"), "p1"),
        ("Patient?general-practitioner", many("http://x.org/", "Practitioner/d1"), "p1"),
        ("Patient?organization.name", many("zz", "south"), "p1"),
        ("Patient?organization.partof.name", many("zz", "north"), "p1"),
        ("Organization?_has:Patient:organization:name", many("zz", "ann"), "o1 o2"),
        ("Patient?_id", many("zz", "p2"), "p2"),
        ("Observation?value-quantity", many("3000", "5.4|urn:ucum|mg"), "b1"),
        ("Observation?code:text", many("zz", "alpha"), "b1"),
        ("Observation?code-value-quantity", many("zz$", "urn:loinc|A$5.4"), "b1"),
        ("ValueSet?url", many("http://y.org/", "http://x.org/a/b"), "v1"),
        ("ValueSet?url:below", many("http://y.org/", "http://x.org/a"), "v1"),
    ];
    for (parameter, values, expected) in cases {
        let asked = format!("{parameter}={values}");
        check(fixture, &[(&asked, expected)]).await;
        // Held against what another leads to.
        let (resource_type, _) = parameter.split_once('?').unwrap();
        let first = expected.split(' ').next().unwrap();
        let asked = format!("{resource_type}?_id={first}&{parameter}={values}");
        check(fixture, &[(&asked, first)]).await;
    }
    let dates: Vec<String> =
        (0..ALTERNATIVES_MAX).map(|number| format!("{}", 3000 + number)).collect();
    let asked = format!("Patient?birthdate={},1980", dates[1..].join(","));
    check(fixture, &[(&asked, "p1")]).await;
    for operator in ["OR", "OR NOT"] {
        let words: Vec<String> = (0..480).map(|number| format!("zz{number}")).collect();
        let asked =
            format!("Observation?_content={} OR lying", words.join(&format!(" {operator} ")));
        let expected = if operator == "OR" { "b5" } else { "b1 b2 b3 b4 b5" };
        check(fixture, &[(&asked, expected)]).await;
    }
}
