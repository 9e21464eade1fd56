//! The datastore's PostgreSQL goes away while Pipehat runs, or can't be had: who asks is told what is the matter.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::datastore_crash::Postgres;
use crate::harness::{Connection, Project, eventually};

/// Stands between Pipehat and its database, until it is cut.
struct Line {
    port: u16,
    is_cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (target, cut, kept) = (target.to_owned(), Arc::clone(&is_cut), Arc::clone(&streams));
        thread::spawn(move || {
            for near in listener.incoming() {
                if cut.load(Ordering::SeqCst) {
                    return;
                }
                let near = near.expect("a connection");
                let far = TcpStream::connect(&target).expect("the database listens");
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) =
                        (from.try_clone().expect("a copy"), to.try_clone().expect("a copy"));
                    thread::spawn(move || io::copy(&mut from, &mut to));
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend([near, far]);
                // One that came while it was cut.
                if cut.load(Ordering::SeqCst) {
                    shut(&kept);
                    return;
                }
            }
        });
        Self { port, is_cut, streams }
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        // It stops listening when it sees the next one.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        shut(&self.streams);
    }
}

fn shut(streams: &Mutex<Vec<TcpStream>>) {
    for stream in streams.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

#[test]
fn who_asks_is_told_that_the_database_is_away() {
    let Some(database) = Postgres::start("away") else { return };
    let (credentials, place) = database.url.rsplit_once('@').expect("a URL");
    let (authority, name) = place.split_once('/').expect("a URL");
    let line = Line::to(authority);
    let project = Project::new();
    project.write_secret("db", &format!("{credentials}@127.0.0.1:{}/{name}", line.port));
    project.write("pipehat.yaml", "datastore: { store: secret:db }\n");
    let node = project.up();
    let ready = || {
        let mut connection =
            Connection::open(node.api().authority(), "").expect("the node listens");
        let answered = connection.call("GET", "/health/ready", &[], None).expect("an answer");
        (answered.status, String::from_utf8_lossy(&answered.body).into_owned())
    };
    assert_eq!(ready(), (200, "ready\n".to_owned()));
    line.cut();
    let away = "not ready; the datastore's database can't be reached\n";
    eventually("it is not ready", || ready() == (503, away.to_owned()));
    let directory = project.directory();
    let asked = ["datastore", "stats", "--project", directory.to_str().expect("a path")];
    let stats = project.run(&asked);
    let said = String::from_utf8_lossy(&stats.stderr);
    assert!(!stats.status.success() && said.contains("database can't be reached"), "{said}");
}

#[test]
fn what_can_not_be_an_address_is_found_before_the_start() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore: { store: secret:db }\n");
    let check = |url: &str, expected: Option<&str>| {
        project.write_secret("db", url);
        let directory = project.directory();
        let output = project.run(&["check", directory.to_str().expect("a path")]);
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(i32::from(expected.is_some())), "{url}: {said}");
        if let Some(expected) = expected {
            assert!(said.contains(expected) && said.contains("pipehat.yaml:1:"), "{url}: {said}");
        }
        assert!(!said.contains("hidden"), "{said}");
    };
    check("postgres://u:hidden@h/d", None);
    check("postgres://u:hidden@h/d?sslmode=full", Some("is none of disable"));
    check("postgres://u:hidden@h/d?colour=red", Some("unknown option `colour`"));
    // From the project directory, wherever it is started.
    let own = "postgres://u:hidden@h/d?sslmode=verify-full&sslrootcert=certificates/ca.pem";
    check(own, Some("project/certificates/ca.pem can't be read"));
    project.write("certificates/ca.pem", CERTIFICATE);
    check(own, None);
}

/// Of an authority that never was.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUKoi3r4Ek3QY1aW4xIfw+Vjh2n6MwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyNjA0MTAyOFoYDzIxMjYxMTAyMDQx
MDI4WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARKvHpWmImWdlSMwdEV2BN9buNsof5/piu1XMSp+Xkb7MEt27IkvRz0ince0Y3+
rT1z6UyJU7WWIWE4y/Lr4OL5o1MwUTAdBgNVHQ4EFgQU6/SEe+ds5K3P3zCyLKe+
bUuOR+cwHwYDVR0jBBgwFoAU6/SEe+ds5K3P3zCyLKe+bUuOR+cwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBbqY5M4rGpI4PeKsCdkVTILOoiDiBI
tSUCm/DHoY8r2QIgKF1ODLR7xhaNV9NWDGFN1l0gzUkyxdNEbHhtDRDIW9Q=
-----END CERTIFICATE-----
";
