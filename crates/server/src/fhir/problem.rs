//! How the FHIR API says no: a status and an OperationOutcome (FHIR R4 §3.1.0.1.4).
//!
//! Texts say what and where, never a patient's value.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use pipehat_resource::json::Value;
use pipehat_resource::kept::SAME_RULE;
use pipehat_resource::outcome::{Issue, IssueCode, operation_outcome};
use pipehat_store::datastore::{DatastoreError, Refusal, StoredVersion};

use super::answer::VersionNote;

/// A refusal or a failure.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    outcome: Value,
    headers: HeaderMap,
    version: Option<VersionNote>,
}

impl Problem {
    /// One with one issue.
    pub(crate) fn new(status: StatusCode, code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self::of(status, &[Issue::error(code, diagnostics)])
    }

    /// One with several issues.
    pub(crate) fn of(status: StatusCode, issues: &[Issue]) -> Self {
        Self::with_outcome(status, operation_outcome(issues))
    }

    /// One whose OperationOutcome stands already.
    pub(crate) fn with_outcome(status: StatusCode, outcome: Value) -> Self {
        Self(Box::new(Parts { status, outcome, headers: HeaderMap::new(), version: None }))
    }

    /// 400 about a header or a parameter.
    pub(crate) fn bad_request(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, diagnostics)
    }

    /// With a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// About a version, as that of a deletion: `ETag`, `Last-Modified`.
    pub(crate) fn about(mut self, version: &StoredVersion) -> Self {
        self.0.version = Some(VersionNote::of(version));
        self
    }

    /// The version it is about.
    pub(crate) fn version(&self) -> Option<VersionNote> {
        self.0.version
    }

    /// With the header or parameter that the first issue is about (FHIR R4 §2.28, `OperationOutcome.issue.location`:
    /// `http.` and its name).
    pub(crate) fn at_location(mut self, location: &str) -> Self {
        let issues = self.0.outcome.as_object_mut().and_then(|outcome| outcome.get_mut("issue"));
        let first = issues.and_then(Value::as_array_mut).and_then(|issues| issues.first_mut());
        if let Some(first) = first.and_then(Value::as_object_mut) {
            first.set("location", Value::Array(vec![format!("http.{location}").into()]));
        }
        self
    }

    /// The problem of an entry of a Bundle: every issue without a place of its own stands at the entry, and every
    /// other one below the entry's resource.
    pub(crate) fn in_entry(mut self, position: usize) -> Self {
        let entry = format!("Bundle.entry[{position}]");
        let issues = self.0.outcome.as_object_mut().and_then(|outcome| outcome.get_mut("issue"));
        for issue in issues.and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(issue) = issue.as_object_mut() else { continue };
            let places = match issue.get("expression").and_then(Value::as_array) {
                Some(places) => places
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|place| {
                        if place.starts_with("Bundle.") {
                            return place.into();
                        }
                        let below = place.split_once('.').map(|(_, below)| below);
                        match below {
                            Some(below) => format!("{entry}.resource.{below}").into(),
                            None => format!("{entry}.resource").into(),
                        }
                    })
                    .collect(),
                None => vec![entry.as_str().into()],
            };
            issue.set("expression", Value::Array(places));
        }
        self
    }

    /// Whether it says that another version stands there than was expected.
    pub(crate) fn is_version_conflict(&self) -> bool {
        let code = self.0.outcome.items("issue").first().and_then(|issue| issue.text("code"));
        self.0.status == StatusCode::PRECONDITION_FAILED
            && code == Some(IssueCode::Conflict.as_str())
            && self.0.outcome.items("issue").iter().all(|issue| issue.get("location").is_none())
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The OperationOutcome.
    pub(crate) fn outcome(&self) -> &Value {
        &self.0.outcome
    }

    /// Headers that belong to it.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }
}

/// What a datastore can't do is said without its reasons, which are for the log.
impl From<DatastoreError> for Problem {
    fn from(error: DatastoreError) -> Self {
        match &error {
            DatastoreError::Busy => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, IssueCode::Throttled, error.to_string())
                    .with_header(http::header::RETRY_AFTER, "1")
            }
            DatastoreError::SearchTooLong { .. } => {
                Self::new(StatusCode::BAD_REQUEST, IssueCode::TooCostly, error.to_string())
            }
            DatastoreError::NotSupported(_) => {
                Self::bad_request(IssueCode::NotSupported, error.to_string())
            }
            DatastoreError::Page => Self::bad_request(IssueCode::Value, error.to_string()),
            DatastoreError::Closed => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                IssueCode::Transient,
                "the server is stopping",
            )
            .with_header(http::header::RETRY_AFTER, "5"),
            DatastoreError::Unavailable(_) | DatastoreError::Uncertain(_) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the datastore's database is away"
                );
                Self::new(StatusCode::SERVICE_UNAVAILABLE, IssueCode::Transient, error.to_string())
                    .with_header(http::header::RETRY_AFTER, "5")
            }
            DatastoreError::Connect(_)
            | DatastoreError::Database(_)
            | DatastoreError::Damaged(_)
            | DatastoreError::Location(_) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the datastore could not answer"
                );
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    IssueCode::Exception,
                    error.to_string(),
                )
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) | Refusal::NoneMatches => {
                Self::new(StatusCode::NOT_FOUND, IssueCode::NotFound, text)
            }
            Refusal::Gone(_) => Self::new(StatusCode::GONE, IssueCode::Deleted, text),
            Refusal::VersionConflict { .. } | Refusal::NothingToMatch | Refusal::Exists(_) => {
                Self::new(StatusCode::PRECONDITION_FAILED, IssueCode::Conflict, text)
            }
            Refusal::Taken(_) => Self::new(StatusCode::CONFLICT, IssueCode::Conflict, text),
            Refusal::SeveralMatch => {
                Self::new(StatusCode::PRECONDITION_FAILED, IssueCode::MultipleMatches, text)
            }
            Refusal::IdMismatch | Refusal::Page | Refusal::Unaskable(_) => {
                Self::bad_request(IssueCode::Value, text)
            }
            Refusal::Twice(_) => Self::bad_request(IssueCode::Duplicate, text),
            Refusal::Reference { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, IssueCode::Processing, text)
            }
            Refusal::Patch(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, IssueCode::Processing, text)
            }
            Refusal::Moved { resource_type, element } => {
                let issue = Issue::error(IssueCode::BusinessRule, text);
                let issue = Issue { rule: Some(SAME_RULE), ..issue };
                let issue = issue.at(format!("{resource_type}.{element}"));
                Self::of(StatusCode::UNPROCESSABLE_ENTITY, &[issue])
            }
            Refusal::Invalid(outcome) => {
                Self::with_outcome(StatusCode::UNPROCESSABLE_ENTITY, *outcome)
            }
            Refusal::Contention => Self::new(StatusCode::CONFLICT, IssueCode::Transient, text)
                .with_header(http::header::RETRY_AFTER, "1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrys_issues_stand_below_the_entry() {
        let check = |issue: Issue, expected: &str| {
            let problem = Problem::of(StatusCode::BAD_REQUEST, &[issue]).in_entry(2);
            let found = problem.outcome().items("issue")[0].items("expression")[0].as_str();
            assert_eq!(found, Some(expected));
        };
        check(Issue::error(IssueCode::Value, "x"), "Bundle.entry[2]");
        let name = Issue::error(IssueCode::Value, "x").at("Patient.name[0].family");
        check(name, "Bundle.entry[2].resource.name[0].family");
        check(Issue::error(IssueCode::Value, "x").at("Patient"), "Bundle.entry[2].resource");
        let request = Issue::error(IssueCode::Value, "x").at("Bundle.entry[2].request.url");
        check(request, "Bundle.entry[2].request.url");
    }
}
