//! What a PostgreSQL does beside answering: it goes away, comes back, encrypts, and is shared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::fixture::{create, key, postgres_in, postgres_url, reopen, rules, update};
use crate::datastore::{
    Applied, BodyKey, Datastore, DatastoreError, Group, Interaction, PostgresDatastore,
    PostgresLocation, Precondition, Refusal,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// A server of a test's own.
struct Server {
    directory: TempDir,
    url: String,
}

impl Server {
    /// Starts it, where PostgreSQL is installed.
    fn start() -> Option<Self> {
        postgres_url()?;
        let directory = tempfile::tempdir().unwrap();
        let started = script(&directory.path().join("server"), "start");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let url = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        Some(Self { directory, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script(&self.directory.path().join("server"), "stop");
    }
}

fn script(directory: &Path, what: &str) -> Output {
    // The server's own user must come through.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.parent().unwrap(), open).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
    Command::new(script).arg(what).env("PIPEHAT_POSTGRES_DIR", directory).output().unwrap()
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn patient(number: u64, version: u64) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","identifier":[{{"value":"{number}"}}],"multipleBirthInteger":{version}}}"#
    )
}

fn group(interaction: Interaction) -> Group {
    Group { interactions: vec![interaction], now: 1_700_000_000_000_000 }
}

/// Whether it was done; that the database is away is said as such.
fn done(applied: Result<Applied, DatastoreError>) -> bool {
    match applied {
        Ok(Applied::Done(_)) => true,
        Ok(Applied::Refused(refusal)) => {
            assert!(matches!(refusal.refusal, Refusal::Contention), "{refusal:?}");
            false
        }
        Err(DatastoreError::Unavailable(_) | DatastoreError::Uncertain(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// Clients write, each a patient again and again, until `most` were acknowledged; what each acknowledged last.
async fn load(
    store: &Arc<PostgresDatastore>,
    most: u64,
    harm: impl AsyncFn(u64),
) -> BTreeMap<u64, u64> {
    let (all, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let (store, all, ended) = (Arc::clone(store), Arc::clone(&all), Arc::clone(&ended));
            tokio::spawn(async move {
                let mut acknowledged = BTreeMap::new();
                for number in (client * 1_000_000).. {
                    if ended.load(Ordering::Relaxed) {
                        return acknowledged;
                    }
                    if done(store.apply(group(create(&patient(number, 1)))).await) {
                        acknowledged.insert(number, 1);
                        let second = update(&patient(number, 2), Precondition::None);
                        if done(store.apply(group(second)).await) {
                            acknowledged.insert(number, 2);
                        }
                        all.fetch_add(1, Ordering::Relaxed);
                    }
                    let read = store.read(&key(&format!("Patient/p{number}"))).await;
                    assert!(
                        matches!(read, Ok(_) | Err(DatastoreError::Unavailable(_))),
                        "{read:?}"
                    );
                }
                acknowledged
            })
        })
        .collect();
    let begun = Instant::now();
    while all.load(Ordering::Relaxed) < most {
        assert!(begun.elapsed() < DEADLINE, "only {all:?} were acknowledged");
        harm(all.load(Ordering::Relaxed)).await;
    }
    ended.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeMap::new();
    for client in clients {
        acknowledged.append(&mut client.await.unwrap());
    }
    acknowledged
}

async fn nothing_is_lost(store: &PostgresDatastore, acknowledged: &BTreeMap<u64, u64>) {
    for (number, version) in acknowledged {
        let found = store.read(&key(&format!("Patient/p{number}"))).await.unwrap();
        let found = found.unwrap_or_else(|| panic!("p{number} is lost"));
        assert!(found.version >= *version, "version {version} of p{number} is lost");
    }
    let verified = store.verify(&|_| {}).await.unwrap();
    assert_eq!((verified.problems_all, verified.problems), (0, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_connections_are_replaced() {
    let Some(url) = postgres_url() else { return };
    let named = format!("{url}?application_name=to_be_killed");
    let store = postgres_in(&named, "killed_connections").await;
    let killer = client(&url).await;
    let acknowledged = load(&store, 200, async |_| {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE application_name = 'to_be_killed' ORDER BY random() LIMIT 1";
        killer.execute(sql, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    })
    .await;
    assert!(acknowledged.len() >= 200);
    nothing_is_lost(&store, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_crashes_is_waited_for() {
    let Some(server) = Server::start() else { return };
    let store = postgres_in(&server.url, "crashes").await;
    let crashed = AtomicU64::new(0);
    let acknowledged = load(&store, 600, async |acknowledged| {
        let times = crashed.load(Ordering::Relaxed);
        if acknowledged >= 150 * (times + 1) && times < 3 {
            crashed.store(times + 1, Ordering::Relaxed);
            // A server process that is killed takes all of them along, and the server recovers from its log.
            let Ok((client, connection)) = tokio_postgres::connect(&server.url, NoTls).await else {
                return;
            };
            tokio::spawn(connection);
            let row = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
            let process = row.get::<_, i32>(0).to_string();
            assert!(Command::new("kill").args(["-9", &process]).status().unwrap().success());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    })
    .await;
    assert_eq!(crashed.load(Ordering::Relaxed), 3);
    nothing_is_lost(&store, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_said_to_be() {
    let Some(server) = Server::start() else { return };
    let store = postgres_in(&server.url, "gone").await;
    drop(server);
    let written = store.apply(group(create(&patient(1, 1)))).await;
    assert!(matches!(written, Err(DatastoreError::Unavailable(_))), "{written:?}");
    let read = store.read(&key("Patient/p1")).await;
    assert!(matches!(read, Err(DatastoreError::Unavailable(_))), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_nodes_leads() {
    let Some(url) = postgres_url() else { return };
    let first = postgres_in(&url, "leading_node").await;
    eventually("the only one leads", async || first.leads()).await;
    let second = reopen(&url, "leading_node").await;
    second.apply(group(create(&patient(1, 1)))).await.unwrap();
    eventually("the second follows", async || {
        second.newest_change().borrow().0 == 1 && first.newest_change().borrow().0 == 1
    })
    .await;
    assert!(first.leads() && !second.leads());
    drop(first);
    eventually("the second leads", async || second.leads()).await;
}

/// Opens a store by this address; whether its connections are encrypted, or why there are none.
async fn encrypted(address: &str) -> Result<bool, String> {
    let location = PostgresLocation {
        url: address.to_owned(),
        directory: PathBuf::new(),
        schema: "encrypted".to_owned(),
        connections_max: 2,
    };
    let store = match PostgresDatastore::open(&location, BodyKey::new(1, [7; 32]), rules()).await {
        Ok(store) => store,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            return Err(text);
        }
    };
    let (client, _) = store.client_and_core().await;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(client.query_one(sql, &[]).await.unwrap().get(0))
}

/// An authority, and the file of its certificate.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    file: String,
}

impl Authority {
    fn new(server: &Server, name: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = parameters.self_signed(&key).unwrap();
        let file = server.file(name, &certificate.pem());
        Self { issuer: rcgen::Issuer::new(parameters, key), file }
    }

    /// A certificate of this authority and its key.
    fn certify(&self, name: &str, hosts: &[&str]) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(hosts).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

impl Server {
    /// Writes a file beside the server's data.
    fn file(&self, name: &str, text: &str) -> String {
        let place = self.directory.path().join(name);
        std::fs::write(&place, text).unwrap();
        place.to_str().unwrap().to_owned()
    }

    /// Has the server write a file of its data, so that it is its own.
    async fn write(&self, client: &Client, name: &str, text: &str) {
        let sql = format!(
            "DO $$ BEGIN EXECUTE format('COPY (SELECT unnest(string_to_array(%L, E''\\n''))) TO %L',
             '{}', current_setting('data_directory') || '/{name}'); END $$",
            text.trim()
        );
        client.batch_execute(&sql).await.unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        let place = self.directory.path().join("server/data").join(name);
        std::fs::set_permissions(place, private).unwrap();
    }

    /// Has it encrypt, with a certificate of this authority for 127.0.0.1.
    async fn encrypt(&self, client: &Client, authority: &Authority) {
        let (certificate, key) = authority.certify("server", &["127.0.0.1"]);
        self.write(client, "server.crt", &certificate).await;
        self.write(client, "server.key", &key).await;
        client.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        eventually("the server encrypts", async || encrypted(&self.url).await == Ok(true)).await;
    }
}

/// Compares what `encrypted` gives with what is expected.
async fn check_encrypted(address: &str, expected: Result<bool, &str>) {
    let shown = address.split_once('?').unwrap().1;
    match (encrypted(address).await, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{shown}"),
        (Err(why), Err(said)) => assert!(why.contains(said), "{shown}: {why}"),
        (found, expected) => panic!("{shown}: {found:?}, expected {expected:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_clients_open_the_database() {
    let Some(server) = Server::start() else { return };
    let client = client(&server.url).await;
    let trusted = Authority::new(&server, "trusted");
    let other = Authority::new(&server, "other");
    server.encrypt(&client, &trusted).await;
    server.write(&client, "root.crt", &std::fs::read_to_string(&trusted.file).unwrap()).await;
    let rules = "hostssl all certified 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256";
    server.write(&client, "pg_hba.conf", rules).await;
    let settings = "CREATE ROLE certified LOGIN SUPERUSER;";
    client.batch_execute(settings).await.unwrap();
    client.batch_execute("ALTER SYSTEM SET ssl_ca_file = 'root.crt'").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();

    let files = |name: &str, (certificate, key): (String, String)| {
        (
            server.file(&format!("{name}.crt"), &certificate),
            server.file(&format!("{name}.key"), &key),
        )
    };
    let (own, own_key) = files("own", trusted.certify("certified", &[]));
    let (another, another_key) = files("another", trusted.certify("another", &[]));
    let (foreign, foreign_key) = files("foreign", other.certify("certified", &[]));
    let (_, host) = server.url.split_once('@').unwrap();
    let address =
        format!("postgres://certified@{host}?sslmode=verify-full&sslrootcert={}", trusted.file);
    let with =
        |certificate: &str, key: &str| format!("{address}&sslcert={certificate}&sslkey={key}");
    eventually("the server takes certificates", async || {
        encrypted(&with(&own, &own_key)).await == Ok(true)
    })
    .await;
    check_encrypted(&address, Err("does not let the user")).await;
    check_encrypted(&with(&another, &another_key), Err("certified")).await;
    check_encrypted(&with(&foreign, &foreign_key), Err("certificate")).await;
    check_encrypted(&with(&own, &another_key), Err("sslcert")).await;
    check_encrypted(&format!("{address}&sslcert={own}"), Err("sslkey")).await;
    check_encrypted(&with(&own, &format!("{own_key}.missing")), Err("sslkey")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_as_safe_as_asked() {
    let Some(server) = Server::start() else { return };
    let authority = Authority::new(&server, "trusted");
    let (trusted, other) = (&authority.file, Authority::new(&server, "other").file);

    let url = server.url.as_str();
    let by_name = url.replace("127.0.0.1", "localhost");
    assert_eq!(encrypted(url).await, Ok(false));
    let refused = encrypted(&format!("{url}?sslmode=require")).await.unwrap_err();
    assert!(refused.contains("does not support TLS"), "{refused}");

    server.encrypt(&client(url).await, &authority).await;

    for (address, expected) in [
        (format!("{url}?sslmode=prefer"), Ok(true)),
        (format!("{url}?sslmode=disable"), Ok(false)),
        (format!("{url}?sslmode=require"), Ok(true)),
        (format!("{by_name}?sslmode=require"), Ok(true)),
        (
            format!("{url}?sslmode=require&sslrootcert={other}"),
            Err("answers, but its certificate is not trusted"),
        ),
        (format!("{by_name}?sslmode=verify-ca&sslrootcert={trusted}"), Ok(true)),
        (
            format!("{by_name}?sslmode=verify-ca&sslrootcert={other}"),
            Err("answers, but its certificate is not trusted"),
        ),
        (format!("{url}?sslmode=verify-full&sslrootcert={trusted}"), Ok(true)),
        (
            format!("{by_name}?sslmode=verify-full&sslrootcert={trusted}"),
            Err("made out for another host"),
        ),
        (
            format!("{url}?sslmode=verify-full&sslrootcert={other}"),
            Err("answers, but its certificate is not trusted"),
        ),
        (
            format!("{url}?sslmode=verify-full&sslrootcert=system"),
            Err("answers, but its certificate is not trusted"),
        ),
        (format!("{url}?sslmode=verify-full"), Err("needs `sslrootcert=FILE`")),
    ] {
        check_encrypted(&address, expected).await;
    }
}
