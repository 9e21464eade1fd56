//! A store that is killed while many write: what it acknowledged is there, nothing is there by half.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Fixture;
use super::fixture::{create, sqlite_in, update};
use crate::datastore::{Datastore, Precondition};

const STORE: &str = "PIPEHAT_TEST_CRASH_STORE";
const FIRST: &str = "PIPEHAT_TEST_CRASH_FIRST";
const CLIENTS: u64 = 8;
const LIVES: u64 = 6;

fn patient(number: u64, version: u64) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","identifier":[{{"value":"{number}"}}],"multipleBirthInteger":{version}}}"#
    )
}

fn observation(number: u64) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"o{number}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/p{number}"}}}}"#
    )
}

/// The process that is killed: it writes pairs, changes one of each, and says which it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "run by the test below"]
async fn child() {
    let (Ok(path), Ok(first)) = (std::env::var(STORE), std::env::var(FIRST)) else { return };
    let first: u64 = first.parse().unwrap();
    let fixture = Fixture::new(sqlite_in(&PathBuf::from(path)));
    let clients = (0..CLIENTS).map(|client| {
        let fixture = fixture.clone();
        tokio::spawn(async move {
            for round in 0.. {
                let number = first + client + round * CLIENTS;
                fixture
                    .apply(vec![create(&patient(number, 1)), create(&observation(number))])
                    .await;
                say(&format!("created {number}"));
                fixture.one(update(&patient(number, 2), Precondition::Version(1))).await;
                say(&format!("updated {number}"));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// A whole line at once, whoever else writes.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_every_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (mut created, mut updated) = (BTreeSet::new(), BTreeSet::new());
    for life in 0..LIVES {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "datastore::contract::crash::child"])
            .env(STORE, directory.path())
            .env(FIRST, (life * 1_000_000).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // Killed in the midst of it: after so many acknowledgments, not after a time.
        let wanted = 100 + life * 37;
        let (mut seen, deadline) = (0, Instant::now() + Duration::from_secs(60));
        for line in lines {
            // Behind the kill, what was written before is still read.
            let Ok(line) = line else { break };
            let Some((what, number)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "created" => created.insert(number),
                "updated" => updated.insert(number),
                _ => continue,
            };
            seen += 1;
            if seen == wanted {
                process.kill().unwrap();
            }
            assert!(Instant::now() < deadline, "the process writes nothing");
        }
        process.wait().unwrap();
        assert!(seen >= wanted, "the process ended by itself");
        let store = sqlite_in(directory.path());
        let fixture = Fixture::new(store.clone());
        for number in &created {
            let patient = fixture.read(&format!("Patient/p{number}")).await;
            let patient = patient.unwrap_or_else(|| panic!("p{number} is lost"));
            let least = if updated.contains(number) { 2 } else { 1 };
            assert!(patient.version >= least, "the change of p{number} is lost");
            assert!(fixture.read(&format!("Observation/o{number}")).await.is_some());
        }
        let statistics = store.statistics().await.unwrap();
        let of = |name: &str| statistics.types.get(name).copied().unwrap_or_default().resources;
        assert_eq!(of("Patient"), of("Observation"), "a transaction is there by half");
        let verified = store.verify(&|_| {}).await.unwrap();
        assert_eq!((verified.problems_all, verified.problems), (0, vec![]));
    }
    assert!(!created.is_empty() && !updated.is_empty());
}
