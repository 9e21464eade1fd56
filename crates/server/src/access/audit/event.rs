//! A record as an AuditEvent (FHIR R4 §6.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pipehat_resource::json::{Object, Value};
use pipehat_store::audit::{Action, Outcome, StoredRecord};

use crate::fhir::instant;

const ID_PREFIX: &str = "audit-";

const RESTFUL_INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";

/// The id of a record's AuditEvent.
pub(super) fn id_of(number: u64) -> String {
    format!("{ID_PREFIX}{number}")
}

/// How others name a record's AuditEvent.
pub(crate) fn event_reference(number: u64) -> String {
    format!("AuditEvent/{}", id_of(number))
}

/// The record of an AuditEvent's id.
pub(super) fn number_of(id: &str) -> Option<u64> {
    let digits = id.strip_prefix(ID_PREFIX)?;
    let number = digits.parse().ok()?;
    // `audit-007` and `audit-+7` are none of ours.
    (id_of(number) == id).then_some(number)
}

/// The AuditEvent of a record.
pub(super) fn event(stored: &StoredRecord) -> Value {
    let StoredRecord { number, record } = stored;
    let at = instant(record.at);
    let kind = Kind::of(&record.interaction);
    let mut event = Object::new();
    event.set("resourceType", "AuditEvent".into());
    event.set("id", id_of(*number).into());
    event.set("meta", object([("versionId", "1".into()), ("lastUpdated", at.as_str().into())]));
    event.set("type", kind.event_type());
    event.set("subtype", Value::Array(kind.subtypes()));
    event.set("action", Action::of(&record.interaction).code().into());
    event.set("recorded", at.as_str().into());
    event.set("outcome", Outcome::of(record.status).code().into());
    event.set("outcomeDesc", format!("HTTP {}", record.status).into());
    let mut agent = Object::new();
    if let Some(client) = &record.client {
        let mut who = Object::new();
        who.set("identifier", object([("value", (&**client).into())]));
        if let Some(name) = &record.client_name {
            who.set("display", (&**name).into());
        }
        agent.set("who", who.into());
        agent.set("altId", (&**client).into());
    }
    if let Some(name) = &record.client_name {
        agent.set("name", (&**name).into());
    }
    agent.set("requestor", true.into());
    if let Some(address) = &record.address {
        // network-type 2: an IP address.
        let network = object([("address", address.as_str().into()), ("type", "2".into())]);
        agent.set("network", network);
    }
    event.set("agent", Value::Array(vec![agent.into()]));
    let source_type = coding(
        "http://terminology.hl7.org/CodeSystem/security-source-type",
        "4",
        "Application Server",
    );
    event.set(
        "source",
        object([
            ("observer", object([("display", "Pipehat".into())])),
            ("type", Value::Array(vec![source_type])),
        ]),
    );
    event.set("entity", Value::Array(entities(stored)));
    event.into()
}

fn entities(stored: &StoredRecord) -> Vec<Value> {
    let record = &stored.record;
    let mut entities = Vec::new();
    let system_object =
        || coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "2", "System Object");
    let role = |code: &str, display: &str| {
        coding("http://terminology.hl7.org/CodeSystem/object-role", code, display)
    };
    if let (Kind::Client(_), Some(id)) = (Kind::of(&record.interaction), &record.resource_id) {
        let mut entity = Object::new();
        entity.set("what", object([("identifier", object([("value", id.as_str().into())]))]));
        entity.set("type", system_object());
        entity.set("role", role("11", "Security User Entity"));
        if let Some(of) = &record.query {
            entity.set("description", of.as_str().into());
        }
        entities.push(entity.into());
    } else if let (Some(name), Some(id)) = (&record.resource_type, &record.resource_id) {
        let role =
            if name == "Patient" { role("1", "Patient") } else { role("4", "Domain Resource") };
        entities.push(object([
            ("what", object([("reference", format!("{name}/{id}").into())])),
            ("type", system_object()),
            ("role", role),
        ]));
    }
    let is_query =
        record.query.is_some() && !matches!(Kind::of(&record.interaction), Kind::Client(_));
    if is_query || (record.resource_type.is_some() && record.resource_id.is_none()) {
        let mut entity = Object::new();
        entity.set("type", system_object());
        match &record.query {
            Some(query) => {
                entity.set("role", role("24", "Query"));
                if let Some(name) = &record.resource_type {
                    entity.set("description", name.as_str().into());
                }
                entity.set("query", STANDARD.encode(query).into());
            }
            None => {
                entity.set("role", role("4", "Domain Resource"));
                if let Some(name) = &record.resource_type {
                    entity.set("name", name.as_str().into());
                }
            }
        }
        entities.push(entity.into());
    }
    let request_id = object([("value", (&*record.request_id).into())]);
    // As IHE BALP has it.
    let kind = coding(
        "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
        "XrequestId",
        "X-Request-Id",
    );
    entities.push(object([("what", object([("identifier", request_id)])), ("type", kind)]));
    entities
}

/// What kind of access it was.
enum Kind<'a> {
    /// An interaction of the API.
    Rest(&'a str),
    /// An operation, with its `$`.
    Operation(&'a str),
    /// A sign-in, or a question about one.
    Access(&'a str),
    /// Something that was done to a client, with its `$`.
    Client(&'a str),
}

impl<'a> Kind<'a> {
    fn of(interaction: &'a str) -> Self {
        match interaction {
            "token" | "introspect" | "me" => Self::Access(interaction),
            name if name.starts_with("$client-") => Self::Client(name),
            name if name.starts_with('$') => Self::Operation(name),
            other => Self::Rest(other),
        }
    }

    fn event_type(&self) -> Value {
        match self {
            Self::Access(_) => coding(DICOM, "110114", "User Authentication"),
            Self::Client(_) => coding(DICOM, "110113", "Security Alert"),
            Self::Rest(_) | Self::Operation(_) => coding(
                "http://terminology.hl7.org/CodeSystem/audit-event-type",
                "rest",
                "RESTful Operation",
            ),
        }
    }

    fn subtypes(&self) -> Vec<Value> {
        match self {
            Self::Client(name) => vec![
                coding(DICOM, "110137", "User Security Attributes Changed"),
                object([("code", (*name).into())]),
            ],
            Self::Access("token") => vec![coding(DICOM, "110122", "Login")],
            Self::Access(name) => vec![object([("code", (*name).into())])],
            Self::Operation(name) => vec![
                coding(RESTFUL_INTERACTION, "operation", "operation"),
                object([("code", (*name).into())]),
            ],
            // A method: the address was not understood, or nobody was behind it.
            Self::Rest(name) if name.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                vec![object([("code", (*name).into())])]
            }
            Self::Rest(name) => vec![coding(RESTFUL_INTERACTION, name, name)],
        }
    }
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    object([("system", system.into()), ("code", code.into()), ("display", display.into())])
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let object: Object = members.into_iter().collect();
    object.into()
}

#[cfg(test)]
mod tests {
    use pipehat_resource::validate::{Checks, validate};
    use pipehat_store::audit::AuditRecord;

    use super::*;

    fn record(interaction: &str) -> StoredRecord {
        let record = AuditRecord {
            at: 1_767_323_045_678_901,
            request_id: "r-1".into(),
            client: Some("c-1".into()),
            client_name: Some("lab".into()),
            address: Some("192.0.2.7".to_owned()),
            interaction: interaction.to_owned(),
            resource_type: Some("Patient".to_owned()),
            resource_id: Some("p-1".to_owned()),
            status: 200,
            query: None,
            used_once: None,
        };
        StoredRecord { number: 42, record }
    }

    #[test]
    fn ids_are_ours_or_none() {
        let check = |id: &str, expected| assert_eq!(number_of(id), expected, "{id}");
        check(&id_of(7), Some(7));
        check("audit-007", None);
        check("audit-+7", None);
        check("audit-", None);
        check("7", None);
        check("audit-99999999999999999999999", None);
    }

    #[test]
    fn every_kind_is_a_valid_audit_event() {
        let nobody = |interaction| {
            let mut stored = record(interaction);
            let record = &mut stored.record;
            (record.client, record.client_name, record.resource_id) = (None, None, None);
            (record.status, record.query) = (401, Some("family=Example".to_owned()));
            stored
        };
        let known = [
            "read",
            "search-type",
            "$everything",
            "token",
            "me",
            "GET",
            "batch",
            "delete",
            "$client-add",
        ];
        for interaction in known {
            for stored in [record(interaction), nobody(interaction)] {
                let event = event(&stored);
                let findings = validate(&event, Checks::All);
                let errors: Vec<_> = findings.iter().filter(|issue| issue.is_error()).collect();
                assert!(errors.is_empty(), "{}: {errors:?}", event.to_json());
            }
        }
    }

    #[test]
    fn it_says_who_what_when_and_how() {
        let event = event(&record("read"));
        let first = |value: &Value, name: &str| value.items(name).first().cloned().unwrap();
        let text = |value: &Value, name: &str| value.text(name).unwrap_or("-").to_owned();
        assert_eq!(text(&event, "recorded"), "2026-01-02T03:04:05.678Z");
        assert_eq!(text(&event, "action"), "R");
        assert_eq!(text(&event, "outcome"), "0");
        let agent = first(&event, "agent");
        assert_eq!((text(&agent, "altId"), text(&agent, "name")), ("c-1".into(), "lab".into()));
        let entity = first(&event, "entity");
        assert_eq!(text(entity.get("what").unwrap(), "reference"), "Patient/p-1");
        let mut searched = record("search-type");
        searched.record.resource_id = None;
        searched.record.query = Some("family=Example".to_owned());
        let event = super::event(&searched);
        let query = text(&first(&event, "entity"), "query");
        assert_eq!(STANDARD.decode(query).unwrap(), b"family=Example");
    }
}
