//! The binary, running a project in a folder of its own.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::api::{Api, check_proof};
use super::wait::until;

/// A project directory, and beside it the data directory, the key and what the binary printed.
pub(crate) struct Project {
    folder: TempDir,
    data: PathBuf,
}

impl Project {
    /// An empty project.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let data = folder.path().join("data");
        let project = Self { folder, data };
        project.write("pipehat.yaml", "");
        project
    }

    /// With the data somewhere else.
    pub(crate) fn with_data(mut self, data: PathBuf) -> Self {
        self.data = data;
        self
    }

    /// Writes a file of the project, as an editor does: the new one takes the old one's place.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.directory().join(name);
        fs::create_dir_all(path.parent().expect("files are in the project"))
            .expect("a folder can be made");
        let new = path.with_extension("new~");
        fs::write(&new, content).expect("a file can be written");
        fs::rename(&new, &path).expect("a file can be renamed");
    }

    /// Keeps a secret where the binary looks for `secret:name`.
    pub(crate) fn write_secret(&self, name: &str, content: &str) {
        fs::create_dir_all(self.secrets()).expect("a folder can be made");
        fs::write(self.secrets().join(name), content).expect("a file can be written");
    }

    fn secrets(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    /// Removes a file of the project.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.directory().join(name)).expect("the file can be removed");
    }

    /// The project directory.
    pub(crate) fn directory(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// The folder around it all.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// All that the binary has printed, standard error behind standard output.
    pub(crate) fn printed(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stdout") + &read("stderr")
    }

    /// The proof of a node that does not run, from its data alone; it must hold. So must the
    /// journal, byte by byte.
    pub(crate) fn prove(&self) {
        let output = self.command(&["prove", "--json"]);
        check_proof(&serde_json::from_slice(&output.stdout).expect("the proof is JSON"));
        self.command(&["journal", "verify"]);
    }

    /// Runs a command about the data, which must succeed.
    fn command(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}: {errors}", output.status);
        output
    }

    /// Runs a command, however it ends.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.binary().args(arguments).output().expect("the binary runs")
    }

    fn binary(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipehat"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PIPEHAT_") {
                command.env_remove(name);
            }
        }
        command.env("PIPEHAT_KEY_FILE", self.folder.path().join("key"));
        command.env("PIPEHAT_DATA", &self.data);
        command.env("PIPEHAT_SECRETS", self.secrets());
        command
    }

    /// Starts the project, and waits until it is ready.
    pub(crate) fn up(&self) -> Pipehat {
        self.up_with(&[])
    }

    /// Starts the project with further arguments, and waits until it is ready.
    pub(crate) fn up_with(&self, arguments: &[&str]) -> Pipehat {
        let output = |name: &str| -> File {
            let path = self.folder.path().join(name);
            OpenOptions::new().create(true).append(true).open(path).expect("a file can be opened")
        };
        let stdout = self.folder.path().join("stdout");
        let before = fs::metadata(&stdout).map_or(0, |metadata| metadata.len());
        let has_address = arguments.contains(&"--http");
        let address: &[&str] = if has_address { &[] } else { &["--http", "127.0.0.1:0"] };
        let child = self
            .binary()
            .arg("up")
            .arg(self.directory())
            .arg("--json")
            .args(address)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .expect("the binary starts");
        let mut node = Pipehat { child, ready: Value::Null, data: self.data.clone() };
        node.ready = until("pipehat is ready", || {
            if let Some(status) = node.child.try_wait().expect("the process can be asked") {
                panic!("pipehat ended with {status}: {}", self.printed());
            }
            let text = fs::read(&stdout).unwrap_or_default();
            let new = text.get(usize::try_from(before).ok()?..)?;
            let line = new.split_inclusive(|byte| *byte == b'\n').next()?;
            line.ends_with(b"\n").then(|| serde_json::from_slice(line).expect("a line of JSON"))
        });
        node
    }
}

/// A running node. Dropped, it is killed.
pub(crate) struct Pipehat {
    child: Child,
    ready: Value,
    data: PathBuf,
}

impl Pipehat {
    /// Where a channel listens.
    pub(crate) fn address(&self, channel: &str) -> String {
        let channels = self.ready["channels"].as_array().expect("the ready line lists channels");
        let found = channels.iter().find(|listed| listed["channel"] == channel);
        let address = found.and_then(|found| found["address"].as_str());
        address.unwrap_or_else(|| panic!("no address of {channel} in {}", self.ready)).to_owned()
    }

    /// Its API.
    pub(crate) fn api(&self) -> Api {
        Api::of(&self.data)
    }

    /// Ends it as a power cut would, but for the disk (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// Ends it in good order (SIGTERM).
    pub(crate) fn stop(mut self) -> ExitStatus {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM)
            .expect("the process can be signalled");
        until("pipehat stops", || self.child.try_wait().expect("the process can be asked"))
    }

    /// Its resident memory in bytes, where the system tells.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most that it ever was.
    pub(crate) fn resident_bytes_most(&self) -> Option<u64> {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, name: &str) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kibibytes * 1024)
    }
}

impl Drop for Pipehat {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
