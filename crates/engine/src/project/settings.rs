//! `pipehat.yaml`: what concerns the installation as a whole.
//!
//! ```yaml
//! http: { listen: 127.0.0.1:8103 }    # admin API, metrics and console
//! data: data                          # where the journal and the index are
//! key_file: /etc/pipehat/key          # seals the data; belongs outside the data directory
//! journal: { compression: lz4, retention: 90d, chunk: 64MiB }
//! datastore:                          # FHIR R4 at /fhir/R4; there is none without this
//!   store: embedded                   # or secret:NAME, which holds postgres://user:password@host/database
//!   base: https://fhir.example.org/fhir/R4      # where clients find what is /fhir/R4 here
//!   origins: [https://app.example.org]
//!   subscriptions: { hosts: [hooks.example.org] }   # who may be called; without it, this machine only
//! bots:                               # what bots may that clients deploy over the API; nothing without this
//!   scopes: [system/Patient.rs]
//!   allow: { hosts: [api.example.org] }
//! sftp:                               # servers that bots may be granted
//!   laboratory: { connect: "sftp.example.org:22", user: pipehat, key: secret:laboratory, host_key: "SHA256:…" }
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipehat_config::{
    Diagnostic, Diagnostics, DurationOrWord, Fields, Node, SecretReference, nearest,
};
use pipehat_connectors::Secrets;

use super::bot::{DeployedBots, deployed};
use super::mappings::Mappings;
use super::sftp::{self, SftpServers};

/// The settings of an installation; what is left out is for the command line or a default.
#[derive(Debug, Clone, Default)]
pub struct ProjectSettings {
    /// The HTTP listener.
    pub http: HttpSettings,
    /// The data directory, as written: relative to the project.
    pub data: Option<String>,
    /// The file with the key that seals the data, as written: relative to the project.
    pub key_file: Option<String>,
    /// The journal.
    pub journal: JournalSettings,
    /// The FHIR datastore, where there is one.
    pub datastore: Option<DatastoreSettings>,
    /// What bots may that clients deploy.
    pub bots: DeployedBots,
    /// The SFTP servers that bots may be granted, by name; none where the secrets were not asked for.
    pub sftp: SftpServers,
}

/// The FHIR datastore.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatastoreSettings {
    /// Where resources are kept.
    pub store: StorePlace,
    /// The public address of the API, where it is another than clients' `Host`: behind a proxy.
    pub base: Option<String>,
    /// The origins whose scripts may call (CORS); `*` for every one.
    pub origins: Vec<String>,
    /// The hosts that Subscriptions may call: `hooks.example.org`, `*.example.org:8443`, `http://10.1.2.3:8080`; this
    /// machine only where it is not given.
    pub hook_hosts: Option<Vec<String>>,
    /// The project's directory, which relative paths in the database's address start from.
    pub directory: PathBuf,
}

/// Where resources are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum StorePlace {
    /// In a file of the data directory.
    #[default]
    Embedded,
    /// In PostgreSQL, at the address that this secret holds.
    Postgres(SecretReference),
}

/// The HTTP listener.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpSettings {
    /// Where it listens: on this machine only.
    pub listen: Option<SocketAddr>,
}

/// The journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalSettings {
    /// How groups are compressed.
    pub compression: Compression,
    /// For how long settled messages are kept; none: for ever.
    pub retention: Option<Duration>,
    /// The size of a chunk in bytes; none: the journal's own default.
    pub chunk_bytes: Option<u64>,
}

/// How the journal compresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// LZ4.
    #[default]
    Lz4,
    /// Not at all.
    None,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self { compression: Compression::default(), retention: Some(RETENTION), chunk_bytes: None }
    }
}

/// Long enough to look into last quarter's complaint.
const RETENTION: Duration = Duration::from_secs(90 * 86_400);

impl ProjectSettings {
    /// With the project's directory, where there is something that starts from it.
    #[must_use]
    pub(super) fn in_directory(mut self, directory: &Path) -> Self {
        if let Some(datastore) = &mut self.datastore {
            datastore.directory = directory.to_owned();
        }
        self
    }

    /// Reads the tree of `pipehat.yaml`; an empty file says nothing. With `secrets` and `mappings`, those that it names must
    /// be there.
    pub(super) fn read(
        node: &Node,
        (secrets, mappings): (Option<&dyn Secrets>, Option<&Mappings>),
        directory: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if node.is_null() {
            return Some(Self::default());
        }
        let mut fields = Fields::of(node, "pipehat.yaml", diagnostics)?;
        for key in ["source", "destinations", "steps", "channel", "reply"] {
            fields.misplaced(
                key,
                "this belongs to a channel: a file of its own in the folder `channels`",
            );
        }
        let http = fields.optional("http", http).unwrap_or_default();
        let path = |node: &Node, diagnostics: &mut Diagnostics| {
            node.text_not_empty(diagnostics).map(str::to_owned)
        };
        let data = fields.optional("data", path);
        let key_file = fields.optional("key_file", path);
        let journal = fields.optional("journal", journal).unwrap_or_default();
        let datastore =
            fields.optional("datastore", |node, diagnostics| datastore(node, secrets, diagnostics));
        let bots = fields
            .optional("bots", |node, diagnostics| deployed(node, secrets, mappings, diagnostics))
            .unwrap_or_default();
        let servers = match (fields.take("sftp"), secrets) {
            (Some(node), Some(secrets)) => {
                sftp::servers(node, secrets, directory, fields.diagnostics())
            }
            _ => Some(SftpServers::new()),
        };
        let bots_node = fields.map().get("bots").and_then(Node::as_map);
        let allow = bots_node.and_then(|bots| bots.get("allow")).and_then(Node::as_map);
        sftp::check_grants(allow, &sftp::names(node), fields.diagnostics());
        if let (Some(data), Some(key), Some(node)) =
            (&data, &key_file, fields.map().get("key_file"))
            && std::path::Path::new(key).starts_with(data)
        {
            fields.diagnostics().push(
                Diagnostic::error(
                    "project.key-in-data",
                    &node.span,
                    "the key lies in the data directory that it seals",
                )
                .with_help("keep it elsewhere: who copies the data must not get the key with it"),
            );
        }
        let sftp = servers.unwrap_or_default();
        fields.finish().then_some(Self { http, data, key_file, journal, datastore, bots, sftp })
    }
}

fn http(node: &Node, diagnostics: &mut Diagnostics) -> Option<HttpSettings> {
    let mut fields = Fields::of(node, "http", diagnostics)?;
    let listen = fields.optional("listen", |node, diagnostics| {
        let address = node.address(diagnostics)?;
        let port = address.port();
        let message = match address.socket_address() {
            Some(address) if address.ip().is_loopback() => return Some(address),
            Some(_) => "other machines can reach this address, and the admin API has no TLS yet",
            None => "the admin API listens on an IP address, not on a name",
        };
        diagnostics.push(
            Diagnostic::error("project.listen", &node.span, message).with_help(format!(
                "write a loopback address such as `127.0.0.1:{port}`; for clients of the FHIR API on other \
                 machines put a reverse proxy with TLS before it"
            )),
        );
        None
    });
    fields.finish().then_some(HttpSettings { listen })
}

fn journal(node: &Node, diagnostics: &mut Diagnostics) -> Option<JournalSettings> {
    const CHUNK_BYTES_MIN: u64 = 1024 * 1024;
    const CHUNK_BYTES_MAX: u64 = 1024 * 1024 * 1024;
    let mut fields = Fields::of(node, "journal", diagnostics)?;
    let compression = fields.optional("compression", |node, diagnostics| {
        Some(match node.one_of(&["lz4", "none"], diagnostics)? {
            "none" => Compression::None,
            _ => Compression::Lz4,
        })
    });
    let retention = fields.optional("retention", |node, diagnostics| {
        Some(match node.duration_or_word(&["forever"], diagnostics)? {
            DurationOrWord::Duration(duration) => Some(duration),
            DurationOrWord::Word(_) => None,
        })
    });
    let chunk_bytes = fields.optional("chunk", |node, diagnostics| {
        node.bytes_within(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX, diagnostics)
    });
    let default = JournalSettings::default();
    fields.finish().then_some(JournalSettings {
        compression: compression.unwrap_or_default(),
        retention: retention.unwrap_or(default.retention),
        chunk_bytes,
    })
}

/// The name of a database, in place of the secret with its address: no password, so that it may be shown.
fn is_product_name(text: &str) -> bool {
    const NAMES: [&str; 8] =
        ["embedded", "sqlite", "sqlite3", "file", "memory", "postgres", "postgresql", "mysql"];
    NAMES.iter().any(|name| name.eq_ignore_ascii_case(text))
}

/// Whether it is `embedded`, written wrongly: letters alone, and about as many. All else may be a password.
fn is_near_embedded(text: &str) -> bool {
    const WORD: &str = "embedded";
    text.bytes().all(|byte| byte.is_ascii_alphabetic())
        && text.len().abs_diff(WORD.len()) <= 2
        && nearest(text, [WORD]).is_some()
}

/// Whether a secret is there and has something in it; says so where not.
fn known_secret(
    reference: &SecretReference,
    secrets: &dyn Secrets,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    let wrong = match secrets.secret(reference.name()) {
        Ok(secret) => {
            let text = std::str::from_utf8(&secret).unwrap_or_default().trim();
            if !text.is_empty() {
                return Some(());
            }
            let message = format!("the secret `{}` is empty, or no text", reference.name());
            Diagnostic::error("project.secret", reference.span(), message)
                .with_help("it holds `postgres://user:password@host/database`")
        }
        Err(unknown) => {
            let message = format!("there is no secret `{}`", unknown.name);
            if secrets.stand_in().is_some() {
                diagnostics.push(
                    Diagnostic::warning("project.secret", reference.span(), message)
                        .with_help(unknown.remedy),
                );
                return Some(());
            }
            Diagnostic::error("project.secret", reference.span(), message).with_help(unknown.remedy)
        }
    };
    diagnostics.push(wrong);
    None
}

fn datastore(
    node: &Node,
    secrets: Option<&dyn Secrets>,
    diagnostics: &mut Diagnostics,
) -> Option<DatastoreSettings> {
    // `datastore:` with nothing behind it asks for the default.
    if node.is_null() {
        return Some(DatastoreSettings::default());
    }
    let mut fields = Fields::of(node, "datastore", diagnostics)?;
    let store = fields.optional("store", |node, diagnostics| {
        let word = node.as_scalar().filter(|scalar| !scalar.is_substituted());
        match word.map(|scalar| scalar.text()) {
            Some("embedded") => return Some(StorePlace::Embedded),
            Some(text) if is_product_name(text) => {
                diagnostics.push(
                    Diagnostic::error("project.datastore", &node.span, "this is no place for resources")
                        .with_help(
                            "write `embedded` for a file of the data directory (SQLite), or `secret:NAME` for \
                             PostgreSQL, where the secret holds `postgres://user:password@host/database`",
                        ),
                );
                return None;
            }
            Some(text) if is_near_embedded(text) => {
                node.one_of(&["embedded", "secret:NAME"], diagnostics);
                return None;
            }
            _ => {}
        }
        let reference = node.secret(diagnostics)?;
        if let Some(secrets) = secrets {
            known_secret(&reference, secrets, diagnostics)?;
        }
        Some(StorePlace::Postgres(reference))
    });
    let base = fields.optional("base", |node, diagnostics| {
        let text = node.text_not_empty(diagnostics)?;
        if web_address(text) && !text.contains(['?', '#']) {
            let base = text.trim_end_matches('/');
            if !base.ends_with("/fhir/R4") {
                diagnostics.push(
                    Diagnostic::warning(
                        "project.datastore",
                        &node.span,
                        "the API is served at `/fhir/R4`, and this address ends otherwise",
                    )
                    .with_help(
                        "that works only behind a proxy that passes what comes to this path on to `/fhir/R4`",
                    ),
                );
            }
            return Some(base.to_owned());
        }
        diagnostics.push(
            Diagnostic::error("project.datastore", &node.span, "this is no address of an API")
                .with_help("write it as clients reach it: `https://fhir.example.org/fhir/R4`"),
        );
        None
    });
    let origins = fields.optional("origins", |node, diagnostics| {
        node.list_of(diagnostics, |node, diagnostics| {
            let text = node.text_not_empty(diagnostics)?;
            let path = text.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
            if text == "*" || (web_address(text) && !path) {
                return Some(text.to_owned());
            }
            diagnostics.push(
                Diagnostic::error("project.datastore", &node.span, "this is no origin").with_help(
                    "an origin has no path: `https://app.example.org`, or `\"*\"` for all",
                ),
            );
            None
        })
    });
    let hook_hosts = fields.optional("subscriptions", |node, diagnostics| {
        let mut fields = Fields::of(node, "datastore.subscriptions", diagnostics)?;
        let hosts = fields.optional("hosts", |node, diagnostics| {
            node.list_of(diagnostics, |node, diagnostics| {
                let text = node.text_not_empty(diagnostics)?;
                if hook_host(text) {
                    return Some(text.to_owned());
                }
                diagnostics.push(
                    Diagnostic::error("project.datastore", &node.span, "this is no host").with_help(
                        "write `hooks.example.org`, `\"*.example.org\"`, `hooks.example.org:8443`, or \
                         `http://10.1.2.3:8080` where there is no TLS",
                    ),
                );
                None
            })
        });
        fields.finish().then_some(hosts)
    });
    fields.finish().then_some(DatastoreSettings {
        store: store.unwrap_or_default(),
        base,
        origins: origins.unwrap_or_default(),
        hook_hosts: hook_hosts.flatten(),
        directory: PathBuf::new(),
    })
}

/// A host with or without a scheme, a `*.` before it and a port behind it.
pub(super) fn hook_host(text: &str) -> bool {
    let text =
        text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let text = text.strip_prefix("*.").unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let named = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        }
    };
    named && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
    })
}
