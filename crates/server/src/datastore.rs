//! The datastore of a node: opened, served, its search parameters followed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pipehat_connectors::FhirDatastore;
use pipehat_engine::project::{DatastoreSettings, StorePlace};
use pipehat_resource::json::parse;
use pipehat_resource::search::{Registry, Search};
use pipehat_store::datastore::{
    BodyKey, Datastore, DatastoreError, R4Rules, SearchRequest, SqliteDatastore,
};
use tokio_util::sync::CancellationToken;

use crate::fhir::{
    Access, AuditTrail, FhirOptions, FhirService, LocalDatastore, Progress, SearchParameters,
};
use crate::installation::DataDirectory;

/// SearchParameter resources are read in pages of this many.
const PAGE: usize = 200;

/// More of them than this are not taken.
const CUSTOM_MAX: usize = 5_000;

/// Why a node's datastore can't start.
#[derive(Debug, thiserror::Error)]
pub enum OpenDatastoreError {
    /// It can't be opened.
    #[error("the FHIR datastore can't be opened")]
    Open(#[from] DatastoreError),
    /// It is to be in PostgreSQL.
    #[error("`datastore: {{ store: secret:… }}`: PostgreSQL is not built in yet; use `embedded`")]
    Postgres,
}

/// The datastore of a node.
pub(crate) struct NodeDatastore {
    /// The API over it.
    pub(crate) service: Arc<FhirService>,
    datastore: Arc<SqliteDatastore>,
    parameters: Arc<SearchParameters>,
}

impl NodeDatastore {
    /// Opens it.
    pub(crate) async fn open(
        settings: &DatastoreSettings,
        data: &DataDirectory,
        key: BodyKey,
        access: Arc<dyn Access>,
        audit: Arc<dyn AuditTrail>,
    ) -> Result<Self, OpenDatastoreError> {
        if let StorePlace::Postgres(_) = settings.store {
            return Err(OpenDatastoreError::Postgres);
        }
        let path = data.datastore();
        let registry = Registry::standard();
        let base = settings.base.as_deref().unwrap_or_default();
        let rules = Arc::new(R4Rules::new(Arc::clone(&registry), base));
        let opened = tokio::task::spawn_blocking(move || SqliteDatastore::open(&path, key, rules));
        let datastore = opened.await.map_err(|_| DatastoreError::Closed)??;
        let datastore = Arc::new(datastore);
        let parameters = Arc::new(SearchParameters::new(registry));
        let options =
            FhirOptions { base: settings.base.clone(), origins: settings.origins.clone() };
        let store: Arc<dyn Datastore> = Arc::clone(&datastore) as Arc<dyn Datastore>;
        let service =
            Arc::new(FhirService::new(store, Arc::clone(&parameters), access, audit, options));
        Ok(Self { service, datastore, parameters })
    }

    /// It as the channels of this process see it.
    pub(crate) fn local(&self, address: SocketAddr, notes: PathBuf) -> Arc<dyn FhirDatastore> {
        Arc::new(LocalDatastore::new(Arc::clone(&self.service), address, notes))
    }

    /// Follows the SearchParameter resources until the node stops: puts them in force and has the index follow.
    pub(crate) async fn follow_parameters(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.take_parameters().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the search parameters could not be put in force"
                );
                self.parameters.report(Progress { failed: true, ..Progress::default() });
            }
            tokio::select! {
                () = self.parameters.changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn take_parameters(&self) -> Result<(), DatastoreError> {
        let mut registry = Registry::clone(&Registry::standard());
        let mut request = SearchRequest {
            search: Search {
                resource_types: vec!["SearchParameter".to_owned()],
                ..Search::default()
            },
            visible: Vec::new(),
            limit: PAGE,
            after: None,
        };
        let mut taken = 0;
        loop {
            let page = self.datastore.search(&request).await?;
            for found in &page.matches {
                let body = found.version.body.as_deref().unwrap_or_default();
                let Ok(definition) = parse(body.as_bytes()) else { continue };
                if definition.text("status") != Some("active") || taken == CUSTOM_MAX {
                    continue;
                }
                // One that can't be used was refused when it came, or came before this release: it stays a text.
                if let Ok(more) = registry.with(&definition) {
                    registry = more;
                    taken += 1;
                }
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => break,
            }
        }
        let registry = Arc::new(registry);
        self.parameters.replace(Arc::clone(&registry));
        Ok(())
    }
}
