//! The settings of a server: what stands under `sftp: { NAME: … }` in `pipehat.yaml`.

use std::sync::Arc;
use std::time::Duration;

use pipehat_config::{
    Address, Diagnostic, Diagnostics, FieldSchema, Kind, Required, SecretText, Settings,
};
use russh::keys::{PrivateKey, decode_secret_key};
use zeroize::Zeroizing;

use super::codes;
use super::host_keys::HostKeys;
use super::session::SessionLimits;
use crate::BuildContext;

/// The most bytes of a file of known hosts.
const KNOWN_HOSTS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A file is one piece of memory here.
const FILE_BYTES_LIMIT: u64 = 1 << 30;

/// The keys of a server.
pub const SFTP_SERVER: &[FieldSchema] = &[
    FieldSchema {
        name: "connect",
        kind: Kind::Address,
        required: Required::Yes,
        doc: "Where the server listens: host and port.",
        example: "sftp.example.org:22",
    },
    FieldSchema {
        name: "user",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "Who logs in.",
        example: "pipehat",
    },
    FieldSchema {
        name: "password",
        kind: Kind::Secret,
        required: Required::No,
        doc: "The user's password. Beside a `key` it is shown after it, for servers that ask for both.",
        example: "secret:laboratory-password",
    },
    FieldSchema {
        name: "key",
        kind: Kind::Secret,
        required: Required::No,
        doc: "The user's private key, as `ssh-keygen` writes it: Ed25519, ECDSA or RSA.",
        example: "secret:laboratory-key",
    },
    FieldSchema {
        name: "passphrase",
        kind: Kind::Secret,
        required: Required::No,
        doc: "What unlocks the `key`.",
        example: "secret:laboratory-passphrase",
    },
    FieldSchema {
        name: "host_key",
        kind: Kind::OneOrMore(&Kind::Text),
        required: Required::No,
        doc: "The server's key: its fingerprint as `ssh-keygen -l` shows it, or the public key itself. Several while the \
              server changes its key. This or `known_hosts` must be there: no key is ever taken on trust.",
        example: "SHA256:uNiVztksCsDhcc0u9e8BrMz2rMTo4FMQkJ1Ew3sZq0o",
    },
    FieldSchema {
        name: "known_hosts",
        kind: Kind::Text,
        required: Required::No,
        doc: "A file of the project with the keys of servers, as OpenSSH keeps them (`ssh-keyscan` writes such lines).",
        example: "known_hosts",
    },
    FieldSchema {
        name: "directory",
        kind: Kind::Text,
        required: Required::Default("."),
        doc: "The directory that all paths start from and none leaves. Left out: where the user lands.",
        example: "/outbox",
    },
    FieldSchema {
        name: "connections",
        kind: Kind::Integer { min: 1, max: 64 },
        required: Required::Default("4"),
        doc: "How many connections are open at most.",
        example: "1",
    },
    FieldSchema {
        name: "connect_timeout",
        kind: Kind::Duration,
        required: Required::Default("15s"),
        doc: "How long connecting may take, the login included.",
        example: "30s",
    },
    FieldSchema {
        name: "timeout",
        kind: Kind::Duration,
        required: Required::Default("30s"),
        doc: "How long the server may take for an answer. A large file is many of them.",
        example: "2m",
    },
    FieldSchema {
        name: "idle_timeout",
        kind: Kind::Duration,
        required: Required::Default("1m"),
        doc: "Closes a connection that was not needed for so long; `0s` at once.",
        example: "5m",
    },
    FieldSchema {
        name: "keep_alive",
        kind: Kind::Duration,
        required: Required::Default("15s"),
        doc: "After so much silence the server is asked whether it is still there, three times; `0s` for never.",
        example: "1m",
    },
    FieldSchema {
        name: "file_bytes_max",
        kind: Kind::Bytes,
        required: Required::Default("16MiB"),
        doc: "The largest file that is got or put.",
        example: "64MiB",
    },
    FieldSchema {
        name: "entries_max",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        required: Required::Default("10000"),
        doc: "The most entries of a folder that is listed.",
        example: "100000",
    },
];

/// How a server is spoken to.
pub(super) struct Rules {
    pub(super) connect: Address,
    pub(super) login: Login,
    pub(super) host_keys: HostKeys,
    pub(super) directory: String,
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) keep_alive: Option<Duration>,
    pub(super) limits: SessionLimits,
}

/// Who logs in, and how.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Option<SecretText>,
    pub(super) key: Option<Arc<PrivateKey>>,
}

/// The rules of settings, with their secrets.
pub(super) fn rules(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Rules> {
    let mut reading = Reading { settings, context, diagnostics, sound: true };
    let login = reading.login();
    let host_keys = reading.host_keys();
    let directory = settings.text("directory")?;
    if directory.is_empty() || directory.contains('\0') {
        reading.wrong(
            codes::SETTING,
            "directory",
            "this is no directory",
            "write it like `/outbox`",
        );
    }
    let file_bytes_max = settings.bytes("file_bytes_max")?;
    if file_bytes_max == 0 || file_bytes_max > FILE_BYTES_LIMIT {
        let help = "a bot has the whole file in its memory";
        reading.wrong(codes::SETTING, "file_bytes_max", "this must be between 1B and 1GiB", help);
    }
    let connect_timeout = reading.time("connect_timeout")?;
    let timeout = reading.time("timeout")?;
    let number = |name| settings.integer(name).and_then(|number| usize::try_from(number).ok());
    let rules = Rules {
        connect: settings.address("connect")?.clone(),
        login: login?,
        host_keys: host_keys?,
        directory: directory.to_owned(),
        connections: number("connections")?,
        connect_timeout,
        idle_timeout: settings.duration("idle_timeout")?,
        keep_alive: settings.duration("keep_alive").filter(|time| !time.is_zero()),
        limits: SessionLimits {
            timeout,
            file_bytes_max: usize::try_from(file_bytes_max).ok()?,
            entries_max: number("entries_max")?,
        },
    };
    reading.sound.then_some(rules)
}

struct Reading<'r> {
    settings: &'r Settings,
    context: &'r BuildContext<'r>,
    diagnostics: &'r mut Diagnostics,
    sound: bool,
}

impl Reading<'_> {
    fn wrong(&mut self, code: &'static str, name: &str, message: &str, help: &str) {
        let span = self.settings.span_of(name).unwrap_or_else(|| self.settings.span());
        self.diagnostics.push(Diagnostic::error(code, span, message).with_help(help));
        self.sound = false;
    }

    fn time(&mut self, name: &str) -> Option<Duration> {
        let time = self.settings.duration(name)?;
        if time.is_zero() {
            self.wrong(
                codes::SETTING,
                name,
                "nothing can be done in no time",
                "write it like `30s`",
            );
        }
        Some(time)
    }

    fn login(&mut self) -> Option<Login> {
        let user = self.settings.text("user")?.to_owned();
        if user.is_empty() {
            self.wrong(codes::LOGIN, "user", "there is no user of no name", "name who logs in");
        }
        let names = ["password", "key", "passphrase"];
        let [has_password, has_key, has_passphrase] =
            names.map(|name| self.settings.contains(name));
        if !has_password && !has_key {
            let help = "add `password: secret:NAME`, `key: secret:NAME`, or both";
            self.wrong(codes::LOGIN, "user", "there is nothing to log in with", help);
            return None;
        }
        if has_passphrase && !has_key {
            let help = "remove it, or add the `key`; for the user's password write `password`";
            self.wrong(codes::LOGIN, "passphrase", "there is no `key` that it unlocks", help);
        }
        let password = if has_password { Some(self.secret("password")?) } else { None };
        let key = if has_key { Some(Arc::new(self.key()?)) } else { None };
        Some(Login { user, password, key })
    }

    fn key(&mut self) -> Option<PrivateKey> {
        let text = self.secret("key")?;
        let passphrase = match self.settings.contains("passphrase") {
            true => Some(self.secret("passphrase")?),
            false => None,
        };
        let passphrase = passphrase.as_ref().map(SecretText::expose);
        let convert = "`ssh-keygen -p -f FILE` writes it anew in OpenSSH's format";
        if text.expose().contains("PUBLIC KEY") || text.expose().starts_with("ssh-") {
            let help = "the private key is the file without `.pub`";
            self.wrong(codes::LOGIN, "key", "this is a public key", help);
            return None;
        }
        match decode_secret_key(text.expose(), passphrase) {
            Ok(key) if key.is_encrypted() => {}
            Ok(key) => return Some(key),
            Err(russh::keys::Error::KeyIsEncrypted) => {}
            // Some formats only show by nonsense that the passphrase is wrong.
            Err(_) if passphrase.is_some() => {
                let message = "this private key can't be read: the passphrase may be wrong";
                self.wrong(codes::LOGIN, "key", message, convert);
                return None;
            }
            Err(_) => {
                self.wrong(codes::LOGIN, "key", "this private key can't be read", convert);
                return None;
            }
        }
        let help = "add `passphrase: secret:NAME`";
        self.wrong(codes::LOGIN, "key", "the private key is locked with a passphrase", help);
        None
    }

    /// A secret without the line end that editors put behind it.
    fn secret(&mut self, name: &'static str) -> Option<SecretText> {
        let reference = self.settings.secret(name)?;
        let bytes = match self.context.secrets.secret(reference.name()) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(unknown) => {
                let message = format!("there is no secret `{}`", unknown.name);
                self.wrong(codes::SECRET, name, &message, &unknown.remedy);
                return None;
            }
        };
        match std::str::from_utf8(&bytes).map(|text| text.trim_end_matches(['\r', '\n'])) {
            Ok(text) if !text.is_empty() => Some(SecretText::new(text)),
            _ => {
                let message = format!("the secret `{}` is empty, or no text", reference.name());
                self.wrong(codes::SECRET, name, &message, "put it there as text");
                None
            }
        }
    }

    fn host_keys(&mut self) -> Option<HostKeys> {
        let mut keys = HostKeys::default();
        let (settings, mut sound) = (self.settings, true);
        for pin in settings.list("host_key").unwrap_or_default() {
            if let Err(why) = keys.pin(pin.text().unwrap_or_default()) {
                let error = Diagnostic::error(codes::HOST_KEY, pin.span(), why);
                self.diagnostics.push(error.with_help(HOW_TO_PIN));
                sound = false;
            }
        }
        if settings.contains("known_hosts") {
            sound &= self.known_hosts(&mut keys).is_some();
        }
        if !settings.contains("host_key") && !settings.contains("known_hosts") {
            let message = "nothing says which key the server has";
            self.wrong(codes::HOST_KEY, "connect", message, HOW_TO_PIN);
        }
        self.sound &= sound;
        Some(keys)
    }

    fn known_hosts(&mut self, keys: &mut HostKeys) -> Option<()> {
        const NAME: &str = "known_hosts";
        let written = self.settings.text(NAME)?;
        let address = self.settings.address("connect")?.clone();
        let text = match read_text(&self.context.path(written)) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("this file can't be read: {error}");
                let help = "a relative path starts from the project directory";
                self.wrong(codes::HOST_KEY, NAME, &message, help);
                return None;
            }
        };
        match keys.known_hosts(&text, address.host(), address.port()) {
            Ok(0) => {
                let message = format!("this file has no key of {address}");
                self.wrong(codes::HOST_KEY, NAME, &message, HOW_TO_PIN);
                None
            }
            Ok(_) => Some(()),
            Err((line, why)) => {
                let message = format!("line {line} of this file can't be read: {why}");
                self.wrong(codes::HOST_KEY, NAME, &message, "take the line out, or mend it");
                None
            }
        }
    }
}

const HOW_TO_PIN: &str = "`ssh-keyscan HOST | ssh-keygen -lf -` shows the fingerprints of a server; compare them with what its \
                          operator names, and write `host_key: SHA256:…`";

fn read_text(path: &std::path::Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > KNOWN_HOSTS_BYTES_MAX {
        return Err(std::io::Error::other("it is larger than 4 MiB"));
    }
    std::fs::read_to_string(path)
}
