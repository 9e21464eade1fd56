//! Who gets through a handshake, and what is said about files that are no certificates.

use pipehat_config::{Diagnostics, FieldSchema, Kind, Required, schema_mistakes};

use crate::tls::testing::{Project, settings};
use crate::tls::{
    ACCEPTED_RISK, CLIENT_TLS, ClientTls, Direction, SERVER_TLS, ServerTls, check_exposure,
    client_identity,
};

const HANDSHAKE_BYTES: usize = 64 * 1024;

fn server(project: &Project, yaml: &str) -> Result<ServerTls, String> {
    let mut diagnostics = Diagnostics::new();
    ServerTls::read(&settings(yaml, SERVER_TLS), &project.context(), &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

fn client(project: &Project, yaml: &str) -> Result<ClientTls, String> {
    let mut diagnostics = Diagnostics::new();
    ClientTls::read(&settings(yaml, CLIENT_TLS), "localhost", &project.context(), &mut diagnostics)
        .ok_or_else(|| diagnostics.to_string())
}

/// Both sides of a handshake in memory: what the server knows of the client, or that one side refused.
async fn shake_hands(
    project: &Project,
    server_yaml: &str,
    client_yaml: &str,
) -> Result<Option<String>, ()> {
    let server = server(project, server_yaml).expect("a server");
    let client = client(project, client_yaml).expect("a client");
    let (near, far) = tokio::io::duplex(HANDSHAKE_BYTES);
    let (server, client) = tokio::join!(server.accept(near), client.connect(far));
    client.map_err(|_| ())?;
    server.map(|stream| client_identity(&stream)).map_err(|_| ())
}

#[tokio::test]
async fn a_client_of_the_authority_is_known_by_its_subject() {
    let project = Project::with(&["adt", "lab"]);
    let server = "{ cert: adt.pem, key: secret:adt, client_ca: ca.pem }";
    let client = "{ ca: ca.pem, cert: lab.pem, key: lab.key }";
    assert_eq!(shake_hands(&project, server, client).await, Ok(Some("CN=lab".to_owned())));
    // Nobody asked for a certificate: none is known.
    let open = "{ cert: adt.pem, key: adt.key }";
    assert_eq!(shake_hands(&project, open, client).await, Ok(None));
}

#[tokio::test]
async fn strangers_are_refused() {
    let project = Project::with(&["adt", "lab"]);
    project.write_self_signed("stranger");
    let mutual = "{ cert: adt.pem, key: adt.key, client_ca: ca.pem }";
    assert_eq!(shake_hands(&project, mutual, "{ ca: ca.pem }").await, Err(()));
    let forged = "{ ca: ca.pem, cert: stranger.pem, key: stranger.key }";
    assert_eq!(shake_hands(&project, mutual, forged).await, Err(()));

    let open = "{ cert: adt.pem, key: adt.key }";
    assert_eq!(shake_hands(&project, open, "{}").await, Err(()), "a public authority is wanted");
    assert_eq!(shake_hands(&project, open, "{ ca: stranger.pem }").await, Err(()));
    let other_name = "{ ca: ca.pem, server_name: lab.example.org }";
    assert_eq!(shake_hands(&project, open, other_name).await, Err(()));
}

#[tokio::test]
async fn a_certificate_that_is_named_itself_is_trusted() {
    let project = Project::with(&["adt"]);
    project.write_self_signed("analyser");
    project.write_self_signed("analyser-too");
    let analyser = "{ cert: analyser.pem, key: analyser.key }";
    assert_eq!(shake_hands(&project, analyser, "{ ca: analyser.pem }").await, Ok(None));
    assert_eq!(shake_hands(&project, analyser, "{ ca: analyser-too.pem }").await, Err(()));
}

#[track_caller]
fn refused<T: std::fmt::Debug>(made: Result<T, String>, expected: &[&str]) {
    let text = made.expect_err("a mistake");
    for part in expected {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(text.lines().all(|line| line.len() < 200), "too much shows:\n{text}");
}

#[test]
fn unusable_files_are_explained() {
    let project = Project::with(&["adt", "lab"]);
    project.write("empty.pem", "");
    project.write("damaged.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    project.write("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");

    refused(
        server(&project, "{ cert: absent.pem, key: adt.key }"),
        &["tls.file-unreadable", "project directory"],
    );
    refused(
        server(&project, "{ cert: empty.pem, key: adt.key }"),
        &["tls.file-invalid", "no certificate"],
    );
    refused(server(&project, "{ cert: damaged.pem, key: adt.key }"), &["tls.file-invalid", "PEM"]);
    refused(
        server(&project, "{ cert: nonsense.pem, key: adt.key }"),
        &["tls.file-invalid", "damaged"],
    );
    refused(
        server(&project, "{ cert: adt.pem, key: adt.pem }"),
        &["tls.file-invalid", "no private key"],
    );
    refused(server(&project, "{ cert: adt.pem, key: lab.key }"), &["does not belong"]);
    refused(
        server(&project, "{ cert: adt.pem, key: secret:absent }"),
        &["tls.secret-unknown", "secrets folder"],
    );
    refused(
        server(&project, "{ cert: adt.pem, key: adt.key, client_ca: nonsense.pem }"),
        &["client_ca", "damaged"],
    );

    refused(client(&project, "{ cert: adt.pem }"), &["tls.half-identity", "`key` is not"]);
    refused(client(&project, "{ key: adt.key }"), &["tls.half-identity", "`cert` is not"]);
    refused(client(&project, "{ ca: empty.pem }"), &["no certificate"]);
    refused(client(&project, "{ server_name: \"a b\" }"), &["tls.server-name"]);
}

#[test]
fn certificates_near_their_end_are_warned_of() {
    let project = Project::empty();
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let in_days = |days: i64| today.checked_add(jiff::Span::new().days(days)).expect("a date");
    for (days, expected) in [
        (-1, Some("tls.certificate-invalid-today")),
        (10, Some("tls.certificate-expires")),
        // The day it ends on is not a whole one.
        (30, Some("tls.certificate-expires")),
        (32, None),
    ] {
        project.write_self_signed_until("ours", in_days(days));
        let mut diagnostics = Diagnostics::new();
        let settings = settings("{ cert: ours.pem, key: ours.key }", SERVER_TLS);
        let read = ServerTls::read(&settings, &project.context(), &mut diagnostics);
        assert!(read.is_some() && !diagnostics.is_err(), "it is only a warning: {diagnostics}");
        let codes: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(codes, Vec::from_iter(expected), "{days} days");
    }
}

const EXPOSED: &[FieldSchema] = &[
    FieldSchema {
        name: "listen",
        kind: Kind::Address,
        required: Required::Yes,
        doc: "Where.",
        example: "127.0.0.1:2575",
    },
    FieldSchema {
        name: "tls",
        kind: Kind::Section(CLIENT_TLS),
        required: Required::No,
        doc: "TLS.",
        example: "{}",
    },
    FieldSchema {
        name: "accepted_risk",
        kind: Kind::Section(ACCEPTED_RISK),
        required: Required::No,
        doc: "Why not.",
        example: "{ reason: a test, date: 2026-01-01 }",
    },
];

#[test]
fn plaintext_leaves_the_machine_only_when_that_was_decided() {
    #[track_caller]
    fn check(yaml: &str, expected: [bool; 2]) {
        let settings = settings(yaml, EXPOSED);
        let allowed = [Direction::Listen, Direction::Connect].map(|direction| {
            let mut diagnostics = Diagnostics::new();
            let allowed = check_exposure(&settings, "listen", direction, &mut diagnostics);
            assert_eq!(allowed, !diagnostics.is_err(), "{diagnostics}");
            allowed
        });
        assert_eq!(allowed, expected, "{yaml}");
    }
    check("{ listen: 127.0.0.1:1 }", [true, true]);
    check("{ listen: 0.0.0.0:1 }", [false, true]);
    check("{ listen: 0.0.0.0:1, tls: {} }", [true, true]);
    check("{ listen: 0.0.0.0:1, accepted_risk: { reason: r, date: 2026-01-31 } }", [true, true]);
    check("{ listen: 0.0.0.0:1, accepted_risk: { reason: r, date: soon } }", [false, false]);
}

#[test]
fn the_schemas_are_sound() {
    for schema in [SERVER_TLS, CLIENT_TLS, EXPOSED] {
        assert_eq!(schema_mistakes(schema), [] as [String; 0]);
    }
}
