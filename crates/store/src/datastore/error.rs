//! Why a datastore can't answer.

/// Why a datastore can't answer at all. What it refuses for a reason of the request is a
/// [`Refusal`](super::Refusal).
#[derive(Debug, thiserror::Error)]
pub enum DatastoreError {
    /// Too much waits already.
    #[error("the datastore is busy")]
    Busy,
    /// The search takes longer than it may.
    #[error("the search takes longer than {seconds} s; narrow it down")]
    SearchTooLong {
        /// The limit in seconds.
        seconds: u64,
    },
    /// A page is asked for that no such search of ours ended at: the request is at fault.
    #[error("the page can't be found; begin the search again")]
    Page,
    /// This is not built: the request asks for it, and could do without.
    #[error("{0}")]
    NotSupported(&'static str),
    /// The database can't be connected to; why, and what to do, without the password.
    #[error("{0}")]
    Connect(String),
    /// The database can't be reached, or went away: nothing was changed.
    #[error("the datastore's database can't be reached; try again")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database went away while it made a change durable.
    #[error(
        "the datastore's database went away before it said whether the change was made; look before \
         trying again"
    )]
    Uncertain(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What names the database can't be understood, or asks for what can't be had.
    #[error("in the secret that `datastore: {{ store: … }}` names: {0}")]
    Location(String),
    /// The database does not answer, or answers with an error.
    #[error("the datastore's database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What stands in the database can't be read.
    #[error("a stored resource can't be read")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The datastore was closed.
    #[error("the datastore is closed")]
    Closed,
}
