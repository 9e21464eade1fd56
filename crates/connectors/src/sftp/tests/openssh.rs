//! The client with OpenSSH's own server, which `scripts/sshd` starts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{LONG, Named, read};
use crate::sftp::packet::FileKind;
use crate::sftp::{SftpError, SftpServer};

/// A server; it ends with this.
struct Sshd {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Sshd {
    /// None where OpenSSH's server is not installed, unless it must be (`PIPEHAT_TEST_SFTP=required`).
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/sshd");
        let deadline = Instant::now() + LONG;
        loop {
            // Another may take the port before the server does: then it ends, and another is tried.
            let port = std::net::TcpListener::bind("127.0.0.1:0")
                .and_then(|listener| listener.local_addr())
                .expect("a port")
                .port();
            let log = fs::File::create(folder.path().join("log")).expect("a log");
            let keys = folder.path().join(format!("server-{port}"));
            let mut process = Command::new(&script)
                .arg("run")
                .args([keys.as_os_str(), port.to_string().as_ref()])
                .stdin(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("the script runs");
            while Instant::now() < deadline {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(Self { folder, port, process });
                }
                if let Some(status) = process.try_wait().expect("it can be asked") {
                    if status.code() != Some(3) {
                        break;
                    }
                    let required =
                        std::env::var("PIPEHAT_TEST_SFTP").is_ok_and(|value| value == "required");
                    assert!(!required, "OpenSSH's server is not installed: scripts/sshd install");
                    eprintln!("skipped: OpenSSH's server is not installed (scripts/sshd install)");
                    return None;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
            let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the server does not start: {log}");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("server-{}", self.port)).join(name)
    }

    fn files(&self) -> PathBuf {
        self.path("files")
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the script wrote it")
    }

    fn client_with(&self, key: &str, more: &str) -> SftpServer {
        let user = Command::new("id").arg("-un").output().expect("a user").stdout;
        let user = String::from_utf8(user).expect("a name");
        let settings = format!(
            "connect: \"127.0.0.1:{}\", user: {}, key: secret:key, host_key: {}, directory: \"{}\", {more}",
            self.port,
            user.trim(),
            self.text("host_key.pub").trim(),
            self.files().display()
        );
        let secrets =
            Named::with(&[("key", &self.text(key)), ("passphrase", "open sesame"), ("bad", "no")]);
        read(&settings, &secrets, self.folder.path()).expect("the settings are sound")
    }

    fn client(&self) -> SftpServer {
        self.client_with("user_key", "")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn files_come_go_and_are_renamed() {
    let Some(sshd) = Sshd::start() else { return };
    let (client, files) = (sshd.client(), sshd.files());
    fs::create_dir(files.join("done")).expect("a folder");
    fs::write(files.join("a.hl7"), "MSH|^~\\&|A\r").expect("a file");

    let listed = client.list("", LONG).await.expect("it is listed");
    let shown: Vec<_> = listed.iter().map(|one| (&*one.name, one.kind)).collect();
    assert_eq!(shown, [("a.hl7", FileKind::File), ("done", FileKind::Folder)]);
    assert_eq!(listed[0].size, Some(11));
    assert!(listed[0].modified.is_some_and(|time| time > 1_700_000_000));
    assert_eq!(client.get("a.hl7", LONG).await, Ok(b"MSH|^~\\&|A\r".to_vec()));

    let large: Vec<u8> = (0..5_000_000_u32).map(|at| at.to_be_bytes()[3]).collect();
    client.put("done/large", &large, LONG).await.expect("it is put");
    assert!(fs::read(files.join("done/large")).expect("it is there") == large);
    assert_eq!(client.get("done/large", LONG).await.expect("it is got").len(), large.len());
    client.put("done/large", b"small", LONG).await.expect("it is replaced");
    assert_eq!(fs::read(files.join("done/large")).expect("it is there"), b"small");
    assert_eq!(fs::read_dir(files.join("done")).expect("a folder").count(), 1);

    client.rename("a.hl7", "done/a.hl7", LONG).await.expect("it is renamed");
    fs::write(files.join("a.hl7"), "another").expect("a file");
    assert_eq!(client.rename("a.hl7", "done/a.hl7", LONG).await, Err(SftpError::Exists));
    client.remove("a.hl7", LONG).await.expect("it is removed");
    assert!(!files.join("a.hl7").exists());

    assert_eq!(client.get("a.hl7", LONG).await, Err(SftpError::NotFound));
    assert_eq!(client.get("done", LONG).await, Err(SftpError::NotAFile));
    assert_eq!(client.list("none", LONG).await, Err(SftpError::NotFound));
    assert_eq!(client.put("none/a", b"x", LONG).await, Err(SftpError::NotFound));
    assert_eq!(client.remove("none", LONG).await, Err(SftpError::NotFound));
    assert_eq!(client.rename("none", "other", LONG).await, Err(SftpError::NotFound));
}

#[tokio::test]
async fn every_kind_of_key_lets_in() {
    let Some(sshd) = Sshd::start() else { return };
    for (key, more) in [
        ("user_key", ""),
        ("user_key_rsa", ""),
        ("user_key_locked", "passphrase: secret:passphrase"),
    ] {
        assert_eq!(sshd.client_with(key, more).list("", LONG).await, Ok(Vec::new()), "{key}");
    }
    // A key that the server does not know.
    let error = sshd.client_with("host_key", "").list("", LONG).await.expect_err("it is unknown");
    assert!(error.to_string().contains("(it takes publickey)"), "{error}");
}

#[test]
fn a_locked_key_needs_its_passphrase() {
    let Some(sshd) = Sshd::start() else { return };
    let settings = format!(
        "connect: \"127.0.0.1:{}\", user: u, key: secret:key, host_key: {}",
        sshd.port,
        sshd.text("host_key.pub").trim()
    );
    let secrets = Named::with(&[("key", &sshd.text("user_key_locked")), ("bad", "wrong")]);
    let told = read(&settings, &secrets, Path::new(".")).expect_err("it is locked");
    assert!(told.contains("locked with a passphrase"), "{told}");
    let settings = format!("{settings}, passphrase: secret:bad");
    let told = read(&settings, &secrets, Path::new(".")).expect_err("it stays locked");
    assert!(told.contains("the passphrase may be wrong"), "{told}");
}

#[tokio::test]
async fn links_lead_no_further_than_the_directory() {
    let Some(sshd) = Sshd::start() else { return };
    let (client, files) = (sshd.client(), sshd.files());
    let outside = sshd.folder.path().join("outside");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("secret"), "not yours").expect("a file");
    fs::create_dir(files.join("in")).expect("a folder");
    fs::write(files.join("in/a"), "inside").expect("a file");
    symlink(&outside, files.join("folder")).expect("a link");
    symlink(outside.join("secret"), files.join("file")).expect("a link");
    symlink(files.join("in"), files.join("allowed")).expect("a link");

    let out = SftpError::Path("a link leads out of the server's `directory`");
    assert_eq!(client.get("file", LONG).await, Err(out.clone()));
    assert_eq!(client.get("folder/secret", LONG).await, Err(out.clone()));
    assert_eq!(client.list("folder", LONG).await, Err(out.clone()));
    assert_eq!(client.put("folder/new", b"x", LONG).await, Err(out.clone()));
    assert_eq!(client.rename("in/a", "folder/a", LONG).await, Err(out.clone()));
    assert_eq!(client.remove("folder/secret", LONG).await, Err(out));
    assert_eq!(client.get("allowed/a", LONG).await, Ok(b"inside".to_vec()));
    // What is put or removed under a link's name is the link.
    client.put("file", b"new", LONG).await.expect("it is put");
    assert_eq!(fs::read(outside.join("secret")).expect("it is there"), b"not yours");
    assert_eq!(fs::read(files.join("file")).expect("it is there"), b"new");
}

#[tokio::test]
async fn a_pipe_is_not_waited_for_and_limits_hold() {
    let Some(sshd) = Sshd::start() else { return };
    let files = sshd.files();
    let made = Command::new("mkfifo").arg(files.join("pipe")).status().expect("mkfifo");
    assert!(made.success());
    fs::write(files.join("exact"), [b'x'; 1000]).expect("a file");
    fs::write(files.join("over"), [b'x'; 1001]).expect("a file");
    let client = sshd.client_with("user_key", "file_bytes_max: 1000B, entries_max: 3");
    assert_eq!(client.get("pipe", LONG).await, Err(SftpError::NotAFile));
    assert_eq!(client.get("exact", LONG).await.map(|content| content.len()), Ok(1000));
    let too_large = SftpError::TooLarge { limit: 1000 };
    assert_eq!(client.get("over", LONG).await, Err(too_large.clone()));
    assert_eq!(client.put("new", &[b'x'; 1001], LONG).await, Err(too_large));
    assert_eq!(client.list("", LONG).await.map(|entries| entries.len()), Ok(3));
    client.put("new", &[b'x'; 1000], LONG).await.expect("it is put");
    assert_eq!(client.list("", LONG).await, Err(SftpError::TooMany { limit: 3 }));
}

#[tokio::test]
async fn a_put_that_is_given_up_leaves_nothing_under_the_name() {
    let Some(sshd) = Sshd::start() else { return };
    let client = sshd.client_with("user_key", "file_bytes_max: 256MiB");
    let content = vec![b'x'; 200_000_000];
    let begun = async {
        while fs::read_dir(sshd.files()).expect("a folder").count() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        put = client.put("a.hl7", &content, LONG) => panic!("it was too fast: {put:?}"),
        () = begun => {}
    }
    assert!(!sshd.files().join("a.hl7").exists());
    // The connection went with it; the next is another.
    assert!(client.put("a.hl7", b"whole", LONG).await.is_ok());
    assert_eq!(client.get("a.hl7", LONG).await, Ok(b"whole".to_vec()));
}

#[tokio::test]
async fn known_hosts_as_ssh_keyscan_writes_them_are_enough() {
    let Some(sshd) = Sshd::start() else { return };
    let host = format!("[127.0.0.1]:{}", sshd.port);
    let line = format!("{host} {}", sshd.text("host_key.pub"));
    fs::write(sshd.folder.path().join("known_hosts"), line).expect("a file");
    let user = Command::new("id").arg("-un").output().expect("a user").stdout;
    let settings = format!(
        "connect: \"127.0.0.1:{}\", user: {}, key: secret:key, known_hosts: known_hosts",
        sshd.port,
        String::from_utf8_lossy(&user).trim()
    );
    let secrets = Named::with(&[("key", &sshd.text("user_key"))]);
    let client = read(&settings, &secrets, sshd.folder.path()).expect("it is sound");
    assert!(client.list("", LONG).await.is_ok());
    // By the fingerprint alone another key is told, for the operator to compare.
    let other = format!("SHA256:{}", "A".repeat(43));
    let settings = settings.replace("known_hosts: known_hosts", &format!("host_key: \"{other}\""));
    let client = read(&settings, &secrets, sshd.folder.path()).expect("it is sound");
    let error = client.list("", LONG).await.expect_err("it is another");
    assert!(matches!(error, SftpError::HostKey { .. }), "{error}");
}
