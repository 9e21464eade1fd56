//! What can be done on a server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pipehat_config::{Diagnostics, Key, Node, Settings, Span};
use tokio::time::Instant;

use super::config::{self, SFTP_SERVER};
use super::path::{RelativePath, join};
use super::pool::{Lease, Pool};
use super::session::within;
use super::{SftpEntry, SftpError};
use crate::BuildContext;

/// A server that the project names. Clones are the same server.
#[derive(Clone)]
pub struct SftpServer(Arc<Inner>);

struct Inner {
    name: String,
    span: Span,
    settings: Settings,
    pool: Arc<Pool>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// What was done on a server since it was configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SftpCounts {
    /// Operations that succeeded.
    pub done: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Bytes of files got.
    pub bytes_received: u64,
    /// Bytes of files put.
    pub bytes_sent: u64,
}

impl SftpServer {
    /// Reads a server of `pipehat.yaml`, and resolves its secrets. Nothing is connected.
    pub fn read(
        key: &Key,
        node: &Node,
        context: &BuildContext<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let settings = Settings::read(node, &key.text, SFTP_SERVER, diagnostics)?;
        let rules = config::rules(&settings, context, diagnostics)?;
        Some(Self(Arc::new(Inner {
            name: key.text.clone(),
            span: key.span.clone(),
            settings,
            pool: Pool::new(rules),
            counts: Counts::default(),
        })))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where its name stands.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// What was done on it.
    pub fn counts(&self) -> SftpCounts {
        let counts = &self.0.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SftpCounts {
            done: read(&counts.done),
            failed: read(&counts.failed),
            bytes_received: read(&counts.received),
            bytes_sent: read(&counts.sent),
        }
    }

    /// What is in a folder, in the order of the names.
    ///
    /// # Errors
    /// With why not.
    pub async fn list(&self, folder: &str, within: Duration) -> Result<Vec<SftpEntry>, SftpError> {
        let done = async {
            let folder = RelativePath::parse(folder)?;
            let (mut lease, folder) = self.resolved(&folder, within).await?;
            let listed = lease.connection.session.list(&folder).await;
            let mut entries = kept(lease, listed)?;
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(entries)
        };
        self.counted(done.await)
    }

    /// A file's content.
    ///
    /// # Errors
    /// With why not.
    pub async fn get(&self, file: &str, within: Duration) -> Result<Vec<u8>, SftpError> {
        let done = async {
            let file = RelativePath::parse(file)?;
            file.split()?;
            let (mut lease, file) = self.resolved(&file, within).await?;
            let content = lease.connection.session.get(&file).await;
            kept(lease, content)
        };
        let content = self.counted(done.await)?;
        count(&self.0.counts.received, content.len());
        Ok(content)
    }

    /// Puts a file there, in place of the one of this name; nobody sees a part of it under its name.
    ///
    /// # Errors
    /// With why not. Where the server did not answer, it is not known whether the file is there.
    pub async fn put(&self, file: &str, content: &[u8], within: Duration) -> Result<(), SftpError> {
        let done = async {
            let limit = self.0.pool.rules().limits.file_bytes_max;
            if content.len() > limit {
                return Err(SftpError::TooLarge { limit });
            }
            let file = RelativePath::parse(file)?;
            let (folder, name) = file.split()?;
            let (mut lease, folder) = self.resolved(&folder, within).await?;
            let mut token = [0; 4];
            getrandom::fill(&mut token)
                .expect("the system has randomness, or nothing here is safe");
            let put = lease.connection.session.put(&folder, name, token, content).await;
            kept(lease, put)
        };
        self.counted(done.await)?;
        count(&self.0.counts.sent, content.len());
        Ok(())
    }

    /// Renames a file to a name that is free.
    ///
    /// # Errors
    /// With why not.
    pub async fn rename(&self, from: &str, to: &str, within: Duration) -> Result<(), SftpError> {
        let done = async {
            let (from, to) = (RelativePath::parse(from)?, RelativePath::parse(to)?);
            let (from_folder, from_name) = from.split()?;
            let (to_folder, to_name) = to.split()?;
            let (mut lease, mut from) = self.resolved(&from_folder, within).await?;
            join(&mut from, from_name.as_bytes());
            let connection = &mut lease.connection;
            let to = to_folder.below(&connection.directory);
            let resolved = connection.session.real_path(&to).await;
            let resolved = resolved.and_then(|to| self::within(to, &connection.directory));
            let renamed = match resolved {
                Ok(mut to) => {
                    join(&mut to, to_name.as_bytes());
                    connection.session.rename(&from, &to).await
                }
                Err(error) => Err(error),
            };
            kept(lease, renamed)
        };
        self.counted(done.await)
    }

    /// Removes a file; of a link, the link.
    ///
    /// # Errors
    /// With why not.
    pub async fn remove(&self, file: &str, within: Duration) -> Result<(), SftpError> {
        let done = async {
            let file = RelativePath::parse(file)?;
            let (folder, name) = file.split()?;
            let (mut lease, mut file) = self.resolved(&folder, within).await?;
            join(&mut file, name.as_bytes());
            let removed = lease.connection.session.remove(&file).await;
            kept(lease, removed)
        };
        self.counted(done.await)
    }

    /// A connection, and what a path leads to there: in the directory. To resolve a path changes nothing, so it is done
    /// again where a connection that lay idle turns out to be dead.
    async fn resolved(
        &self,
        path: &RelativePath,
        time: Duration,
    ) -> Result<(Lease, Vec<u8>), SftpError> {
        let deadline = Instant::now().checked_add(time).unwrap_or_else(Instant::now);
        let pool = &self.0.pool;
        let mut lease = pool.lease(deadline).await?;
        loop {
            let connection = &mut lease.connection;
            let path = path.below(&connection.directory);
            let resolved = connection.session.real_path(&path).await;
            match resolved.and_then(|path| within(path, &connection.directory)) {
                Ok(path) => return Ok((lease, path)),
                Err(SftpError::Disconnected) if lease.used_before => {
                    drop(lease);
                    lease = pool.lease_new(deadline).await?;
                }
                Err(error) => return kept(lease, Err(error)),
            }
        }
    }

    fn counted<T>(&self, outcome: Result<T, SftpError>) -> Result<T, SftpError> {
        let counts = &self.0.counts;
        count(if outcome.is_ok() { &counts.done } else { &counts.failed }, 1);
        outcome
    }
}

/// Gives the connection back, unless it is done for.
fn kept<T>(lease: Lease, outcome: Result<T, SftpError>) -> Result<T, SftpError> {
    if outcome.as_ref().err().is_none_or(SftpError::leaves_connection) {
        lease.give_back();
    }
    outcome
}

fn count(count: &AtomicU64, by: usize) {
    count.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Two are alike when they are configured alike.
impl PartialEq for SftpServer {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name && self.0.settings == other.0.settings
    }
}

impl fmt::Debug for SftpServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SftpServer").field("name", &self.0.name).finish_non_exhaustive()
    }
}
