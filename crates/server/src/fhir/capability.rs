//! `GET metadata`: what this server can do, made from the definitions and the search parameters in force.

use std::sync::{Arc, PoisonError};

use http::StatusCode;
use pipehat_resource::json::{Object, Value};
use pipehat_resource::outcome::IssueCode;
use pipehat_resource::search::{Parameter, ParameterKind, Registry};

use crate::access::root_of;

use super::answer::Answer;
use super::conditions::instant;
use super::problem::Problem;
use super::request::Request;
use super::service::{BASE_PATH, FhirService};
use super::subscriptions::WEBSOCKET_PATH;

/// The interactions that every type has.
const TYPE_INTERACTIONS: [&str; 9] = [
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
];

/// Interactions of types that nobody changes through the API.
const UNCHANGED_INTERACTIONS: [&str; 5] =
    ["read", "vread", "history-instance", "history-type", "search-type"];

/// The base of the definitions of R4's operations.
const OPERATIONS: &str = "http://hl7.org/fhir/OperationDefinition/";

/// Says where the websocket of Subscriptions is.
const WEBSOCKET_EXTENSION: &str =
    "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket";

/// A CapabilityStatement and what it was made for.
pub(super) struct Statement {
    base: String,
    registry: Arc<Registry>,
    json: Arc<str>,
}

/// What the statement says beyond the definitions.
#[derive(Debug, Clone, Copy)]
struct About<'a> {
    /// The public address of the API.
    base: &'a str,
    /// When the server started, in microseconds since 1970 (UTC).
    started: i64,
    /// Whether scripts of other origins may call (CORS).
    cors: bool,
    /// The websocket of Subscriptions, where there is one.
    websocket: Option<&'a str>,
}

impl FhirService {
    /// `GET metadata`, made again where the base or the parameters changed.
    pub(super) fn capabilities(&self, request: &Request) -> Result<Answer, Problem> {
        match request.query.first("mode") {
            None | Some("full" | "normative" | "") => {}
            Some("terminology") => {
                return Err(Problem::new(
                    StatusCode::NOT_FOUND,
                    IssueCode::NotSupported,
                    "this server is no terminology service",
                )
                .at_location("mode"));
            }
            Some(_) => {
                return Err(Problem::bad_request(
                    IssueCode::Value,
                    "mode is full, normative or terminology",
                )
                .at_location("mode"));
            }
        }
        let registry = self.parameters.registry();
        let base = &request.setting.base;
        let mut cached = self.statement.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = &*cached
            && statement.base == *base
            && Arc::ptr_eq(&statement.registry, &registry)
        {
            return Ok(Answer::shared(Arc::clone(&statement.json)));
        }
        let cors = !self.options.origins.is_empty();
        let websocket = self.subscriptions.as_ref().and_then(|_| {
            let server = base.strip_suffix(BASE_PATH)?.strip_prefix("http")?;
            Some(format!("ws{server}{WEBSOCKET_PATH}"))
        });
        let about = About { base, started: self.started, cors, websocket: websocket.as_deref() };
        let json: Arc<str> = statement(&registry, about).to_json().into();
        *cached = Some(Statement { base: base.clone(), registry, json: Arc::clone(&json) });
        Ok(Answer::shared(json))
    }
}

/// The CapabilityStatement.
fn statement(registry: &Registry, about: About<'_>) -> Value {
    let date = instant(about.started);
    let software =
        object([("name", "Pipehat".into()), ("version", env!("CARGO_PKG_VERSION").into())]);
    let implementation =
        object([("description", "FHIR R4 datastore".into()), ("url", about.base.into())]);
    object([
        ("resourceType", "CapabilityStatement".into()),
        ("status", "active".into()),
        ("date", date.into()),
        ("publisher", "Pipehat".into()),
        ("kind", "instance".into()),
        ("software", software),
        ("implementation", implementation),
        ("fhirVersion", "4.0.1".into()),
        ("format", list(["application/fhir+json", "json"])),
        (
            "patchFormat",
            list([
                "application/json-patch+json",
                "application/fhir+json",
                "application/merge-patch+json",
            ]),
        ),
        ("rest", Value::Array(vec![rest(registry, about)])),
    ])
}

fn rest(registry: &Registry, about: About<'_>) -> Value {
    // Bot is our own: R4 requires one of its types here.
    let types = registry.resource_types().filter(|name| !matches!(*name, "Parameters" | "Bot"));
    let resources: Vec<Value> = types.map(|name| resource(registry, name)).collect();
    let interactions = ["transaction", "batch", "search-system", "history-system"];
    let mut rest: Object = [
        ("mode", "server".into()),
        ("security", security(about.base, about.cors)),
        ("resource", resources.into()),
        ("interaction", codes(&interactions)),
        ("searchParam", Value::Array(common_parameters())),
        (
            "operation",
            Value::Array(vec![
                operation("meta", format!("{OPERATIONS}Resource-meta")),
                operation("reindex", "urn:pipehat:operation:reindex".to_owned()),
            ]),
        ),
    ]
    .into_iter()
    .collect();
    if let Some(websocket) = about.websocket {
        let extension =
            object([("url", WEBSOCKET_EXTENSION.into()), ("valueUri", websocket.into())]);
        rest.insert(0, "extension", Value::Array(vec![extension]));
    }
    rest.into()
}

/// Where tokens come from, also as SMART wrote it before it had a discovery document of its own.
fn security(base: &str, cors: bool) -> Value {
    let service = object([
        ("system", "http://terminology.hl7.org/CodeSystem/restful-security-service".into()),
        ("code", "SMART-on-FHIR".into()),
    ]);
    let token = object([
        ("url", "token".into()),
        ("valueUri", format!("{}/oauth2/token", root_of(base)).into()),
    ]);
    let addresses = object([
        ("url", "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris".into()),
        ("extension", Value::Array(vec![token])),
    ]);
    object([
        ("extension", Value::Array(vec![addresses])),
        ("cors", cors.into()),
        ("service", Value::Array(vec![object([("coding", Value::Array(vec![service]))])])),
        (
            "description",
            "Every call but this one needs a token from /oauth2/token (client_credentials), or a \
             client's id and secret (HTTP Basic)."
                .into(),
        ),
    ])
}

fn resource(registry: &Registry, name: &str) -> Value {
    let interactions: &[&str] =
        if name == "AuditEvent" { &UNCHANGED_INTERACTIONS } else { &TYPE_INTERACTIONS };
    let changes = name != "AuditEvent";
    // `_query` names a named query, and there are none; positions (`near`) are not compared.
    let parameters: Vec<&Parameter> = registry
        .parameters(name)
        .filter(|parameter| {
            parameter.code() != "_query"
                && (parameter.kind() != ParameterKind::Special || parameter.code().starts_with('_'))
        })
        .collect();
    let mut includes = Vec::new();
    for parameter in &parameters {
        // The audit's records are made when they are read, and bring nothing along.
        if changes && parameter.kind().code() == "reference" {
            includes.push(format!("{name}:{}", parameter.code()));
        }
    }
    let mut resource = Object::new();
    resource.set("type", name.into());
    resource.set("profile", format!("http://hl7.org/fhir/StructureDefinition/{name}").into());
    resource.set("interaction", codes(interactions));
    resource.set("versioning", if changes { "versioned-update" } else { "versioned" }.into());
    resource.set("readHistory", true.into());
    resource.set("updateCreate", changes.into());
    resource.set("conditionalCreate", changes.into());
    resource.set("conditionalRead", "full-support".into());
    resource.set("conditionalUpdate", changes.into());
    resource.set("conditionalDelete", if changes { "single" } else { "not-supported" }.into());
    resource.set("referencePolicy", list(["literal", "logical", "local"]));
    if !includes.is_empty() {
        resource
            .set("searchInclude", includes.into_iter().map(Value::from).collect::<Vec<_>>().into());
    }
    let rev_includes = rev_includes(registry, name);
    if !rev_includes.is_empty() {
        resource.set("searchRevInclude", rev_includes.into());
    }
    let search: Vec<Value> =
        parameters.iter().map(|parameter| search_parameter(parameter)).collect();
    if !search.is_empty() {
        resource.set("searchParam", search.into());
    }
    resource.set("operation", Value::Array(operations(name)));
    resource.into()
}

/// What every type can be searched by beside its own parameters; of these, R4 has no definitions but of the first.
fn common_parameters() -> Vec<Value> {
    let filter = object([
        ("name", "_filter".into()),
        ("definition", "http://hl7.org/fhir/SearchParameter/filter".into()),
        ("type", "special".into()),
    ]);
    let others = [("_has", "special"), ("_list", "special"), ("_type", "token")];
    let others = others.map(|(name, kind)| object([("name", name.into()), ("type", kind.into())]));
    [filter].into_iter().chain(others).collect()
}

fn search_parameter(parameter: &Parameter) -> Value {
    object([
        ("name", parameter.code().into()),
        ("definition", parameter.url().into()),
        ("type", parameter.kind().code().into()),
    ])
}

fn rev_includes(registry: &Registry, target: &str) -> Vec<Value> {
    let mut found = Vec::new();
    if target == "AuditEvent" {
        // Its searches bring nothing along.
        return found;
    }
    for name in registry.resource_types().filter(|name| *name != "AuditEvent") {
        for parameter in registry.parameters(name) {
            if parameter.kind().code() == "reference" && parameter.targets().allows(target) {
                found.push(format!("{name}:{}", parameter.code()).into());
            }
        }
    }
    found
}

fn operations(name: &str) -> Vec<Value> {
    let mut operations = vec![
        operation("validate", format!("{OPERATIONS}Resource-validate")),
        operation("meta", format!("{OPERATIONS}Resource-meta")),
    ];
    if name != "AuditEvent" {
        operations.push(operation("meta-add", format!("{OPERATIONS}Resource-meta-add")));
        operations.push(operation("meta-delete", format!("{OPERATIONS}Resource-meta-delete")));
    }
    if matches!(name, "Patient" | "Encounter") {
        operations.push(operation("everything", format!("{OPERATIONS}{name}-everything")));
    }
    operations
}

fn operation(name: &str, definition: String) -> Value {
    object([("name", name.into()), ("definition", definition.into())])
}

fn codes(codes: &[&str]) -> Value {
    codes.iter().map(|code| object([("code", (*code).into())])).collect::<Vec<_>>().into()
}

fn list<const N: usize>(texts: [&str; N]) -> Value {
    texts.into_iter().map(Value::from).collect::<Vec<_>>().into()
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    members.into_iter().collect::<Object>().into()
}
