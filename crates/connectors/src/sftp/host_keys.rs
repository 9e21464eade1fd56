//! The keys by which a server is known: pinned by their fingerprints, or by a file of OpenSSH's known hosts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use russh::keys::ssh_key::{Algorithm, Fingerprint, HashAlg, PublicKey};

/// The keys that are trusted for one server. None of them means that none is.
#[derive(Debug, Clone, Default)]
pub(super) struct HostKeys {
    trusted: Vec<Trusted>,
    revoked: Vec<PublicKey>,
}

#[derive(Debug, Clone)]
enum Trusted {
    Fingerprint(Fingerprint),
    Key(PublicKey),
}

/// Whether a key is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    Unknown(&'static str),
}

impl HostKeys {
    /// Takes a pin: `SHA256:…`, or a public key as OpenSSH writes it.
    pub(super) fn pin(&mut self, text: &str) -> Result<(), &'static str> {
        let text = text.trim();
        if text.starts_with("MD5:") || is_md5(text) {
            return Err(
                "this is a fingerprint by MD5, which is too weak: `ssh-keygen -l -E sha256` shows one by SHA-256",
            );
        }
        if text.starts_with("SHA256:") || text.starts_with("SHA512:") {
            // Tools pad base64 at times; OpenSSH does not.
            let parsed = text.trim_end_matches('=').parse::<Fingerprint>();
            let fingerprint = parsed.map_err(|_| "this is no whole fingerprint")?;
            self.trusted.push(Trusted::Fingerprint(fingerprint));
            return Ok(());
        }
        let key = PublicKey::from_openssh(text).map_err(|_| {
            "this is no fingerprint such as `SHA256:…`, and no public key such as `ssh-ed25519 AAAA…`"
        })?;
        self.trusted.push(Trusted::Key(key));
        Ok(())
    }

    /// Takes the keys of a file of known hosts that are for this server. Gives how many they are, or the line that
    /// can't be read.
    pub(super) fn known_hosts(
        &mut self,
        text: &str,
        host: &str,
        port: u16,
    ) -> Result<usize, (usize, &'static str)> {
        let mut found = 0_usize;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (marker, entry) = match line.strip_prefix('@').and_then(|_| line.split_once(' ')) {
                Some((marker, entry)) => (Some(marker), entry.trim_start()),
                None => (None, line),
            };
            let Some((hosts, key)) = entry.split_once(' ') else {
                return Err((index.saturating_add(1), "there is no key behind the host"));
            };
            if !names(hosts, host, port) {
                continue;
            }
            // An authority signs keys; it is none itself.
            if marker == Some("@cert-authority") {
                continue;
            }
            let key = PublicKey::from_openssh(key.trim())
                .map_err(|_| (index.saturating_add(1), "its key can't be read"))?;
            if marker == Some("@revoked") {
                self.revoked.push(key);
            } else {
                self.trusted.push(Trusted::Key(key));
                found = found.saturating_add(1);
            }
        }
        Ok(found)
    }

    /// Whether a key that a server shows, and has proved that it holds, is one of these.
    pub(super) fn check(&self, shown: &PublicKey) -> Verdict {
        if self.revoked.iter().any(|key| key.key_data() == shown.key_data()) {
            return Verdict::Unknown("is revoked in `known_hosts`");
        }
        let trusted = self.trusted.iter().any(|one| match one {
            Trusted::Key(key) => key.key_data() == shown.key_data(),
            Trusted::Fingerprint(fingerprint) => {
                *fingerprint == shown.fingerprint(fingerprint.algorithm())
            }
        });
        match (trusted, self.trusted.is_empty()) {
            (true, _) => Verdict::Trusted,
            (false, true) => Verdict::Unknown("nothing pins: there is no `host_key`"),
            (false, false) => Verdict::Unknown("is none of those that the settings pin"),
        }
    }

    /// The kinds of keys to ask the server for, of those that can be used: one whose key is known comes first.
    pub(super) fn preferred(&self, usable: &[Algorithm]) -> Vec<Algorithm> {
        let is_known = |algorithm: &Algorithm| {
            self.trusted.iter().any(|one| match one {
                Trusted::Key(key) => match (key.algorithm(), algorithm) {
                    (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
                    (one, other) => one == *other,
                },
                Trusted::Fingerprint(_) => false,
            })
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = usable.iter().cloned().partition(is_known);
        first.extend(rest);
        first
    }
}

/// The fingerprint as OpenSSH shows it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// `16:27:ac:…`
fn is_md5(text: &str) -> bool {
    text.len() == 47 && text.split(':').all(|pair| pair.len() == 2)
}

/// Whether the hosts of a line (`sshd(8)`, SSH_KNOWN_HOSTS FILE FORMAT) are this one.
fn names(hosts: &str, host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    let name = if port == 22 { host } else { format!("[{host}]:{port}") };
    let mut named = false;
    for pattern in hosts.split(',') {
        if let Some(hashed) = pattern.strip_prefix("|1|") {
            named |= is_hash_of(hashed, &name);
        } else if let Some(pattern) = pattern.strip_prefix('!') {
            if matches(&pattern.to_ascii_lowercase(), &name) {
                return false;
            }
        } else {
            named |= matches(&pattern.to_ascii_lowercase(), &name);
        }
    }
    named
}

/// `SALT|HASH`, an HMAC by SHA-1 in base64.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    hmac::verify(&key, name.as_bytes(), &hash).is_ok()
}

/// A pattern with `*` and `?`, as shells have them. Linear: only the last `*` is gone back to.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at = at.saturating_add(1);
            }
            Some(one) if *one == b'?' || Some(one) == name.get(read) => {
                at = at.saturating_add(1);
                read = read.saturating_add(1);
            }
            _ => {
                let Some((starred, from)) = star else { return false };
                let from = from.saturating_add(1);
                star = Some((starred, from));
                at = starred.saturating_add(1);
                read = from;
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).expect("it is a key")
    }

    #[track_caller]
    fn check(pins: &[&str], trusts: bool) {
        let mut keys = HostKeys::default();
        for pin in pins {
            keys.pin(pin).expect("it is a pin");
        }
        assert_eq!(keys.check(&key(KEY)) == Verdict::Trusted, trusts, "{pins:?}");
    }

    #[test]
    fn a_key_is_trusted_when_it_is_pinned() {
        let shown = fingerprint(&key(KEY));
        check(&[], false);
        check(&[&shown], true);
        check(&[&format!("{shown}=")], true);
        check(&[KEY], true);
        check(&[&format!("{KEY} root@sftp")], true);
        check(&[OTHER], false);
        check(&[&fingerprint(&key(OTHER))], false);
        check(&[OTHER, &shown], true);
        let mut keys = HostKeys::default();
        assert!(keys.pin("MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48").is_err());
        assert!(keys.pin("16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48").is_err());
        assert!(keys.pin("SHA256:abc").is_err());
        assert!(keys.pin("laboratory").is_err());
    }

    #[track_caller]
    fn check_known(line: &str, (host, port): (&str, u16), trusts: bool) {
        let mut keys = HostKeys::default();
        keys.known_hosts(line, host, port).expect("the file can be read");
        assert_eq!(keys.check(&key(KEY)) == Verdict::Trusted, trusts, "{line}");
    }

    #[test]
    fn known_hosts_are_read_as_openssh_reads_them() {
        let host = ("sftp.example.org", 22);
        check_known(&format!("# a comment\n\nsftp.example.org {KEY} a comment"), host, true);
        check_known(&format!("SFTP.example.org,10.0.0.1 {KEY}"), host, true);
        check_known(&format!("other.example.org {KEY}"), host, false);
        check_known(&format!("[sftp.example.org]:2222 {KEY}"), host, false);
        check_known(&format!("[sftp.example.org]:2222 {KEY}"), ("sftp.example.org", 2222), true);
        check_known(&format!("*.example.org {KEY}"), host, true);
        check_known(&format!("*.example.org,!sftp.* {KEY}"), host, false);
        check_known(&format!("sft?.example.org {KEY}"), host, true);
        check_known(&format!("@cert-authority *.example.org {KEY}"), host, false);
        check_known(&format!("sftp.example.org {KEY}\n@revoked * {KEY}"), host, false);
        // `ssh-keygen -H` of `example.com`, from its manual's test data.
        let hashed = format!("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= {KEY}");
        check_known(&hashed, ("example.com", 22), true);
        check_known(&hashed, ("example.org", 22), false);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told() {
        let mut keys = HostKeys::default();
        let file = format!("h {KEY}\nh ssh-ed25519 damaged");
        assert_eq!(keys.known_hosts(&file, "h", 22), Err((2, "its key can't be read")));
    }

    #[test]
    fn the_kind_of_a_known_key_is_asked_for_first() {
        let mut keys = HostKeys::default();
        keys.pin(KEY).expect("it is a pin");
        let rsa = Algorithm::Rsa { hash: Some(HashAlg::Sha256) };
        let usable = [rsa.clone(), Algorithm::Ed25519];
        assert_eq!(keys.preferred(&usable), [Algorithm::Ed25519, rsa]);
    }
}
