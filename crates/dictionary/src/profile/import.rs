//! HL7 v2 conformance profiles in XML, as profiles.
//!
//! Two forms are read. That of the Messaging Workbench and of HL7's own schema (HL7 v2.5.1 §2.12, `HL7v2xConformanceProfile`
//! with segments, fields, components and subcomponents within one another), and that of NIST's tools (`ConformanceProfile`
//! with messages, segments and data types that refer to each other). Tables (`hl7table`) and value sets
//! (`ValueSetDefinition`) may stand in the same document or in others.
//!
//! What says the same as the standard is left out, so that the profile shows what is the partner's own. What a profile
//! can't say is told in [`Imported::left_out`], and nothing is passed over silently: predicates in prose, cardinalities of
//! segment groups, one segment described differently in several places.
//!
//! It refuses documents with a document type declaration, and has limits for bytes, depth and elements.

mod gather;
mod nist;
mod workbench;
mod xml;

use super::constraint::Profile;
use crate::version::Version;

pub use xml::XmlError;

/// What was imported.
#[derive(Debug)]
pub struct Imported {
    /// The profile.
    pub profile: Profile,
    /// What could not be carried over, each in a sentence.
    pub left_out: Vec<String>,
}

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A document can't be read as XML.
    #[error("{name} can't be read")]
    Xml {
        /// Which one.
        name: String,
        /// Why.
        #[source]
        source: XmlError,
    },
    /// None of the documents is a conformance profile.
    #[error(
        "there is no conformance profile in it: neither HL7v2xConformanceProfile nor ConformanceProfile"
    )]
    NoProfile,
    /// It has no message.
    #[error("the conformance profile describes no message")]
    NoMessage,
}

/// Imports a conformance profile and its tables; each document has a name for errors.
///
/// # Errors
/// When a document can't be read, or none of them is a conformance profile.
pub fn import(name: &str, documents: &[(&str, &[u8])]) -> Result<Imported, ImportError> {
    let mut roots = Vec::new();
    for (document, bytes) in documents {
        let root = xml::parse(bytes)
            .map_err(|source| ImportError::Xml { name: (*document).to_owned(), source })?;
        roots.push(root);
    }
    let tables = gather::tables(&roots);
    let find = |name: &str| roots.iter().find_map(|root| root.find(name));
    if let Some(profile) = find("HL7v2xConformanceProfile").or_else(|| find("HL7v2xStaticDef")) {
        return workbench::read(name, profile, &tables);
    }
    match find("ConformanceProfile") {
        Some(profile) => nist::read(name, profile, &tables),
        None => Err(ImportError::NoProfile),
    }
}

/// The version a document names.
fn version(name: Option<&str>, left_out: &mut Vec<String>) -> Version {
    let wanted = name.unwrap_or_default();
    let exact = if wanted == "2.9" { "2.9.1" } else { wanted };
    Version::named(exact.as_bytes()).unwrap_or_else(|| {
        left_out
            .push(format!("the version `{wanted}` is none of HL7 v2: the profile stands on 2.5.1"));
        Version::V2_5_1
    })
}
