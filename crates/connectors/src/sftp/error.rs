//! Why something could not be done on a server.

use std::time::Duration;

/// Why something could not be done. Its text names no file: a name may hold a patient's number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SftpError {
    /// No connection.
    #[error("no connection to {address}: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// SSH itself failed.
    #[error("SSH with {address} failed: {why}")]
    Ssh {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The server is not known by this key.
    #[error(
        "{address} is not trusted: it shows the key {algorithm} {fingerprint}, which {reason}. Compare this fingerprint with \
         the one that the server's operator names (`ssh-keygen -lf /etc/ssh/ssh_host_…_key.pub` there). Only where both are the \
         same write `host_key: {fingerprint}`; else somebody may stand in between"
    )]
    HostKey {
        /// Where.
        address: String,
        /// The kind of the key.
        algorithm: String,
        /// Its fingerprint.
        fingerprint: String,
        /// Why it is not trusted.
        reason: &'static str,
    },
    /// The server does not let the user in.
    #[error(
        "{address} does not let `{user}` in by {tried}{}: check `user`, `password` and `key`, and that the server knows the key",
        offered(.offers)
    )]
    LoginRefused {
        /// Where.
        address: String,
        /// Who.
        user: String,
        /// What was shown.
        tried: &'static str,
        /// What the server says it takes.
        offers: Vec<&'static str>,
    },
    /// It refused a moment ago: asking again at once may lock the user out.
    #[error("{refusal}; it is asked again in {} s, so that it does not lock the user out", .again.as_secs().max(1))]
    LoginRefusedBefore {
        /// What it said then.
        refusal: Box<SftpError>,
        /// When it is asked again.
        again: Duration,
    },
    /// No SFTP there.
    #[error("{address} lets the user in, but offers no SFTP")]
    NoSftp {
        /// Where.
        address: String,
    },
    /// All connections are busy.
    #[error("all {connections} connections to the server are busy: see `connections`")]
    Busy {
        /// How many.
        connections: usize,
    },
    /// No answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection ended.
    #[error("the connection broke off")]
    Disconnected,
    /// The server does not keep to the protocol.
    #[error("the server does not keep to the protocol: {0}")]
    Protocol(&'static str),
    /// A path that leads out of the directory, or is none.
    #[error("{0}")]
    Path(&'static str),
    /// The directory of the settings is not there.
    #[error("the server has no directory `{0}`: see `directory`")]
    NoDirectory(String),
    /// No such file or folder.
    #[error("there is no such file or folder")]
    NotFound,
    /// The user may not do this.
    #[error("the server does not permit it")]
    NotPermitted,
    /// A file has the new name already.
    #[error("a file of the new name is there already")]
    Exists,
    /// Not a file.
    #[error("this is no file")]
    NotAFile,
    /// More than the limit.
    #[error("the file is larger than {limit} bytes: see `file_bytes_max`")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// More than the limit.
    #[error("the folder has more than {limit} entries: see `entries_max`")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The server kept less than it was given.
    #[error("the server kept {kept} of {sent} bytes: its disk may be full")]
    Incomplete {
        /// What stands there.
        kept: u64,
        /// What was sent.
        sent: u64,
    },
    /// The server failed, and says no more by its code.
    #[error("the server failed (SFTP status {code})")]
    Failed {
        /// The code.
        code: u32,
        /// Its own words: outside text, which may name a file.
        told: String,
    },
}

impl SftpError {
    /// What the server said in its own words, where it did. It may name a file.
    pub fn told(&self) -> Option<&str> {
        match self {
            Self::Failed { told, .. } if !told.is_empty() => Some(told),
            _ => None,
        }
    }

    /// A word for counting: the same for all errors of a kind.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "sftp.unreachable",
            Self::Ssh { .. } => "sftp.ssh",
            Self::HostKey { .. } => "sftp.host-key",
            Self::LoginRefused { .. } | Self::LoginRefusedBefore { .. } => "sftp.login-refused",
            Self::NoSftp { .. } => "sftp.no-sftp",
            Self::Busy { .. } => "sftp.busy",
            Self::TimedOut => "sftp.timed-out",
            Self::Disconnected => "sftp.disconnected",
            Self::Protocol(_) => "sftp.protocol",
            Self::Path(_) => "sftp.path",
            Self::NoDirectory(_) => "sftp.directory",
            Self::NotFound => "sftp.not-found",
            Self::NotPermitted => "sftp.not-permitted",
            Self::Exists => "sftp.exists",
            Self::NotAFile => "sftp.not-a-file",
            Self::TooLarge { .. } | Self::TooMany { .. } => "sftp.too-large",
            Self::Incomplete { .. } => "sftp.incomplete",
            Self::Failed { .. } => "sftp.failed",
        }
    }

    /// Whether the connection can be used on: the server answered, and no answer is due.
    pub(super) fn leaves_connection(&self) -> bool {
        matches!(
            self,
            Self::NotFound
                | Self::NotPermitted
                | Self::Exists
                | Self::NotAFile
                | Self::Path(_)
                | Self::Incomplete { .. }
                | Self::Failed { .. }
        )
    }
}

fn offered(offers: &[&'static str]) -> String {
    match offers {
        // Some servers say no more than that.
        [] => " (it hung up)".to_owned(),
        offers => format!(" (it takes {})", offers.join(", ")),
    }
}
