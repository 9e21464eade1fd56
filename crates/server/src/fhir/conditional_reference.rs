//! Conditional references (`Patient?identifier=…`): what can't be asked is refused, and what clients that see a part only
//! mean by one is found.
//!
//! The datastore decides what a condition means inside its transaction, and knows no scopes. So for a client that does not
//! see everything, what it may search for is looked up here, before: it finds what the client sees, and a condition that
//! only others' resources meet finds none, as one that nothing meets does. What finds none is left to the datastore only
//! where the client sees the whole type: then it may mean another entry of the transaction.

use http::StatusCode;
use pipehat_resource::json::{Object, Value};
use pipehat_resource::outcome::IssueCode;
use pipehat_resource::search::Search;
use pipehat_store::datastore::{Refusal, SearchRequest};

use super::access::{Allowed, Permission};
use super::problem::Problem;
use super::query_string::Query;
use super::request::Request;
use super::service::FhirService;

impl FhirService {
    /// Puts in the place of conditional references what they mean to the client.
    pub(super) async fn bind_references(
        &self,
        request: &Request,
        resource: &mut Value,
    ) -> Result<(), Problem> {
        let sees_all = request.setting.principal.sees_all();
        let mut conditions = Vec::new();
        each_reference(resource, &mut |text| {
            if condition(text).is_some() && !conditions.contains(text) {
                conditions.push(text.clone());
            }
        });
        for condition in conditions {
            // One that can't be answered, or not yet, must not find none.
            let search = self.asked(request, &condition)?;
            if sees_all {
                continue;
            }
            if let Some(meant) = self.meant(request, &condition, search).await? {
                each_reference(resource, &mut |text| {
                    if *text == condition {
                        text.clone_from(&meant);
                    }
                });
            }
        }
        Ok(())
    }

    /// What a condition asks, of what the client may search.
    fn asked(&self, request: &Request, text: &str) -> Result<Search, Problem> {
        let (resource_type, query) = condition(text).unwrap_or((text, ""));
        if !self.parameters.registry().is_resource_type(resource_type) {
            return Err(Problem::bad_request(
                IssueCode::Value,
                "a conditional reference begins with a resource type, and R4 has none of this name",
            ));
        }
        let scope = request.setting.principal.require(resource_type, Permission::Search)?;
        let query = Query::parse(query)
            .map_err(|error| Problem::bad_request(IssueCode::Value, error.to_string()))?;
        let place = format!("the conditional reference to {resource_type}");
        self.criteria(request, resource_type, &query, &place, scope)
    }

    /// What a condition means to a client; `None` where the datastore is to decide.
    async fn meant(
        &self,
        request: &Request,
        text: &str,
        search: Search,
    ) -> Result<Option<String>, Problem> {
        let Some((resource_type, query)) = condition(text) else { return Ok(None) };
        let principal = &request.setting.principal;
        let is_whole = principal.allowed(resource_type, Permission::Search) == Allowed::All;
        let names: Vec<&str> =
            query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect();
        let reference = format!("{resource_type}?{}", names.join("&"));
        let is_whole = is_whole && !search.looks_at_others();
        let asked = SearchRequest { search, visible: Vec::new(), limit: 2, after: None };
        let matches = self.datastore.search(&asked).await?.matches;
        match matches.as_slice() {
            [one] => {
                let key = &one.version.key;
                Ok(Some(format!("{}/{}", key.resource_type, key.id)))
            }
            [] if is_whole => Ok(None),
            several => {
                let matches = several.len();
                Err(Refusal::Reference { reference, matches }.into())
            }
        }
    }
}

/// A patch is applied by the datastore: a client that does not see everything writes its references out there.
pub(super) fn refuse_in_patch(request: &Request, patch: &Value) -> Result<(), Problem> {
    if request.setting.principal.sees_all() || !names_condition(patch) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        IssueCode::NotSupported,
        "a client that sees a part only can't patch in a conditional reference; write the reference out",
    ))
}

fn names_condition(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(names_condition),
        Value::Object(object) => object.iter().any(|(name, value)| match value.as_str() {
            Some(text) => matches!(name, "reference" | "value") && condition(text).is_some(),
            None => names_condition(value),
        }),
        _ => false,
    }
}

/// Type and query of a conditional reference; the query may be empty, which is refused.
fn condition(reference: &str) -> Option<(&str, &str)> {
    let (resource_type, query) = reference.split_once('?')?;
    let is_type = resource_type.starts_with(|first: char| first.is_ascii_uppercase())
        && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_type.then_some((resource_type, query))
}

fn each_reference(value: &mut Value, work: &mut impl FnMut(&mut String)) {
    match value {
        Value::Array(items) => {
            for item in items {
                each_reference(item, work);
            }
        }
        Value::Object(object) => each_in_object(object, work),
        _ => {}
    }
}

fn each_in_object(object: &mut Object, work: &mut impl FnMut(&mut String)) {
    for (name, value) in object.iter_mut() {
        match value {
            Value::String(text) if name == "reference" => work(text),
            value => each_reference(value, work),
        }
    }
}
