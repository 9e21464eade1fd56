//! Operations: which there are, and their parameters (FHIR R4 §3.2.0).

use http::StatusCode;
use pipehat_resource::json::Value;
use pipehat_resource::outcome::IssueCode;

use super::access::Permission;
use super::address::OperationScope;
use super::answer::Answer;
use super::problem::Problem;
use super::query_string::Query;
use super::request::Request;
use super::service::FhirService;

impl FhirService {
    /// Calls an operation.
    pub(super) async fn operation(
        &self,
        request: &Request,
        name: &str,
        on: &OperationScope,
        by_post: bool,
    ) -> Result<Answer, Problem> {
        if !is_known(name, on) {
            return Err(not_supported(name));
        }
        match (name, on) {
            ("validate", OperationScope::Type(name)) => self.validate(request, name, None).await,
            ("validate", OperationScope::Resource(key)) => {
                self.validate(request, &key.resource_type, Some(key)).await
            }
            ("meta", OperationScope::Resource(key)) => self.meta(request, key, None).await,
            ("meta", OperationScope::Version(key, version)) => {
                self.meta(request, key, Some(version)).await
            }
            ("meta", OperationScope::Type(name)) => self.meta_in_use(request, Some(name)).await,
            ("meta", OperationScope::System) => self.meta_in_use(request, None).await,
            ("meta-add" | "meta-delete", OperationScope::Resource(key)) => {
                must_be_post(by_post)?;
                self.change_meta(request, key, name).await
            }
            ("everything", OperationScope::Resource(key)) => {
                let query = simple_parameters(request)?;
                self.everything(request, key, &query).await
            }
            ("reindex", OperationScope::System) => {
                request.setting.principal.require("SearchParameter", Permission::Update)?;
                if by_post {
                    self.parameters.begin_reindex();
                }
                Ok(Answer::made(&self.parameters.progress()))
            }
            _ => Err(not_supported(name)),
        }
    }
}

/// Whether there is an operation of this name there.
pub(super) fn is_known(name: &str, on: &OperationScope) -> bool {
    match on {
        OperationScope::System => matches!(name, "meta" | "reindex"),
        OperationScope::Type(_) => matches!(name, "validate" | "meta"),
        OperationScope::Version(..) => name == "meta",
        OperationScope::Resource(key) => match name {
            "validate" | "meta" | "meta-add" | "meta-delete" => true,
            "everything" => matches!(key.resource_type.as_str(), "Patient" | "Encounter"),
            _ => false,
        },
    }
}

/// Whether an operation changes something when it is called by POST.
pub(super) fn changes(name: &str) -> bool {
    matches!(name, "meta-add" | "meta-delete" | "reindex")
}

/// The refusal of an operation that is not there.
pub(super) fn not_supported(name: &str) -> Problem {
    let plain =
        name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let text = if plain {
        format!("this server has no operation ${name} here; GET metadata lists those it has")
    } else {
        "this server has no such operation; GET metadata lists those it has".to_owned()
    };
    Problem::new(StatusCode::NOT_FOUND, IssueCode::NotSupported, text)
}

fn must_be_post(by_post: bool) -> Result<(), Problem> {
    if by_post {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        IssueCode::NotSupported,
        "this operation changes something: call it by POST",
    )
    .with_header(http::header::ALLOW, "POST"))
}

/// The parameters of an operation that are simple values: those of the address, and those of a Parameters resource.
pub(super) fn simple_parameters(request: &Request) -> Result<Query, Problem> {
    let mut query = request.query.clone();
    if request.content.is_empty() {
        return Ok(query);
    }
    for parameter in parameters_of(request)?.items("parameter") {
        let (Some(name), Some(value)) = (parameter.text("name"), value_of(parameter)) else {
            continue;
        };
        match value {
            Value::String(text) => query.push(name, text.as_str()),
            Value::Number(number) => query.push(name, number.as_str()),
            Value::Bool(yes) => query.push(name, if *yes { "true" } else { "false" }),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    Ok(query)
}

/// The body as a Parameters resource.
pub(super) fn parameters_of(request: &Request) -> Result<Value, Problem> {
    let resource = request.content.resource()?;
    if resource.resource_type() == Some("Parameters") {
        return Ok(resource);
    }
    Err(Problem::bad_request(IssueCode::Value, "expected a Parameters resource")
        .at_location("body"))
}

/// The value of a parameter, whatever its type.
pub(super) fn value_of(parameter: &Value) -> Option<&Value> {
    let members = parameter.as_object()?.iter();
    members.into_iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
}
