//! The resource that stands for a client where FHIR wants one: a sender, an author, a performer.
//!
//! A client of ours is no resource, and R4 has no type for one. Whoever runs the installation says which stands for it, a
//! Device as a rule, once it is there; nothing is created for a client. The reference gives no rights, and is told to the
//! client alone (`GET /auth/me`).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fhir::is_id;

/// What may be the sender of a Communication in R4 and stand for a program.
const TYPES: [&str; 5] =
    ["Device", "HealthcareService", "Organization", "Practitioner", "PractitionerRole"];

/// A reference to the resource that stands for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StandIn {
    resource_type: String,
    id: String,
}

/// It is no such reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a client is stood for by a Device, HealthcareService, Organization, Practitioner or PractitionerRole: write \
     `Device/ID`"
)]
pub struct NoStandIn;

impl StandIn {
    /// Reads `Device/ID`.
    ///
    /// # Errors
    /// When it is of another type, or no reference.
    pub fn parse(text: &str) -> Result<Self, NoStandIn> {
        let (name, id) = text.split_once('/').ok_or(NoStandIn)?;
        if !TYPES.contains(&name) || !is_id(id) {
            return Err(NoStandIn);
        }
        Ok(Self { resource_type: name.to_owned(), id: id.to_owned() })
    }

    /// As `MedplumClient` keeps the profile of who signed in; it makes references of it, and their `display` of names.
    pub(super) fn profile(&self, name: &str) -> Value {
        let Self { resource_type, id } = self;
        match resource_type.as_str() {
            "Device" => json!({
                "resourceType": resource_type,
                "id": id,
                "deviceName": [{ "name": name, "type": "user-friendly-name" }],
            }),
            "HealthcareService" | "Organization" => {
                json!({ "resourceType": resource_type, "id": id, "name": name })
            }
            // The names of persons are their own.
            _ => json!({ "resourceType": resource_type, "id": id }),
        }
    }
}

impl fmt::Display for StandIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.resource_type, self.id)
    }
}

impl TryFrom<String> for StandIn {
    type Error = NoStandIn;

    fn try_from(text: String) -> Result<Self, NoStandIn> {
        Self::parse(&text)
    }
}

impl From<StandIn> for String {
    fn from(stand_in: StandIn) -> Self {
        stand_in.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written() {
        for text in ["Device/lab-1", "Practitioner/A.b", "Organization/x"] {
            assert_eq!(StandIn::parse(text).map(|own| own.to_string()), Ok(text.to_owned()));
        }
        let wrong = ["Device", "Device/", "Device/a/b", "Device/a b", "device/a", "Patient/a", ""];
        for text in wrong {
            assert_eq!(StandIn::parse(text), Err(NoStandIn), "{text}");
        }
    }
}
