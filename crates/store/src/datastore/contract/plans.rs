//! Common searches go by indexes: what each database says it would do.

use std::sync::Mutex;

use super::Fixture;
use super::fixture::{create, json, postgres_in, postgres_url, search, sqlite_in, update};
use crate::datastore::core::{Catalogue, Core};
use crate::datastore::search;
use crate::datastore::sql::{
    Dialect, Ending, Flushed, Lock, Pending, Row, Session, SessionError, SqlValue, VersionRow,
    ready,
};
use crate::datastore::{Precondition, SearchRequest};

/// A session that asks for the plan of each query before it runs it.
struct Explained<'s, S> {
    session: &'s mut S,
    plans: &'s Mutex<Vec<String>>,
}

impl<S: Session> Session for Explained<'_, S> {
    fn dialect(&self) -> Dialect {
        self.session.dialect()
    }

    fn in_time(&self) -> Result<(), SessionError> {
        self.session.in_time()
    }

    async fn query(
        &mut self,
        sql: &str,
        parameters: &[SqlValue],
    ) -> Result<Vec<Row>, SessionError> {
        let (how, column) = match self.dialect() {
            Dialect::Sqlite => ("EXPLAIN QUERY PLAN", 3),
            Dialect::Postgres => ("EXPLAIN", 0),
        };
        let rows = self.session.query(&format!("{how} {sql}"), parameters).await?;
        for row in rows {
            self.plans.lock().unwrap().push(row.text(column)?.trim().to_owned());
        }
        self.session.query(sql, parameters).await
    }

    async fn execute(&mut self, sql: &str, parameters: &[SqlValue]) -> Result<u64, SessionError> {
        self.session.execute(sql, parameters).await
    }

    async fn flush(&mut self, pending: Pending) -> Result<Flushed, SessionError> {
        self.session.flush(pending).await
    }

    async fn keys(&mut self, wanted: usize) -> Result<Vec<i64>, SessionError> {
        self.session.keys(wanted).await
    }

    async fn number(
        &mut self,
        versions: Vec<VersionRow>,
        ending: Ending,
    ) -> Result<Vec<u64>, SessionError> {
        self.session.number(versions, ending).await
    }

    async fn lock(&mut self, locks: &[Lock]) -> Result<(), SessionError> {
        self.session.lock(locks).await
    }
}

/// Searches that must not read a table from end to end.
const SEARCHES: [&str; 17] = [
    "Patient?_id=p1",
    "Patient?identifier=urn:mrn|5",
    "Patient?identifier=5&gender=female",
    "Patient?family=smith12",
    "Patient?family:exact=Smith12",
    "Patient?birthdate=ge2001-03-01&birthdate=lt2001-03-05&_sort=-birthdate",
    "Patient?_lastUpdated=ge2023-01-01&_sort=-_lastUpdated",
    "Patient?_sort=birthdate",
    "Observation?subject=Patient/p5",
    "Observation?subject:Patient.identifier=urn:mrn|5",
    "Observation?date=gt2020-01-01&_sort=-date&code=urn:loinc|3",
    "Observation?subject=Patient/p5&_sort=-date",
    "Patient?_has:Observation:subject:code=urn:loinc|7",
    "Observation?value-quantity=150",
    "Observation?value-quantity=gt295",
    "Observation?value-quantity=le5&value-quantity=ge0.5||mg",
    "Observation?value-quantity=ap20",
];

async fn fill(fixture: &Fixture) {
    let mut group = Vec::new();
    for id in 0..300 {
        let (month, day) = (id % 12 + 1, id % 28 + 1);
        let gender = if id % 2 == 0 { "male" } else { "female" };
        group.push(create(&format!(
            r#"{{"resourceType":"Patient","id":"p{id}","identifier":[{{"system":"urn:mrn","value":"{id}"}}],"name":[{{"family":"Smith{id}"}}],"gender":"{gender}","birthDate":"2001-{month:02}-{day:02}"}}"#
        )));
        group.push(create(&format!(
            r#"{{"resourceType":"Observation","id":"o{id}","status":"final","code":{{"coding":[{{"system":"urn:loinc","code":"{}"}}]}},"subject":{{"reference":"Patient/p{id}"}},"effectiveDateTime":"2020-{month:02}-{day:02}","valueQuantity":{{"value":{id},"unit":"mg"}}}}"#,
            id % 10
        )));
    }
    fixture.apply(group).await;
}

async fn plans<S: Session>(
    session: &mut S,
    core: &Core,
    catalogue: &Catalogue,
    asked: &str,
    after: Option<String>,
) -> Result<Vec<String>, SessionError> {
    let plans = Mutex::new(Vec::new());
    let request = SearchRequest { search: search(asked), visible: Vec::new(), limit: 2, after };
    let mut explained = Explained { session, plans: &plans };
    let page = search::page(&mut explained, core, catalogue, &request).await?;
    assert!(!page.unwrap().matches.is_empty(), "{asked} finds nothing");
    Ok(plans.into_inner().unwrap())
}

/// Searches whose second page must find what was changed meanwhile, and read no table from end to end.
const CHANGED: [&str; 6] = [
    "Patient?_sort=birthdate",
    "Patient?_sort=-_lastUpdated",
    "Patient?gender=male&_sort=-birthdate,family",
    "Observation?date=gt2020-01-01&_sort=-date&code=urn:loinc|3",
    "Observation?code=urn:loinc|3&_sort=date",
    "?_sort=_lastUpdated",
];

/// Where the second page of a search begins, and something is changed that stands further behind.
async fn changed(fixture: &Fixture, asked: &str) -> Option<String> {
    let next = fixture.page(asked, 2, None).await.next;
    let page = fixture.page(asked, 2, next.clone()).await;
    let mut resource = json(page.matches[1].version.body.as_deref().unwrap());
    resource.as_object_mut().unwrap().set("language", "en".into());
    fixture.one(update(&resource.to_json(), Precondition::None)).await;
    next
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_goes_by_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite_in(directory.path());
    let fixture = Fixture::new(store.clone());
    fill(&fixture).await;
    for asked in SEARCHES {
        let said = store
            .with_reader(move |session, core| {
                ready(plans(session, core, &core.catalogue(), asked, None))
            })
            .await
            .unwrap();
        for line in &said {
            let reads_all = line.starts_with("SCAN ")
                && !["json_each", "CONSTANT ROW", "VIRTUAL TABLE"].iter().any(|few| line.contains(few))
                // What a subquery found, which is small.
                && !["SCAN d", "SCAN e", "SCAN a", "SCAN b", "SCAN q", "SCAN q0", "SCAN q1", "SCAN q2"].contains(&line.as_str())
                && !line.starts_with("SCAN (subquery")
                && !line.starts_with("SCAN x");
            assert!(!reads_all, "{asked}: {line}\n{said:#?}");
        }
        if asked.contains("_sort=-date") && asked.contains("subject") {
            // The dates of one resource by its key, not all dates from the newest on.
            let by_value = said.iter().any(|line| line.contains("dates_by_low"));
            assert!(!by_value, "{asked}: {said:#?}");
        }
        for line in &said {
            // What one resource is held against is looked up by its key.
            let by_value = line.contains(" EXISTS ") && line.contains("_by_");
            assert!(!by_value, "{asked}: {line}\n{said:#?}");
        }
        if asked == "Patient?_sort=birthdate" {
            assert!(!said.iter().any(|line| line.contains("TEMP B-TREE")), "{asked}: {said:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_can_go_by_indexes() {
    let Some(url) = postgres_url() else { return };
    let store = postgres_in(&url, "plans").await;
    let fixture = Fixture::new(store.clone());
    fill(&fixture).await;
    for asked in SEARCHES {
        let (client, core) = store.client_and_core().await;
        // So small a table would be read from end to end, were that not the dearest way.
        client.batch_execute("ANALYZE; SET enable_seqscan = off").await.unwrap();
        let mut session = store.session(&client);
        let said = plans(&mut session, core, &core.catalogue(), asked, None).await.unwrap();
        for line in &said {
            assert!(!line.contains("Seq Scan"), "{asked}: {line}\n{said:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_finds_what_was_changed_by_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite_in(directory.path());
    let fixture = Fixture::new(store.clone());
    fill(&fixture).await;
    for asked in CHANGED {
        let after = changed(&fixture, asked).await;
        let said = store
            .with_reader(move |session, core| {
                ready(plans(session, core, &core.catalogue(), asked, after))
            })
            .await
            .unwrap();
        let of_versions: Vec<&String> = said
            .iter()
            .filter(|line| [" v ", " w "].iter().any(|own| line.contains(own)))
            .collect();
        assert!(of_versions.len() >= 3, "{asked}: {said:#?}");
        for line in of_versions {
            assert!(line.starts_with("SEARCH "), "{asked}: {line}\n{said:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_can_find_what_was_changed_by_indexes() {
    let Some(url) = postgres_url() else { return };
    let store = postgres_in(&url, "plans_changed").await;
    let fixture = Fixture::new(store.clone());
    fill(&fixture).await;
    for asked in CHANGED {
        let after = changed(&fixture, asked).await;
        let (client, core) = store.client_and_core().await;
        client.batch_execute("ANALYZE; SET enable_seqscan = off").await.unwrap();
        let mut session = store.session(&client);
        let said = plans(&mut session, core, &core.catalogue(), asked, after).await.unwrap();
        for line in &said {
            assert!(!line.contains("Seq Scan"), "{asked}: {line}\n{said:#?}");
        }
        let found = said.iter().any(|line| line.contains("versions w"));
        assert!(found, "{asked}: {said:#?}");
    }
}
