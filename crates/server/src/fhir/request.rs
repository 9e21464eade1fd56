//! A request, read and checked as far as it can be without the datastore.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use pipehat_resource::json::{self, Value};
use pipehat_resource::kept::Keeps;
use pipehat_resource::outcome::{Issue, IssueCode};

use super::access::Principal;
use super::address::Call;
use super::conditions::Conditions;
use super::negotiation::{ContentKind, Wanted};
use super::prefer::Prefer;
use super::problem::Problem;
use super::query_string::Query;
use super::shape::Shape;

/// What is asked, by HTTP or by an entry of a Bundle.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The interaction.
    pub(crate) call: Call,
    /// The parameters, without those about the form of the answer.
    pub(crate) query: Query,
    /// What must hold.
    pub(crate) conditions: Conditions,
    /// What the client would like.
    pub(crate) prefer: Prefer,
    /// The body.
    pub(crate) content: Content,
    /// Which form the answer has.
    pub(crate) wanted: Wanted,
    /// Which part of resources is shown.
    pub(crate) shape: Shape,
    /// `X-Security-Context` of a Binary sent as its bytes.
    pub(crate) security_context: Option<String>,
    /// Of an entry of a Bundle: what of a resource that stands stays as it stands.
    pub(crate) keeps: Option<Keeps>,
    /// Of an entry of a transaction: whether a conditional patch that finds nothing has nothing to do.
    pub(crate) only_if_found: bool,
    /// Who asks, when and where.
    pub(crate) setting: Arc<Setting>,
}

/// What all interactions of one HTTP request share.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The public address of the API, without a slash at its end.
    pub(crate) base: String,
    /// Who asks.
    pub(crate) principal: Principal,
    /// When, in microseconds since 1970 (UTC).
    pub(crate) now: i64,
    /// For the audit.
    pub(crate) request_id: Arc<str>,
    /// For the audit.
    pub(crate) peer: Option<std::net::SocketAddr>,
}

/// The body of a request.
#[derive(Clone)]
pub(crate) enum Content {
    /// None.
    None,
    /// As it came, decoded from gzip or zstd.
    Bytes(ContentKind, Bytes),
    /// Parsed already: it stood in a Bundle.
    Value(Value),
}

/// No value of a patient is printed.
impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => formatter.write_str("None"),
            Self::Bytes(kind, bytes) => write!(formatter, "{kind:?} of {} bytes", bytes.len()),
            Self::Value(_) => formatter.write_str("Value"),
        }
    }
}

impl Content {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Bytes(_, bytes) => bytes.is_empty(),
            Self::Value(_) => false,
        }
    }

    /// How many bytes came.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(_, bytes) => bytes.len(),
            Self::None | Self::Value(_) => 0,
        }
    }

    /// What its `Content-Type` says it is.
    pub(crate) fn kind(&self) -> Option<&ContentKind> {
        match self {
            Self::Bytes(kind, _) => Some(kind),
            Self::None | Self::Value(_) => None,
        }
    }

    /// The JSON of a resource.
    ///
    /// # Errors
    /// 415 where it is not JSON, 400 where the JSON has a mistake or is no resource.
    pub(crate) fn resource(&self) -> Result<Value, Problem> {
        let value = self.json(&[ContentKind::Resource], "application/fhir+json")?;
        if value.as_object().is_none() {
            let text = format!("expected a resource, found {}", value.kind());
            return Err(Problem::bad_request(IssueCode::Structure, text));
        }
        if value.resource_type().is_none() {
            return Err(Problem::of(
                StatusCode::BAD_REQUEST,
                &[Issue::error(
                    IssueCode::Required,
                    "a resource says what it is: `resourceType` is missing",
                )
                .at("resourceType")],
            ));
        }
        Ok(value)
    }

    /// JSON of one of these kinds.
    pub(crate) fn json(&self, kinds: &[ContentKind], expected: &str) -> Result<Value, Problem> {
        let unsupported = || {
            Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                IssueCode::NotSupported,
                format!("send this with Content-Type: {expected}"),
            )
            .at_location("Content-Type")
        };
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::None => Err(Problem::bad_request(IssueCode::Required, "the request has no body")),
            Self::Bytes(kind, bytes)
                if bytes.is_empty() && (*kind == ContentKind::None || kinds.contains(kind)) =>
            {
                Err(Problem::bad_request(IssueCode::Required, "the request has no body"))
            }
            Self::Bytes(kind, bytes) if kinds.contains(kind) => {
                json::parse(bytes).map_err(|error| {
                    let place = format!("line {}, column {}", error.line, error.column);
                    Problem::of(
                        StatusCode::BAD_REQUEST,
                        &[Issue::error(IssueCode::Structure, error.to_string()).at(place)],
                    )
                })
            }
            Self::Bytes(..) => Err(unsupported()),
        }
    }
}
