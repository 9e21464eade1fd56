//! The FHIR datastore, killed again and again while many write over HTTP: what was acknowledged is there at the version
//! and with the content that was acknowledged, nothing is there by half or twice, and all of it stands in the audit.
//!
//! `PIPEHAT_CRASH_ROUNDS` makes it longer, `PIPEHAT_CRASH_SEED` repeats a run.

mod history;
mod server;
mod writer;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use self::history::check;
use self::server::Server;
use self::writer::{Books, Writer};
use crate::harness::{Project, Random, eventually};

/// How much a run of the test suite does: some seconds.
struct Load {
    /// Kills.
    rounds: u64,
    /// A node is killed behind at most so many acknowledgments: lives on a machine with much else to do are no emptier.
    acknowledgments_max: u64,
}

const SQLITE: Load = Load { rounds: 8, acknowledgments_max: 120 };

/// A life begins with some round trips more.
const POSTGRES: Load = Load { rounds: 6, acknowledgments_max: 60 };

/// A node is killed at most so long behind the last acknowledgment that was waited for.
const REST_MAX: Duration = Duration::from_millis(20);

/// In a long run, everything is verified after so many kills.
const VERIFY_EVERY: u64 = 25;

/// Clients that write at the same time.
const WRITERS: u64 = 8;

#[test]
fn what_sqlite_acknowledged_survives_every_kill() {
    survives_every_kill(&Project::new(), "embedded", &SQLITE);
}

#[test]
fn what_postgresql_acknowledged_survives_every_kill() {
    let Some(database) = Postgres::start("crash") else { return };
    let project = Project::new();
    project.write_secret("database", &database.url);
    survives_every_kill(&project, "secret:database", &POSTGRES);
}

fn survives_every_kill(project: &Project, store: &str, load: &Load) {
    let rounds = setting("PIPEHAT_CRASH_ROUNDS").unwrap_or(load.rounds);
    let seed = setting("PIPEHAT_CRASH_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        now.as_nanos() as u64
    });
    println!("PIPEHAT_CRASH_SEED={seed} PIPEHAT_CRASH_ROUNDS={rounds}");
    let mut random = Random::new(seed);
    project.write("pipehat.yaml", &format!("datastore: {{ store: {store} }}\n"));
    let client = client(project);
    let server = Arc::new(Server::new(client));
    let mut node = project.up();
    server.is_at(&node);
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (server, random) = (Arc::clone(&server), Random::new(random.next()));
            thread::spawn(move || Writer::new(number, random).run(&server))
        })
        .collect();
    for round in 1..=rounds {
        let wanted = server.acknowledged() + random.below(load.acknowledgments_max);
        eventually("enough is acknowledged", || server.acknowledged() >= wanted);
        thread::sleep(Duration::from_micros(random.below(REST_MAX.as_micros() as u64)));
        server.is_gone();
        node.kill();
        node = project.up();
        server.is_at(&node);
        if round % VERIFY_EVERY == 0 {
            verify(project);
        }
    }
    server.end();
    let books: Vec<Books> =
        writers.into_iter().map(|writer| writer.join().expect("a writer ends well")).collect();
    let books = Books::together(books);
    println!("{}", books.summary());
    check(&mut server.connection().expect("the node runs"), &books, random.next());
    verify(project);
    assert!(node.stop().success(), "it stops in good order");
    verify(project);
    project.prove();
    let printed = project.printed();
    assert!(!printed.contains("panicked"), "{printed}");
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// A client's id and secret.
fn client(project: &Project) -> (String, String) {
    let output = project.run(&["client", "add", "writers", "--scope", "system/*.*", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let added: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |name: &str| added[name].as_str().expect("it is told").to_owned();
    (text("client_id"), text("client_secret"))
}

fn verify(project: &Project) {
    let directory = project.directory();
    let directory = directory.to_str().expect("a path");
    let output = project.run(&["datastore", "verify", "--json", "--project", directory]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{wrong}");
    let verified: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(verified["sound"], true, "{said}");
}

/// A database of its own in the PostgreSQL that `scripts/postgres` starts.
pub(crate) struct Postgres {
    pub(crate) url: String,
    name: String,
}

impl Postgres {
    /// `None` where PostgreSQL is not installed, unless it must be (`PIPEHAT_TEST_POSTGRES=required`).
    pub(crate) fn start(name: &str) -> Option<Self> {
        let name = format!("{name}_{}", std::process::id());
        let output = script(&["database", &name]);
        if output.status.success() {
            let url = String::from_utf8(output.stdout).expect("a URL").trim().to_owned();
            return Some(Self { url, name });
        }
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        let required =
            std::env::var("PIPEHAT_TEST_POSTGRES").is_ok_and(|value| value == "required");
        assert!(output.status.code() == Some(3) && !required, "PostgreSQL: {problem}");
        eprintln!("skipped: {problem}");
        None
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The server and all that is in it are thrown away later.
        let _ = script(&["drop", &self.name]);
    }
}

fn script(arguments: &[&str]) -> std::process::Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
    Command::new(script).args(arguments).output().expect("the script runs")
}
