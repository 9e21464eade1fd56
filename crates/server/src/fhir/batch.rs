//! batch and transaction: a Bundle of requests (FHIR R4 §3.1.0.11).

use std::str::FromStr;
use std::sync::Arc;

use http::{Method, StatusCode};
use pipehat_resource::json::Value;
use pipehat_resource::kept::{Keeps, is_only_if_found};
use pipehat_resource::outcome::IssueCode;

use super::address::{Call, call};
use super::answer::{Answer, AnswerContent};
use super::bundle::BundleWriter;
use super::conditions::Conditions;
use super::negotiation::Wanted;
use super::problem::Problem;
use super::query_string::Query;
use super::request::{Content, Request};
use super::resource::new_id;
use super::service::FhirService;
use super::shape::Shape;

/// The most entries of a batch or a transaction.
pub(crate) const ENTRIES_MAX: usize = 10_000;

/// One entry, read.
#[derive(Debug)]
pub(super) struct Entry {
    /// What it asks.
    pub(super) request: Request,
    /// Its `fullUrl`.
    pub(super) full_url: Option<String>,
}

impl FhirService {
    /// `POST` of a Bundle.
    pub(super) async fn bundle(&self, request: &Request) -> Result<Answer, Problem> {
        let bundle = request.content.resource()?;
        if bundle.resource_type() != Some("Bundle") {
            return Err(Problem::bad_request(
                IssueCode::Value,
                "expected a Bundle; a resource is created by POST to its type",
            ));
        }
        let entries = bundle.items("entry");
        if entries.len() > ENTRIES_MAX {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                IssueCode::TooLong,
                format!("a Bundle has at most {ENTRIES_MAX} entries"),
            ));
        }
        let knows = |name: &str| self.knows(name);
        let read: Vec<Result<Entry, Problem>> =
            entries.iter().map(|entry| Entry::read(entry, request, knows)).collect();
        let (kind, answers) = match bundle.text("type") {
            Some("batch") => ("batch-response", self.batch(read).await),
            Some("transaction") => ("transaction-response", self.transaction(request, read).await?),
            _ => {
                return Err(Problem::of(
                    StatusCode::BAD_REQUEST,
                    &[pipehat_resource::outcome::Issue::error(
                        IssueCode::Value,
                        "only a Bundle of the type batch or transaction can be posted here",
                    )
                    .at("Bundle.type")],
                ));
            }
        };
        let setting = &request.setting;
        let mut bundle = BundleWriter::new(kind, &new_id(), setting.now, None, &[]);
        for answer in &answers {
            bundle.answer(&setting.base, answer);
        }
        Ok(Answer::text(bundle.finish()))
    }

    /// Every entry on its own.
    async fn batch(&self, entries: Vec<Result<Entry, Problem>>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            let answer = match entry {
                Err(problem) => Err(problem),
                Ok(entry) => match self.audited(&entry.request).await {
                    Ok(answer) => Ok(shown(&entry.request, answer)),
                    Err(problem) => Err(problem),
                },
            };
            answers.push(answer.unwrap_or_else(|problem| refused(&problem)));
        }
        answers
    }
}

/// An answer as it stands in a Bundle: its part that is asked for, and as a resource.
pub(super) fn shown(request: &Request, answer: Answer) -> Answer {
    let content = match answer.content {
        AnswerContent::Stored(body) if !request.shape.is_whole() => {
            AnswerContent::Made(request.shape.shown(&body).into_owned())
        }
        content => content,
    };
    Answer { content, ..answer }
}

/// The answer of an entry that was refused.
pub(super) fn refused(problem: &Problem) -> Answer {
    Answer {
        content: AnswerContent::Made(problem.outcome().to_json()),
        version: problem.version(),
        ..Answer::empty(problem.status())
    }
}

impl Entry {
    /// Reads an entry.
    fn read(
        entry: &Value,
        around: &Request,
        knows: impl Fn(&str) -> bool,
    ) -> Result<Self, Problem> {
        let required = |what: &str| {
            Problem::bad_request(IssueCode::Required, format!("the entry has no {what}"))
        };
        let asked = entry.get("request").ok_or_else(|| required("request"))?;
        let method = asked.text("method").ok_or_else(|| required("request.method"))?;
        let method = match method {
            "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" => Method::from_str(method).ok(),
            _ => None,
        }
        .ok_or_else(|| {
            Problem::bad_request(
                IssueCode::CodeInvalid,
                "request.method is GET, HEAD, POST, PUT, DELETE or PATCH",
            )
        })?;
        let url = asked.text("url").ok_or_else(|| required("request.url"))?;
        let (path, query) = below(url, &around.setting.base);
        let mut query = Query::parse(query)
            .map_err(|error| Problem::bad_request(IssueCode::Value, error.to_string()))?;
        let call = call(&method, path, knows)?;
        if call == Call::Bundle {
            return Err(Problem::bad_request(
                IssueCode::NotSupported,
                "a batch or transaction can't stand in another",
            ));
        }
        query.retain(|name, _| name != "_format");
        let mut call = call;
        let keeps = Keeps::of_request(asked)
            .map_err(|error| Problem::bad_request(IssueCode::Value, error.to_string()))?;
        let mut conditions = Conditions::of_texts(
            asked.text("ifMatch"),
            asked.text("ifNoneMatch"),
            asked.text("ifModifiedSince"),
            asked.text("ifNoneExist"),
        )?;
        if let (Some(kept), Call::Create(name)) = (&keeps, &call)
            && !kept.takes_nothing()
            && let Some(found_by) = conditions.if_none_exist.take()
        {
            // Whoever does not know the mark makes it where there is none; here what stands is told what is new of it.
            query = found_by;
            call = Call::ConditionalUpdate(name.clone());
        }
        let request = Request {
            call,
            shape: Shape { pretty: false, ..Shape::of(&query)? },
            query,
            conditions,
            prefer: around.prefer,
            content: entry.get("resource").cloned().map_or(Content::None, Content::Value),
            wanted: Wanted::json(),
            security_context: None,
            keeps,
            only_if_found: is_only_if_found(asked),
            setting: Arc::clone(&around.setting),
        };
        let full_url = entry.text("fullUrl").filter(|url| !url.is_empty()).map(str::to_owned);
        Ok(Self { request, full_url })
    }
}

/// Path and query of an entry's address, which may be absolute or begin with a slash.
fn below<'u>(url: &'u str, base: &str) -> (&'u str, &'u str) {
    let url = url.strip_prefix(base).unwrap_or(url);
    let url = url.strip_prefix(super::service::BASE_PATH).unwrap_or(url);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    (path, query)
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn addresses_of_entries_are_relative_or_ours() {
        let check = |url, expected| assert_eq!(below(url, "http://h/fhir/R4"), expected, "{url}");
        check("Patient/1", ("Patient/1", ""));
        check("/Patient?a=b?c", ("/Patient", "a=b?c"));
        check("http://h/fhir/R4/Patient/1", ("/Patient/1", ""));
        check("/fhir/R4/Patient", ("/Patient", ""));
        check("http://other/fhir/R4/Patient/1", ("http://other/fhir/R4/Patient/1", ""));
    }
}
