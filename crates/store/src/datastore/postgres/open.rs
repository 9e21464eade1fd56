//! Connecting, bringing the schema up to date, and being told of changes that others make.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod};
use sha2::{Digest, Sha256};
use tokio_postgres::{AsyncMessage, Config};

use super::address;
use super::connect;
use super::session::{Keys, PostgresSession, State};
use super::tls::Tls;
use super::{Inner, PostgresLocation, STATEMENT_TIME_MAX};
use crate::datastore::body::Seal;
use crate::datastore::core::{self, Catalogue};
use crate::datastore::interaction::ChangeNumber;
use crate::datastore::read;
use crate::datastore::rules::Rules;
use crate::datastore::schema::{SCHEMA_VERSION, migration};
use crate::datastore::sql::{Dialect, SessionError};

/// The oldest server that is known to do.
const SERVER_VERSION_MIN: i32 = 150_000;

/// How long to wait for a lock of another transaction before the group is tried again.
const LOCK_TIME_MAX: Duration = Duration::from_secs(10);

/// How often the newest change is looked for when nobody tells.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The advisory lock of the node that leads.
const LEAD: i32 = -2;

pub(super) struct Opened {
    pub(super) pool: Pool,
    pub(super) config: Config,
    pub(super) tls: Tls,
    pub(super) catalogue: Catalogue,
    pub(super) newest: ChangeNumber,
    pub(super) lock_class: i32,
    pub(super) channel: String,
}

pub(super) async fn open(
    location: &PostgresLocation,
    seal: &Seal,
    rules: Arc<dyn Rules>,
    opened: core::Opened,
) -> Result<Opened, SessionError> {
    let schema = &location.schema;
    let is_name = !schema.is_empty()
        && schema.len() <= 40
        && schema
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_name {
        return Err(SessionError::Database(
            "a schema's name is of lower case letters, digits and `_`, at most 40".into(),
        ));
    }
    let (mut config, tls) =
        address::read(&location.url, &location.directory).map_err(SessionError::Location)?;
    // Compiling statements takes longer than running ours, and so does planning them each time. Joins are written in
    // the order in which the indexes lead on; statistics of ours, where one column holds the values of all
    // parameters, would mislead the planner, and a plan that was made while a table was small stays. A plan that knows
    // no values takes the changes after the newest for a third of the table, and would start workers for them.
    config.options(format!(
        "-c search_path={schema} -c jit=off -c join_collapse_limit=1 -c enable_hashjoin=off
         -c enable_mergejoin=off -c enable_seqscan=off -c random_page_cost=1.1
         -c max_parallel_workers_per_gather=0
         -c plan_cache_mode=force_generic_plan -c statement_timeout={} -c lock_timeout={}
         -c idle_in_transaction_session_timeout={}{}",
        STATEMENT_TIME_MAX.as_millis(),
        LOCK_TIME_MAX.as_millis(),
        STATEMENT_TIME_MAX.as_millis(),
        match opened {
            core::Opened::ToWrite => "",
            core::Opened::ToRead => " -c default_transaction_read_only=on",
        }
    ));
    if config.get_application_name().is_none() {
        config.application_name("pipehat");
    }
    let manager = Manager::from_config(
        config.clone(),
        tls.clone(),
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let pool = Pool::builder(manager)
        .max_size(location.connections_max.max(1))
        .build()
        .map_err(|error| SessionError::Database(Box::new(error)))?;
    let hash: [u8; 32] = Sha256::digest(schema.as_bytes()).into();
    let [a, b, c, d, ..] = hash;
    let lock_class = i32::from_le_bytes([a, b, c, d]);
    let channel = format!("pipehat_{schema}");
    let client = pool
        .get()
        .await
        .map_err(|error| SessionError::Connect(connect::sentence(&config, &error)))?;
    let version =
        client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await?;
    if version.try_get::<_, i32>(0)? < SERVER_VERSION_MIN {
        return Err(SessionError::Database("PostgreSQL 15 or newer is needed".into()));
    }
    let encoding = client.query_one("SELECT current_setting('server_encoding')", &[]).await?;
    if encoding.try_get::<_, String>(0)? != "UTF8" {
        return Err(SessionError::Database("the database's encoding must be UTF8".into()));
    }
    client.batch_execute("BEGIN").await?;
    if opened == core::Opened::ToWrite {
        client.execute("SELECT pg_advisory_xact_lock($1, -1)", &[&lock_class]).await?;
        client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
    }
    let exists = client
        .query_one("SELECT (to_regclass($1 || '.facts') IS NOT NULL)::int4", &[schema])
        .await?
        .try_get::<_, i32>(0)?
        == 1;
    let keys = Keys::default();
    let mut session = PostgresSession {
        client: &client,
        keys: &keys,
        state: State::Open,
        lock_class,
        channel: &channel,
    };
    let found = match exists {
        false => 0,
        true => {
            let version = core::fact(&mut session, "schema").await?;
            version.and_then(|version| version.parse().ok()).unwrap_or(0)
        }
    };
    if found > SCHEMA_VERSION {
        return Err(SessionError::Database(
            "the datastore was written by a newer version of Pipehat".into(),
        ));
    }
    if found < SCHEMA_VERSION && opened == core::Opened::ToRead {
        return Err(core::outdated());
    }
    for version in found.saturating_add(1)..=SCHEMA_VERSION {
        if let Some(sql) = migration(Dialect::Postgres, version) {
            client.batch_execute(&sql).await?;
        }
    }
    if found < SCHEMA_VERSION {
        core::set_fact(&mut session, "schema", &SCHEMA_VERSION.to_string()).await?;
    }
    core::check_key(&mut session, seal, opened).await?;
    let catalogue = core::catalogue(&mut session, rules, opened).await?;
    if opened == core::Opened::ToWrite {
        core::begin_index(&mut session, &catalogue).await?;
    }
    let newest = read::newest(&mut session).await?;
    client.batch_execute("COMMIT").await?;
    drop(client);
    Ok(Opened { pool, config, tls, catalogue, newest, lock_class, channel })
}

/// Why there is no connection.
pub(super) fn pool_error(error: PoolError) -> SessionError {
    match error {
        PoolError::Backend(error) => error.into(),
        error => SessionError::Database(Box::new(error)),
    }
}

/// Follows the changes of all nodes, for as long as the datastore is open.
pub(super) async fn listen(config: Config, tls: Tls, inner: Arc<Inner>) {
    loop {
        let ended = follow(&config, &tls, &inner).await;
        inner.lead(false);
        if let Err(error) = ended {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "lost the connection that tells of changes, connecting again"
            );
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn follow(config: &Config, tls: &Tls, inner: &Inner) -> Result<(), SessionError> {
    let (client, mut connection) = config.connect(tls.clone()).await?;
    let told = tokio::sync::Notify::new();
    let drive = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                None => return Ok(()),
                Some(Ok(AsyncMessage::Notification(_))) => told.notify_one(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(SessionError::from(error)),
            }
        }
    };
    let look = async {
        client.batch_execute(&format!("LISTEN {}", inner.channel)).await?;
        let mut tried: Option<Instant> = None;
        loop {
            // Whoever has this lock leads; it is free when this connection ends.
            if !inner.leads() && tried.is_none_or(|tried| tried.elapsed() >= LOOK_EVERY) {
                tried = Some(Instant::now());
                let row = client
                    .query_one(
                        "SELECT pg_try_advisory_lock($1, $2)::int4",
                        &[&inner.lock_class, &LEAD],
                    )
                    .await?;
                inner.lead(row.try_get::<_, i32>(0)? == 1);
            }
            let row = client
                .query_one("SELECT coalesce(max(change), 0)::bigint FROM versions", &[])
                .await?;
            let newest = row.try_get::<_, i64>(0)?;
            inner.saw(ChangeNumber(u64::try_from(newest).unwrap_or(0)));
            // Either way, look: a notification may have been missed.
            let _ = tokio::time::timeout(LOOK_EVERY, told.notified()).await;
        }
    };
    tokio::select! {
        ended = drive => ended,
        failed = look => failed,
    }
}
