//! The settings that say which FHIR server is meant and how it is reached: here, or behind HTTP.

use http::HeaderMap;
use http::header::HeaderValue;
use pipehat_config::{Diagnostic, FieldSchema, Kind, Required, Setting, nearest};

use super::codes;
use super::peer::{Peer, Remote};
use super::token::{TokenOptions, Tokens};
use crate::http::client::{self, ClientOptions};
use crate::http::client_settings;
use crate::http::reading::Reading;
use crate::http::request_headers::{add_configured, base64};
use crate::tls::{ACCEPTED_RISK as RISK_SECTION, CLIENT_TLS};

const CLIENT_SECTION: &[FieldSchema] = &[
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

pub(super) const BASE: FieldSchema = FieldSchema {
    name: "base",
    kind: Kind::Text,
    required: Required::Yes,
    doc: "`local` for the datastore of this Pipehat (`datastore:` in `pipehat.yaml`), or the base address of another server.",
    example: "https://fhir.example.org/fhir/R4",
};

pub(super) const CLIENT: FieldSchema = FieldSchema {
    name: "client",
    kind: Kind::Section(CLIENT_SECTION),
    required: Required::No,
    doc: "Signs in by OAuth 2 client credentials.",
    example: "{ token_url: \"https://fhir.example.org/oauth2/token\", id: pipehat, secret: secret:fhir-client }",
};

pub(super) const TOKEN: FieldSchema = FieldSchema {
    name: "token",
    kind: Kind::Secret,
    required: Required::No,
    doc: "A secret to show in `Authorization: Bearer …`.",
    example: "secret:fhir-token",
};

pub(super) const USER: FieldSchema = FieldSchema {
    name: "user",
    kind: Kind::Text,
    required: Required::No,
    doc: "The name to sign in with (Basic).",
    example: "pipehat",
};

pub(super) const PASSWORD: FieldSchema = FieldSchema {
    name: "password",
    kind: Kind::Secret,
    required: Required::No,
    doc: "The password that belongs to `user`.",
    example: "secret:fhir-password",
};

pub(super) const HEADERS: FieldSchema = FieldSchema {
    name: "headers",
    kind: Kind::Map(&Kind::Text),
    required: Required::No,
    doc: "Further headers, the same for every request.",
    example: "{ X-Sender: pipehat }",
};

pub(super) const SECRET_HEADERS: FieldSchema = FieldSchema {
    name: "secret_headers",
    kind: Kind::Map(&Kind::Secret),
    required: Required::No,
    doc: "Further headers whose values are secrets.",
    example: "{ X-Api-Key: secret:fhir-api-key }",
};

pub(super) const TLS: FieldSchema = FieldSchema {
    name: "tls",
    kind: Kind::Section(CLIENT_TLS),
    required: Required::No,
    doc: "Whom to trust, and what certificate to show. Left out, `https:` trusts the public authorities.",
    example: "{ ca: fhir-ca.pem }",
};

pub(super) const ACCEPTED_RISK: FieldSchema = FieldSchema {
    name: "accepted_risk",
    kind: Kind::Section(RISK_SECTION),
    required: Required::No,
    doc: "Why resources may travel unencrypted here, and since when.",
    example: "{ reason: separate VLAN, date: 2026-03-31 }",
};

pub(super) const PROXY: FieldSchema = FieldSchema {
    name: "proxy",
    kind: Kind::Text,
    required: Required::No,
    doc: "The proxy to go through, without user and password. Proxies named in the environment are not used.",
    example: "http://proxy.internal:3128",
};

pub(super) const CONNECT_TIMEOUT: FieldSchema = FieldSchema {
    name: "connect_timeout",
    kind: Kind::Duration,
    required: Required::Default("10s"),
    doc: "How long connecting may take, TLS included; where `timeout` is shorter, as long as that.",
    example: "3s",
};

pub(super) const TIMEOUT: FieldSchema = FieldSchema {
    name: "timeout",
    kind: Kind::Duration,
    required: Required::Default("60s"),
    doc: "How long sending a resource and reading the response may take, connecting included.",
    example: "2m",
};

pub(super) const CONNECTIONS: FieldSchema = FieldSchema {
    name: "connections",
    kind: Kind::Integer { min: 1, max: 256 },
    required: Required::Default("4"),
    doc: "How many resources may be on their way at once. Messages of one lane never overtake each other.",
    example: "16",
};

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

/// The server that the settings name.
pub(super) fn peer(reading: &mut Reading<'_>) -> Option<Peer> {
    match reading.settings.text("base")? {
        "local" => local(reading),
        text if !text.contains([':', '/', '.', '@']) => {
            not_local(reading);
            None
        }
        _ => remote(reading).map(|remote| Peer::Remote(Box::new(remote))),
    }
}

/// A word that is no address: `locla`.
fn not_local(reading: &mut Reading<'_>) {
    let setting = reading.settings.get("base");
    // What a variable put in is not guessed at.
    let text = setting.filter(|setting| !setting.is_substituted()).and_then(Setting::text);
    let near = nearest(text.unwrap_or_default(), ["local"]);
    let span = setting.map_or_else(|| reading.settings.span(), Setting::span);
    let message = "this is neither `local` nor the URL of a FHIR server";
    reading.diagnostics.push(
        Diagnostic::error(codes::SETTING.code, span, message).with_nearest(near).with_help(
            "write `local` for the datastore of this Pipehat, or a URL such as `https://fhir.example.org/fhir/R4`",
        ),
    );
    reading.sound = false;
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
    let (connect_timeout, timeout) = reading.times()?;
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
