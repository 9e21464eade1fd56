//! The settings of the FHIR connector.

use std::sync::Arc;

use http::HeaderMap;
use http::header::HeaderValue;
use pipehat_config::{Diagnostics, FieldSchema, Kind, Required, Settings};

use super::answers::{ANSWERS, INTERRUPTIONS, UNREPEATABLE};
use super::codes;
use super::criteria::Criteria;
use super::destination::{DestinationOptions, FhirDestination};
use super::peer::{Peer, Remote};
use super::request::Mode;
use super::source::{Beginning, FhirSource, SourceOptions};
use super::template::Condition;
use super::token::{TokenOptions, Tokens};
use crate::http::client::{self, ClientOptions};
use crate::http::client_settings;
use crate::http::reading::Reading;
use crate::http::request_headers::{add_configured, base64};
use crate::tls::{ACCEPTED_RISK, CLIENT_TLS};
use crate::{
    BuildContext, ChangeKind, Descriptor, Destination, DestinationDescriptor, Health,
    PayloadFormat, Source, SourceDescriptor,
};

/// The FHIR connector.
pub(crate) const CONNECTOR: Descriptor = Descriptor {
    name: "fhir",
    title: "FHIR",
    doc: "Writes FHIR R4 resources, and Bundles that are batches or transactions, to the datastore of this Pipehat or to another \
          server; and receives what changes in the datastore of this Pipehat, in the order in which it changed. The headers \
          `fhir-change`, `fhir-type`, `fhir-id` and `fhir-version` are kept with each message.",
    source: Some(SourceDescriptor {
        schema: SOURCE,
        formats: &[PayloadFormat::Json],
        build: source,
        claim: |_| None,
    }),
    destination: Some(DestinationDescriptor {
        schema: DESTINATION,
        shorthand: Some("base"),
        formats: &[PayloadFormat::Json],
        answers: ANSWERS,
        interruptions: INTERRUPTIONS,
        unrepeatable: UNREPEATABLE,
        build: destination,
    }),
    codes: codes::CODES,
};

const SOURCE: &[FieldSchema] = &[
    FieldSchema {
        name: "from",
        kind: Kind::Choice(&["local"]),
        required: Required::Default("local"),
        doc: "The datastore of this Pipehat (`datastore:` in `pipehat.yaml`).",
        example: "local",
    },
    FieldSchema {
        name: "criteria",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "Which resources: a type, and what else must hold of the resource by R4's search parameters. Chains and `_has` can't be \
              used.",
        example: "\"Encounter?status=finished\"",
    },
    FieldSchema {
        name: "on",
        kind: Kind::List(&Kind::Choice(&["create", "update", "delete"])),
        required: Required::Default("[create, update]"),
        doc: "What must happen to it. `delete` gives the version before, where that met the criteria. A resource that comes back after \
              a deletion counts as updated.",
        example: "[create, update, delete]",
    },
    FieldSchema {
        name: "start",
        kind: Kind::Choice(&["now", "beginning"]),
        required: Required::Default("now"),
        doc: "Where a new channel begins: with changes from now on, or with every change there is. One that ran before goes on where it \
              was.",
        example: "beginning",
    },
];

const CLIENT: &[FieldSchema] = &[
    FieldSchema {
        name: "token_url",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "The token endpoint of the authorization server.",
        example: "https://fhir.example.org/oauth2/token",
    },
    FieldSchema {
        name: "id",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "The client's id.",
        example: "pipehat",
    },
    FieldSchema {
        name: "secret",
        kind: Kind::Secret,
        required: Required::Yes,
        doc: "The client's secret.",
        example: "secret:fhir-client",
    },
    FieldSchema {
        name: "scope",
        kind: Kind::Text,
        required: Required::No,
        doc: "The scopes to ask for.",
        example: "system/*.cruds",
    },
];

const DESTINATION: &[FieldSchema] = &[
    FieldSchema {
        name: "base",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "`local` for the datastore of this Pipehat (`datastore:` in `pipehat.yaml`), or the base address of another server.",
        example: "https://fhir.example.org/fhir/R4",
    },
    FieldSchema {
        name: "mode",
        kind: Kind::Choice(&["automatic", "create", "update", "transaction"]),
        required: Required::Default("automatic"),
        doc: "`automatic`: a Bundle of type transaction or batch is performed, any other resource written under its id. `create`: \
              it gets an id from the server. `update`: it is written under its id, or over what `search` finds. `transaction`: \
              only Bundles of these types are taken.",
        example: "update",
    },
    FieldSchema {
        name: "if_none_exist",
        kind: Kind::Template,
        required: Required::No,
        doc: "With `mode: create`: nothing is created where this search finds a resource. `identifier`, or a search with FHIRPath in \
              braces.",
        example: "\"identifier={Patient.identifier.first().system}|{Patient.identifier.first().value}\"",
    },
    FieldSchema {
        name: "search",
        kind: Kind::Template,
        required: Required::No,
        doc: "With `mode: update`: what finds the resource to be written over; where nothing is found, one is created. `identifier` \
              (the first with a system and a value), or a search with FHIRPath in braces.",
        example: "identifier",
    },
    FieldSchema {
        name: "prefer",
        kind: Kind::Choice(&["minimal", "representation", "OperationOutcome"]),
        required: Required::Default("minimal"),
        doc: "What the server is asked to send back; it is kept with the delivery. Of a response without a body, status, location and \
              ETag are kept.",
        example: "representation",
    },
    FieldSchema {
        name: "client",
        kind: Kind::Section(CLIENT),
        required: Required::No,
        doc: "Signs in by OAuth 2 client credentials.",
        example: "{ token_url: \"https://fhir.example.org/oauth2/token\", id: pipehat, secret: secret:fhir-client }",
    },
    FieldSchema {
        name: "token",
        kind: Kind::Secret,
        required: Required::No,
        doc: "A secret to show in `Authorization: Bearer …`.",
        example: "secret:fhir-token",
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
        example: "secret:fhir-password",
    },
    FieldSchema {
        name: "headers",
        kind: Kind::Map(&Kind::Text),
        required: Required::No,
        doc: "Further headers, the same for every request.",
        example: "{ X-Sender: pipehat }",
    },
    FieldSchema {
        name: "secret_headers",
        kind: Kind::Map(&Kind::Secret),
        required: Required::No,
        doc: "Further headers whose values are secrets.",
        example: "{ X-Api-Key: secret:fhir-api-key }",
    },
    FieldSchema {
        name: "tls",
        kind: Kind::Section(CLIENT_TLS),
        required: Required::No,
        doc: "Whom to trust, and what certificate to show. Left out, `https:` trusts the public authorities.",
        example: "{ ca: fhir-ca.pem }",
    },
    FieldSchema {
        name: "accepted_risk",
        kind: Kind::Section(ACCEPTED_RISK),
        required: Required::No,
        doc: "Why resources may travel unencrypted here, and since when.",
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
        required: Required::Default("60s"),
        doc: "How long sending a resource and reading the response may take, connecting included.",
        example: "2m",
    },
    FieldSchema {
        name: "connections",
        kind: Kind::Integer { min: 1, max: 256 },
        required: Required::Default("4"),
        doc: "How many resources may be on their way at once. Messages of one lane never overtake each other.",
        example: "16",
    },
    FieldSchema {
        name: "reply_bytes_max",
        kind: Kind::Bytes,
        required: Required::Default("1MiB"),
        doc: "A response's body up to this size is kept with the delivery.",
        example: "64KiB",
    },
];

/// Settings that only a server behind HTTP needs.
const REMOTE_ONLY: &[&str] = &[
    "client",
    "token",
    "user",
    "password",
    "headers",
    "secret_headers",
    "tls",
    "accepted_risk",
    "proxy",
];

fn source(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Source>> {
    let mut reading =
        Reading { settings, context, diagnostics, sound: true, codes: &codes::READING };
    let local = context.datastore.cloned();
    if local.is_none() {
        reading.wrong_with(&codes::NO_DATASTORE, "from", "this project has no datastore");
    }
    let kinds = settings.list("on")?.iter().map(|setting| match setting.choice() {
        Some("delete") => ChangeKind::Delete,
        Some("update") => ChangeKind::Update,
        _ => ChangeKind::Create,
    });
    let kinds: Vec<ChangeKind> = kinds.collect();
    if kinds.is_empty() {
        reading.wrong("on", "nothing would ever come in: name `create`, `update` or `delete`");
    }
    let criteria = Criteria::parse(settings.text("criteria")?, kinds)
        .map_err(|error| reading.wrong("criteria", error))
        .ok();
    if !reading.sound {
        return None;
    }
    Some(Arc::new(FhirSource::new(SourceOptions {
        local: local?,
        criteria: criteria?,
        beginning: match settings.choice("start")? {
            "beginning" => Beginning::First,
            _ => Beginning::Now,
        },
        channel: context.channel.to_owned(),
    })))
}

fn destination(
    settings: &Settings,
    context: &BuildContext<'_>,
    health: Arc<Health>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Destination>> {
    let mut reading =
        Reading { settings, context, diagnostics, sound: true, codes: &codes::READING };
    let mode = mode(&mut reading);
    let peer = match settings.text("base")? {
        "local" => local(&mut reading),
        _ => remote(&mut reading).map(|remote| Peer::Remote(Box::new(remote))),
    };
    if !reading.sound {
        return None;
    }
    let options = DestinationOptions {
        peer: peer?,
        mode: mode?,
        prefer: match settings.choice("prefer")? {
            "representation" => "return=representation",
            "OperationOutcome" => "return=OperationOutcome",
            _ => "return=minimal",
        },
        connections: usize::try_from(settings.integer("connections")?).ok()?,
    };
    Some(Arc::new(FhirDestination::new(options, health)))
}

fn mode(reading: &mut Reading<'_>) -> Option<Mode> {
    let settings = reading.settings;
    let mode = settings.choice("mode")?;
    let belongs = |name: &str| if name == "search" { "update" } else { "create" };
    for name in ["search", "if_none_exist"] {
        if settings.contains(name) && mode != belongs(name) {
            reading.wrong(name, format!("this belongs to `mode: {}`", belongs(name)));
        }
    }
    Some(match mode {
        "create" => Mode::Create { if_none_exist: condition(reading, "if_none_exist")? },
        "update" => Mode::Update { search: condition(reading, "search")? },
        "transaction" => Mode::Transaction,
        _ => Mode::Automatic,
    })
}

/// Inside, none where there is no such setting.
fn condition(reading: &mut Reading<'_>, name: &'static str) -> Option<Option<Condition>> {
    let Some(text) = reading.settings.text(name) else { return Some(None) };
    match Condition::parse(text) {
        Ok(condition) => Some(Some(condition)),
        Err(error) => {
            reading.wrong(name, error);
            None
        }
    }
}

fn local(reading: &mut Reading<'_>) -> Option<Peer> {
    for name in REMOTE_ONLY {
        if reading.settings.contains(name) {
            reading.wrong(name, "the datastore of this Pipehat is reached without a network");
        }
    }
    let datastore = reading.context.datastore.cloned();
    if datastore.is_none() {
        reading.wrong_with(&codes::NO_DATASTORE, "base", "this project has no datastore");
    }
    datastore.map(Peer::Local)
}

fn remote(reading: &mut Reading<'_>) -> Option<Remote> {
    let settings = reading.settings;
    let base = client_settings::url(reading, "base")?;
    if base.query().is_some() {
        reading.wrong("base", "a base address has no `?`: conditions are set by `search`");
    }
    let mut headers = HeaderMap::new();
    add_configured(reading, &mut headers);
    let (connect_timeout, timeout) = (reading.time("connect_timeout")?, reading.time("timeout")?);
    if connect_timeout > timeout {
        reading.wrong("connect_timeout", "`timeout` includes it, and is shorter");
    }
    let reply_bytes_max = reading.bytes_max("reply_bytes_max")?;
    let tls = client_settings::tls(reading, &base);
    let proxy = client_settings::proxy(reading);
    let token = token(reading);
    if !reading.sound {
        return None;
    }
    let (host, port) = (base.host_str()?.to_owned(), base.port_or_known_default()?);
    let address = format!("{host}:{port}");
    let (base, resolve, headers) = match client_settings::server_name(settings) {
        Some(name) if name != host => client_settings::renamed(reading, base, name, headers)?,
        _ => (base, None, headers),
    };
    let connections = usize::try_from(settings.integer("connections")?).ok()?;
    let mut options =
        ClientOptions { resolve, proxy, tls: tls?, connect_timeout, timeout, connections };
    let client = client::build(&options);
    // Tokens come from a host of their own, whatever name the server's certificate has.
    options.resolve = None;
    let (Ok(client), Ok(token_client)) = (client, client::build(&options)) else {
        reading.wrong("tls", "no HTTP client can be made of these settings");
        return None;
    };
    let tokens = token.map(|options| Tokens::new(options, token_client));
    Some(Remote { base, address, headers, tokens, client, reply_bytes_max })
}

fn token(reading: &mut Reading<'_>) -> Option<TokenOptions> {
    let section = reading.settings.section("client")?;
    for name in ["token", "user", "password"] {
        if reading.settings.contains(name) {
            reading.wrong(name, "sign in either with `client` or with this");
        }
    }
    let mut inner = Reading {
        settings: section,
        context: reading.context,
        diagnostics: reading.diagnostics,
        sound: reading.sound,
        codes: reading.codes,
    };
    let url = client_settings::secret_url(&mut inner, "token_url");
    let secret = inner.secret(section.secret("secret")?);
    reading.sound = inner.sound;
    let id = section.text("id")?;
    // RFC 6749 §2.3.1: both are encoded as in a form before they are joined.
    let mut plain = format!("{}:", form(id.as_bytes())).into_bytes();
    plain.extend(form(&secret?).into_bytes());
    let mut basic = HeaderValue::try_from(format!("Basic {}", base64(&plain))).ok()?;
    basic.set_sensitive(true);
    let mut body = "grant_type=client_credentials".to_owned();
    if let Some(scope) = section.text("scope") {
        body.push_str(&format!("&scope={}", form(scope.as_bytes())));
    }
    Some(TokenOptions { url: url?, basic, form: body })
}

/// As `application/x-www-form-urlencoded` has it.
fn form(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b' ' => text.push('+'),
            b'*' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
