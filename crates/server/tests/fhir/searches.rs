//! search, as far as the API is concerned: forms, pages, links, compartments. What is found by which parameter is the
//! matter of other crates' tests.

use serde_json::json;

use crate::harness::{BASE, Server};

async fn people(server: &Server) {
    for (id, family) in [("a", "Adams"), ("b", "Brown"), ("c", "Clark")] {
        server
            .put(&json!({ "resourceType": "Patient", "id": id, "name": [{ "family": family }] }))
            .await;
        server
            .put(
                &json!({ "resourceType": "Observation", "id": format!("o-{id}"), "status": "final",
                "code": { "text": "x" }, "subject": { "reference": format!("Patient/{id}") } }),
            )
            .await;
    }
}

#[tokio::test]
async fn a_search_is_a_bundle() {
    let server = Server::new();
    people(&server).await;
    let reply = server.get("/Patient?family=ada").await.expect(200);
    let bundle = reply.value();
    assert_eq!(bundle["resourceType"], "Bundle");
    assert_eq!(bundle["type"], "searchset");
    assert_eq!(bundle["total"], 1);
    assert_eq!(bundle["link"][0]["relation"], "self");
    assert_eq!(bundle["link"][0]["url"], format!("{BASE}/Patient?family=ada"));
    assert_eq!(bundle["entry"][0]["fullUrl"], format!("{BASE}/Patient/a"));
    assert_eq!(bundle["entry"][0]["search"]["mode"], "match");
    assert_eq!(server.get("/Patient?family=zzz").await.expect(200).value()["total"], 0);
}

#[tokio::test]
async fn names_are_found_by_their_sound_and_texts_by_expressions() {
    let server = Server::new();
    for (id, family, given) in
        [("a", "Doe", "Robert"), ("b", "Smith", "Rupert"), ("c", "Day", "Eve")]
    {
        let name = json!([{ "family": family, "given": [given] }]);
        server.put(&json!({ "resourceType": "Patient", "id": id, "name": name })).await;
    }
    let check = async |query: &str, expected: &[&str]| {
        let mut found = server.get(&format!("/Patient?{query}")).await.expect(200).entries();
        found.sort();
        let expected: Vec<String> = expected.iter().map(|id| format!("Patient/{id}")).collect();
        assert_eq!(found, expected, "{query}");
    };
    check("phonetic=doh", &["a", "c"]).await;
    check("phonetic=rubert%20doh", &["a"]).await;
    check("phonetic=smyth,eva", &["b", "c"]).await;
    check("phonetic=x", &[]).await;
    check("_content=doe%20OR%20smith", &["a", "b"]).await;
    check("_content=(doe%20OR%20smith)%20AND%20rupert", &["b"]).await;
    check("_content=NOT%20doe", &["b", "c"]).await;
    check("_content=day%20NOT%20%22eve%20day%22", &[]).await;
    server.get("/Patient?_content=(doe%20OR%20x").await.refused(400, "invalid");
    server.get("/Patient?_content=doe%20OR").await.refused(400, "invalid");
    server.get("/Patient?organization:not=Organization/1").await.refused(400, "not-supported");
}

#[tokio::test]
async fn searches_by_post_merge_form_and_address() {
    let server = Server::new();
    people(&server).await;
    let form = "content-type: application/x-www-form-urlencoded";
    let reply =
        server.send("POST /Patient/_search?family=ada", form, "_id=a%2Cb").await.expect(200);
    assert_eq!(reply.entries(), ["Patient/a"]);
    assert_eq!(reply.link("self").as_deref(), Some("/Patient?family=ada&_id=a,b"));
    let empty = server.send("POST /Patient/_search", form, "").await.expect(200);
    assert_eq!(empty.entries().len(), 3);
    server.json("POST /Patient/_search", &json!({})).await.expect(415);
    server.send("POST /Patient/_search", form, "a=%zz").await.refused(400, "value");
    server.send("POST /Patient/_search", form, "_format=xml").await.refused(406, "not-supported");
    let pretty = server.send("POST /Patient/_search", form, "_pretty=true").await.expect(200);
    assert!(pretty.text().starts_with("{\n"));
    let all = server.send("POST /_search", form, "_type=Patient,Observation").await.expect(200);
    assert_eq!(all.entries().len(), 6);
}

#[tokio::test]
async fn pages_hold_while_others_write() {
    let server = Server::new();
    people(&server).await;
    let mut path = "/Patient?_sort=family&_count=1".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.get(&path).await.expect(200);
        seen.extend(page.entries());
        assert!(page.link("self").is_some());
        if seen.len() > 1 {
            assert_eq!(page.link("first").as_deref(), Some("/Patient?_sort=family&_count=1"));
        }
        let number = seen.len();
        server
            .put(&json!({ "resourceType": "Patient", "id": format!("new{number}"),
            "name": [{ "family": "Aaron" }] }))
            .await;
        match page.link("next") {
            Some(next) => path = next,
            None => break,
        }
        assert!(number < 10);
    }
    assert_eq!(seen, ["Patient/a", "Patient/b", "Patient/c"]);
    server.get("/Patient?_after=nonsense").await.refused(400, "value");
}

#[tokio::test]
async fn what_is_changed_between_pages_comes_once() {
    let server = Server::new();
    let person = |id: &str, family: &str, born: &str| {
        json!({ "resourceType": "Patient", "id": id, "name": [{ "family": family }],
            "birthDate": born, "gender": "female" })
    };
    for (round, sort) in [
        "family",
        "-family",
        "birthdate",
        "-birthdate",
        "_lastUpdated",
        "-_lastUpdated",
        "gender,-birthdate,family",
    ]
    .into_iter()
    .enumerate()
    {
        let id = |number: usize| format!("r{round}-{number:02}");
        for number in 0..12 {
            let (family, born) = (format!("M{number:02}"), format!("19{}-01-01", 40 + number));
            server.put(&person(&id(number), &family, &born)).await;
        }
        let query = format!("_sort={sort}&_lastUpdated=ge2000&_id=")
            + &(0..12).map(id).collect::<Vec<_>>().join(",");
        let all = server.get(&format!("/Patient?{query}")).await.expect(200).entries();
        assert_eq!(all.len(), 12, "{sort}");
        let form = "content-type: application/x-www-form-urlencoded";
        let form_query = format!("{query}&_count=5");
        let mut page = server.send("POST /Patient/_search", form, form_query).await.expect(200);
        // One that was shown and one to come move before all others, one of each behind them; one goes.
        let changes = [
            (1, "A", "1901-01-01"),
            (7, "A", "1901-01-01"),
            (2, "Z", "2020-01-01"),
            (9, "Z", "2020-01-01"),
        ];
        for (at, family, born) in changes {
            let (_, id) = all[at].split_once('/').unwrap();
            server.put(&person(id, family, born)).await;
        }
        server.send(&format!("DELETE /{}", all[10]), "", "").await.expect(204);
        let mut seen = page.entries();
        while let Some(next) = page.link("next") {
            page = server.get(&next).await.expect(200);
            seen.extend(page.entries());
            assert!(seen.len() <= 12, "{sort}: {seen:?}");
        }
        let expected: Vec<String> =
            all.iter().enumerate().filter(|(at, _)| *at != 10).map(|(_, id)| id.clone()).collect();
        assert_eq!(seen, expected, "{sort}");
    }
}

#[tokio::test]
async fn totals_and_counts() {
    let server = Server::new();
    people(&server).await;
    for query in ["_summary=count", "_count=0"] {
        let reply = server.get(&format!("/Patient?{query}")).await.expect(200);
        assert_eq!(reply.value()["total"], 3, "{query}");
        assert!(reply.value().get("entry").is_none(), "{query}");
        assert_eq!(reply.link("next"), None);
    }
    let page = server.get("/Patient?_count=2&_total=accurate").await.expect(200);
    assert_eq!((page.value()["total"].as_u64(), page.entries().len()), (Some(3), 2));
    let none = server.get("/Patient?_total=none").await.expect(200);
    assert!(none.value().get("total").is_none());
}

#[tokio::test]
async fn unknown_parameters_by_preference() {
    let server = Server::new();
    people(&server).await;
    let lenient = server.get("/Patient?nothing=1&family=ada").await.expect(200);
    let bundle = lenient.value();
    assert_eq!(lenient.link("self").as_deref(), Some("/Patient?family=ada"));
    let last = bundle["entry"].as_array().and_then(|entries| entries.last().cloned());
    let last = last.expect("an entry");
    assert_eq!(last["search"]["mode"], "outcome");
    assert_eq!(last["resource"]["resourceType"], "OperationOutcome");
    assert_eq!(last["resource"]["issue"][0]["severity"], "warning");
    let strict = server.send("GET /Patient?nothing=1", "prefer: handling=strict", "").await;
    strict.refused(400, "not-supported");
    server.get("/Patient?birthdate=never").await.expect(400);
}

#[tokio::test]
async fn what_comes_along_comes_once() {
    let server = Server::new();
    people(&server).await;
    server
        .put(&json!({ "resourceType": "Observation", "id": "o-a2", "status": "final",
        "code": { "text": "x" }, "subject": { "reference": "Patient/a" } }))
        .await;
    let reply = server.get("/Observation?subject=Patient/a&_include=Observation:subject").await;
    let reply = reply.expect(200);
    let modes: Vec<String> = reply.value()["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["search"]["mode"].as_str().expect("a mode").to_owned())
        .collect();
    assert_eq!(modes, ["match", "match", "include"]);
    assert_eq!(reply.value()["total"], 2);
    let reverse = server.get("/Patient?_id=a&_revinclude=Observation:subject").await.expect(200);
    assert_eq!(reverse.entries().len(), 3);
}

#[tokio::test]
async fn compartments_are_searched() {
    let server = Server::new();
    people(&server).await;
    let one = server.get("/Patient/a/Observation").await.expect(200);
    assert_eq!(one.entries(), ["Observation/o-a"]);
    assert_eq!(one.link("self").as_deref(), Some("/Patient/a/Observation"));
    let none = server.get("/Patient/a/Observation?status=preliminary").await.expect(200);
    assert!(none.entries().is_empty());
    let mut all = server.get("/Patient/a/*").await.expect(200).entries();
    all.sort();
    assert_eq!(all, ["Observation/o-a", "Patient/a"]);
    server.get("/Organization/a/Observation").await.refused(404, "not-supported");
    server.get("/Patient/a/Organization").await.refused(404, "not-supported");
}

#[tokio::test]
async fn parts_in_searches_are_marked() {
    let server = Server::new();
    people(&server).await;
    let bundle = server.get("/Patient?_elements=active&_id=a").await.expect(200).value();
    let resource = &bundle["entry"][0]["resource"];
    assert_eq!(resource["meta"]["tag"][0]["code"], "SUBSETTED");
    assert!(resource.get("name").is_none());
    let whole = server.get("/Patient/a").await.expect(200).value();
    assert!(whole["meta"].get("tag").is_none());
}

#[tokio::test]
async fn everything_about_a_patient() {
    let server = Server::new();
    people(&server).await;
    server.put(&json!({ "resourceType": "Organization", "id": "org", "name": "x" })).await;
    server
        .put(&json!({ "resourceType": "Encounter", "id": "e", "status": "finished",
        "class": { "code": "AMB" }, "subject": { "reference": "Patient/a" },
        "serviceProvider": { "reference": "Organization/org" } }))
        .await;
    let mut found = server.get("/Patient/a/$everything").await.expect(200).entries();
    found.sort();
    assert_eq!(found, ["Encounter/e", "Observation/o-a", "Organization/org", "Patient/a"]);
    let typed = server.get("/Patient/a/$everything?_type=Observation").await.expect(200);
    assert_eq!(typed.entries(), ["Observation/o-a"]);
    let mut path = "/Patient/a/$everything?_count=1".to_owned();
    let mut matches = 0;
    loop {
        let page = server.get(&path).await.expect(200);
        let entries = page.value()["entry"].as_array().cloned().unwrap_or_default();
        matches += entries.iter().filter(|entry| entry["search"]["mode"] == "match").count();
        match page.link("next") {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(matches, 3);
    let mut encounter = server.get("/Encounter/e/$everything").await.expect(200).entries();
    encounter.sort();
    assert_eq!(encounter, ["Encounter/e", "Organization/org", "Patient/a"]);
    server.get("/Patient/never/$everything").await.refused(404, "not-found");
    server.get("/Observation/o-a/$everything").await.refused(404, "not-supported");
}

#[tokio::test]
async fn canonical_addresses_are_followed() {
    let server = Server::new();
    let questionnaire = |id: &str, version: &str| {
        json!({ "resourceType": "Questionnaire", "id": id, "status": "active", "version": version,
            "url": "http://example.org/Questionnaire/q", "publisher": format!("p{version}") })
    };
    let response = |id: &str, canonical: &str| {
        json!({ "resourceType": "QuestionnaireResponse", "id": id, "status": "completed",
            "questionnaire": canonical })
    };
    server.put(&questionnaire("q1", "1")).await;
    server.put(&questionnaire("q2", "2")).await;
    server.put(&response("any", "http://example.org/Questionnaire/q")).await;
    server.put(&response("two", "http://example.org/Questionnaire/q|2")).await;
    server.put(&response("here", "Questionnaire/q1")).await;
    server.put(&response("other", "http://example.org/Questionnaire/r")).await;
    let check = |path: &'static str, expected: &'static [&'static str]| {
        let server = &server;
        async move {
            let mut found = server.get(path).await.expect(200).entries();
            found.sort();
            assert_eq!(found, expected, "{path}");
        }
    };
    const ANY: &str = "QuestionnaireResponse/any";
    const TWO: &str = "QuestionnaireResponse/two";
    const HERE: &str = "QuestionnaireResponse/here";
    let include = "/QuestionnaireResponse?_id=two&_include=QuestionnaireResponse:questionnaire";
    check(include, &["Questionnaire/q2", TWO]).await;
    let include = "/QuestionnaireResponse?_id=any&_include=*";
    check(include, &["Questionnaire/q1", "Questionnaire/q2", ANY]).await;
    let back = "/Questionnaire?_id=q1&_revinclude=QuestionnaireResponse:questionnaire";
    check(back, &["Questionnaire/q1", ANY, HERE]).await;
    check("/QuestionnaireResponse?questionnaire.publisher=p2", &[ANY, TWO]).await;
    check("/QuestionnaireResponse?questionnaire.publisher=p1", &[ANY, HERE]).await;
    let has = "/Questionnaire?_has:QuestionnaireResponse:questionnaire:_id=two";
    check(has, &["Questionnaire/q2"]).await;
    let has = "/Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed&_id=q1";
    check(has, &["Questionnaire/q1"]).await;
}

#[tokio::test]
async fn lists_are_searched() {
    let server = Server::new();
    for id in ["a", "b", "c"] {
        server.put(&json!({ "resourceType": "Patient", "id": id, "active": id != "b" })).await;
    }
    server
        .put(&json!({ "resourceType": "List", "id": "l", "status": "current", "mode": "working",
            "entry": [{ "item": { "reference": "Patient/a" } }, { "item": { "reference": "Patient/b" } }] }))
        .await;
    let found = |path: &'static str| server.get(path);
    assert_eq!(found("/Patient?_list=l").await.expect(200).entries(), ["Patient/a", "Patient/b"]);
    assert_eq!(found("/Patient?_list=l&active=true").await.entries(), ["Patient/a"]);
    assert_eq!(found("/Patient?_list=never").await.expect(200).entries(), Vec::<String>::new());
    found("/Patient?_list=$current-problems").await.refused(400, "not-supported");
}
