//! Pages: how many, and where the next one is.

use pipehat_resource::outcome::IssueCode;

use super::bundle::Link;
use super::problem::Problem;
use super::query_string::Query;
use super::request::Request;

/// Entries of a page when nothing is asked for.
pub(crate) const PAGE_DEFAULT: usize = 20;

/// Entries of the largest page. A client that asks for more gets this many: `_count` is an upper limit (FHIR R4
/// §3.1.1.5.5).
pub(crate) const PAGE_MAX: usize = 1000;

/// `_count`.
pub(crate) fn count(query: &Query) -> Result<Option<usize>, Problem> {
    let Some(text) = query.first("_count").filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(text.parse().unwrap_or(PAGE_MAX)));
    }
    Err(Problem::bad_request(IssueCode::Value, "_count is a whole number").at_location("_count"))
}

/// An absolute address of a page: the parameters as they were asked, with the place where it begins.
pub(crate) fn page_link(
    request: &Request,
    path: &str,
    relation: &'static str,
    query: &Query,
    cursor: &str,
    at: Option<&str>,
) -> Link {
    let mut query = query.clone();
    query.retain(|name, _| name != cursor);
    if let Some(at) = at {
        query.push(cursor, at);
    }
    let mut url = request.setting.base.clone();
    if !path.is_empty() {
        url.push('/');
        url.push_str(path);
    }
    let encoded = query.encoded();
    if !encoded.is_empty() {
        url.push('?');
        url.push_str(&encoded);
    }
    Link { relation, url }
}
