//! What one receiver wants of its messages, and what its sender is called.

use std::collections::HashMap;

use jiff::tz::TimeZone;

mod read;

/// Who sends and who receives, and how places and codes are told between them.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// MSH-3.
    pub sending_application: Hierarchic,
    /// MSH-4.
    pub sending_facility: Hierarchic,
    /// MSH-5.
    pub receiving_application: Hierarchic,
    /// MSH-6.
    pub receiving_facility: Hierarchic,
    /// MSH-11; `P` where none is set.
    pub processing_id: Option<String>,
    /// MSH-15 and MSH-16, in enhanced mode.
    pub accept_acknowledgment: Option<String>,
    /// MSH-16.
    pub application_acknowledgment: Option<String>,
    /// MSH-21.1.
    pub message_profile: Option<String>,
    /// What the systems of identifiers are called in assigning authorities.
    pub authorities: Vec<Authority>,
    /// What systems begin with whose rest is a namespace: the counterpart of
    /// [`Settings::system_base`](crate::Settings::system_base).
    pub system_base: Option<String>,
    /// What code systems are called in CWE.3, before those of table 0396: URI and name.
    pub coding_systems: Vec<(String, String)>,
    /// The zone that date-times are written in; their own where none is set.
    pub zone: Option<TimeZone>,
    /// Whether date-times say their zone.
    pub offsets: Offsets,
    /// Codes told otherwise than by the tables, by the table's name in `codes.tsv` and the FHIR code.
    pub codes: HashMap<String, HashMap<String, String>>,
}

/// An assigning authority: what one system of identifiers is in HL7 v2 (data type HD, HL7 v2.5.1 §2.A.33).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// The system of FHIR identifiers.
    pub system: String,
    /// Namespace, universal id and its type.
    pub authority: Hierarchic,
    /// The identifier type (table 0203) of identifiers that say none.
    pub type_code: Option<String>,
}

/// A hierarchic designator: a namespace, or a universal id with its type, or both (HL7 v2.5.1 §2.A.33).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchic {
    /// HD.1
    pub namespace: String,
    /// HD.2
    pub universal_id: String,
    /// HD.3
    pub universal_id_type: String,
}

impl Hierarchic {
    /// A namespace alone.
    pub fn named(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..Self::default() }
    }

    /// What a system's URI says by itself: an OID, a UUID, or the URI. Nothing for what is no URI.
    pub(in crate::to_v2) fn of_uri(system: &str) -> Option<Self> {
        let (id, kind) = match system.split_once(':')? {
            ("urn", rest) => match rest.split_once(':')? {
                ("oid", oid) => (oid, "ISO"),
                ("uuid", uuid) => (uuid, "UUID"),
                _ => (system, "URI"),
            },
            _ => (system, "URI"),
        };
        Some(Self {
            namespace: String::new(),
            universal_id: id.to_owned(),
            universal_id_type: kind.to_owned(),
        })
    }
}

/// Whether date-times say their zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offsets {
    /// `20260506070809+0200`
    #[default]
    Written,
    /// `20260506070809`, for receivers that take no zone. MSH-7 keeps it: it is the zone of the others.
    Left,
}

impl Profile {
    pub(in crate::to_v2) fn authority_of(&self, system: &str) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.system == system)
    }

    /// The namespaces that a system is made of under the base: one, or of a sender two.
    pub(in crate::to_v2) fn namespaces_under_base(&self, system: &str) -> Option<Vec<String>> {
        let rest = system.strip_prefix(self.system_base.as_deref()?)?.trim_start_matches('/');
        (!rest.is_empty()).then(|| rest.split('/').map(unescaped).collect())
    }

    pub(in crate::to_v2) fn code(&self, table: &str, code: &str) -> Option<&str> {
        self.codes.get(table)?.get(code).map(String::as_str)
    }
}

/// A namespace as it was before it became part of a URI (RFC 3986 §2.1); one that was not written so stays as it is.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = behind.split_first_chunk::<2>().filter(|_| byte == b'%');
        let digits = escaped.and_then(|(digits, _)| std::str::from_utf8(digits).ok());
        // `+1` is a number for Rust, and no escape.
        let digits = digits.filter(|it| it.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                bytes.push(value);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}
