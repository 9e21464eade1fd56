//! One running Pipehat: journal, engine, index and HTTP, started and stopped together.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use pipehat_connectors::FhirDatastore;
use pipehat_engine::project::{Compression as ProjectCompression, Project};
use pipehat_engine::{Engine, EngineError, EngineOptions};
use pipehat_journal::{Compression, FileJournal, KeyRing, OpenError, OpenOptions, Recovery};
use pipehat_store::datastore::BodyKey;
use pipehat_store::{
    IndexError, IndexKeys, RebuildReason, SqliteMessageIndex, SqliteMessageSearch,
};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::root_of;
use crate::api::{self, AdminAccess};
use crate::bots::{BotSet, Bots, BotsError, BotsOptions, ChannelBots};
use crate::datastore::{DatastoreKeys, NodeDatastore, OpenDatastoreError};
use crate::environment::ProcessEnvironment;
use crate::fhir::Subscriptions;
use crate::indexer::{IndexPaths, Indexer};
use crate::installation::{DataDirectory, InstallationError};
use crate::reload::{self, ProjectLook};
use crate::upkeep::Upkeep;

/// Where the HTTP side listens when nothing says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8103);

/// What a node is made of.
pub struct NodeOptions {
    /// The checked project.
    pub project: Project,
    /// Its data directory.
    pub data: DataDirectory,
    /// Whether the data is sealed. Only benches and tests that look at bytes go without.
    pub sealed: bool,
    /// Whether the message index is written.
    pub indexed: bool,
    /// Where the HTTP side listens, if not where the project says.
    pub http: Option<SocketAddr>,
    /// To apply changes of the project directory as they are made: how it looked before the project
    /// was loaded.
    pub watch: Option<ProjectLook>,
}

/// Why a node could not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory can't be used.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// The journal can't be opened.
    #[error("the journal in {directory} can't be opened")]
    Journal {
        /// Its directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The engine can't start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The index can't be opened.
    #[error("the message index can't be opened")]
    Index(#[from] IndexError),
    /// The FHIR datastore can't be opened.
    #[error(transparent)]
    Datastore(#[from] OpenDatastoreError),
    /// The bots can't start.
    #[error(transparent)]
    Bots(#[from] BotsError),
    /// The HTTP side can't listen.
    #[error("the admin API can't listen on {address}: {}", listen_help(source))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The admin API may only be reached from this machine.
    #[error(
        "the admin API would listen on {address}, which other machines can reach; until TLS is \
         configured it must listen on a loopback address such as 127.0.0.1:8103"
    )]
    NotLoopback {
        /// Where.
        address: SocketAddr,
    },
    /// A thread could not be started.
    #[error("the system has no thread left for the indexer")]
    Thread(#[source] std::io::Error),
    /// A task ended by a panic.
    #[error("a part of the node failed")]
    Failed,
}

/// A running Pipehat.
pub struct Node {
    shared: Arc<Shared>,
    address: SocketAddr,
    recovery: Recovery,
    tasks: Vec<JoinHandle<()>>,
    serves_fhir: bool,
}

/// What the parts of a node share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) search: Option<Arc<SqliteMessageSearch>>,
    pub(crate) indexer: Option<Indexer>,
    pub(crate) subscriptions: Option<Arc<Subscriptions>>,
    /// Looks after the datastore, where there is one.
    pub(crate) upkeep: Option<Arc<Upkeep>>,
    pub(crate) data: DataDirectory,
    pub(crate) project: PathBuf,
    pub(crate) started: Instant,
    pub(crate) token: String,
    /// One change of the configuration at a time.
    pub(crate) applying: Mutex<()>,
    /// The latest refused change, as shown to people.
    pub(crate) refused: std::sync::Mutex<Option<String>>,
    pub(crate) stop: CancellationToken,
    /// The datastore, for channels that are added while the node runs.
    pub(crate) local_fhir: Option<Arc<dyn FhirDatastore>>,
    /// The bots.
    pub(crate) bots: Arc<Bots>,
}

impl Node {
    /// Opens the journal, recovers, and starts everything; all or nothing.
    ///
    /// # Errors
    /// When the data can't be used, a source can't start or the HTTP side can't listen.
    pub async fn start(options: NodeOptions) -> Result<Self, NodeError> {
        let NodeOptions { project, data, sealed, indexed, http, watch } = options;
        data.create()?;
        let (tag, lane_key) = data.installation()?;
        let key = if sealed { Some(data.key()?) } else { None };
        let (journal, recovery) = open_journal(&project, &data, key.clone())?;
        let journal = Arc::new(journal);
        let listener = listen(&project, http).await?;
        let address = listener
            .local_addr()
            .map_err(|source| NodeError::Listen { address: LISTEN, source })?;
        let token = api::new_token();
        let bots = Bots::start(BotsOptions {
            book: data.bots(),
            key: key.as_ref().map_or([0; 32], |key| key.derive("bot runs")),
            set: BotSet::of(&project, &ProcessEnvironment),
        })
        .await?;
        let datastore = match &project.settings.datastore {
            None => None,
            Some(settings) => {
                let keys = datastore_keys(key.as_ref(), token.clone())?;
                Some(NodeDatastore::open(settings, &data, keys, &bots).await?)
            }
        };
        // Before the channels start: they may have something for it.
        let local_fhir = datastore.as_ref().map(|datastore| datastore.local(address, data.feeds()));
        if let Some(local) = &local_fhir {
            project.local_fhir.open(Arc::clone(local));
        }
        if let Some(datastore) = &datastore {
            bots.use_datastore(datastore.of_bots(address));
        }
        project.local_bots.open(Arc::new(ChannelBots(Arc::clone(&bots))));
        let engine = Engine::start(
            EngineOptions {
                data: data.root().to_owned(),
                journal,
                tag,
                lane_key,
                keep: project.settings.journal.retention,
            },
            &project,
        )
        .await?;
        bots.use_engine(Arc::clone(&engine));
        let (search, indexer) = if indexed {
            let keys = index_keys(key.as_ref());
            let opened = SqliteMessageIndex::open(&data.index(), keys)?;
            if let Some(reason) = opened.rebuild.filter(|reason| *reason != RebuildReason::Missing)
            {
                tracing::warn!(?reason, "the message index is written anew");
            }
            let search = opened.index.search();
            let paths = index_paths(&project);
            let (log, end) = (engine.log().clone(), recovery.next_position);
            let indexer =
                Indexer::start(log, end, opened.index, paths).map_err(NodeError::Thread)?;
            (Some(Arc::new(search)), Some(indexer))
        } else {
            (None, None)
        };
        let shared = Arc::new(Shared {
            engine,
            search,
            indexer,
            subscriptions: datastore.as_ref().map(|store| Arc::clone(&store.subscriptions)),
            upkeep: datastore.as_ref().map(|store| Arc::clone(&store.upkeep)),
            data,
            project: project.directory.clone(),
            started: Instant::now(),
            token,
            applying: Mutex::new(()),
            refused: std::sync::Mutex::new(None),
            stop: CancellationToken::new(),
            local_fhir,
            bots,
        });
        let datastore_settings = project.settings.datastore.as_ref();
        let base = datastore_settings.and_then(|settings| settings.base.as_deref());
        let access = AdminAccess {
            url: format!("http://{address}"),
            public_url: base.map(|base| root_of(base).to_owned()),
            token: shared.token.clone(),
            process: std::process::id(),
        };
        // On a full disk messages still flow out, which is more than the command line is worth.
        if let Err(error) = shared.data.write_admin(&access) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the admin API's address could not be written; the command line will not find it"
            );
        }
        let fhir = datastore.as_ref().map(NodeDatastore::router);
        let serves_fhir = fhir.is_some();
        let mut tasks = vec![tokio::spawn(api::serve(Arc::clone(&shared), listener, fhir))];
        if let Some(datastore) = datastore {
            let subscriptions = Arc::clone(&datastore.subscriptions);
            tasks.push(tokio::spawn(subscriptions.run(shared.stop.clone())));
            tasks.push(tokio::spawn(datastore.follow(shared.stop.clone())));
        }
        let engine = Arc::clone(&shared.engine);
        tasks.push(tokio::spawn(async move { engine.keep_books().await }));
        tasks.push(tokio::spawn(Arc::clone(&shared.bots).run_promised(shared.stop.clone())));
        tasks.push(tokio::spawn(Arc::clone(&shared.bots).keep_time(shared.stop.clone())));
        shared.bots.write_resources().await;
        if let Some(before) = watch {
            tasks.push(tokio::spawn(reload::watch(Arc::clone(&shared), before)));
        }
        Ok(Self { shared, address, recovery, tasks, serves_fhir })
    }

    /// Where the HTTP side listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the FHIR API is, where there is one.
    pub fn fhir_url(&self) -> Option<String> {
        self.serves_fhir.then(|| format!("http://{}/fhir/R4", self.address))
    }

    /// What opening the journal found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// The data directory.
    pub fn data(&self) -> &DataDirectory {
        &self.shared.data
    }

    /// Stops in good order: doors first, then deliveries, then the journal.
    ///
    /// # Errors
    /// When a part failed or the last checkpoint could not be written.
    pub async fn stop(self) -> Result<(), NodeError> {
        self.shared.stop.cancel();
        let stopped = self.shared.engine.stop().await;
        let shared = Arc::clone(&self.shared);
        let joined = tokio::task::spawn_blocking(move || {
            if let Some(indexer) = &shared.indexer {
                indexer.stop();
            }
            shared.bots.close();
        })
        .await;
        for task in self.tasks {
            task.await.map_err(|_| NodeError::Failed)?;
        }
        self.shared.data.remove_admin();
        joined.map_err(|_| NodeError::Failed)?;
        Ok(stopped?)
    }
}

impl Shared {
    /// The paths a project's channels are searched by.
    pub(crate) fn take_paths(&self, project: &Project) {
        if let Some(indexer) = &self.indexer {
            indexer.reconfigure(index_paths(project));
        }
    }
}

fn index_paths(project: &Project) -> IndexPaths {
    project
        .channels
        .iter()
        .map(|channel| {
            let paths = channel.index_paths.iter();
            let paths = paths.map(|index| (Arc::from(index.name.as_str()), index.path.clone()));
            (Arc::clone(&channel.name), paths.collect())
        })
        .collect()
}

pub(crate) fn open_journal(
    project: &Project,
    data: &DataDirectory,
    key: Option<KeyRing>,
) -> Result<(FileJournal, Recovery), NodeError> {
    let directory = data.journal();
    let settings = &project.settings.journal;
    let mut options = OpenOptions::new(&directory);
    options.key = key;
    options.compression = match settings.compression {
        ProjectCompression::Lz4 => Compression::Lz4,
        ProjectCompression::None => Compression::None,
    };
    if let Some(bytes) = settings.chunk_bytes {
        options.chunk_bytes = bytes;
    }
    FileJournal::open(options).map_err(|source| NodeError::Journal { directory, source })
}

/// Unsealed data has an index that is not secret either.
pub(crate) fn index_keys(key: Option<&KeyRing>) -> IndexKeys {
    match key {
        Some(key) => IndexKeys::new(key.derive("index hash"), key.derive("index seal")),
        None => IndexKeys::new([0; 32], [0; 32]),
    }
}

/// Unsealed data has resources and an audit that are not sealed by a secret either. Its tokens are: they hold until the
/// next start.
pub(crate) fn datastore_keys(
    key: Option<&KeyRing>,
    admin_token: String,
) -> Result<DatastoreKeys, OpenDatastoreError> {
    let secret = |purpose| key.map_or([0; 32], |key| key.derive(purpose));
    let tokens = match key {
        Some(key) => key.derive("access tokens"),
        None => {
            let mut random = [0; 32];
            getrandom::fill(&mut random).map_err(|_| OpenDatastoreError::Random)?;
            random
        }
    };
    Ok(DatastoreKeys {
        body: BodyKey::new(1, secret("datastore body")),
        audit: BodyKey::new(1, secret("audit query")),
        audit_chain: secret("audit chain"),
        tokens,
        admin_token,
    })
}

async fn listen(project: &Project, asked: Option<SocketAddr>) -> Result<TcpListener, NodeError> {
    let configured = project.settings.http.listen;
    let address = asked.or(configured).unwrap_or(LISTEN);
    if !address.ip().is_loopback() {
        return Err(NodeError::NotLoopback { address });
    }
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        // Nobody asked for this very port, and the command line finds any other by itself.
        Err(error)
            if error.kind() == std::io::ErrorKind::AddrInUse
                && asked.is_none()
                && configured.is_none() =>
        {
            let any = SocketAddr::new(address.ip(), 0);
            TcpListener::bind(any)
                .await
                .map_err(|source| NodeError::Listen { address: any, source })
        }
        Err(source) => Err(NodeError::Listen { address, source }),
    }
}

fn listen_help(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program has this port; choose another with --http or `http: { listen: … }`"
        }
        std::io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher one"
        }
        _ => "the system refused",
    }
}
