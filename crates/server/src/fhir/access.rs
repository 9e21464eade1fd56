//! Who may do what: the seam between the API and whatever knows its clients.

use std::collections::HashSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use pipehat_resource::outcome::IssueCode;
use pipehat_resource::search::Filter;
use subtle::ConstantTimeEq;

use super::problem::Problem;

/// What an asynchronous decision gives back.
pub type Decision<'a> = Pin<Box<dyn Future<Output = Result<Principal, AccessRefusal>> + Send + 'a>>;

/// Decides who asks, from what a request says of itself.
pub trait Access: Send + Sync {
    /// The client behind a request. It is asked before anything of the body is read.
    fn principal<'a>(&'a self, request: AccessRequest<'a>) -> Decision<'a>;

    /// The client that a refused request claims to be from, for the audit: one that is known, never what somebody wrote in
    /// the place of an id, which may be a secret.
    fn claimed(&self, _headers: &HeaderMap) -> Option<Arc<str>> {
        None
    }
}

/// Knows which clients may do nothing any more.
pub trait Clients: Send + Sync {
    /// The ids of clients that were revoked; another `Arc` whenever something was done to a client.
    fn revoked(&self) -> Arc<HashSet<String>>;
}

/// What a decision may go by.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Where the request comes from.
    pub peer: Option<SocketAddr>,
}

/// A client and what it may do.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The client's name, for the audit.
    pub client: Arc<str>,
    /// What it may do.
    pub scopes: Scopes,
}

/// What a client may do.
#[derive(Debug, Clone)]
pub enum Scopes {
    /// Everything.
    All,
    /// What one of these allows.
    Some(Arc<[Scope]>),
}

/// One permission: SMART's `system/Patient.rs?organization=…`.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The type; `None` for every one.
    pub resource_type: Option<String>,
    /// What may be done with it.
    pub may: Vec<Permission>,
    /// Only with resources that meet this.
    pub filter: Option<Filter>,
}

/// The interactions that SMART App Launch 2 tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// `c`
    Create,
    /// `r`: read, vread, the history of a resource.
    Read,
    /// `u`: update and patch.
    Update,
    /// `d`
    Delete,
    /// `s`: search, the history of a type or of all.
    Search,
    /// `x`, our own: run a Bot.
    Execute,
}

/// Why nobody is behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessRefusal {
    /// No credentials (401).
    Unauthorized {
        /// The value of `WWW-Authenticate`.
        challenge: &'static str,
    },
    /// Wrong credentials (401).
    Invalid {
        /// The value of `WWW-Authenticate`.
        challenge: &'static str,
    },
    /// Too many requests (429).
    TooMany {
        /// After how many seconds to try again.
        retry_after: u32,
    },
    /// Nobody is let in now: the audit can't be written (503).
    Unavailable,
}

impl From<AccessRefusal> for Problem {
    fn from(refusal: AccessRefusal) -> Self {
        match refusal {
            AccessRefusal::Unauthorized { challenge } => Self::new(
                StatusCode::UNAUTHORIZED,
                IssueCode::Login,
                "this needs credentials: a token (`Authorization: Bearer …`, from /oauth2/token) or a client's id and secret (`Authorization: Basic …`)",
            )
            .with_header(http::header::WWW_AUTHENTICATE, challenge),
            // Which of them is wrong is for whoever has them to find.
            AccessRefusal::Invalid { challenge } => Self::new(
                StatusCode::UNAUTHORIZED,
                IssueCode::Login,
                "these credentials open nothing: the token, or the client's id or secret, is wrong, expired, revoked or was replaced; a new token is at /oauth2/token",
            )
            .with_header(http::header::WWW_AUTHENTICATE, challenge),
            AccessRefusal::Unavailable => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                IssueCode::NoStore,
                "the audit can't be written; without it nothing is shown or changed",
            )
            .with_header(http::header::RETRY_AFTER, "5"),
            AccessRefusal::TooMany { retry_after } => {
                let seconds = if retry_after > 10 { "60" } else { "5" };
                Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    IssueCode::Throttled,
                    "too many wrong credentials came from there; try again later",
                )
                .with_header(http::header::RETRY_AFTER, seconds)
            }
        }
    }
}

impl Permission {
    /// Its letter in a scope.
    pub(crate) fn letter(self) -> char {
        self.words().1
    }

    /// What it allows, and its letter in a scope.
    fn words(self) -> (&'static str, char) {
        match self {
            Self::Create => ("create", 'c'),
            Self::Read => ("read", 'r'),
            Self::Update => ("update", 'u'),
            Self::Delete => ("delete", 'd'),
            Self::Search => ("search", 's'),
            Self::Execute => ("run", 'x'),
        }
    }
}

/// 403: no scope of the client allows this.
pub(crate) fn forbidden(text: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, IssueCode::Forbidden, text)
}

/// 403: which scope is missing.
pub(crate) fn lacks(resource_type: &str, permission: Permission) -> Problem {
    forbidden(lacking_words(resource_type, permission))
}

/// Which scope is missing.
pub(crate) fn lacking_words(resource_type: &str, permission: Permission) -> String {
    let (word, letter) = permission.words();
    format!(
        "this client has no scope to {word} {resource_type}: it needs one such as `system/{resource_type}.{letter}`"
    )
}

/// 403: there is a scope, and its filter is not met. Whether by what stands there is not told.
pub(crate) fn outside(resource_type: &str) -> Problem {
    forbidden(format!(
        "what stands there, or is to be stored, is outside the filter of this client's scopes for {resource_type}"
    ))
}

/// What a client may see of a type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Allowed {
    /// Nothing.
    Nothing,
    /// All of it.
    All,
    /// What meets this.
    Where(Filter),
}

impl Principal {
    /// What may be done with a type.
    pub(crate) fn allowed(&self, resource_type: &str, permission: Permission) -> Allowed {
        let scopes = match &self.scopes {
            Scopes::All => return Allowed::All,
            Scopes::Some(scopes) => scopes,
        };
        let mut filters = Vec::new();
        for scope in scopes.iter() {
            let fits = scope.resource_type.as_deref().is_none_or(|own| own == resource_type);
            if !fits || !scope.may.contains(&permission) {
                continue;
            }
            match &scope.filter {
                None => return Allowed::All,
                Some(filter) => filters.push(filter.clone()),
            }
        }
        match filters.len() {
            0 => Allowed::Nothing,
            1 => filters.pop().map_or(Allowed::Nothing, Allowed::Where),
            _ => Allowed::Where(Filter::Any(filters)),
        }
    }

    /// What may be seen of a type, by reads or by searches.
    pub(crate) fn seen(&self, resource_type: &str) -> Allowed {
        let read = self.allowed(resource_type, Permission::Read);
        match (read, self.allowed(resource_type, Permission::Search)) {
            (Allowed::All, _) | (_, Allowed::All) => Allowed::All,
            (Allowed::Nothing, one) | (one, Allowed::Nothing) => one,
            (Allowed::Where(read), Allowed::Where(search)) if read == search => {
                Allowed::Where(read)
            }
            (Allowed::Where(read), Allowed::Where(search)) => {
                Allowed::Where(Filter::Any(vec![read, search]))
            }
        }
    }

    /// The client, where it is one that may be revoked: who has the installation's own token is not.
    pub(crate) fn revocable(&self) -> Option<&str> {
        match self.scopes {
            Scopes::All => None,
            Scopes::Some(_) => Some(&self.client),
        }
    }

    /// Whether every type may be searched without a filter.
    pub(crate) fn sees_all(&self) -> bool {
        match &self.scopes {
            Scopes::All => true,
            Scopes::Some(scopes) => scopes.iter().any(|scope| {
                scope.resource_type.is_none()
                    && scope.filter.is_none()
                    && scope.may.contains(&Permission::Search)
            }),
        }
    }

    /// Whether every resource may be read without a filter.
    pub(crate) fn reads_all(&self) -> bool {
        match &self.scopes {
            Scopes::All => true,
            Scopes::Some(scopes) => scopes.iter().any(|scope| {
                scope.resource_type.is_none()
                    && scope.filter.is_none()
                    && scope.may.contains(&Permission::Read)
            }),
        }
    }

    /// Refuses what no scope allows.
    pub(crate) fn require(
        &self,
        resource_type: &str,
        permission: Permission,
    ) -> Result<Option<Filter>, Problem> {
        match self.allowed(resource_type, permission) {
            Allowed::All => Ok(None),
            Allowed::Where(filter) => Ok(Some(filter)),
            Allowed::Nothing => Err(lacks(resource_type, permission)),
        }
    }
}

/// One token that opens everything: what stands beside the data, as for the admin API.
pub struct TokenAccess {
    token: String,
}

impl TokenAccess {
    /// Access for who has this token.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into() }
    }
}

impl Access for TokenAccess {
    fn principal<'a>(&'a self, request: AccessRequest<'a>) -> Decision<'a> {
        let given = request
            .headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .unwrap_or_default();
        let opens = bool::from(given.as_bytes().ct_eq(self.token.as_bytes()));
        let decided = if opens {
            Ok(Principal { client: "token".into(), scopes: Scopes::All })
        } else if given.is_empty() {
            Err(AccessRefusal::Unauthorized { challenge: "Bearer realm=\"pipehat\"" })
        } else {
            Err(AccessRefusal::Invalid { challenge: "Bearer realm=\"pipehat\"" })
        };
        Box::pin(std::future::ready(decided))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(resource_type: Option<&str>, may: &[Permission], filter: Option<&str>) -> Scope {
        Scope {
            resource_type: resource_type.map(str::to_owned),
            may: may.to_vec(),
            filter: filter.map(|id| Filter::Id(vec![id.to_owned()])),
        }
    }

    #[test]
    fn scopes_add_up() {
        use Permission::{Delete, Read, Search};
        let id = |id: &str| Filter::Id(vec![id.to_owned()]);
        let scopes = [
            scope(Some("Patient"), &[Read, Search], Some("a")),
            scope(Some("Patient"), &[Read], Some("b")),
            scope(None, &[Search], None),
        ];
        let principal = Principal { client: "x".into(), scopes: Scopes::Some(scopes.into()) };
        let check = |resource_type, permission, expected| {
            assert_eq!(principal.allowed(resource_type, permission), expected);
        };
        check("Patient", Read, Allowed::Where(Filter::Any(vec![id("a"), id("b")])));
        check("Patient", Search, Allowed::All);
        check("Patient", Delete, Allowed::Nothing);
        check("Observation", Read, Allowed::Nothing);
        assert!(principal.sees_all());
    }
}
