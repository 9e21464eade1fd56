//! A store with the rules of R4, and short ways to ask it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use pipehat_resource::json::{Value, parse};
use pipehat_resource::search::{Registry, Search, SearchOptions, query_pairs};

use crate::datastore::{
    Applied, BodyKey, Datastore, Group, GroupRefusal, Interaction, Outcome, PostgresDatastore,
    PostgresLocation, Precondition, R4Rules, Refusal, ResourceKey, Rules, SearchPage,
    SearchRequest, SqliteDatastore, StoredVersion,
};

pub(super) fn rules() -> Arc<dyn Rules> {
    Arc::new(R4Rules::new(Registry::standard(), "http://localhost/fhir/R4"))
}

pub(super) fn sqlite(directory: &Path) -> Arc<dyn Datastore> {
    sqlite_in(directory)
}

pub(super) fn sqlite_in(directory: &Path) -> Arc<SqliteDatastore> {
    let path = directory.join("datastore.db");
    Arc::new(SqliteDatastore::open(&path, BodyKey::new(1, [7; 32]), rules()).unwrap())
}

/// Where a PostgreSQL for tests is: `scripts/postgres` starts one. `None` where it is not installed, unless it must
/// be, which `PIPEHAT_TEST_POSTGRES=required` says.
pub(super) fn postgres_url() -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
    let started = Command::new(script).arg("start").output().unwrap();
    if started.status.success() {
        return Some(String::from_utf8(started.stdout).unwrap().trim().to_owned());
    }
    let problem = String::from_utf8_lossy(&started.stderr).into_owned();
    let required = std::env::var("PIPEHAT_TEST_POSTGRES").is_ok_and(|value| value == "required");
    assert!(started.status.code() == Some(3) && !required, "PostgreSQL does not start: {problem}");
    eprintln!("skipped: {problem}");
    None
}

pub(super) async fn postgres(url: &str, case: &str) -> Arc<dyn Datastore> {
    postgres_in(url, case).await
}

pub(super) async fn postgres_in(url: &str, case: &str) -> Arc<PostgresDatastore> {
    // Names of schemas are short.
    let schema: String = case.chars().take(40).collect();
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
    reopen(url, &schema).await
}

/// Another store on the same schema, as another node has it.
pub(super) async fn reopen(url: &str, schema: &str) -> Arc<PostgresDatastore> {
    let schema = schema.to_owned();
    let location = PostgresLocation {
        url: url.to_owned(),
        directory: PathBuf::new(),
        schema,
        connections_max: 8,
    };
    let store = PostgresDatastore::open(&location, BodyKey::new(1, [7; 32]), rules()).await;
    Arc::new(store.unwrap())
}

/// A store under test.
#[derive(Clone)]
pub(in crate::datastore) struct Fixture {
    pub(super) store: Arc<dyn Datastore>,
    clock: Arc<AtomicI64>,
}

pub(super) fn key(reference: &str) -> ResourceKey {
    let (resource_type, id) = reference.split_once('/').unwrap();
    ResourceKey { resource_type: resource_type.to_owned(), id: id.to_owned() }
}

pub(super) fn json(text: &str) -> Value {
    parse(text.as_bytes()).unwrap()
}

pub(super) fn search(text: &str) -> Search {
    let (resource_type, query) = text.split_once('?').unwrap();
    let types: Vec<&str> = if resource_type.is_empty() { vec![] } else { vec![resource_type] };
    let options =
        SearchOptions { base_url: "http://localhost/fhir/R4", ..SearchOptions::default() };
    Search::parse(&types, &query_pairs(query), &Registry::standard(), &options).unwrap().search
}

pub(super) fn create(resource: &str) -> Interaction {
    Interaction::Create { resource: json(resource), if_none_exist: None, full_url: None }
}

pub(super) fn create_if_none(resource: &str, condition: &str) -> Interaction {
    Interaction::Create {
        resource: json(resource),
        if_none_exist: Some(search(condition)),
        full_url: None,
    }
}

pub(super) fn update(resource: &str, precondition: Precondition) -> Interaction {
    Interaction::Update { resource: json(resource), precondition, keeps: None, full_url: None }
}

pub(super) fn delete(reference: &str) -> Interaction {
    Interaction::Delete { key: key(reference), precondition: Precondition::None }
}

impl Fixture {
    pub(in crate::datastore) fn new(store: Arc<dyn Datastore>) -> Self {
        Self { store, clock: Arc::new(AtomicI64::new(1_700_000_000_000_000)) }
    }

    pub(super) async fn try_apply(&self, interactions: Vec<Interaction>) -> Applied {
        let now = self.clock.fetch_add(1000, Ordering::Relaxed);
        self.store.apply(Group { interactions, now }).await.unwrap()
    }

    /// Applies what must succeed.
    pub(super) async fn apply(&self, interactions: Vec<Interaction>) -> Vec<Outcome> {
        match self.try_apply(interactions).await {
            Applied::Done(outcomes) => outcomes,
            Applied::Refused(GroupRefusal { interaction, refusal }) => {
                panic!("interaction {interaction} was refused: {refusal}")
            }
        }
    }

    /// Applies one that must succeed.
    pub(super) async fn one(&self, interaction: Interaction) -> Outcome {
        self.apply(vec![interaction]).await.pop().unwrap()
    }

    /// Applies one that must be refused.
    pub(super) async fn refused(&self, interaction: Interaction) -> Refusal {
        match self.try_apply(vec![interaction]).await {
            Applied::Done(outcomes) => panic!("was not refused: {outcomes:?}"),
            Applied::Refused(refusal) => refusal.refusal,
        }
    }

    pub(super) async fn read(&self, reference: &str) -> Option<StoredVersion> {
        self.store.read(&key(reference)).await.unwrap()
    }

    pub(super) async fn page(&self, text: &str, limit: usize, after: Option<String>) -> SearchPage {
        let request = SearchRequest { search: search(text), visible: Vec::new(), limit, after };
        self.store.search(&request).await.unwrap()
    }

    /// The references of what a search finds, in order; what came along in brackets.
    pub(super) async fn found(&self, text: &str) -> Vec<String> {
        shown(&self.page(text, 100, None).await)
    }
}

pub(super) fn shown(page: &SearchPage) -> Vec<String> {
    page.matches
        .iter()
        .map(|found| {
            let key = &found.version.key;
            let reference = format!("{}/{}", key.resource_type, key.id);
            if found.matched { reference } else { format!("({reference})") }
        })
        .collect()
}

/// The version in an outcome, and in a word what became of it.
pub(super) fn told(outcome: &Outcome) -> (&'static str, u64) {
    match outcome {
        Outcome::Created(version) => ("created", version.version),
        Outcome::Updated(version) => ("updated", version.version),
        Outcome::Unchanged(version) => ("unchanged", version.version),
        Outcome::Deleted(versions) => ("deleted", versions.first().map_or(0, |v| v.version)),
        Outcome::Read(version) => ("read", version.as_ref().map_or(0, |v| v.version)),
        Outcome::Found(_) => ("found", 0),
    }
}
