//! What is kept of an access, and what may be asked about it.

use std::sync::Arc;

/// What is kept at most of what was searched for, in bytes.
pub const DETAIL_BYTES_MAX: usize = 8 * 1024;

/// Other texts are kept up to this length in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// One access.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AuditRecord {
    /// When, in microseconds since 1970 (UTC).
    pub at: i64,
    /// The request's id.
    pub request_id: Arc<str>,
    /// The client's id; `None` where nobody could be made out.
    pub client: Option<Arc<str>>,
    /// What the client is called.
    pub client_name: Option<Arc<str>>,
    /// The address the request came from.
    pub address: Option<String>,
    /// The interaction, by its code in `restful-interaction`; `$name` of an operation; `token` of a sign-in.
    pub interaction: String,
    /// On which type.
    pub resource_type: Option<String>,
    /// On which resource.
    pub resource_id: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// What was searched for, as it was asked. Sealed: it may speak of patients.
    pub query: Option<String>,
    /// What was used by it and must not be used again; written with it, and not part of it.
    pub used_once: Option<UsedOnce>,
}

/// Something that may be used once, by its hash: an assertion of `private_key_jwt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedOnce {
    /// What it was.
    pub hash: [u8; 32],
    /// Until when it could be used, in microseconds since 1970 (UTC).
    pub until: i64,
}

/// What kind of access it was (FHIR R4 audit-event-action).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Something new.
    Create,
    /// Something was read.
    Read,
    /// Something was changed.
    Update,
    /// Something was deleted.
    Delete,
    /// All else: searches, operations, sign-ins.
    Execute,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Read, Self::Update, Self::Delete, Self::Execute];

    /// The action of an interaction (FHIR R4 §6.4.7.5). One that was not understood has its method's.
    pub fn of(interaction: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|action| action.interactions().contains(&interaction))
            .unwrap_or(Self::Execute)
    }

    /// The action of this code.
    pub fn with_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.code() == code)
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "C",
            Self::Read => "R",
            Self::Update => "U",
            Self::Delete => "D",
            Self::Execute => "E",
        }
    }

    /// The interactions that are this; all that are named nowhere execute something.
    pub(super) fn interactions(self) -> &'static [&'static str] {
        match self {
            Self::Create => &["create", "POST"],
            Self::Read => &[
                "read",
                "vread",
                "history-instance",
                "history-type",
                "history-system",
                "GET",
                "HEAD",
                "capabilities",
            ],
            Self::Update => &["update", "patch", "PUT", "PATCH"],
            Self::Delete => &["delete", "DELETE"],
            Self::Execute => &[],
        }
    }
}

/// How an access ended (FHIR R4 audit-event-outcome).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it was asked.
    Success,
    /// It was refused.
    Minor,
    /// The server failed.
    Serious,
}

impl Outcome {
    /// Of an answer's status.
    pub fn of(status: u16) -> Self {
        match status {
            0..400 => Self::Success,
            400..500 => Self::Minor,
            _ => Self::Serious,
        }
    }

    /// The outcome of this code.
    pub fn with_code(code: &str) -> Option<Self> {
        [Self::Success, Self::Minor, Self::Serious]
            .into_iter()
            .find(|outcome| outcome.code() == code)
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Success => "0",
            Self::Minor => "4",
            Self::Serious => "8",
        }
    }
}

/// What was searched for is not printed.
impl std::fmt::Debug for AuditRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AuditRecord")
            .field("request_id", &self.request_id)
            .field("client", &self.client)
            .field("interaction", &self.interaction)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl AuditRecord {
    /// Cuts texts at their limits, so that a queue of records has one.
    pub(super) fn cut(&mut self) {
        let texts = [&mut self.resource_type, &mut self.resource_id, &mut self.address];
        for text in texts.into_iter().flatten() {
            cut(text, TEXT_BYTES_MAX);
        }
        cut(&mut self.interaction, TEXT_BYTES_MAX);
        if let Some(query) = &mut self.query {
            cut(query, DETAIL_BYTES_MAX);
        }
    }
}

fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        // The rest of a long text would be kept in memory otherwise.
        text.shrink_to_fit();
    }
}

/// A record and its number, from 1 in the order of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number.
    pub number: u64,
    /// What it says.
    pub record: AuditRecord,
}

/// Which records are asked for: those that meet all that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Only those at or after this time.
    pub from: Option<i64>,
    /// Only those at or before this time.
    pub to: Option<i64>,
    /// Only those about this resource, by its id and perhaps its type.
    pub resource: Option<(Option<String>, String)>,
    /// Only those of this client, by its id.
    pub client: Option<String>,
    /// Only those of this kind.
    pub action: Option<Action>,
    /// Only those that ended so.
    pub outcome: Option<Outcome>,
    /// Only with one of these numbers.
    pub numbers: Option<Vec<u64>>,
    /// Only those behind the record of this time and number, in the order asked for.
    pub after: Option<(i64, u64)>,
    /// Newest first; otherwise oldest first. Those of one time go by their number.
    pub newest_first: bool,
    /// How many at most.
    pub limit: usize,
}

/// What a check of the whole log found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many records were read.
    pub records: u64,
    /// The first record of the first group that is not as it was written.
    pub changed_from: Option<u64>,
}
