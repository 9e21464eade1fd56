//! Bots of the real binary with files on OpenSSH's own server.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Project, Sink, eventually, until};

/// An OpenSSH server in a folder of its own; it ends with this.
struct Sshd {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Sshd {
    /// None where it is not installed, unless it must be (`PIPEHAT_TEST_SFTP=required`).
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/sshd");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let port = TcpListener::bind("127.0.0.1:0")
                .and_then(|listener| listener.local_addr())
                .expect("a port")
                .port();
            let mut process = Command::new(&script)
                .arg("run")
                .args([folder.path().join(port.to_string()).as_os_str(), port.to_string().as_ref()])
                .stdin(Stdio::null())
                .stderr(fs::File::create(folder.path().join("log")).expect("a log"))
                .spawn()
                .expect("the script runs");
            while Instant::now() < deadline {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
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
        self.folder.path().join(self.port.to_string()).join(name)
    }

    /// `sftp:` of pipehat.yaml; the project gets the key as a secret.
    fn settings(&self, project: &Project, host_key: &str) -> String {
        let key = fs::read_to_string(self.path("user_key")).expect("the script wrote it");
        project.write_secret("laboratory", &key);
        let user = Command::new("id").arg("-un").output().expect("a user").stdout;
        format!(
            "sftp:\n  laboratory:\n    connect: 127.0.0.1:{}\n    user: {}    key: secret:laboratory\n    \
             host_key: \"{host_key}\"\n    directory: {}\n",
            self.port,
            String::from_utf8(user).expect("a name"),
            self.path("files").display()
        )
    }

    fn host_key(&self) -> String {
        let key = fs::read_to_string(self.path("host_key.pub")).expect("the script wrote it");
        key.trim().to_owned()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn message(control_id: &str, name: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|L|PH|H|20260101||ORU^R01|{control_id}|P|2.5.1\rPID|1||77^^^H||{name}\rOBX|1|NM|K||4.1\r"
    )
}

/// The bot of docs/bots-server.md.
const COLLECT: &str = "import { send, sftp } from 'pipehat';

export async function handler(): Promise<void> {
  const laboratory = sftp('laboratory');
  for (const { name, kind } of await laboratory.entries('out')) {
    if (kind !== 'file' || !name.endsWith('.hl7')) continue;
    const text = await laboratory.text(`out/${name}`);
    for (const message of text.split(/[\\r\\n]+(?=MSH\\|)/)) {
      await send('results', message);
    }
    await laboratory.renameWhenSent(`out/${name}`, `done/${name}`);
  }
}
";

fn channel(project: &Project, sink: &Sink) {
    project.write(
        "channels/results.yaml",
        &format!(
            "channel: results\nsource: {{ mllp: {{ listen: 127.0.0.1:0 }} }}\n\
             destinations:\n  ward: {{ mllp: {{ connect: {} }} }}\n",
            sink.address()
        ),
    );
}

fn runs(project: &Project, query: &str) -> Vec<Value> {
    let api = crate::harness::Api::of(project.data());
    let page = api.get(&format!("/api/v1/bots/runs?{query}"));
    page["runs"].as_array().expect("a list").clone()
}

#[test]
fn files_of_messages_are_fetched_by_the_clock() {
    let Some(sshd) = Sshd::start() else { return };
    for folder in ["out", "done"] {
        fs::create_dir(sshd.path("files").join(folder)).expect("a folder");
    }
    let sink = Sink::new();
    let project = Project::new();
    let settings = sshd.settings(&project, &sshd.host_key());
    project.write("pipehat.yaml", &settings);
    channel(&project, &sink);
    project.write(
        "bots/collect.yaml",
        "bot: collect\non: { cron: { at: \"* * * * * *\" } }\nallow: { sftp: [laboratory], channels: [results] }\n",
    );
    project.write("bots/collect.ts", COLLECT);
    let node = project.up();
    let put = |name: &str, content: String| {
        let file = sshd.path("files").join("out").join(name);
        fs::write(file.with_extension("new"), content).expect("a file");
        fs::rename(file.with_extension("new"), file).expect("a file");
    };
    put("77-a.hl7", format!("{}\n{}", message("A1", "MILLER"), message("A2", "MILLER")));
    put("77-b.hl7", message("B1", "SMITH"));
    let received = sink.wait_for(3);
    let expected = [message("A1", "MILLER"), message("A2", "MILLER"), message("B1", "SMITH")];
    for (received, expected) in received.iter().zip(&expected) {
        let received = String::from_utf8_lossy(received);
        assert_eq!(received.trim_end(), expected.trim_end());
    }
    eventually("the files are done", || {
        let done = fs::read_dir(sshd.path("files/done")).expect("a folder").count();
        done == 2 && fs::read_dir(sshd.path("files/out")).expect("a folder").count() == 0
    });
    let metrics = node.api().call("GET", "/metrics", None).1;
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    assert!(
        metrics.contains("pipehat_sftp_operations_total{server=\"laboratory\",outcome=\"done\"}"),
        "{metrics}"
    );
    // What was asked stands with the run, for who may see it, and nowhere else.
    let run = until("the run is recorded", || {
        let found = runs(&project, "bot=collect&state=done&limit=1000");
        found.into_iter().find_map(|run| {
            let detail = node.api().get(&format!("/api/v1/bots/runs/{}?contents=true", run["run"]));
            detail.to_string().contains("renameWhenSent").then_some(run)
        })
    });
    let shown = project.run(&["bot", "show", &run["run"].to_string()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(!shown.contains("77-a") && !shown.contains("MILLER"), "{shown}");
    assert!(!metrics.contains("77-"), "{metrics}");
    assert_eq!(sink.count(), 3, "nothing came twice");
    node.stop();
    let printed = project.printed();
    assert!(!printed.contains("77-") && !printed.contains("MILLER"), "{printed}");
}

#[test]
fn a_server_that_is_not_known_or_not_granted_is_told() {
    let Some(sshd) = Sshd::start() else { return };
    let project = Project::new();
    let other = format!("SHA256:{}", "A".repeat(43));
    project.write("pipehat.yaml", &sshd.settings(&project, &other));
    channel(&project, &Sink::new());
    let script = "import { sftp } from 'pipehat';
        export async function handler(_: any, event: any) {
          try { return (await sftp('laboratory').list()).length; } catch (error: any) { return error.message; }
        }";
    for (name, yaml) in [("granted", "allow: { sftp: [laboratory] }\n"), ("bare", "")] {
        let webhook = "on: { webhook: { token: secret:hook } }\n";
        project.write(&format!("bots/{name}.yaml"), &format!("bot: {name}\n{webhook}{yaml}"));
        project.write(&format!("bots/{name}.ts"), script);
    }
    project.write_secret("hook", "open sesame");
    let node = project.up();
    let told = |bot: &str| {
        let mut connection =
            crate::harness::Connection::open(node.api().authority(), "Bearer open sesame")
                .expect("a connection");
        let headers = [("Content-Type", "application/json")];
        let answered =
            connection.post_raw(&format!("/bots/{bot}"), &headers, b"{}").expect("an answer");
        String::from_utf8_lossy(&answered.body).into_owned()
    };
    let text = told("granted");
    let shown = Command::new("ssh-keygen").arg("-lf").arg(sshd.path("host_key.pub")).output();
    let shown = String::from_utf8(shown.expect("ssh-keygen").stdout).expect("text");
    let fingerprint = shown.split(' ').nth(1).expect("a fingerprint");
    assert!(text.contains(&format!("write `host_key: {fingerprint}`")), "{text}");
    let text = told("bare");
    assert!(text.contains("add it to `allow: { sftp: [laboratory] }`"), "{text}");

    // The operator compares the fingerprint, pins it, and it works: without a restart.
    let pinned = sshd.settings(&project, fingerprint);
    project.write("pipehat.yaml", &pinned);
    node.api().post("/api/v1/apply", &json!({}));
    assert_eq!(told("granted"), "0");
}

#[test]
fn a_kill_in_the_midst_of_a_put_leaves_no_half_file() {
    let Some(sshd) = Sshd::start() else { return };
    let project = Project::new();
    let settings = sshd.settings(&project, &sshd.host_key());
    project.write("pipehat.yaml", &format!("{settings}    file_bytes_max: 64MiB\n"));
    channel(&project, &Sink::new());
    project.write(
        "bots/report.yaml",
        "bot: report\non: { cron: { at: \"* * * * * *\" } }\nallow: { sftp: [laboratory] }\n\
         limits: { memory: 512MiB, time: 60s, cpu: 30s }\nretry: { first: 10ms, most: 10ms, give_up: 1d }\n",
    );
    project.write(
        "bots/report.ts",
        "import { sftp } from 'pipehat';
         export async function handler() { await sftp('laboratory').put('report.txt', 'x'.repeat(20_000_000)); }",
    );
    let final_name = sshd.path("files/report.txt");
    let partial = || {
        let entries = fs::read_dir(sshd.path("files")).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".partial")).count()
    };
    let node = project.up();
    eventually("a put is under way", || partial() > 0 || final_name.exists());
    node.kill();
    let size = fs::metadata(&final_name).map(|about| about.len());
    assert!(size.is_err() || size.is_ok_and(|size| size == 20_000_000), "half a file");
    // It is done after all: at the next run.
    let node = project.up();
    eventually("it is put", || {
        fs::metadata(&final_name).is_ok_and(|about| about.len() == 20_000_000)
    });
    drop(node);
}
