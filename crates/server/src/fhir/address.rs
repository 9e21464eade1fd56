//! Which interaction a method and an address ask for (FHIR R4 §3.1.0.1).

use http::{Method, StatusCode};
use pipehat_resource::outcome::IssueCode;
use pipehat_store::datastore::{HistoryScope, ResourceKey};

use super::problem::Problem;
use super::query_string::decoded;

/// The longest address of a resource within the API: two types, an id, a version and words between.
const SEGMENTS_MAX: usize = 6;

/// The longest logical id (FHIR R4 §2.24.0.1, `id`).
const ID_CHARACTERS_MAX: usize = 64;

/// What is asked for, without its content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    /// `GET metadata`.
    Capabilities,
    /// `GET Type/id`.
    Read(ResourceKey),
    /// `GET Type/id/_history/version`.
    VersionRead(ResourceKey, String),
    /// `POST Type`.
    Create(String),
    /// `PUT Type/id`.
    Update(ResourceKey),
    /// `PUT Type?…`.
    ConditionalUpdate(String),
    /// `PATCH Type/id`.
    Patch(ResourceKey),
    /// `PATCH Type?…`.
    ConditionalPatch(String),
    /// `DELETE Type/id`.
    Delete(ResourceKey),
    /// `DELETE Type?…`.
    ConditionalDelete(String),
    /// `GET …/_history`.
    History(HistoryScope),
    /// `GET …?…` and `POST …/_search`.
    Search(SearchScope),
    /// `POST` of a batch or a transaction.
    Bundle,
    /// `…/$name`.
    Operation {
        /// Without the `$`.
        name: String,
        /// On what.
        on: OperationScope,
        /// Whether it came by POST: only then it may change something.
        by_post: bool,
    },
}

/// What is searched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SearchScope {
    /// All types, or those of `_type`.
    All,
    /// One type.
    Type(String),
    /// What belongs to a resource (FHIR R4 §3.1.1.1.1): of one type, or of all.
    Compartment(ResourceKey, Option<String>),
}

/// What an operation is called on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OperationScope {
    /// The server.
    System,
    /// A type.
    Type(String),
    /// A resource.
    Resource(ResourceKey),
    /// A version of a resource.
    Version(ResourceKey, String),
}

/// Reads a method and a path below the base, with or without its first slash. `knows` says whether a resource
/// type of that name exists.
///
/// # Errors
/// 404 for an address that nothing stands at, 405 with `Allow` for a method that makes no sense there.
pub(crate) fn call(
    method: &Method,
    path: &str,
    knows: impl Fn(&str) -> bool,
) -> Result<Call, Problem> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = path.split('/').filter(|_| !path.is_empty()).collect();
    if segments.len() > SEGMENTS_MAX {
        return Err(nothing_here());
    }
    let mut texts = Vec::with_capacity(segments.len());
    for segment in segments {
        texts.push(decoded(segment).ok_or_else(nothing_here)?);
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let verb = Verb::of(method);
    match *texts.as_slice() {
        [] => match verb {
            Verb::Get => Ok(Call::Search(SearchScope::All)),
            Verb::Post => Ok(Call::Bundle),
            _ => Err(not_allowed("GET, HEAD, POST")),
        },
        ["metadata"] => verb.get().map(|()| Call::Capabilities),
        ["_history"] => verb.get().map(|()| Call::History(HistoryScope::All)),
        ["_search"] => verb.post().map(|()| Call::Search(SearchScope::All)),
        [operation] if operation.starts_with('$') => {
            verb.operation(operation, OperationScope::System)
        }
        [resource_type, ref rest @ ..] => {
            if !knows(resource_type) {
                return Err(unknown_type(resource_type));
            }
            match *rest {
                [] => of_type(verb, resource_type.to_owned()),
                [first, ref rest @ ..] => below_type(verb, resource_type, first, rest, knows),
            }
        }
    }
}

fn of_type(verb: Verb, resource_type: String) -> Result<Call, Problem> {
    match verb {
        Verb::Get => Ok(Call::Search(SearchScope::Type(resource_type))),
        Verb::Post => Ok(Call::Create(resource_type)),
        Verb::Put => Ok(Call::ConditionalUpdate(resource_type)),
        Verb::Patch => Ok(Call::ConditionalPatch(resource_type)),
        Verb::Delete => Ok(Call::ConditionalDelete(resource_type)),
        Verb::Other => Err(not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE")),
    }
}

fn below_type(
    verb: Verb,
    resource_type: &str,
    first: &str,
    rest: &[&str],
    knows: impl Fn(&str) -> bool,
) -> Result<Call, Problem> {
    let owned = resource_type.to_owned();
    match (first, rest) {
        ("_search", []) => return verb.post().map(|()| Call::Search(SearchScope::Type(owned))),
        ("_history", []) => {
            return verb.get().map(|()| Call::History(HistoryScope::Type(owned)));
        }
        (operation, []) if operation.starts_with('$') => {
            return verb.operation(operation, OperationScope::Type(owned));
        }
        _ => {}
    }
    if !is_id(first) {
        return Err(match verb {
            Verb::Put => Problem::new(
                StatusCode::BAD_REQUEST,
                IssueCode::Value,
                "this is no id: an id has 1 to 64 of the characters A-Z a-z 0-9 - .",
            ),
            _ => nothing_here(),
        });
    }
    let key = ResourceKey { resource_type: owned, id: first.to_owned() };
    match *rest {
        [] => match verb {
            Verb::Get => Ok(Call::Read(key)),
            Verb::Put => Ok(Call::Update(key)),
            Verb::Patch => Ok(Call::Patch(key)),
            Verb::Delete => Ok(Call::Delete(key)),
            Verb::Post | Verb::Other => Err(not_allowed("GET, HEAD, PUT, PATCH, DELETE")),
        },
        ["_history"] => verb.get().map(|()| Call::History(HistoryScope::Resource(key))),
        ["_history", version] => verb.get().map(|()| Call::VersionRead(key, version.to_owned())),
        ["_history", version, operation] if operation.starts_with('$') => {
            verb.operation(operation, OperationScope::Version(key, version.to_owned()))
        }
        [operation] if operation.starts_with('$') => {
            verb.operation(operation, OperationScope::Resource(key))
        }
        ["*"] => verb.get().map(|()| Call::Search(SearchScope::Compartment(key, None))),
        ["_search"] => verb.post().map(|()| Call::Search(SearchScope::Compartment(key, None))),
        [member] if knows(member) => verb
            .get()
            .map(|()| Call::Search(SearchScope::Compartment(key, Some(member.to_owned())))),
        [member, "_search"] if knows(member) => verb
            .post()
            .map(|()| Call::Search(SearchScope::Compartment(key, Some(member.to_owned())))),
        _ => Err(nothing_here()),
    }
}

/// Whether this can be a logical id.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=ID_CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// A version as it stands in an address.
pub(crate) fn version_number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && !text.starts_with('0');
    (plain && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// GET and HEAD.
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Other,
}

impl Verb {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Get,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }

    fn get(self) -> Result<(), Problem> {
        if self == Self::Get { Ok(()) } else { Err(not_allowed("GET, HEAD")) }
    }

    fn post(self) -> Result<(), Problem> {
        if self == Self::Post { Ok(()) } else { Err(not_allowed("POST")) }
    }

    fn operation(self, name: &str, on: OperationScope) -> Result<Call, Problem> {
        let name = name.strip_prefix('$').unwrap_or(name).to_owned();
        match self {
            Self::Get => Ok(Call::Operation { name, on, by_post: false }),
            Self::Post => Ok(Call::Operation { name, on, by_post: true }),
            _ => Err(not_allowed("GET, HEAD, POST")),
        }
    }
}

fn nothing_here() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, IssueCode::NotFound, "nothing stands at this address")
}

fn unknown_type(name: &str) -> Problem {
    let plain =
        name.len() <= ID_CHARACTERS_MAX && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let text = match name {
        name if plain => format!("R4 has no resource type `{name}`"),
        _ => "this is not the name of a resource type of R4".to_owned(),
    };
    Problem::new(StatusCode::NOT_FOUND, IssueCode::NotSupported, text)
}

fn not_allowed(allow: &'static str) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        IssueCode::NotSupported,
        format!("this address takes {allow}"),
    )
    .with_header(http::header::ALLOW, allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(name: &str) -> bool {
        ["Patient", "Observation"].contains(&name)
    }

    fn key(id: &str) -> ResourceKey {
        ResourceKey { resource_type: "Patient".into(), id: id.into() }
    }

    fn check(method: &str, path: &str, expected: Result<Call, u16>) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let found = call(&method, path, knows).map_err(|problem| problem.status().as_u16());
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn addresses_name_interactions() {
        let patient = || "Patient".to_owned();
        check("GET", "", Ok(Call::Search(SearchScope::All)));
        check("POST", "/", Ok(Call::Bundle));
        check("HEAD", "/metadata", Ok(Call::Capabilities));
        check("GET", "/_history", Ok(Call::History(HistoryScope::All)));
        check("POST", "/_search", Ok(Call::Search(SearchScope::All)));
        check("GET", "/Patient", Ok(Call::Search(SearchScope::Type(patient()))));
        check("GET", "Patient/", Ok(Call::Search(SearchScope::Type(patient()))));
        check("POST", "/Patient", Ok(Call::Create(patient())));
        check("PUT", "/Patient", Ok(Call::ConditionalUpdate(patient())));
        check("PATCH", "/Patient", Ok(Call::ConditionalPatch(patient())));
        check("DELETE", "/Patient", Ok(Call::ConditionalDelete(patient())));
        check("POST", "/Patient/_search", Ok(Call::Search(SearchScope::Type(patient()))));
        check("GET", "/Patient/_history", Ok(Call::History(HistoryScope::Type(patient()))));
        check("HEAD", "/Patient/a.B-1", Ok(Call::Read(key("a.B-1"))));
        check("GET", "/Patient/%61", Ok(Call::Read(key("a"))));
        check("PUT", "/Patient/a", Ok(Call::Update(key("a"))));
        check("PATCH", "/Patient/a", Ok(Call::Patch(key("a"))));
        check("DELETE", "/Patient/a", Ok(Call::Delete(key("a"))));
        check("GET", "/Patient/a/_history", Ok(Call::History(HistoryScope::Resource(key("a")))));
        check("GET", "/Patient/a/_history/7", Ok(Call::VersionRead(key("a"), "7".into())));
        check("GET", "/Patient/a/*", Ok(Call::Search(SearchScope::Compartment(key("a"), None))));
        let member = Some("Observation".to_owned());
        let compartment = || Call::Search(SearchScope::Compartment(key("a"), member.clone()));
        check("GET", "/Patient/a/Observation", Ok(compartment()));
        check("POST", "/Patient/a/Observation/_search", Ok(compartment()));
    }

    #[test]
    fn operations_stand_on_all_levels() {
        let operation = |on, by_post| Ok(Call::Operation { name: "meta".into(), on, by_post });
        check("GET", "/$meta", operation(OperationScope::System, false));
        check("POST", "/Patient/$meta", operation(OperationScope::Type("Patient".into()), true));
        check("GET", "/Patient/a/$meta", operation(OperationScope::Resource(key("a")), false));
        let version = OperationScope::Version(key("a"), "2".into());
        check("GET", "/Patient/a/_history/2/$meta", operation(version, false));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check("GET", "/Nothing/1", Err(404));
        check("GET", "/patient/1", Err(404));
        check("GET", "/Patient/a/b", Err(404));
        check("GET", "/Patient/a_b", Err(404));
        check("GET", "/Patient/%ff", Err(404));
        check("GET", "/Patient/a/_history/1/2/3/4", Err(404));
        check("GET", &format!("/Patient/{}", "a".repeat(65)), Err(404));
        check("PUT", "/Patient/a_b", Err(400));
        check("POST", "/Patient/a", Err(405));
        check("DELETE", "/", Err(405));
        check("DELETE", "/Patient/a/_history/1", Err(405));
        check("POST", "/metadata", Err(405));
        check("OPTIONS", "/Patient", Err(405));
        check("GET", "/_search", Err(405));
        check("PUT", "/Patient/$meta", Err(405));
    }

    #[test]
    fn versions_are_plain_numbers() {
        assert_eq!(version_number("12"), Some(12));
        for text in ["", "0", "01", "+1", "a", "99999999999999999999999"] {
            assert_eq!(version_number(text), None, "{text}");
        }
    }
}
