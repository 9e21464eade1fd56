//! How codes and code systems are told in HL7 v2.

use std::collections::HashMap;

use pipehat_resource::json::Value;

use super::profile::Profile;
use super::tables::lines;
use crate::value::YEARLY;

/// How FHIR codes of one kind are told: a table of `codes.tsv`.
#[derive(Debug)]
pub(super) struct CodeTable {
    pub(super) name: Box<str>,
    rows: Vec<CodeRow>,
}

/// One code. Columns: table, system (empty for FHIR's own, in elements of type `code`), code, v2 code, text, table name.
#[derive(Debug)]
struct CodeRow {
    system: Box<str>,
    code: Box<str>,
    told: Told,
}

/// A code as v2 tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) code: Box<str>,
    pub(super) text: Box<str>,
    /// `HL70004`
    pub(super) system: Box<str>,
}

impl CodeTable {
    pub(super) fn read_all(text: &str) -> Result<Vec<Self>, String> {
        let mut tables: Vec<Self> = Vec::new();
        for (number, line) in lines(text) {
            let mut columns = line.split('\t').map(str::trim);
            let mut column = || columns.next().unwrap_or_default();
            let (name, system, code) = (column(), column(), column());
            let told =
                Told { code: column().into(), text: column().into(), system: column().into() };
            if name.is_empty() || code.is_empty() || told.code.is_empty() {
                return Err(format!("codes.tsv:{number}: a column is empty"));
            }
            if tables.last().is_none_or(|table| *table.name != *name) {
                tables.push(Self { name: name.into(), rows: Vec::new() });
            }
            if let Some(table) = tables.last_mut() {
                table.rows.push(CodeRow { system: system.into(), code: code.into(), told });
            }
        }
        Ok(tables)
    }

    /// The codes that it tells.
    #[cfg(test)]
    pub(super) fn told(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| &*row.told.code)
    }

    /// The code as v2 tells it. Without a system it is one of FHIR's own.
    pub(super) fn tell(&self, profile: &Profile, system: Option<&str>, code: &str) -> Option<Told> {
        let found = self.rows.iter().find(|row| {
            *row.code == *code && (row.system.is_empty() || Some(&*row.system) == system)
        });
        let found = found.map(|row| &row.told);
        // A table of earlier versions (`ContactUseUntil2.6`) is told otherwise as that of today is.
        let today = self.name.split_once("Until").map(|(today, _)| today);
        let own = profile
            .code(&self.name, code)
            .or_else(|| today.and_then(|today| profile.code(today, code)));
        match own {
            Some(own) => Some(Told {
                code: own.into(),
                text: found.map_or_else(Box::default, |told| told.text.clone()),
                system: found.map_or_else(Box::default, |told| told.system.clone()),
            }),
            None => found.cloned(),
        }
    }
}

/// What code systems are called in CWE.3 (table 0396).
#[derive(Debug)]
pub(super) struct CodingSystems {
    by_uri: HashMap<Box<str>, Box<str>>,
}

/// Where the systems of HL7 v2's own tables are.
const V2_TABLES: &str = "http://terminology.hl7.org/CodeSystem/v2-";

impl CodingSystems {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut by_uri = HashMap::new();
        for (number, line) in lines(text) {
            let (uri, name) =
                line.split_once('\t').ok_or(format!("coding-systems.tsv:{number}"))?;
            by_uri.insert(
                uri.trim().into(),
                name.split('\t').next().unwrap_or_default().trim().into(),
            );
        }
        Ok(Self { by_uri })
    }

    /// The name of a system of a version, where its names say the year.
    pub(super) fn name_of(&self, profile: &Profile, uri: &str, version: &str) -> Option<String> {
        let is_year = version.len() == 4 && version.bytes().all(|byte| byte.is_ascii_digit());
        let yearly = YEARLY.iter().find(|(_, own)| *own == uri).filter(|_| is_year);
        self.name(profile, uri).or_else(|| yearly.map(|(prefix, _)| format!("{prefix}{version}")))
    }

    /// The name of a system, by the profile, by table 0396, or as the number of one of v2's own tables.
    pub(super) fn name(&self, profile: &Profile, uri: &str) -> Option<String> {
        if let Some((_, name)) = profile.coding_systems.iter().find(|(own, _)| own == uri) {
            return Some(name.clone());
        }
        if let Some(name) = self.by_uri.get(uri) {
            return Some(name.to_string());
        }
        if let Some(number) = table_number(uri) {
            return Some(format!("HL7{number}"));
        }
        profile.namespaces_under_base(uri).map(|names| names.join("/"))
    }
}

/// The four digits of one of v2's own tables.
pub(super) fn table_number(uri: &str) -> Option<&str> {
    let number = uri.strip_prefix(V2_TABLES)?;
    (number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

/// The codings of a Coding, a CodeableConcept or a list of either.
pub(super) fn codings(value: &Value) -> Vec<&Value> {
    match value.get("coding") {
        Some(Value::Array(codings)) => codings.iter().collect(),
        _ if value.get("code").is_some() || value.get("display").is_some() => vec![value],
        _ => Vec::new(),
    }
}
