//! The datastore in SQLite and, where `scripts/postgres` can start one, in PostgreSQL: durable creates, updates and
//! transactions, reads and searches, by 1, 8 and 32 clients.
//!
//! `cargo bench -p pipehat-store --bench datastore`; a larger store with `-- --resources 1000000`, one store alone
//! with `-- --store sqlite`, longer measurements with `-- --seconds 5`.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use pipehat_resource::{
    json::parse,
    search::{Registry, Search, SearchOptions, query_pairs},
};
use pipehat_store::datastore::{
    Applied, BodyKey, Datastore, Group, Interaction, PostgresDatastore, PostgresLocation,
    Precondition, R4Rules, ResourceKey, SearchPage, SearchRequest, SqliteDatastore,
};

const RESOURCES: u64 = 10_000;
const CLIENTS: [usize; 3] = [1, 8, 32];

/// Of four resources one is a patient, the others are observations.
const OBSERVATIONS_EACH: u64 = 3;

const FAMILIES: [&str; 16] = [
    "Abbott",
    "Becker",
    "Castillo",
    "Dahl",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Hughes",
    "Ivanov",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
];

fn patient(number: u64, round: u64) -> String {
    let family = FAMILIES[(number % 16) as usize];
    let (year, month, day) = (1930 + number % 90, number / 90 % 12 + 1, number / 7 % 28 + 1);
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","identifier":[{{"use":"official","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}}]}},"system":"urn:oid:1.2.36.146.595.217.0.1","value":"MRN{number:08}"}}],"active":true,"name":[{{"use":"official","family":"{family}{suffix:05}","given":["Alex{given}","Kim"]}}],"telecom":[{{"system":"phone","value":"+49 30 {number:07}","use":"home"}}],"gender":"{gender}","birthDate":"{year}-{month:02}-{day:02}","address":[{{"use":"home","line":["{number} Main Street"],"city":"City{city}","postalCode":"{postal:05}","country":"DE"}}],"multipleBirthInteger":{round}}}"#,
        suffix = number / 16 % 100_000,
        given = number % 1000,
        gender = if number.is_multiple_of(2) { "female" } else { "male" },
        city = number % 500,
        postal = number % 90_000,
    )
}

fn observation(number: u64, subject: &str) -> String {
    let (day, hour, minute) = (number / 1440 % 28 + 1, number / 60 % 24, number % 60);
    let (year, month) = (2015 + number / 480_000 % 10, number / 40_320 % 12 + 1);
    format!(
        r#"{{"resourceType":"Observation","id":"o{number}","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}-{check}","display":"Result"}}]}},"subject":{{"reference":"{subject}"}},"effectiveDateTime":"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z","valueQuantity":{{"value":{value}.{digit},"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}}}"#,
        code = 2000 + number % 200,
        check = number % 10,
        value = number % 200,
        digit = number % 10,
    )
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_micros()).expect("before the year 294246")
}

fn create(text: &str) -> Interaction {
    let resource = parse(text.as_bytes()).expect("JSON");
    Interaction::Create { resource, if_none_exist: None, full_url: None }
}

async fn apply(store: &dyn Datastore, interactions: Vec<Interaction>) {
    match store.apply(Group { interactions, now: now() }).await {
        Ok(Applied::Done(_)) => {}
        other => panic!("was not applied: {other:?}"),
    }
}

async fn search(
    store: &dyn Datastore,
    registry: &Registry,
    resource_type: &str,
    query: &str,
) -> usize {
    page(store, registry, resource_type, query, None).await.matches.len()
}

async fn page(
    store: &dyn Datastore,
    registry: &Registry,
    resource_type: &str,
    query: &str,
    after: Option<String>,
) -> SearchPage {
    let options = SearchOptions { now: now(), ..SearchOptions::default() };
    let parsed = Search::parse(&[resource_type], &query_pairs(query), registry, &options);
    let search = parsed.expect("a search").search;
    let request = SearchRequest { search, visible: Vec::new(), limit: 20, after };
    store.search(&request).await.expect("an answer")
}

/// A number that no call before had the like of, spread over `below`.
fn spread(state: &AtomicU64, below: u64) -> u64 {
    let mut number = state.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    number ^= number >> 31;
    number.wrapping_mul(0xBF58_476D_1CE4_E5B9) % below.max(1)
}

/// How often something was done in a second, and how long it took at the median and at the 99th percentile.
async fn measure<F: Future<Output = ()> + Send>(
    clients: usize,
    time: Duration,
    work: impl Fn() -> F + Send + Sync + 'static,
) -> (f64, Duration, Duration) {
    let work = Arc::new(work);
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let work = Arc::clone(&work);
        tasks.push(async move {
            let mut took = Vec::new();
            while begun.elapsed() < time {
                let start = Instant::now();
                work().await;
                took.push(start.elapsed());
            }
            took
        });
    }
    let took = futures_util::future::join_all(tasks.into_iter().map(Box::pin)).await;
    let elapsed = begun.elapsed();
    let mut took: Vec<Duration> = took.into_iter().flatten().collect();
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
    (took.len() as f64 / elapsed.as_secs_f64(), at(50), at(99))
}

fn main() {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        options.insert(name, arguments.next().unwrap_or_default());
    }
    let number = |name: &str, otherwise: u64| {
        options.get(name).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let resources = number("--resources", RESOURCES);
    let time = Duration::from_secs(number("--seconds", 2));
    let only = options.get("--store").map(String::as_str);
    let rules = || Arc::new(R4Rules::new(Registry::standard(), "http://localhost/fhir/R4"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    runtime.block_on(async {
        if only.is_none_or(|only| only == "sqlite") {
            let directory = tempfile::tempdir_in("target").expect("a directory");
            let path = directory.path().join("datastore.db");
            let store =
                SqliteDatastore::open(&path, BodyKey::new(1, [7; 32]), rules()).expect("opens");
            run("SQLite", Arc::new(store), resources, time).await;
            let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            println!("the file has {} MB\n", bytes / 1_000_000);
        }
        if only.is_none_or(|only| only == "postgres")
            && let Some(url) = postgres()
        {
            let schema = "bench".to_owned();
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("connects");
            let driver = tokio::spawn(connection);
            client.batch_execute("DROP SCHEMA IF EXISTS bench CASCADE").await.expect("drops");
            let location = PostgresLocation {
                url,
                directory: std::path::PathBuf::new(),
                schema,
                connections_max: 16,
            };
            let store = PostgresDatastore::open(&location, BodyKey::new(1, [7; 32]), rules()).await;
            run("PostgreSQL", Arc::new(store.expect("opens")), resources, time).await;
            client.batch_execute("DROP SCHEMA bench CASCADE").await.expect("drops");
            drop(client);
            driver.abort();
        }
    });
}

fn postgres() -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
    let started = Command::new(script).arg("start").output().ok()?;
    let url = String::from_utf8(started.stdout).ok()?.trim().to_owned();
    started.status.success().then_some(url)
}

async fn run(name: &str, store: Arc<dyn Datastore>, resources: u64, time: Duration) {
    let patients = (resources / (1 + OBSERVATIONS_EACH)).max(1);
    let begun = Instant::now();
    fill(&store, patients).await;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{name}: {resources} resources, filled at {:.0} a second\n{:<28}{:>9}{:>11}{:>11}{:>11}",
        resources as f64 / seconds,
        "",
        "clients",
        "a second",
        "p50 ms",
        "p99 ms"
    );
    let registry = Registry::standard();
    pages(store.as_ref(), &registry, patients).await;
    let state = Arc::new(AtomicU64::new(1));
    let fresh = Arc::new(AtomicU64::new(100_000_000));
    macro_rules! row {
        ($what:literal, |$store:ident, $registry:ident, $pick:ident, $new:ident| $work:expr) => {
            for clients in CLIENTS {
                let (store, registry) = (Arc::clone(&store), Arc::clone(&registry));
                let (state, fresh) = (Arc::clone(&state), Arc::clone(&fresh));
                let work = move || {
                    let ($store, $registry) = (Arc::clone(&store), Arc::clone(&registry));
                    let $pick = spread(&state, patients);
                    let $new = fresh.fetch_add(100, Ordering::Relaxed);
                    async move {
                        // Each on a task of its own, as requests are.
                        tokio::spawn(async move { $work }).await.expect("done");
                    }
                };
                let (rate, median, slow) = measure(clients, time, work).await;
                let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
                println!(
                    "{:<28}{clients:>9}{rate:>11.0}{:>11.2}{:>11.2}",
                    $what,
                    ms(median),
                    ms(slow)
                );
            }
        };
    }
    row!("read", |store, _registry, pick, _new| {
        let key = ResourceKey { resource_type: "Patient".to_owned(), id: format!("p{pick}") };
        assert!(store.read(&key).await.expect("an answer").is_some());
    });
    row!("search by identifier", |store, registry, pick, _new| {
        let query = format!("identifier=urn:oid:1.2.36.146.595.217.0.1|MRN{pick:08}");
        assert_eq!(search(store.as_ref(), &registry, "Patient", &query).await, 1);
    });
    row!("search by name prefix", |store, registry, pick, _new| {
        let family = FAMILIES[(pick % 16) as usize];
        let query = format!("family={family}{:02}", pick % 100);
        search(store.as_ref(), &registry, "Patient", &query).await;
    });
    row!("search by dates, sorted", |store, registry, pick, _new| {
        let month = pick % 12 + 1;
        let query = format!("date=ge2015-{month:02}-01&date=lt2015-{month:02}-09&_sort=-date");
        search(store.as_ref(), &registry, "Observation", &query).await;
    });
    row!("search by chain", |store, registry, pick, _new| {
        let query = format!("subject:Patient.identifier=MRN{pick:08}");
        let found = search(store.as_ref(), &registry, "Observation", &query).await;
        assert!(found > 0);
    });
    row!("create (durable)", |store, _registry, pick, new| {
        let subject = format!("Patient/p{pick}");
        let text = match new / 100 % 4 {
            0 => patient(new, 0),
            _ => observation(new, &subject),
        };
        apply(store.as_ref(), vec![create(&text)]).await;
    });
    row!("update (durable)", |store, _registry, pick, new| {
        let resource = parse(patient(pick, new).as_bytes()).expect("JSON");
        let precondition = Precondition::None;
        let update = Interaction::Update { resource, precondition, keeps: None, full_url: None };
        apply(store.as_ref(), vec![update]).await;
    });
    row!("transaction of 20 (durable)", |store, _registry, _pick, new| {
        let mut interactions = vec![Interaction::Create {
            resource: parse(patient(new, 0).as_bytes()).expect("JSON"),
            if_none_exist: None,
            full_url: Some("urn:uuid:8d4d1f5e-0000-4000-8000-000000000001".to_owned()),
        }];
        for number in 1..20 {
            let subject = "urn:uuid:8d4d1f5e-0000-4000-8000-000000000001";
            interactions.push(create(&observation(new + number, subject)));
        }
        apply(store.as_ref(), interactions).await;
    });
}

/// Pages of a sorted search by one client, with more and more written since the first one was read.
async fn pages(store: &dyn Datastore, registry: &Registry, patients: u64) {
    let timed = async |what: &str, resource_type: &str, query: &str, after: &Option<String>| {
        let mut took = Vec::new();
        for _ in 0..200 {
            let start = Instant::now();
            let page = page(store, registry, resource_type, query, after.clone()).await;
            took.push(start.elapsed());
            assert_eq!(page.matches.len(), 20);
        }
        took.sort_unstable();
        let ms = |at: usize| took[at].as_secs_f64() * 1000.0;
        println!("{what:<28}{:>9}{:>11}{:>11.2}{:>11.2}", 1, "", ms(100), ms(198));
    };
    let next = async |resource_type: &str, query: &str| {
        page(store, registry, resource_type, query, None).await.next
    };
    let by_name = next("Patient", "_sort=family").await;
    timed("first page by name", "Patient", "_sort=family", &None).await;
    timed("next page by name", "Patient", "_sort=family", &by_name).await;
    let mut changed = 0;
    for so_many in [1, 100, 1000, 2000] {
        for number in changed..so_many.min(patients) {
            let resource = parse(patient(number, 1).as_bytes()).expect("JSON");
            let precondition = Precondition::None;
            let keeps = None;
            apply(
                store,
                vec![Interaction::Update { resource, precondition, keeps, full_url: None }],
            )
            .await;
        }
        changed = so_many;
        timed(&format!("  when {so_many} were changed"), "Patient", "_sort=family", &by_name).await;
    }
    let query = "gender=female&_sort=-_lastUpdated";
    let by_time = next("Patient", query).await;
    timed("next page by time", "Patient", query, &by_time).await;
    let by_date = next("Observation", "_sort=-date").await;
    timed("next page by date", "Observation", "_sort=-date", &by_date).await;
    for number in (200_000_000..200_015_000).step_by(100) {
        let group = (number..number + 100).map(|number| create(&observation(number, "Patient/p1")));
        apply(store, group.collect()).await;
    }
    timed("  when 15000 were created", "Observation", "_sort=-date", &by_date).await;
}

/// Fills a store, in transactions of 200.
async fn fill(store: &Arc<dyn Datastore>, patients: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for first in (0..patients).step_by(50) {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut interactions = Vec::new();
            for number in first..(first + 50).min(patients) {
                interactions.push(create(&patient(number, 0)));
                for other in 0..OBSERVATIONS_EACH {
                    let subject = format!("Patient/p{number}");
                    let text = observation(number * OBSERVATIONS_EACH + other, &subject);
                    interactions.push(create(&text));
                }
            }
            apply(store.as_ref(), interactions).await;
        });
        while tasks.len() >= 8 {
            tasks.join_next().await.expect("one").expect("filled");
        }
    }
    while let Some(filled) = tasks.join_next().await {
        filled.expect("filled");
    }
}
