//! Code system maps.

use hashbrown::HashMap;

use crate::table::Row;

/// A code system map: v2 codes and what they mean in FHIR.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    codes: HashMap<Box<str>, Meaning>,
}

/// What a code means in FHIR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// The code; `None`: the code has no counterpart.
    pub(crate) code: Option<Box<str>>,
    pub(crate) system: Option<Box<str>>,
    pub(crate) display: Option<Box<str>>,
    /// The URI of the v2 table the code is of.
    pub(crate) from: Option<Box<str>>,
}

impl Meaning {
    /// Of the maps that give URIs (`CodingSystem`, `AssigningAuthority`): the URI.
    pub(crate) fn uri(&self) -> Option<&str> {
        self.code.as_deref().or(self.system.as_deref())
    }
}

impl Vocabulary {
    /// What a code means.
    pub(crate) fn meaning(&self, code: &str) -> Option<&Meaning> {
        self.codes.get(code)
    }

    /// Takes over a row. The first for a code counts, unless it has no counterpart; of an overlay, the last.
    pub(super) fn add(&mut self, row: &Row, replaces: bool) {
        let text =
            |column: &str| Some(row.cell(column)).filter(|text| !text.is_empty()).map(Box::from);
        let Some(code): Option<Box<str>> = text("code") else { return };
        let meaning = Meaning {
            code: text("fcode"),
            system: text("fsystem"),
            display: text("display"),
            from: table_uri(row.cell("system")),
        };
        match self.codes.get_mut(&code) {
            Some(own) if replaces || (own.code.is_none() && meaning.code.is_some()) => {
                *own = meaning
            }
            Some(_) => {}
            None => {
                self.codes.insert(code, meaning);
            }
        }
    }
}

/// `HL70371`, `HL7-0354`: the URI of the table; another text if it is a URI itself.
fn table_uri(name: &str) -> Option<Box<str>> {
    if let Some(number) = name.strip_prefix("HL7") {
        let number = number.trim_start_matches('-');
        return (number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| format!("http://terminology.hl7.org/CodeSystem/v2-{number}").into());
    }
    name.contains(':').then(|| name.into())
}
