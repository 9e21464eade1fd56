//! The datastore of a node: opened, served, its search parameters followed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pipehat_connectors::FhirDatastore;
use pipehat_engine::project::{DatastoreSettings, StorePlace};
use pipehat_store::audit::{AuditError, AuditLog};
use pipehat_store::datastore::{
    BodyKey, Datastore, DatastoreError, PostgresDatastore, PostgresLocation, R4Rules,
    SqliteDatastore,
};
use tokio_util::sync::CancellationToken;

use crate::access::{AccessService, AccessSettings, AuditEvents, ClientRegister, LogTrail};
use crate::bots::{BotSubscriber, Bots, Calls};
use crate::environment::ProcessEnvironment;
use crate::fhir::{
    Access, AuditTrail, BotCalls, BotDatastore, Clients, EndpointRules, FhirOptions, FhirService,
    HostRule, LocalDatastore, SearchParameters, StartSubscriptionsError, Subscriber,
    SubscriptionOptions, Subscriptions,
};
use crate::installation::DataDirectory;
use crate::own_host::only_own;
use crate::upkeep::{AuditPlace, Upkeep};

/// The schema of our tables in a database of others.
const SCHEMA: &str = "pipehat";

/// PostgreSQL has 100 connections by default, and there may be other nodes.
const CONNECTIONS_MAX: usize = 24;

/// Why a node's datastore can't start.
#[derive(Debug, thiserror::Error)]
pub enum OpenDatastoreError {
    /// It can't be opened.
    #[error("the FHIR datastore can't be opened")]
    Open(#[from] DatastoreError),
    /// No randomness.
    #[error("the system has no randomness")]
    Random,
    /// The audit log can't be opened.
    #[error("the audit log can't be opened")]
    Audit(#[from] AuditError),
    /// Its Subscriptions can't start.
    #[error(transparent)]
    Subscriptions(#[from] StartSubscriptionsError),
    /// The secret with its address is not there.
    #[error(
        "`datastore: {{ store: secret:{name} }}`: there is no such secret; set the variable \
         PIPEHAT_SECRET_{}, or put a file `{name}` into the folder that PIPEHAT_SECRETS names",
        name.replace('-', "_").to_ascii_uppercase()
    )]
    Secret {
        /// Its name.
        name: String,
    },
}

/// The secrets of an installation that its datastore needs.
pub(crate) struct DatastoreKeys {
    /// Seals resources.
    pub(crate) body: BodyKey,
    /// Seals what the audit says of searches.
    pub(crate) audit: BodyKey,
    /// Marks the groups of the audit.
    pub(crate) audit_chain: [u8; 32],
    /// Signs access tokens.
    pub(crate) tokens: [u8; 32],
    /// Opens everything: the token of the admin API.
    pub(crate) admin_token: String,
}

/// The datastore of a node.
pub(crate) struct NodeDatastore {
    /// The API over it.
    pub(crate) service: Arc<FhirService>,
    /// Who may use it.
    pub(crate) access: Arc<AccessService>,
    /// Its Subscriptions.
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// Looks after it.
    pub(crate) upkeep: Arc<Upkeep>,
    datastore: Arc<dyn Datastore>,
    parameters: Arc<SearchParameters>,
    /// Whether clients know it by an address that is set.
    has_base: bool,
}

impl NodeDatastore {
    /// Opens it.
    pub(crate) async fn open(
        settings: &DatastoreSettings,
        data: &DataDirectory,
        keys: DatastoreKeys,
        bots: &Arc<Bots>,
    ) -> Result<Self, OpenDatastoreError> {
        let has_base = settings.base.is_some();
        let base = settings.base.as_deref().unwrap_or_default();
        let parameters = Arc::new(SearchParameters::new(base));
        let rules = parameters.rules();
        let datastore = open_store(settings, data, keys.body, rules, Purpose::Write).await?;
        parameters.open(datastore.as_ref()).await?;
        let register = Arc::new(ClientRegister::new(data.clients()));
        let subscriptions = Subscriptions::open(
            Arc::clone(&datastore),
            Arc::clone(&parameters),
            data.deliveries(),
            SubscriptionOptions {
                clients: Some(Arc::clone(&register) as Arc<dyn Clients>),
                subscribers: vec![Arc::new(BotSubscriber(Arc::clone(bots))) as Arc<dyn Subscriber>],
                ..subscription_options(settings)
            },
        )
        .await?;
        let options =
            FhirOptions { base: settings.base.clone(), origins: settings.origins.clone() };
        let log = open_audit(data, keys.audit, keys.audit_chain).await?;
        let settings = AccessSettings {
            token_secret: keys.tokens,
            admin_token: keys.admin_token,
            base: settings.base.clone(),
            origins: settings.origins.clone(),
        };
        let access = Arc::new(AccessService::new(
            settings,
            Arc::clone(&register),
            Arc::clone(&parameters),
            Arc::clone(&log),
        )?);
        access.tell_of_clients().await?;
        let upkeep = Arc::new(Upkeep::new(
            Arc::clone(&datastore),
            Arc::clone(&parameters),
            AuditPlace::Open(Arc::clone(&log)),
        ));
        let events = AuditEvents::new(
            Arc::clone(&datastore),
            Arc::clone(&log),
            Arc::clone(&parameters),
            base.to_owned(),
        );
        let service = FhirService::new(
            Arc::new(events),
            Arc::clone(&parameters),
            Arc::clone(&access) as Arc<dyn Access>,
            Arc::new(LogTrail::new(log, register)) as Arc<dyn AuditTrail>,
            options,
        )
        .with_subscriptions(Arc::clone(&subscriptions));
        service.use_bots(Arc::new(Calls(Arc::clone(bots))) as Arc<dyn BotCalls>);
        Ok(Self {
            service: Arc::new(service),
            access,
            subscriptions,
            upkeep,
            datastore,
            parameters,
            has_base,
        })
    }

    /// The routes of the API and of its access.
    pub(crate) fn router(&self) -> axum::Router {
        let routes = self.service.router().merge(self.access.router());
        match self.has_base {
            true => routes,
            false => routes.layer(axum::middleware::from_fn(only_own)),
        }
    }

    /// It as the channels of this process see it.
    pub(crate) fn local(&self, address: SocketAddr, notes: PathBuf) -> Arc<dyn FhirDatastore> {
        Arc::new(LocalDatastore::new(Arc::clone(&self.service), address, notes))
    }

    /// It as bots see it.
    pub(crate) fn of_bots(&self, address: SocketAddr) -> BotDatastore {
        BotDatastore::new(Arc::clone(&self.service), address)
    }

    /// Follows the SearchParameter resources and the clients until the node stops.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        tokio::join!(
            self.parameters.follow(self.datastore.as_ref(), stop.clone()),
            self.access.follow_clients(stop),
        );
    }
}

/// What a datastore is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It may be changed, and is brought up to date.
    Write,
    /// Nothing of it is changed.
    Read,
}

/// Opens where the resources are kept, by the project's settings.
pub(crate) async fn open_store(
    settings: &DatastoreSettings,
    data: &DataDirectory,
    key: BodyKey,
    rules: Arc<R4Rules>,
    purpose: Purpose,
) -> Result<Arc<dyn Datastore>, OpenDatastoreError> {
    match &settings.store {
        StorePlace::Embedded => {
            let path = data.datastore();
            let open = move || match purpose {
                Purpose::Write => SqliteDatastore::open(&path, key, rules),
                Purpose::Read => SqliteDatastore::open_to_read(&path, key, rules),
            };
            let opened = tokio::task::spawn_blocking(open).await;
            Ok(Arc::new(opened.map_err(|_| DatastoreError::Closed)??))
        }
        StorePlace::Postgres(reference) => {
            let secret = reference.resolve(&ProcessEnvironment);
            let secret = secret
                .ok_or_else(|| OpenDatastoreError::Secret { name: reference.name().to_owned() })?;
            let location = PostgresLocation {
                url: secret.expose().to_owned(),
                directory: settings.directory.clone(),
                schema: SCHEMA.to_owned(),
                connections_max: CONNECTIONS_MAX,
            };
            Ok(Arc::new(match purpose {
                Purpose::Write => PostgresDatastore::open(&location, key, rules).await?,
                Purpose::Read => PostgresDatastore::open_to_read(&location, key, rules).await?,
            }))
        }
    }
}

/// Opens the audit log.
pub(crate) async fn open_audit(
    data: &DataDirectory,
    key: BodyKey,
    chain_key: [u8; 32],
) -> Result<Arc<AuditLog>, OpenDatastoreError> {
    let path = data.audit();
    let opened = tokio::task::spawn_blocking(move || AuditLog::open(&path, key, chain_key)).await;
    Ok(Arc::new(opened.map_err(|_| DatastoreError::Closed)??))
}

fn subscription_options(settings: &DatastoreSettings) -> SubscriptionOptions {
    // What is no host was refused when the project was read.
    let hosts = settings.hook_hosts.as_ref().map(|hosts| {
        hosts.iter().filter_map(|host| HostRule::parse(host).ok()).collect::<Vec<_>>()
    });
    SubscriptionOptions {
        rules: EndpointRules::new(hosts),
        base: settings.base.clone().unwrap_or_default(),
        ..SubscriptionOptions::default()
    }
}
