//! What the settings of a server may say, and what is told when they can't be used.

use std::path::Path;

use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, ssh_key::LineEnding};

use super::ssh::fingerprint;
use super::{Named, read};

const SERVER: &str = "connect: \"sftp.example.org:22\", user: pipehat";

fn private_key() -> String {
    let pair = Ed25519Keypair::from_seed(&[9; 32]);
    let key = PrivateKey::new(KeypairData::Ed25519(pair), "").expect("a key");
    key.to_openssh(LineEnding::LF).expect("it is written").to_string()
}

/// `None`: the settings are sound. Else a part of what is told.
#[track_caller]
fn check(settings: &str, expected: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("it is written");
    };
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    write("known_hosts", &format!("sftp.example.org {key}\n"));
    write("damaged", "sftp.example.org ssh-ed25519 damaged\n");
    let (private, public) = (private_key(), "ssh-ed25519 AAAA…");
    let secrets = Named::with(&[
        ("password", "open sesame\n"),
        ("key", &private),
        ("public", public),
        ("empty", "\n"),
        ("nonsense", "nonsense"),
    ]);
    match (read(settings, &secrets, folder.path()), expected) {
        (Ok(_), None) => {}
        (Err(told), Some(part)) if told.contains(part) => {
            assert!(!told.contains("open sesame") && !told.contains(&private[40..80]), "{told}");
        }
        (found, expected) => panic!("{settings}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn a_server_needs_a_login_and_a_key_that_it_is_known_by() {
    let pin = format!("host_key: \"{}\"", fingerprint());
    check(&format!("{SERVER}, password: secret:password, {pin}"), None);
    check(&format!("{SERVER}, key: secret:key, {pin}"), None);
    check(&format!("{SERVER}, key: secret:key, password: secret:password, {pin}"), None);
    check(&format!("{SERVER}, password: secret:password, known_hosts: known_hosts"), None);
    let pins = format!("host_key: [\"{0}\", \"{0}\"]", fingerprint());
    check(&format!("{SERVER}, password: secret:password, {pins}"), None);

    check(&format!("{SERVER}, {pin}"), Some("there is nothing to log in with"));
    check(
        &format!("{SERVER}, password: secret:password"),
        Some("nothing says which key the server has"),
    );
    check(&format!("{SERVER}, password: \"open sesame\", {pin}"), Some("secret:"));
    check(&format!("{SERVER}, password: secret:missing, {pin}"), Some("no secret `missing`"));
    check(&format!("{SERVER}, password: secret:empty, {pin}"), Some("`empty` is empty"));
    check(&format!("{SERVER}, key: secret:nonsense, {pin}"), Some("can't be read"));
    check(&format!("{SERVER}, key: secret:public, {pin}"), Some("this is a public key"));
    check(
        &format!("{SERVER}, password: secret:password, passphrase: secret:password, {pin}"),
        Some("there is no `key` that it unlocks"),
    );
}

#[test]
fn pins_and_known_hosts_are_checked() {
    let login = format!("{SERVER}, password: secret:password");
    check(&format!("{login}, host_key: laboratory"), Some("this is no fingerprint such as"));
    check(
        &format!("{login}, host_key: \"MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48\""),
        Some("by MD5"),
    );
    check(&format!("{login}, known_hosts: none"), Some("this file can't be read"));
    check(&format!("{login}, known_hosts: damaged"), Some("line 1 of this file"));
    check(
        &format!("{login}, known_hosts: known_hosts").replace(":22", ":2222"),
        Some("no key of sftp.example.org:2222"),
    );
}

#[test]
fn limits_and_times_are_checked() {
    let sound = format!("{SERVER}, password: secret:password, host_key: \"{}\"", fingerprint());
    check(&format!("{sound}, timeout: 0s"), Some("no time"));
    check(&format!("{sound}, keep_alive: 0s, idle_timeout: 0s"), None);
    check(&format!("{sound}, file_bytes_max: 0B"), Some("between 1B and 1GiB"));
    check(&format!("{sound}, file_bytes_max: 2GiB"), Some("between 1B and 1GiB"));
    check(&format!("{sound}, entries_max: 0"), Some("entries_max"));
    check(&format!("{sound}, directory: \"\""), Some("no directory"));
    check(&format!("{sound}, hostkey: x"), Some("host_key"));
    check(&sound.replace(":22", ""), Some("connect"));
}

#[test]
fn a_server_shows_nothing_of_its_secrets() {
    let secrets = Named::with(&[("password", "open sesame")]);
    let settings = format!("{SERVER}, password: secret:password, host_key: \"{}\"", fingerprint());
    let server = read(&settings, &secrets, Path::new(".")).expect("it is sound");
    assert_eq!(format!("{server:?}"), "SftpServer { name: \"laboratory\", .. }");
    let again = read(&settings, &secrets, Path::new(".")).expect("it is sound");
    assert_eq!(server, again);
}
