//! SMART's scopes: reading them, and which cover which.
//!
//! Both forms are read: `system/Patient.read` of SMART App Launch 1 and `system/Patient.rs?organization=…` of
//! SMART App Launch 2 ("Scopes for requesting FHIR Resources"). Pure; whether a type and its parameters exist is for
//! whoever turns a scope into what the API asks ([`super::granted`]).
//!
//! Refuses `patient/` and `user/`: there is no patient in context and no user behind a client of this server.

use std::fmt;

use pipehat_resource::search::query_pairs;

/// A scope of a client or of a token has at most this many bytes.
pub(super) const SCOPE_BYTES_MAX: usize = 1_000;

/// A client or a token has at most this many scopes.
pub(super) const SCOPES_MAX: usize = 100;

/// The interactions that SMART tells apart, in its order.
const LETTERS: [(char, Permissions); 6] = [
    ('c', Permissions(1)),
    ('r', Permissions(2)),
    ('u', Permissions(4)),
    ('d', Permissions(8)),
    ('s', Permissions(16)),
    // Our own: to run bots. No word holds it, nor `*`: it is given by its letter.
    ('x', Permissions(32)),
];

/// A set of interactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// Create, read, update, delete, search.
    pub const ALL: Self = Self(31);
    /// `.read` of SMART 1: read and search.
    pub const READ: Self = Self(2 | 16);
    /// `.write` of SMART 1: create, update, delete.
    pub const WRITE: Self = Self(1 | 4 | 8);

    /// Whether it holds all of another.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those of the letters in `cruds`.
    pub fn letters(self) -> impl Iterator<Item = char> {
        LETTERS.into_iter().filter(move |(_, one)| self.contains(*one)).map(|(letter, _)| letter)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "read" => return Some(Self::READ),
            "write" => return Some(Self::WRITE),
            "*" => return Some(Self::ALL),
            _ => {}
        }
        // Each letter once and in this order.
        let mut expected = LETTERS.iter();
        let mut set = 0;
        for letter in text.chars() {
            set |= expected.find(|(known, _)| *known == letter)?.1.0;
        }
        (set != 0).then_some(Self(set))
    }
}

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmartScope {
    text: String,
    resource_type: Option<String>,
    permissions: Permissions,
    query: Vec<(String, String)>,
}

/// Why a text is no scope of this server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not of the form.
    #[error(
        "expected a scope such as `system/Patient.rs`, `system/Observation.cruds` or `system/*.read`"
    )]
    Form,
    /// Of a context that there is not.
    #[error("only `system/` scopes are given here: there are no users and no patient in context")]
    Context,
    /// The interactions.
    #[error("expected behind the type a part of `cruds` in this order, or `read`, `write` or `*`")]
    Permissions,
    /// The filter.
    #[error("expected behind `?` search parameters such as `organization=Organization/1`")]
    Query,
    /// Too long, or too many.
    #[error(
        "a scope has at most {SCOPE_BYTES_MAX} bytes, and there are at most {SCOPES_MAX} of them"
    )]
    TooLong,
}

impl SmartScope {
    /// Reads one scope.
    ///
    /// # Errors
    /// When it is none, or none of those given here.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.len() > SCOPE_BYTES_MAX {
            return Err(ScopeError::TooLong);
        }
        // RFC 6749 §3.3: printable ASCII but for the space, the quotation mark and the backslash.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
            return Err(ScopeError::Form);
        }
        let (context, rest) = text.split_once('/').ok_or(ScopeError::Form)?;
        if context != "system" {
            let known = matches!(context, "patient" | "user");
            return Err(if known { ScopeError::Context } else { ScopeError::Form });
        }
        let (what, query) = match rest.split_once('?') {
            None => (rest, Vec::new()),
            Some((what, query)) => {
                let pairs = query_pairs(query);
                let whole = pairs.iter().all(|(name, value)| !name.is_empty() && !value.is_empty());
                if pairs.is_empty() || !whole {
                    return Err(ScopeError::Query);
                }
                (what, pairs)
            }
        };
        let (resource_type, permissions) = what.split_once('.').ok_or(ScopeError::Form)?;
        let resource_type = match resource_type {
            "*" => None,
            name if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Some(name.to_owned())
            }
            _ => return Err(ScopeError::Form),
        };
        let permissions = Permissions::read(permissions).ok_or(ScopeError::Permissions)?;
        Ok(Self { text: text.to_owned(), resource_type, permissions, query })
    }

    /// Reads a list with spaces between, as it stands in a token request.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ScopeError> {
        let mut scopes = Vec::new();
        for one in text.split(' ').filter(|one| !one.is_empty()) {
            if scopes.len() == SCOPES_MAX {
                return Err(ScopeError::TooLong);
            }
            let scope = Self::parse(one)?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Ok(scopes)
    }

    /// The type; `None` for every one.
    pub fn resource_type(&self) -> Option<&str> {
        self.resource_type.as_deref()
    }

    /// What may be done.
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// The search parameters that a resource must meet, decoded.
    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it gives at least what another asks, for the interactions both speak of: the type is the same or
    /// every one, and the other meets each of its parameters by having it, too.
    fn reaches(&self, asked: &Self) -> bool {
        let type_fits = self.resource_type.is_none() || self.resource_type == asked.resource_type;
        type_fits && self.query.iter().all(|pair| asked.query.contains(pair))
    }
}

impl fmt::Display for SmartScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whether scopes that were granted cover one that is asked for, perhaps several of them together.
pub(super) fn covers(granted: &[SmartScope], asked: &SmartScope) -> bool {
    let mut missing = asked.permissions;
    for scope in granted.iter().filter(|scope| scope.reaches(asked)) {
        missing = missing.without(scope.permissions);
    }
    missing.is_empty()
}

/// Scopes as one text, as tokens have them.
pub(super) fn joined(scopes: &[SmartScope]) -> String {
    scopes.iter().map(SmartScope::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read() {
        let check = |text: &str, expected: Result<(&str, &str, usize), ScopeError>| {
            let read = SmartScope::parse(text);
            let read = read.as_ref().map_err(Clone::clone).map(|scope| {
                let letters: String = scope.permissions().letters().collect();
                (scope.resource_type().unwrap_or("*"), letters, scope.query().len())
            });
            let expected = expected.map(|(name, letters, pairs)| (name, letters.to_owned(), pairs));
            assert_eq!(read, expected, "{text}");
        };
        check("system/*.*", Ok(("*", "cruds", 0)));
        check("system/*.read", Ok(("*", "rs", 0)));
        check("system/Patient.write", Ok(("Patient", "cud", 0)));
        check("system/Patient.rs", Ok(("Patient", "rs", 0)));
        check("system/Patient.cruds", Ok(("Patient", "cruds", 0)));
        check("system/Patient.s", Ok(("Patient", "s", 0)));
        check("system/Patient.rs?organization=Organization/1", Ok(("Patient", "rs", 1)));
        check("system/Observation.rs?category=a%7Cb&status=final", Ok(("Observation", "rs", 2)));
        check("system/Bot.rx", Ok(("Bot", "rx", 0)));
        check("system/Patient.sr", Err(ScopeError::Permissions));
        check("system/Patient.rr", Err(ScopeError::Permissions));
        check("system/Patient.", Err(ScopeError::Permissions));
        check("system/Patient.all", Err(ScopeError::Permissions));
        check("system/Patient", Err(ScopeError::Form));
        check("system/.rs", Err(ScopeError::Form));
        check("system/Pat ient.rs", Err(ScopeError::Form));
        check("system/P\u{e4}tient.rs", Err(ScopeError::Form));
        check("openid", Err(ScopeError::Form));
        check("launch/patient", Err(ScopeError::Form));
        check("patient/*.rs", Err(ScopeError::Context));
        check("user/Patient.read", Err(ScopeError::Context));
        check("system/Patient.rs?", Err(ScopeError::Query));
        check("system/Patient.rs?organization", Err(ScopeError::Query));
        let name = "P".repeat(SCOPE_BYTES_MAX - "system/.rs".len());
        check(&format!("system/{name}.rs"), Ok((&name, "rs", 0)));
        check(&format!("system/{name}P.rs"), Err(ScopeError::TooLong));
    }

    #[test]
    fn granted_scopes_cover_what_they_hold() {
        let check = |granted: &str, asked: &str, expected: bool| {
            let granted = SmartScope::parse_list(granted).unwrap();
            let asked = SmartScope::parse(asked).unwrap();
            assert_eq!(covers(&granted, &asked), expected, "{granted:?} {asked}");
        };
        check("system/*.*", "system/*.*", true);
        check("system/*.*", "system/Patient.rs", true);
        check("system/*.*", "system/Patient.rs?_tag=x", true);
        check("system/*.read", "system/Patient.rs", true);
        check("system/*.rs", "system/*.read", true);
        check("system/*.read", "system/Patient.write", false);
        check("system/Patient.rs", "system/*.rs", false);
        check("system/Patient.rs", "system/Observation.rs", false);
        check("system/Patient.rs", "system/Patient.cruds", false);
        check("system/Patient.rs system/Patient.cud", "system/Patient.cruds", true);
        check("system/*.rs system/Patient.cud", "system/Patient.*", true);
        check("system/Patient.rs?organization=1", "system/Patient.rs", false);
        check("system/Patient.rs?organization=1", "system/Patient.rs?organization=2", false);
        check("system/Patient.rs?organization=1", "system/Patient.rs?organization=1", true);
        check(
            "system/Patient.rs?organization=1",
            "system/Patient.r?active=true&organization=1",
            true,
        );
        check("system/Patient.rs?a=1&b=2", "system/Patient.rs?a=1", false);
    }

    #[test]
    fn lists_have_a_limit() {
        let list = |count: usize| {
            let scopes: Vec<String> =
                (0..count).map(|number| format!("system/Patient.r?_tag={number}")).collect();
            SmartScope::parse_list(&scopes.join(" ")).map(|scopes| scopes.len())
        };
        assert_eq!(list(SCOPES_MAX), Ok(SCOPES_MAX));
        assert_eq!(list(SCOPES_MAX + 1), Err(ScopeError::TooLong));
        assert_eq!(SmartScope::parse_list("system/Patient.r  system/Patient.r").unwrap().len(), 1);
    }
}
