//! The settings of the HTTP connector.

use std::sync::Arc;

use http::header::HeaderName;
use http::{Method, StatusCode};
use pipehat_config::{Diagnostics, FieldSchema, Kind, Required, Settings};

use super::answers::{ANSWERS, INTERRUPTIONS};
use super::client::ClientOptions;
use super::client_settings;
use super::codes;
use super::destination::{AcknowledgmentRule, DestinationOptions, HttpDestination};
use super::reading::Reading;
use super::request_headers::{SECRET_HEADERS, request_headers};
use super::source::{HttpSource, SourceOptions};
use super::token::Token;
use crate::tls::{ACCEPTED_RISK, CLIENT_TLS, Direction, SERVER_TLS, ServerTls, check_exposure};
use crate::{
    BuildContext, Descriptor, Destination, DestinationDescriptor, Health, PayloadFormat, Source,
    SourceDescriptor,
};

/// The HTTP connector.
pub(crate) const CONNECTOR: Descriptor = Descriptor {
    name: "http",
    title: "HTTP",
    doc: "Receives messages by HTTP POST and answers with their acknowledgments, and posts messages to others.",
    source: Some(SourceDescriptor {
        schema: SOURCE,
        formats: &[PayloadFormat::Hl7, PayloadFormat::Json],
        build: source,
        claim,
    }),
    destination: Some(DestinationDescriptor {
        schema: DESTINATION,
        shorthand: None,
        formats: &[PayloadFormat::Hl7, PayloadFormat::Json],
        unrepeatable: &[],
        answers: ANSWERS,
        interruptions: INTERRUPTIONS,
        build: destination,
    }),
    lookup: None,
    codes: codes::CODES,
};

const SOURCE: &[FieldSchema] = &[
    FieldSchema {
        name: "listen",
        kind: Kind::Address,
        required: Required::Yes,
        doc: "Where to listen. Beyond this machine only with `tls`, and with a `token` or client certificates.",
        example: "127.0.0.1:8080",
    },
    FieldSchema {
        name: "path",
        kind: Kind::Text,
        required: Required::Default("/"),
        doc: "The path messages are posted to.",
        example: "/hl7/adt",
    },
    FieldSchema {
        name: "token",
        kind: Kind::Secret,
        required: Required::No,
        doc: "The secret that senders show in `Authorization: Bearer …`.",
        example: "secret:adt-token",
    },
    FieldSchema {
        name: "token_header",
        kind: Kind::Text,
        required: Required::No,
        doc: "Another header that carries the token, without `Bearer`.",
        example: "X-Api-Key",
    },
    FieldSchema {
        name: "tls",
        kind: Kind::Section(SERVER_TLS),
        required: Required::No,
        doc: "Our certificate, and who may connect.",
        example: "{ cert: adt.pem, key: secret:adt-key, client_ca: partners.pem }",
    },
    FieldSchema {
        name: "accepted_risk",
        kind: Kind::Section(ACCEPTED_RISK),
        required: Required::No,
        doc: "Why messages may travel unencrypted here, and since when.",
        example: "{ reason: separate VLAN, date: 2026-03-31 }",
    },
    FieldSchema {
        name: "headers",
        kind: Kind::List(&Kind::Text),
        required: Required::Default("[]"),
        doc: "Headers of requests that are kept with the message.",
        example: "[X-Request-Id]",
    },
    FieldSchema {
        name: "rejected_status",
        kind: Kind::Choice(&["200", "400", "422"]),
        required: Required::Default("400"),
        doc: "The status that a refused message is answered with; its acknowledgment is the body either way. 200 for senders \
              that follow the letter of \"HL7 over HTTP\", where only MSA-1 tells.",
        example: "422",
    },
    FieldSchema {
        name: "message_bytes_max",
        kind: Kind::Bytes,
        required: Required::Default("64MiB"),
        doc: "The largest message; larger ones are answered with 413.",
        example: "8MiB",
    },
    FieldSchema {
        name: "connections_max",
        kind: Kind::Integer { min: 1, max: 100_000 },
        required: Required::Default("256"),
        doc: "How many connections are served at once. Others wait until one ends.",
        example: "1000",
    },
    FieldSchema {
        name: "header_timeout",
        kind: Kind::Duration,
        required: Required::Default("30s"),
        doc: "How long a TLS handshake or a request's head may take, and how long a connection may be idle.",
        example: "10s",
    },
    FieldSchema {
        name: "body_timeout",
        kind: Kind::Duration,
        required: Required::Default("60s"),
        doc: "How long a body may take.",
        example: "5m",
    },
];

const DESTINATION: &[FieldSchema] = &[
    FieldSchema {
        name: "url",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "Where messages are sent. Without user and password: see `user` and `password`.",
        example: "https://lab.example.org/hl7",
    },
    FieldSchema {
        name: "method",
        kind: Kind::Choice(&["POST", "PUT", "PATCH"]),
        required: Required::Default("POST"),
        doc: "The method.",
        example: "PUT",
    },
    FieldSchema {
        name: "content_type",
        kind: Kind::Text,
        required: Required::Default("application/hl7-v2"),
        doc: "What the body is said to be. Many partners want `x-application/hl7-v2+er7` or `text/plain`; name the character \
              set if it is not UTF-8.",
        example: "\"x-application/hl7-v2+er7; charset=iso-8859-1\"",
    },
    FieldSchema {
        name: "headers",
        kind: Kind::Map(&Kind::Text),
        required: Required::No,
        doc: "Further headers, the same for every message.",
        example: "{ X-Sender: pipehat }",
    },
    FieldSchema {
        name: "secret_headers",
        kind: Kind::Map(&Kind::Secret),
        required: Required::No,
        doc: "Further headers whose values are secrets.",
        example: "{ X-Api-Key: secret:lab-api-key }",
    },
    FieldSchema {
        name: "token",
        kind: Kind::Secret,
        required: Required::No,
        doc: "A secret to show in `Authorization: Bearer …`.",
        example: "secret:lab-token",
    },
    FieldSchema {
        name: "user",
        kind: Kind::Text,
        required: Required::No,
        doc: "The name to sign in with (Basic).",
        example: "pipehat",
    },
    FieldSchema {
        name: "password",
        kind: Kind::Secret,
        required: Required::No,
        doc: "The password that belongs to `user`.",
        example: "secret:lab-password",
    },
    FieldSchema {
        name: "tls",
        kind: Kind::Section(CLIENT_TLS),
        required: Required::No,
        doc: "Whom to trust, and what certificate to show. Left out, `https:` trusts the public authorities.",
        example: "{ ca: lab-ca.pem }",
    },
    FieldSchema {
        name: "accepted_risk",
        kind: Kind::Section(ACCEPTED_RISK),
        required: Required::No,
        doc: "Why messages may travel unencrypted here, and since when.",
        example: "{ reason: separate VLAN, date: 2026-03-31 }",
    },
    FieldSchema {
        name: "proxy",
        kind: Kind::Text,
        required: Required::No,
        doc: "The proxy to go through, without user and password. Proxies named in the environment are not used.",
        example: "http://proxy.internal:3128",
    },
    FieldSchema {
        name: "connect_timeout",
        kind: Kind::Duration,
        required: Required::Default("10s"),
        doc: "How long connecting may take, TLS included.",
        example: "3s",
    },
    FieldSchema {
        name: "timeout",
        kind: Kind::Duration,
        required: Required::Default("30s"),
        doc: "How long sending a message and reading its response may take, connecting included.",
        example: "2m",
    },
    FieldSchema {
        name: "connections",
        kind: Kind::Integer { min: 1, max: 256 },
        required: Required::Default("1"),
        doc: "How many messages may be on their way at once, each on a connection of its own. Messages of one lane never \
              overtake each other.",
        example: "8",
    },
    FieldSchema {
        name: "reply_bytes_max",
        kind: Kind::Bytes,
        required: Required::Default("1MiB"),
        doc: "A response's body up to this size is kept with the delivery.",
        example: "64KiB",
    },
    FieldSchema {
        name: "acknowledgment",
        kind: Kind::Choice(&["honour", "require", "ignore"]),
        required: Required::Default("honour"),
        doc: "`honour`: when the response is an HL7 acknowledgment, a negative MSA-1 is a refusal whatever the status. \
              `require`: a success without one is not believed. `ignore`: the status alone counts.",
        example: "require",
    },
];

fn source(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Source>> {
    let exposed = check_exposure(settings, "listen", Direction::Listen, diagnostics);
    let tls = settings.section("tls").map(|tls| ServerTls::read(tls, context, diagnostics));
    let mut reading =
        Reading { settings, context, diagnostics, sound: exposed, codes: &codes::READING };
    let listen = settings.address("listen")?.clone();
    let token = token(&mut reading);
    let asks_for_certificates =
        settings.section("tls").is_some_and(|tls| tls.contains("client_ca"));
    if !listen.is_loopback() && !settings.contains("token") && !asks_for_certificates {
        let message = "anyone who reaches this address could post messages";
        reading.wrong_with(&codes::NO_AUTHENTICATION, "listen", message);
    }
    let path = settings.text("path")?.to_owned();
    if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
        reading.wrong("path", "a path begins with `/` and has no `?`, `#` or blanks");
    }
    let headers = kept_headers(&mut reading);
    let message_bytes_max = reading.bytes_max("message_bytes_max");
    let (header_timeout, body_timeout) =
        (reading.time("header_timeout"), reading.time("body_timeout"));
    if !reading.sound {
        return None;
    }
    let tls = match tls {
        Some(tls) => Some(tls?),
        None => None,
    };
    let rejected_status = match settings.choice("rejected_status")? {
        "200" => StatusCode::OK,
        "422" => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_REQUEST,
    };
    Some(Arc::new(HttpSource::new(SourceOptions {
        listen,
        path,
        token,
        tls,
        connections_max: usize::try_from(settings.integer("connections_max")?).ok()?,
        message_bytes_max: message_bytes_max?,
        header_timeout: header_timeout?,
        body_timeout: body_timeout?,
        headers,
        rejected_status,
    })))
}

fn token(reading: &mut Reading<'_>) -> Option<Token> {
    let settings = reading.settings;
    let header = match settings.text("token_header") {
        Some(_) if !settings.contains("token") => {
            reading.wrong("token_header", "without `token` this has no meaning");
            None
        }
        Some(text) => {
            let span = settings.span_of("token_header").unwrap_or_else(|| settings.span()).clone();
            reading.header_name(text, &span)
        }
        None => None,
    };
    let token = reading.secret(settings.secret("token")?)?;
    Some(Token::new(&token, header))
}

fn kept_headers(reading: &mut Reading<'_>) -> Vec<HeaderName> {
    let mut headers = Vec::new();
    let own = reading.settings.text("token_header").map(str::to_ascii_lowercase);
    for setting in reading.settings.list("headers").unwrap_or_default() {
        let Some(name) = reading.header_name(setting.text().unwrap_or_default(), setting.span())
        else {
            continue;
        };
        if SECRET_HEADERS.contains(&name.as_str()) || own.as_deref() == Some(name.as_str()) {
            let message = "this header holds what signs somebody in, and is not kept with messages";
            reading.wrong_at(&codes::SETTING, setting.span(), message);
        } else {
            headers.push(name);
        }
    }
    headers
}

fn claim(settings: &Settings) -> Option<String> {
    let listen = settings.address("listen")?;
    (listen.port() != 0).then(|| format!("tcp {listen}"))
}

fn destination(
    settings: &Settings,
    context: &BuildContext<'_>,
    health: Arc<Health>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Destination>> {
    let mut reading =
        Reading { settings, context, diagnostics, sound: true, codes: &codes::READING };
    let url = client_settings::url(&mut reading, "url");
    let headers = request_headers(&mut reading);
    let (connect_timeout, timeout) = (reading.time("connect_timeout")?, reading.time("timeout")?);
    if connect_timeout > timeout {
        reading.wrong("connect_timeout", "`timeout` includes it, and is shorter");
    }
    let reply_bytes_max = reading.bytes_max("reply_bytes_max")?;
    let url = url?;
    let tls = client_settings::tls(&mut reading, &url);
    let proxy = client_settings::proxy(&mut reading);
    if !reading.sound {
        return None;
    }
    let (host, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
    let address = format!("{host}:{port}");
    let (url, resolve, headers) = match client_settings::server_name(settings) {
        Some(name) if name != host => client_settings::renamed(&mut reading, url, name, headers)?,
        _ => (url, None, headers),
    };
    let options = DestinationOptions {
        url,
        address,
        client: ClientOptions {
            resolve,
            proxy,
            tls: tls?,
            connect_timeout,
            timeout,
            connections: usize::try_from(settings.integer("connections")?).ok()?,
        },
        method: match settings.choice("method")? {
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            _ => Method::POST,
        },
        headers,
        reply_bytes_max,
        acknowledgment: match settings.choice("acknowledgment")? {
            "require" => AcknowledgmentRule::Require,
            "ignore" => AcknowledgmentRule::Ignore,
            _ => AcknowledgmentRule::Honour,
        },
    };
    match HttpDestination::new(options, health) {
        Ok(destination) => Some(Arc::new(destination)),
        Err(_) => {
            reading.wrong("tls", "no HTTP client can be made of these settings");
            None
        }
    }
}
