//! Connections: who is let in, which server is trusted, and what becomes of connections between.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::fake::{Fake, Fault, OPEN, READ, READDIR, REALPATH};
use super::ssh::{Entry, PASSWORD, SshServer, fingerprint};
use super::{LONG, Named, read};
use crate::sftp::{SftpError, SftpServer};

fn client(settings: &str, password: &str) -> SftpServer {
    let secrets = Named::with(&[("password", password)]);
    read(settings, &secrets, Path::new(".")).expect("the settings are sound")
}

async fn server(entry: Entry, fault: Fault) -> SshServer {
    let fake = Fake::with(fault);
    fake.put("/home/lab/a.hl7", b"MSH|^~\\&|");
    SshServer::start(entry, fake).await
}

#[tokio::test]
async fn a_password_lets_in_however_it_is_asked_for() {
    for entry in [Entry::Password, Entry::Questions] {
        let server = server(entry, Fault::None).await;
        let client = client(&server.settings(), PASSWORD);
        assert_eq!(client.get("a.hl7", LONG).await, Ok(b"MSH|^~\\&|".to_vec()), "{entry:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_tried_again_at_once() {
    let server = server(Entry::Password, Fault::None).await;
    let client = client(&server.settings(), "wrong");
    let error = client.list("", LONG).await.expect_err("the password is wrong");
    let expected = format!(
        "{} does not let `pipehat` in by password (it hung up): check `user`, `password` and `key`, and that the \
         server knows the key",
        server.address
    );
    assert_eq!(error.to_string(), expected);
    let logins = server.logins.load(Ordering::SeqCst);
    let error = client.list("", LONG).await.expect_err("it was refused");
    assert!(matches!(error, SftpError::LoginRefusedBefore { .. }), "{error}");
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(server.logins.load(Ordering::SeqCst), logins);
}

#[tokio::test]
async fn what_no_program_can_answer_is_refused() {
    let server = server(Entry::SecondFactor, Fault::None).await;
    let client = client(&server.settings(), PASSWORD);
    let error = client.list("", LONG).await.expect_err("there is a second factor");
    assert!(error.to_string().contains("(it takes keyboard-interactive)"), "{error}");
}

#[tokio::test]
async fn a_server_without_sftp_is_told() {
    let server = server(Entry::NoSftp, Fault::None).await;
    let error = client(&server.settings(), PASSWORD).list("", LONG).await.expect_err("no SFTP");
    assert_eq!(error, SftpError::NoSftp { address: server.address.to_string() });
}

#[tokio::test]
async fn a_server_of_another_key_gets_no_password() {
    let server = server(Entry::Password, Fault::None).await;
    let other = format!("SHA256:{}", "A".repeat(43));
    let settings = server.settings().replace(&fingerprint(), &other);
    let error = client(&settings, PASSWORD).list("", LONG).await.expect_err("the key is another");
    let text = error.to_string();
    assert!(text.contains(&format!("write `host_key: {}`", fingerprint())), "{text}");
    assert!(text.contains("ssh-ed25519"), "{text}");
    assert_eq!(server.logins.load(Ordering::SeqCst), 0);
    // One of several is enough.
    let settings =
        server.settings().replace("host_key: ", &format!("host_key: [\"{other}\", ")) + "]";
    assert!(client(&settings, PASSWORD).list("", LONG).await.is_ok());
}

#[tokio::test]
async fn no_connection_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let settings = format!(
        "connect: \"{address}\", user: u, password: secret:password, connect_timeout: 300ms, host_key: \"{}\"",
        fingerprint()
    );
    // Takes the connection, and says nothing.
    let begun = Instant::now();
    let error = client(&settings, PASSWORD).list("", LONG).await.expect_err("no answer");
    assert_eq!(error.to_string(), format!("no connection to {address}: no answer in time"));
    assert!(begun.elapsed() < LONG);
    // The socket of whoever gave up is closed, though SSH waits for the server.
    let (socket, _) = listener.accept().await.expect("the connection");
    let mut buffer = [0; 64];
    let closed = async {
        loop {
            socket.readable().await.expect("a socket");
            match socket.try_read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
    };
    tokio::time::timeout(LONG, closed).await.expect("it is closed");
    // Speaks something else.
    let other = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let settings = settings.replace("300ms", "30s");
    let error = client(&settings, PASSWORD).list("", LONG).await.expect_err("no SSH");
    assert!(matches!(error, SftpError::Ssh { .. } | SftpError::Unreachable { .. }), "{error}");
    other.await.expect("no panic");
    let error = client(&settings, PASSWORD).list("", LONG).await.expect_err("nobody");
    assert_eq!(error.to_string(), format!("no connection to {address}: nobody listens there"));
}

#[tokio::test]
async fn a_connection_is_used_again_and_closed_when_it_is_not() {
    let server = server(Entry::Password, Fault::None).await;
    let settings = format!("{}, idle_timeout: 50ms", server.settings());
    let client = client(&settings, PASSWORD);
    for _ in 0..5 {
        client.list("", LONG).await.expect("it is listed");
        // What the server refuses is no harm to the connection.
        assert_eq!(client.get("none", LONG).await, Err(SftpError::NotFound));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    // Idle ones are closed; the next needs another.
    let reconnected = async {
        while server.connections.load(Ordering::SeqCst) == 1 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            client.list("", LONG).await.expect("it is listed");
        }
    };
    tokio::time::timeout(LONG, reconnected).await.expect("the idle connection was closed");
}

#[tokio::test]
async fn a_connection_that_died_meanwhile_is_replaced() {
    let server = server(Entry::Password, Fault::HangsUpOn(REALPATH, 4)).await;
    let client = client(&server.settings(), PASSWORD);
    // The directory and twice a file are resolved; then the server is restarted.
    for _ in 0..4 {
        assert!(client.get("a.hl7", LONG).await.is_ok());
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_failed_is_not_used_again() {
    for kind in [OPEN, READ, READDIR] {
        let server = server(Entry::Password, Fault::HangsOn(kind)).await;
        let settings = format!("{}, timeout: 200ms", server.settings());
        let client = client(&settings, PASSWORD);
        let outcome = match kind {
            READDIR => client.list("", LONG).await.map(drop),
            _ => client.get("a.hl7", LONG).await.map(drop),
        };
        assert_eq!(outcome, Err(SftpError::TimedOut));
        *server.fake.fault.lock().expect("no panic") = Fault::None;
        assert!(client.get("a.hl7", LONG).await.is_ok());
        assert_eq!(server.connections.load(Ordering::SeqCst), 2);
        let counts = client.counts();
        assert_eq!((counts.done, counts.failed, counts.bytes_received), (1, 1, 9));
    }
}

#[tokio::test]
async fn connections_are_bounded() {
    let server = server(Entry::Password, Fault::HangsOn(OPEN)).await;
    let settings = format!("{}, connections: 2", server.settings());
    let client = client(&settings, PASSWORD);
    let hanging: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get("a.hl7", LONG).await })
        })
        .collect();
    let busy = async {
        while server.fake.sessions.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, busy).await.expect("both are under way");
    let third = client.list("", Duration::from_millis(100)).await;
    assert_eq!(third, Err(SftpError::Busy { connections: 2 }));
    // Who is given up makes room.
    for one in &hanging {
        one.abort();
    }
    assert!(client.list("", LONG).await.is_ok());
}

#[tokio::test]
async fn paths_stay_in_the_directory_whatever_the_server_says() {
    let server = server(Entry::Password, Fault::ResolvesTo("/etc")).await;
    let client = client(&server.settings(), PASSWORD);
    let escapes = "a link leads out of the server's `directory`";
    for outcome in [
        client.get("a.hl7", LONG).await.map(drop),
        client.list("in", LONG).await.map(drop),
        client.put("in/a", b"x", LONG).await,
        client.remove("in/a", LONG).await,
        client.rename("in/a", "b", LONG).await,
    ] {
        assert_eq!(outcome, Err(SftpError::Path(escapes)));
    }
    for path in ["/etc/passwd", "../a", "in/../../a", "a\\b", "a\0"] {
        assert!(matches!(client.get(path, LONG).await, Err(SftpError::Path(_))), "{path}");
    }
    assert!(matches!(client.get("", LONG).await, Err(SftpError::Path(_))));
}

#[tokio::test]
async fn many_at_once_share_the_connections() {
    let server = server(Entry::Password, Fault::None).await;
    let client = client(&server.settings(), PASSWORD);
    let puts: Vec<_> = (0..20_u8)
        .map(|number| {
            let client = client.clone();
            // All to one name: each is whole, whoever comes last.
            tokio::spawn(async move { client.put("b", &vec![number; 100_000], LONG).await })
        })
        .collect();
    for put in puts {
        assert_eq!(put.await.expect("no panic"), Ok(()));
    }
    let content = client.get("b", LONG).await.expect("it is there");
    assert!(content.len() == 100_000 && content.iter().all(|byte| *byte == content[0]));
    assert!(server.connections.load(Ordering::SeqCst) <= 4);
    assert_eq!(server.fake.paths(), ["/home/lab/a.hl7", "/home/lab/b"]);
}
