//! Bundles, written as text: stored bodies go in as they are, unparsed.

use http::StatusCode;
use pipehat_resource::json::Value;
use pipehat_store::datastore::{Method, StoredVersion};

use super::answer::{Answer, AnswerContent, version_address};
use super::conditions::{entity_tag, instant};

/// A Bundle under way.
pub(crate) struct BundleWriter {
    out: String,
    entries: usize,
}

/// A link of a Bundle.
pub(crate) struct Link {
    /// `self`, `next`, `first`…
    pub(crate) relation: &'static str,
    /// An absolute address.
    pub(crate) url: String,
}

impl BundleWriter {
    /// Begins a Bundle.
    pub(crate) fn new(kind: &str, id: &str, now: i64, total: Option<u64>, links: &[Link]) -> Self {
        let mut out = String::with_capacity(4096);
        out.push_str("{\"resourceType\":\"Bundle\",\"id\":");
        string(id, &mut out);
        out.push_str(",\"meta\":{\"lastUpdated\":");
        string(&instant(now), &mut out);
        out.push_str("},\"type\":");
        string(kind, &mut out);
        if let Some(total) = total {
            out.push_str(&format!(",\"total\":{total}"));
        }
        if !links.is_empty() {
            out.push_str(",\"link\":[");
            for (position, link) in links.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str("{\"relation\":");
                string(link.relation, &mut out);
                out.push_str(",\"url\":");
                string(&link.url, &mut out);
                out.push('}');
            }
            out.push(']');
        }
        Self { out, entries: 0 }
    }

    /// An entry of a searchset.
    pub(crate) fn found(&mut self, full_url: &str, resource: &str, mode: &str) {
        self.begin_entry();
        self.out.push_str("{\"fullUrl\":");
        string(full_url, &mut self.out);
        self.out.push_str(",\"resource\":");
        self.out.push_str(resource);
        self.out.push_str(",\"search\":{\"mode\":");
        string(mode, &mut self.out);
        self.out.push_str("}}");
    }

    /// The entry of a searchset that says what was passed over.
    pub(crate) fn warnings(&mut self, outcome: &Value) {
        self.begin_entry();
        self.out.push_str("{\"resource\":");
        outcome.write(&mut self.out);
        self.out.push_str(",\"search\":{\"mode\":\"outcome\"}}");
    }

    /// An entry of a history (FHIR R4 §3.1.0.10): what made the version, and how it was answered.
    pub(crate) fn version(
        &mut self,
        base: &str,
        version: &StoredVersion,
        created: bool,
        resource: Option<&str>,
    ) {
        let key = &version.key;
        self.begin_entry();
        self.out.push_str("{\"fullUrl\":");
        string(&format!("{base}/{}/{}", key.resource_type, key.id), &mut self.out);
        if let Some(resource) = resource {
            self.out.push_str(",\"resource\":");
            self.out.push_str(resource);
        }
        let (method, status) = match version.method {
            Method::Post => ("POST", "201 Created"),
            Method::Put if created => ("PUT", "201 Created"),
            Method::Put => ("PUT", "200 OK"),
            Method::Patch => ("PATCH", "200 OK"),
            Method::Delete => ("DELETE", "204 No Content"),
        };
        let url = match version.method {
            Method::Post => key.resource_type.clone(),
            _ => format!("{}/{}", key.resource_type, key.id),
        };
        self.out.push_str(",\"request\":{\"method\":");
        string(method, &mut self.out);
        self.out.push_str(",\"url\":");
        string(&url, &mut self.out);
        self.out.push_str("},\"response\":{\"status\":");
        string(status, &mut self.out);
        if resource.is_some() {
            let location = format!("{base}/{}", version_address(key, version.version));
            self.out.push_str(",\"location\":");
            string(&location, &mut self.out);
        }
        self.version_members(version.version, version.last_updated);
        self.out.push_str("}}");
    }

    /// An entry of the answer to a batch or a transaction.
    pub(crate) fn answer(&mut self, base: &str, answer: &Answer) {
        self.begin_entry();
        self.out.push('{');
        // A refusal's outcome, and what `Prefer: return=OperationOutcome` asks for, stand in the response.
        let (resource, said) = match &answer.content {
            AnswerContent::None | AnswerContent::Raw { .. } => (None, None),
            AnswerContent::Stored(body) => (Some(&**body), None),
            AnswerContent::Made(text)
                if text.starts_with("{\"resourceType\":\"OperationOutcome\"") =>
            {
                (None, Some(text.as_str()))
            }
            AnswerContent::Made(text) => (Some(text.as_str()), None),
        };
        if let (Some(_), Some(location)) = (resource, &answer.location) {
            let address = location.split("/_history/").next().unwrap_or(location);
            self.out.push_str("\"fullUrl\":");
            string(&format!("{base}/{address}"), &mut self.out);
            self.out.push(',');
        }
        if let Some(resource) = resource {
            self.out.push_str("\"resource\":");
            self.out.push_str(resource);
            self.out.push(',');
        }
        self.out.push_str("\"response\":{\"status\":");
        string(&status_line(answer.status), &mut self.out);
        if let Some(location) = &answer.location {
            self.out.push_str(",\"location\":");
            string(&format!("{base}/{location}"), &mut self.out);
        }
        if let Some(note) = answer.version {
            self.version_members(note.version, note.last_updated);
        }
        if let Some(said) = said {
            self.out.push_str(",\"outcome\":");
            self.out.push_str(said);
        }
        self.out.push_str("}}");
    }

    fn version_members(&mut self, version: u64, last_updated: i64) {
        self.out.push_str(",\"etag\":");
        string(&entity_tag(version), &mut self.out);
        self.out.push_str(",\"lastModified\":");
        string(&instant(last_updated), &mut self.out);
    }

    fn begin_entry(&mut self) {
        self.out.push_str(if self.entries == 0 { ",\"entry\":[" } else { "," });
        self.entries += 1;
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        self.out.push_str(if self.entries == 0 { "}" } else { "]}" });
        self.out
    }
}

/// `201 Created`.
fn status_line(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

fn string(text: &str, out: &mut String) {
    let plain = !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        Value::string(text).write(out);
    }
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;
    use pipehat_store::datastore::{ChangeNumber, ResourceKey};

    use super::*;

    fn version(method: Method, body: Option<&str>) -> StoredVersion {
        StoredVersion {
            key: ResourceKey { resource_type: "Patient".into(), id: "a".into() },
            version: 2,
            last_updated: 1_445_412_480_700_000,
            change: ChangeNumber(7),
            method,
            body: body.map(Into::into),
        }
    }

    fn check(bundle: BundleWriter, expected: &str) {
        let text = bundle.finish();
        let begin = "{\"resourceType\":\"Bundle\",\"id\":\"i\",\"meta\":{\"lastUpdated\":\"1970-01-01T00:00:00.000Z\"},";
        assert_eq!(text.strip_prefix(begin), Some(expected));
        assert!(parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn an_empty_searchset_has_no_entries() {
        let links = [Link { relation: "self", url: "http://x/fhir/R4/Patient?name=%22\"".into() }];
        check(
            BundleWriter::new("searchset", "i", 0, Some(0), &links),
            "\"type\":\"searchset\",\"total\":0,\"link\":[{\"relation\":\"self\",\"url\":\"http://x/fhir/R4/Patient?name=%22\\\"\"}]}",
        );
    }

    #[test]
    fn a_history_says_what_was_done() {
        let mut bundle = BundleWriter::new("history", "i", 0, None, &[]);
        bundle.version("b", &version(Method::Delete, None), false, None);
        bundle.version("b", &version(Method::Post, Some("{}")), true, Some("{}"));
        let response = "\"etag\":\"W/\\\"2\\\"\",\"lastModified\":\"2015-10-21T07:28:00.700Z\"}}";
        check(
            bundle,
            &format!(
                "\"type\":\"history\",\"entry\":[{{\"fullUrl\":\"b/Patient/a\",\"request\":{{\"method\":\"DELETE\",\
                 \"url\":\"Patient/a\"}},\"response\":{{\"status\":\"204 No Content\",{response},\
                 {{\"fullUrl\":\"b/Patient/a\",\"resource\":{{}},\"request\":{{\"method\":\"POST\",\"url\":\"Patient\"}},\
                 \"response\":{{\"status\":\"201 Created\",\"location\":\"b/Patient/a/_history/2\",{response}]}}"
            ),
        );
    }

    #[test]
    fn an_answers_outcome_stands_in_its_response() {
        let mut bundle = BundleWriter::new("batch-response", "i", 0, None, &[]);
        bundle.answer("b", &Answer::empty(StatusCode::NO_CONTENT));
        let refused = Answer {
            status: StatusCode::NOT_FOUND,
            ..Answer::text("{\"resourceType\":\"OperationOutcome\"}".into())
        };
        bundle.answer("b", &refused);
        check(
            bundle,
            "\"type\":\"batch-response\",\"entry\":[{\"response\":{\"status\":\"204 No Content\"}},\
             {\"response\":{\"status\":\"404 Not Found\",\"outcome\":{\"resourceType\":\"OperationOutcome\"}}}]}",
        );
    }
}
