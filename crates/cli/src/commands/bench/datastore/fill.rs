//! Filling a store through its API, and finding what is in it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pipehat_testdata::resources::RECORD_SYSTEM;
use serde_json::Value;

use super::http::Connection;
use super::operation::{bundle, post};
use super::server::Target;
use crate::exit::Failure;

/// The cases of every bench are the same.
pub(super) const SEED: u64 = 4;

/// How many resources a case has.
pub(super) const RESOURCES_EACH: u64 = pipehat_testdata::resources::RESOURCES_EACH as u64;

/// How many cases go into a store together.
const CASES_TOGETHER: u64 = 5;

/// How many transactions are under way at once.
const CLIENTS: u64 = 8;

/// How many ids of each type are known at most.
const KNOWN_MAX: usize = 100_000;

/// How many are asked for at once.
const PAGE: usize = 500;

/// What stands in a store that was filled.
#[derive(Debug)]
pub(super) struct Known {
    /// Ids of patients, with their numbers.
    pub(super) patients: Vec<(String, u64)>,
    /// Ids of Observations.
    pub(super) observations: Vec<String>,
    /// Patients have the numbers below.
    pub(super) all_patients: u64,
}

#[derive(Debug, thiserror::Error)]
enum FillError {
    #[error("the server can't be reached")]
    Connection(#[source] io::Error),
    #[error("the server refused {what}: HTTP {status}: {said}")]
    Refused { what: &'static str, status: u16, said: String },
    #[error("the server's answer to {0} can't be read")]
    Answer(&'static str),
    #[error("the filling failed")]
    Panicked,
}

impl From<io::Error> for FillError {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

/// How many patients there are.
pub(super) fn count(target: &Target) -> Result<u64, Failure> {
    on_its_own(async {
        let mut connection = Connection::to(target.address);
        let request = format!(
            "GET {}/Patient?_summary=count HTTP/1.1\r\n{}\r\n",
            target.path,
            target.headers()
        );
        let found = answer(&mut connection, request.as_bytes(), "a count of patients").await?;
        found.get("total").and_then(Value::as_u64).ok_or(FillError::Answer("a count of patients"))
    })
}

/// Creates so many cases.
pub(super) fn fill(target: &Target, cases: u64, told: impl Fn(u64)) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let (next, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    on_its_own(async {
        let mut clients: tokio::task::JoinSet<Result<(), FillError>> = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (next, done) = (Arc::clone(&next), Arc::clone(&done));
            let target = target.clone();
            clients.spawn(async move {
                let mut connection = Connection::to(target.address);
                let headers = format!("{}Prefer: return=minimal\r\n", target.headers());
                let (mut body, mut request) = (String::new(), Vec::new());
                loop {
                    let first = next.fetch_add(CASES_TOGETHER, Ordering::Relaxed);
                    if first >= cases {
                        return Ok(());
                    }
                    let end = (first + CASES_TOGETHER).min(cases);
                    body.clear();
                    request.clear();
                    bundle(first..end, &mut body);
                    post(&mut request, "POST", &target.path, "", &headers, &body);
                    let response = connection.exchange(&request).await?;
                    accepted(&response, "a transaction")?;
                    done.fetch_add((end - first) * RESOURCES_EACH, Ordering::Relaxed);
                }
            });
        }
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                ended = clients.join_next() => match ended {
                    None => return Ok(()),
                    Some(ended) => ended.map_err(|_| FillError::Panicked)??,
                },
                _ = tick.tick() => told(done.load(Ordering::Relaxed)),
            }
        }
    })?;
    Ok(begun.elapsed())
}

impl Known {
    /// Looks at what is there.
    pub(super) fn find(target: &Target, all_patients: u64) -> Result<Arc<Self>, Failure> {
        on_its_own(async {
            let mut patients = Vec::new();
            let query = format!("Patient?_elements=identifier&_count={PAGE}");
            pages(target, &query, "a list of patients", |resource| {
                if let Some(number) = number(resource).filter(|number| *number < all_patients)
                    && let Some(id) = resource.get("id").and_then(Value::as_str)
                {
                    patients.push((id.to_owned(), number));
                }
                patients.len() < KNOWN_MAX
            })
            .await?;
            let mut observations = Vec::new();
            let query = format!("Observation?_elements=status&_count={PAGE}");
            pages(target, &query, "a list of observations", |resource| {
                if let Some(id) = resource.get("id").and_then(Value::as_str) {
                    observations.push(id.to_owned());
                }
                observations.len() < KNOWN_MAX
            })
            .await?;
            if patients.is_empty() || observations.is_empty() {
                return Err(FillError::Answer("a list of patients"));
            }
            Ok(Arc::new(Self { patients, observations, all_patients }))
        })
    }
}

/// The number of a patient of ours.
fn number(patient: &Value) -> Option<u64> {
    let identifiers = patient.get("identifier")?.as_array()?;
    let ours = identifiers.iter().find(|identifier| {
        identifier.get("system").and_then(Value::as_str) == Some(RECORD_SYSTEM)
    })?;
    ours.get("value")?.as_str()?.parse().ok()
}

/// Goes through the pages of a search as long as more is wanted.
async fn pages(
    target: &Target,
    query: &str,
    what: &'static str,
    mut take: impl FnMut(&Value) -> bool,
) -> Result<(), FillError> {
    let mut connection = Connection::to(target.address);
    let mut next = Some(format!("{}/{query}", target.path));
    while let Some(path) = next.take() {
        let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", target.headers());
        let page = answer(&mut connection, request.as_bytes(), what).await?;
        let entries = page.get("entry").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            if let Some(resource) = entry.get("resource")
                && !take(resource)
            {
                return Ok(());
            }
        }
        let links = page.get("link").and_then(Value::as_array);
        let link = links
            .into_iter()
            .flatten()
            .find(|link| link.get("relation").and_then(Value::as_str) == Some("next"));
        let url = link.and_then(|link| link.get("url")).and_then(Value::as_str);
        next = url.map(|url| path_of(url).to_owned());
    }
    Ok(())
}

/// The path and query of an address.
fn path_of(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/")
}

async fn answer(
    connection: &mut Connection,
    request: &[u8],
    what: &'static str,
) -> Result<Value, FillError> {
    let response = connection.exchange(request).await?;
    accepted(&response, what)?;
    serde_json::from_slice(response.body).map_err(|_| FillError::Answer(what))
}

fn accepted(response: &super::http::Response<'_>, what: &'static str) -> Result<(), FillError> {
    if matches!(response.status, 200..300) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(response.body.get(..400).unwrap_or(response.body));
    Err(FillError::Refused { what, status: response.status, said: said.into_owned() })
}

fn on_its_own<T>(work: impl Future<Output = Result<T, FillError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::could_not)?;
    runtime.block_on(work).map_err(Failure::could_not)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_of_the_same_server() {
        assert_eq!(path_of("http://host:8103/fhir/R4?_page=x"), "/fhir/R4?_page=x");
        assert_eq!(path_of("https://host"), "/");
        assert_eq!(path_of("/fhir/R4/Patient"), "/fhir/R4/Patient");
    }
}
