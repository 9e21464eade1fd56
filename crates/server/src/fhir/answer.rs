//! What an interaction answers, before it becomes HTTP or an entry of a Bundle.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pipehat_resource::json::Value;
use pipehat_resource::outcome::{Issue, operation_outcome};
use pipehat_store::datastore::{Body, ResourceKey, StoredVersion};

use super::prefer::GiveBack;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The version it speaks of: `ETag`, `Last-Modified`.
    pub(crate) version: Option<VersionNote>,
    /// `Location`, below the base.
    pub(crate) location: Option<String>,
    /// Further headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) content: AnswerContent,
}

/// What headers say of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionNote {
    /// The version.
    pub(crate) version: u64,
    /// When it was written, in microseconds since 1970 (UTC).
    pub(crate) last_updated: i64,
}

impl VersionNote {
    /// What is said of a version.
    pub(crate) fn of(version: &StoredVersion) -> Self {
        Self { version: version.version, last_updated: version.last_updated }
    }
}

/// The body of an answer.
#[derive(Clone)]
pub(crate) enum AnswerContent {
    /// None.
    None,
    /// A stored resource, still whole: it goes out as its bytes where nothing must change.
    Stored(Body),
    /// A resource made here: a Bundle, an outcome; as its JSON.
    Made(String),
    /// The bytes of a Binary.
    Raw {
        /// Its type.
        content_type: String,
        /// Its bytes.
        bytes: Bytes,
    },
}

impl std::fmt::Debug for AnswerContent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Stored(_) => "Stored",
            Self::Made(_) => "Made",
            Self::Raw { .. } => "Raw",
        })
    }
}

impl Answer {
    /// Only a status.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            version: None,
            location: None,
            headers: HeaderMap::new(),
            content: AnswerContent::None,
        }
    }

    /// 200 with a resource made here.
    pub(crate) fn made(resource: &Value) -> Self {
        Self::text(resource.to_json())
    }

    /// 200 with the JSON of a resource made here.
    pub(crate) fn text(json: String) -> Self {
        Self { content: AnswerContent::Made(json), ..Self::empty(StatusCode::OK) }
    }

    /// 200 with JSON that others hold, too.
    pub(crate) fn shared(json: Body) -> Self {
        Self { content: AnswerContent::Stored(json), ..Self::empty(StatusCode::OK) }
    }

    /// A stored version as it stands.
    pub(crate) fn stored(status: StatusCode, version: &StoredVersion) -> Self {
        let content = version.body.clone().map_or(AnswerContent::None, AnswerContent::Stored);
        Self { content, ..Self::empty(status) }.about(version)
    }

    /// What a change gives back, by the client's preference.
    pub(crate) fn changed(
        status: StatusCode,
        version: &StoredVersion,
        give_back: GiveBack,
        what: &str,
    ) -> Self {
        let answer = Self::stored(status, version);
        let answer =
            Self { location: Some(version_address(&version.key, version.version)), ..answer };
        match give_back {
            GiveBack::Representation => answer,
            GiveBack::Minimal => Self { content: AnswerContent::None, ..answer },
            GiveBack::Outcome => answer.with_outcome(what),
        }
    }

    /// With an OperationOutcome that says what happened.
    pub(crate) fn with_outcome(self, what: &str) -> Self {
        let said = operation_outcome(&[Issue::information(what)]);
        Self { content: AnswerContent::Made(said.to_json()), ..self }
    }

    /// With the headers of a version.
    pub(crate) fn about(self, version: &StoredVersion) -> Self {
        Self { version: Some(VersionNote::of(version)), ..self }
    }
}

/// The address of a version, below the base.
pub(crate) fn version_address(key: &ResourceKey, version: u64) -> String {
    format!("{}/{}/_history/{version}", key.resource_type, key.id)
}
