//! A FHIR datastore for one run: the real one, in a folder that goes with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pipehat_connectors::{FhirDatastore as _, FhirRequest};
use pipehat_script::{Answer, AskError};
use pipehat_server::fhir::{
    FhirOptions, FhirService, LocalDatastore, NoAudit, SearchParameters, TokenAccess,
};
use pipehat_store::datastore::{BodyKey, SqliteDatastore};
use serde_json::Value;

use crate::exit::Failure;

/// A datastore, empty at first.
pub(super) struct BotDatastore {
    datastore: LocalDatastore,
    runtime: tokio::runtime::Runtime,
    // Last: what is in it is closed before it goes.
    _folder: tempfile::TempDir,
}

impl BotDatastore {
    pub(super) fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::could_not)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(Failure::could_not)?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| Failure::could_not(error.to_string()))?;
        let parameters = Arc::new(SearchParameters::new(""));
        let path = folder.path().join("datastore.sqlite");
        let guard = runtime.enter();
        let store = SqliteDatastore::open(&path, BodyKey::new(1, key), parameters.rules())
            .map_err(Failure::could_not)?;
        // It is asked in this process only: nobody has the token.
        let access = TokenAccess::new(key.map(|byte| format!("{byte:02x}")).concat());
        let options = FhirOptions::default();
        let service = FhirService::new(
            Arc::new(store),
            parameters,
            Arc::new(access),
            Arc::new(NoAudit),
            options,
        );
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let datastore =
            LocalDatastore::new(Arc::new(service), address, folder.path().join("notes"));
        drop(guard);
        Ok(Self { datastore, runtime, _folder: folder })
    }

    /// Takes in resources: one, a list, or a Bundle of them.
    pub(super) fn add(&self, resources: &Value) -> Result<(), Failure> {
        let list = match resources {
            Value::Array(list) => list.iter().collect(),
            bundle if bundle["resourceType"] == "Bundle" => {
                let entries = bundle["entry"].as_array();
                entries.into_iter().flatten().map(|entry| &entry["resource"]).collect()
            }
            one => vec![one],
        };
        for resource in list {
            let kind = resource["resourceType"].as_str().unwrap_or_default();
            let (method, path) = match resource["id"].as_str() {
                Some(id) => ("PUT", format!("{kind}/{id}")),
                None => ("POST", kind.to_owned()),
            };
            let headers = [("content-type".to_owned(), "application/fhir+json".to_owned())];
            let answer = self
                .exchange(method, &path, &headers, resource.to_string().into_bytes())
                .map_err(Failure::could_not)?;
            if answer.status >= 400 {
                let outcome = String::from_utf8_lossy(&answer.body);
                return Err(Failure::could_not(format!(
                    "the datastore takes no {path} ({}): {outcome}",
                    answer.status
                )));
            }
        }
        Ok(())
    }

    pub(super) fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Answer, AskError> {
        let wrong = |what: &str| AskError::Failed(format!("{what} is not what HTTP allows"));
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong("the method"))?;
        let mut given = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong("a header's name"))?;
            let value = HeaderValue::try_from(value.as_str()).map_err(|_| wrong("a header"))?;
            given.append(name, value);
        }
        let request = FhirRequest {
            channel: "bot".into(),
            method,
            path: path.to_owned(),
            headers: given,
            body: Bytes::from(body),
        };
        let response = self.runtime.block_on(self.datastore.exchange(request));
        Ok(Answer {
            status: response.status.as_u16(),
            headers: response
                .headers
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            body: response.body.to_vec(),
        })
    }
}
