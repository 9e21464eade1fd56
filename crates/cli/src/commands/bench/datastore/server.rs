//! The server that is measured: a process of its own that runs what `pipehat up` runs, or another's.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipehat_server::DataDirectory;
use pipehat_server::access::{ClientFile, NewClient, ScopeReader};
use serde_json::Value;

use super::http::Connection;
use crate::exit::Failure;

/// What the project's secret with the address of the database is called.
const STORE_SECRET: &str = "PIPEHAT_SECRET_BENCH_STORE";

/// How long a server may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) host: String,
    /// The path of the API, without a slash at its end.
    pub(super) path: String,
    /// The header `Authorization`.
    pub(super) authorization: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum ServerError {
    #[error("`{0}` is no base address of a FHIR server: write http://HOST:PORT/PATH")]
    Address(String),
    #[error("the server under test did not start; run `pipehat up` with the same store to see why")]
    NotStarted,
    #[error("the server under test gave no access token")]
    NoToken,
    #[error("the server under test did not stop within {} s", STOP_TIMEOUT.as_secs())]
    NotStopped,
}

impl Target {
    /// A server at this base address.
    pub(super) fn of(url: &str, token: Option<String>) -> Result<Self, Failure> {
        let wrong = || Failure::usage(ServerError::Address(url.to_owned()));
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let address = with_port.to_socket_addrs().ok().and_then(|mut found| found.next());
        Ok(Self {
            address: address.ok_or_else(wrong)?,
            host: host.to_owned(),
            path: format!("/{path}").trim_end_matches('/').to_owned(),
            authorization: token.map(|token| format!("Bearer {token}")),
        })
    }

    /// The headers of every request, each with its end.
    pub(super) fn headers(&self) -> String {
        let mut headers = format!("Host: {}\r\nAccept: application/fhir+json\r\n", self.host);
        if let Some(authorization) = &self.authorization {
            headers.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        headers
    }
}

/// A Pipehat that runs.
pub(super) struct Server {
    child: Running,
    url: String,
    client: NewClient,
}

impl Server {
    /// Starts one with its data in `data`; `store` is the URL of a PostgreSQL database.
    pub(super) fn start(folder: &Path, data: &Path, store: Option<&str>) -> Result<Self, Failure> {
        let project = folder.join("project");
        fs::create_dir_all(&project).map_err(Failure::could_not)?;
        let place = if store.is_some() { "secret:bench-store" } else { "embedded" };
        fs::write(project.join("pipehat.yaml"), format!("datastore: {{ store: {place} }}\n"))
            .map_err(Failure::could_not)?;
        let program = std::env::current_exe().map_err(Failure::could_not)?;
        let mut command = Command::new(program);
        command
            .arg("up")
            .arg(&project)
            .arg("--data")
            .arg(data)
            .args(["--http", "127.0.0.1:0", "--no-watch", "--json", "--quiet"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(store) = store {
            command.env(STORE_SECRET, store);
        }
        let mut child = Running(command.spawn().map_err(Failure::could_not)?);
        let mut line = String::new();
        if let Some(output) = child.0.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(Failure::could_not)?;
        }
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let url = ready.get("fhir").and_then(Value::as_str);
        let url = url.ok_or_else(|| Failure::could_not(ServerError::NotStarted))?.to_owned();
        Ok(Self { child, url, client: add_client(data)? })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// It, with a new access token.
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let target = Target::of(&self.url, None)?;
        let secret = self.client.secret.as_deref().unwrap_or_default();
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={secret}",
            self.client.client.id
        );
        let request = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            target.host,
            form.len()
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::could_not)?;
        let token = runtime.block_on(async {
            let mut connection = Connection::to(target.address);
            let response = connection.exchange(request.as_bytes()).await?;
            let answer: Value = serde_json::from_slice(response.body).unwrap_or_default();
            io::Result::Ok(answer.get("access_token").and_then(Value::as_str).map(str::to_owned))
        });
        let token = token.map_err(Failure::could_not)?;
        let token = token.ok_or_else(|| Failure::could_not(ServerError::NoToken))?;
        Ok(Target { authorization: Some(format!("Bearer {token}")), ..target })
    }

    /// Stops it as a person would.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.terminate();
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIMEOUT {
            if self.child.0.try_wait().map_err(Failure::could_not)?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Failure::could_not(ServerError::NotStopped))
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // One that has ended needs no signal.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
}

/// A process that ends with this, also where something failed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The client that the bench is, with a secret of this run.
fn add_client(data: &Path) -> Result<NewClient, Failure> {
    let scope = ScopeReader::default().read("system/*.*").map_err(Failure::could_not)?;
    let file = ClientFile::new(DataDirectory::new(data, None).clients());
    let now = jiff::Timestamp::now().to_string();
    file.add("bench", vec![scope], None, &now).map_err(Failure::could_not)
}
