//! Which event a change of a resource is.

use pipehat_resource::json::Value;

use super::told::{History, Identities, Identity};

/// A message that a change asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed {
    /// Message code and trigger event: `ADT^A03`.
    pub event: &'static str,
    /// ORC-1, of orders (table 0119).
    pub order_control: Option<&'static str>,
}

/// Why a change asks for no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// Nobody has to be told: nothing but `meta` changed, the resource is a draft still, or HL7 v2 has no event for it among
    /// those there are tables for.
    Nobody(&'static str),
    /// A person has to decide: the receiver has it as another patient's, or under another number.
    Person(&'static str),
    /// What the receiver knows is further back than [`VERSIONS_MAX`].
    TooFarBack,
}

/// The most versions of a resource that are read to know whether the receiver has it, whose as and by which number: fewer
/// would forget that it was told as another's while it was saved that often. An order that was changed more often since it was
/// last active is for a person.
pub const VERSIONS_MAX: usize = 64;

/// How many of the first versions of a resource with more than [`VERSIONS_MAX`] are looked through for the one that was told
/// first: most were told at once, or were drafts for a few.
const FIRST_MAX: u64 = 8;

/// The event that a change is, from what the resource was and what it is.
///
/// What the receiver knows is told by what the resource was before: whether it has an order, and whose it has that order, a
/// visit or an appointment as and by which number.
///
/// Orders are proposed as `ORM^O01`; who wants `OML^O21` takes the same `order_control`.
///
/// # Errors
/// Why no message tells it.
pub fn event_of(current: &Value, history: &mut dyn History) -> Result<Proposed, Untold> {
    let previous = history.earlier();
    if previous.as_ref().is_some_and(|previous| is_same(previous, current)) {
        return Err(Untold::Nobody("nothing but `meta` and the narrative changed"));
    }
    let proposed = match current.resource_type() {
        Some("ServiceRequest") => order(previous, current, history)?,
        _ => {
            let proposed = proposed(previous.as_ref(), current);
            if let Some(previous) = previous.filter(|_| proposed.is_some()) {
                known_as_told(previous, current, history)?;
            }
            proposed
        }
    };
    proposed.ok_or_else(|| Untold::Nobody(match current.resource_type() {
        Some("Patient") => "its record is replaced by another, whose message tells it",
        Some("Encounter") => "no event of a visit is from the status that it had to the one it has",
        Some("ServiceRequest") => {
            "an order is told when it is active, and held or taken back only where it was told: not a draft or a plan"
        }
        Some("Appointment") => {
            "an appointment is told when it is booked, changed or taken back after that"
        }
        Some("DiagnosticReport") => {
            "a report is told from its first results on, and taken back where it was told"
        }
        Some("DocumentReference") => {
            "a document is told when it is current, and once more when it is current no more"
        }
        Some("ChargeItem") => "a charge is told when it is billable, and taken back after that",
        _ => "no event is about resources of its type",
    }))
}

/// The events that changes of a type of resource may be, as [`event_of`] proposes them; none where no event is about it.
pub fn events_of(resource_type: &str) -> &'static [&'static str] {
    match resource_type {
        "Patient" => &["ADT^A28", "ADT^A31", "ADT^A40"],
        "Encounter" => &["ADT^A01", "ADT^A03", "ADT^A04", "ADT^A08", "ADT^A11", "ADT^A13"],
        "ServiceRequest" => &["ORM^O01"],
        "Appointment" => &["SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S17", "SIU^S26"],
        "DiagnosticReport" => &["ORU^R01"],
        "Immunization" => &["VXU^V04"],
        "DocumentReference" => &["MDM^T02", "MDM^T03"],
        "ChargeItem" => &["DFT^P03"],
        _ => &[],
    }
}

fn proposed(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    match current.resource_type()? {
        "Patient" => patient(previous, current),
        "Encounter" => encounter(previous, current),
        "Appointment" => appointment(previous, current),
        "DiagnosticReport" => report(previous, current),
        "Immunization" => plain("VXU^V04"),
        "DocumentReference" => document(previous, current),
        "ChargeItem" => charge(previous, current),
        _ => None,
    }
}

fn plain(event: &'static str) -> Option<Proposed> {
    Some(Proposed { event, order_control: None })
}

/// Whether all but `meta` and the narrative is the same.
fn is_same(one: &Value, other: &Value) -> bool {
    let told = |value: &Value| {
        let mut value = value.clone();
        if let Some(object) = value.as_object_mut() {
            object.retain(|name, _| name != "meta" && name != "text");
        }
        value
    };
    told(one) == told(other)
}

fn status(resource: Option<&Value>) -> &str {
    resource.and_then(|resource| resource.text("status")).unwrap_or_default()
}

/// HL7 v2.5.1 §3.3.28 (A28), §3.3.31 (A31), §3.3.40 (A40).
fn patient(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    let replaced = |patient: &Value| {
        patient.items("link").iter().filter(|link| link.text("type") == Some("replaces")).count()
    };
    // The other of the two is told by the survivor's message.
    let is_replaced =
        current.items("link").iter().any(|link| link.text("type") == Some("replaced-by"));
    match previous {
        _ if replaced(current) > previous.map_or(0, replaced) => plain("ADT^A40"),
        _ if is_replaced => None,
        None => plain("ADT^A28"),
        Some(_) => plain("ADT^A31"),
    }
}

/// HL7 v2.5.1 §3.3.1 (A01), §3.3.3 (A03), §3.3.4 (A04), §3.3.8 (A08), §3.3.11 (A11), §3.3.13 (A13).
fn encounter(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    let is_present =
        |status: &str| matches!(status, "arrived" | "triaged" | "in-progress" | "onleave");
    let class = current.get("class").and_then(|class| class.text("code")).unwrap_or_default();
    let begins = if matches!(class, "IMP" | "ACUTE" | "NONAC" | "OBSENC" | "SS" | "I") {
        "ADT^A01"
    } else {
        "ADT^A04"
    };
    match (status(previous), status(Some(current))) {
        ("finished", "finished") => plain("ADT^A08"),
        (_, "finished") => plain("ADT^A03"),
        ("finished", now) if is_present(now) => plain("ADT^A13"),
        (before, now) if is_present(before) && is_present(now) => plain("ADT^A08"),
        (_, now) if is_present(now) => plain(begins),
        (before, "cancelled" | "entered-in-error")
            if is_present(before) || before == "finished" =>
        {
            plain("ADT^A11")
        }
        _ => None,
    }
}

/// The versions before, the newest first, and whether there are no more.
fn versions(previous: Option<Value>, history: &mut dyn History) -> (Vec<Value>, bool) {
    let mut versions: Vec<Value> = Vec::new();
    let mut next = previous;
    while let Some(version) = next {
        versions.push(version);
        next = history.earlier();
        if versions.len() >= VERSIONS_MAX {
            return (versions, next.is_none());
        }
    }
    (versions, true)
}

/// Of a resource with more versions than are read: whether what was told of it first names it as it is named now. All that
/// was read may be of the time since it became another's, and none of that was told.
fn known_as_first_told(
    current: &Value,
    name: &str,
    identities: &mut Identities,
    history: &mut dyn History,
    is_told: impl Fn(Option<&Value>, &Value) -> bool,
) -> Result<(), Untold> {
    let mut before = None;
    for number in 1..=FIRST_MAX {
        let Some(version) = history.version(number) else { continue };
        if is_told(before.as_ref(), &version)
            && let (Some(told), Some(now)) = (identities.of(&version), identities.of(current))
            && (told.is_complete || history.tells_incomplete())
        {
            let compared = identities.compare(&told, &now, name, history);
            return compared.map_err(|_| Untold::TooFarBack);
        }
        before = Some(version);
    }
    Ok(())
}

/// Whether the receiver has a visit or an appointment as whose it is now, and by its number: since it was told of it first,
/// what said otherwise was not told.
fn known_as_told(
    previous: Value,
    current: &Value,
    history: &mut dyn History,
) -> Result<(), Untold> {
    let Some(name) =
        current.resource_type().filter(|it| matches!(*it, "Encounter" | "Appointment"))
    else {
        return Ok(());
    };
    let (versions, is_whole) = versions(Some(previous), history);
    let mut identities = Identities::default();
    let mut told: Option<Identity> = None;
    let mut before = None;
    for version in versions.iter().rev() {
        let event = proposed(before, version).map(|proposed| proposed.event);
        before = Some(version);
        let (Some(event), Some(now)) = (event, identities.of(version)) else { continue };
        let is_told = (now.is_complete || history.tells_incomplete())
            && told
                .as_ref()
                .is_none_or(|told| identities.compare(told, &now, name, history).is_ok());
        if is_told {
            let is_over = matches!(event, "ADT^A11" | "SIU^S15" | "SIU^S17" | "SIU^S26");
            told = (!is_over).then_some(now);
        }
    }
    if let (Some(told), Some(now)) = (told, identities.of(current)) {
        identities.compare(&told, &now, name, history).map_err(Untold::Person)?;
    }
    if is_whole {
        return Ok(());
    }
    known_as_first_told(current, name, &mut identities, history, |before, version| {
        proposed(before, version).is_some()
    })
}

/// What the receiver of orders has of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtReceiver {
    /// More versions would tell.
    Unknown,
    /// It was never told, or was taken back.
    Nothing,
    Active,
    Held,
}

/// HL7 v2.5.1 §4.5.1.1, table 0119.
///
/// An order was told when it was first active, and what was told holds until it is taken back: as a draft, with a status
/// unknown, as a plan or as what must not be done nobody is told of it. Nor that it is done: whether that can still be
/// changed or cancelled the filler says (HL7 v2.5.1 §4.5.1.1, table 0119: UC, UX). Nor was told what a person had to decide,
/// and what says nobody or nothing that is ordered.
fn order(
    previous: Option<Value>,
    current: &Value,
    history: &mut dyn History,
) -> Result<Option<Proposed>, Untold> {
    match status(Some(current)) {
        "active" | "on-hold" if is_order(current) => {}
        // Whatever it has become since: the receiver works on what it was told.
        "revoked" | "entered-in-error" => {}
        _ => return Ok(None),
    }
    let (versions, is_whole) = versions(previous, history);
    let mut has = if is_whole { AtReceiver::Nothing } else { AtReceiver::Unknown };
    let mut identities = Identities::default();
    let mut told: Option<Identity> = None;
    for version in versions.iter().rev() {
        let is_known = matches!(has, AtReceiver::Active | AtReceiver::Held);
        if is_taken_back(version) && !is_known {
            has = AtReceiver::Nothing;
        }
        let Some((_, next)) = control(has, version) else { continue };
        let Some(now) = identities.of(version) else { continue };
        let is_told = is_taken_back(version)
            || is_tellable(version) && (now.is_complete || history.tells_incomplete());
        let is_known_as = told
            .as_ref()
            .is_none_or(|told| identities.compare(told, &now, "ServiceRequest", history).is_ok());
        if is_told && is_known_as {
            (has, told) = (next, (next != AtReceiver::Nothing).then_some(now));
        }
    }
    if has == AtReceiver::Unknown {
        return Err(Untold::TooFarBack);
    }
    let Some((control, _)) = control(has, current) else { return Ok(None) };
    if let (Some(told), Some(now)) = (told, identities.of(current)) {
        let compared = identities.compare(&told, &now, "ServiceRequest", history);
        compared.map_err(Untold::Person)?;
    }
    if !is_whole {
        let name = "ServiceRequest";
        known_as_first_told(current, name, &mut identities, history, |_, version| {
            status(Some(version)) == "active" && is_tellable(version)
        })?;
    }
    Ok(Some(Proposed { event: "ORM^O01", order_control: Some(control) }))
}

/// ORC-1 of what is told of an order, and what the receiver has then.
fn control(has: AtReceiver, order: &Value) -> Option<(&'static str, AtReceiver)> {
    use AtReceiver::{Active, Held, Nothing, Unknown};
    Some(match (has, status(Some(order))) {
        (Nothing, "active") => ("NW", Active),
        (Active | Unknown, "active") => ("XO", Active),
        (Held, "active") => ("RL", Active),
        (Active, "on-hold") => ("HD", Held),
        (Active | Held, "revoked" | "entered-in-error") => ("CA", Nothing),
        _ => return None,
    })
}

fn is_taken_back(order: &Value) -> bool {
    matches!(status(Some(order)), "revoked" | "entered-in-error")
}

fn is_tellable(order: &Value) -> bool {
    is_order(order) && !is_forbidden(order)
}

fn is_forbidden(request: &Value) -> bool {
    request.get("doNotPerform") == Some(&Value::Bool(true))
}

fn is_order(request: &Value) -> bool {
    matches!(
        request.text("intent"),
        None | Some(
            "order" | "original-order" | "reflex-order" | "filler-order" | "instance-order"
        )
    )
}

/// HL7 v2.5.1 §10.4.1 (S12) to §10.4.6 (S17) and §10.4.15 (S26).
fn appointment(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    let is_booked =
        |status: &str| matches!(status, "booked" | "arrived" | "checked-in" | "fulfilled");
    let moved = |previous: &Value| {
        previous.get("start") != current.get("start") || previous.get("end") != current.get("end")
    };
    let before = status(previous);
    match status(Some(current)) {
        now if is_booked(now) && !is_booked(before) => plain("SIU^S12"),
        now if is_booked(now) && previous.is_some_and(moved) => plain("SIU^S13"),
        now if is_booked(now) => plain("SIU^S14"),
        "cancelled" if is_booked(before) => plain("SIU^S15"),
        "entered-in-error" if is_booked(before) => plain("SIU^S17"),
        "noshow" if is_booked(before) => plain("SIU^S26"),
        _ => None,
    }
}

/// HL7 v2.5.1 §7.3.1. A report that is only registered has nothing to tell; one that was told is taken back.
fn report(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    let has_results = |status: &str| {
        matches!(status, "partial" | "preliminary" | "final" | "amended" | "corrected" | "appended")
    };
    match status(Some(current)) {
        now if has_results(now) => plain("ORU^R01"),
        "cancelled" => plain("ORU^R01"),
        "entered-in-error" if has_results(status(previous)) => plain("ORU^R01"),
        _ => None,
    }
}

/// HL7 v2.5.1 §9.5.2: a document that is new, with its content; §9.5.3: another availability (TXA-19).
fn document(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    match (status(previous), status(Some(current))) {
        ("current", "superseded" | "entered-in-error") => plain("MDM^T03"),
        ("superseded", "entered-in-error") => plain("MDM^T03"),
        ("current", "current") => None,
        (_, "current") => plain("MDM^T02"),
        _ => None,
    }
}

/// HL7 v2.5.1 §6.3.3. A charge is told when it is to be billed, and once more to take it back.
fn charge(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    match (status(previous), status(Some(current))) {
        ("billable" | "billed", "billable" | "billed") => None,
        (_, "billable") => plain("DFT^P03"),
        ("billable" | "billed", "entered-in-error" | "aborted") => plain("DFT^P03"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;

    use super::*;
    use crate::to_v2::Writer;

    /// Versions, the newest first, and patients.
    #[derive(Default)]
    struct Kept {
        versions: std::collections::VecDeque<Value>,
        patients: Vec<Value>,
        parks_incomplete: bool,
    }

    impl History for Kept {
        fn earlier(&mut self) -> Option<Value> {
            self.versions.pop_front()
        }

        fn version(&mut self, _: u64) -> Option<Value> {
            None
        }

        fn patient(&mut self, reference: &str) -> Option<Value> {
            let id = reference.strip_prefix("Patient/")?;
            self.patients.iter().find(|own| own.id() == Some(id)).cloned()
        }

        fn tells_incomplete(&self) -> bool {
            !self.parks_incomplete
        }
    }

    /// What a change from one resource to another is: an event, with ORC-1 behind a colon, or nothing.
    #[track_caller]
    fn check(previous: &str, current: &str, expected: &str) {
        let previous = (!previous.is_empty()).then_some(previous);
        check_history(previous.as_slice(), current, expected);
    }

    /// The same of one with several earlier versions, the newest first.
    #[track_caller]
    fn check_history(earlier: &[&str], current: &str, expected: &str) {
        let read = |text: &str| parse(text.as_bytes()).expect("it is JSON");
        let current_read = read(current);
        let versions = earlier.iter().map(|text| read(text)).collect();
        let proposed = event_of(&current_read, &mut Kept { versions, ..Kept::default() });
        if let Ok(proposed) = proposed {
            let all = events_of(current_read.resource_type().expect("a type"));
            assert!(all.contains(&proposed.event), "{}", proposed.event);
        }
        let told = proposed.map_or_else(
            |why| match why {
                Untold::Nobody(why) => {
                    assert!(!why.is_empty());
                    String::new()
                }
                Untold::Person(why) => why.to_owned(),
                Untold::TooFarBack => "too far back".to_owned(),
            },
            |it| match it.order_control {
                Some(control) => format!("{}:{control}", it.event),
                None => it.event.to_owned(),
            },
        );
        assert_eq!(told, expected, "{earlier:?} {current}");
    }

    /// The same for resources of a type that differ in their status only.
    #[track_caller]
    fn check_status(name: &str, more: &str, previous: &str, current: &str, expected: &str) {
        let resource = |status: &str, note: &str| {
            format!(r#"{{"resourceType":"{name}","status":"{status}","x":"{note}"{more}}}"#)
        };
        let before = if previous.is_empty() { String::new() } else { resource(previous, "before") };
        check(&before, &resource(current, "now"), expected);
    }

    #[test]
    fn every_event_that_may_be_proposed_can_be_made_of_its_type() {
        let types = ["Patient", "Encounter", "ServiceRequest", "Appointment", "DiagnosticReport"];
        for name in types.into_iter().chain(["Immunization", "DocumentReference", "ChargeItem"]) {
            assert!(!events_of(name).is_empty(), "{name}");
            for event in events_of(name) {
                let types: Vec<&str> = Writer::types_of(event).collect();
                assert!(types.contains(&name), "{event} is about {types:?}");
            }
        }
        assert_eq!(Writer::types_of("ADT^A01").collect::<Vec<_>>(), ["Encounter", "Patient"]);
        assert!(events_of("Practitioner").is_empty() && events_of("Bundle").is_empty());
    }

    #[test]
    fn a_visit_begins_changes_and_ends() {
        let inpatient = r#","class":{"code":"IMP"}"#;
        let outpatient = r#","class":{"code":"AMB"}"#;
        check_status("Encounter", inpatient, "", "planned", "");
        check_status("Encounter", inpatient, "", "in-progress", "ADT^A01");
        check_status("Encounter", inpatient, "planned", "in-progress", "ADT^A01");
        check_status("Encounter", outpatient, "planned", "arrived", "ADT^A04");
        check_status("Encounter", outpatient, "arrived", "in-progress", "ADT^A08");
        check_status("Encounter", inpatient, "in-progress", "finished", "ADT^A03");
        check_status("Encounter", inpatient, "finished", "finished", "ADT^A08");
        check_status("Encounter", inpatient, "finished", "in-progress", "ADT^A13");
        check_status("Encounter", inpatient, "in-progress", "cancelled", "ADT^A11");
        check_status("Encounter", inpatient, "planned", "cancelled", "");
        // What is not known is told to nobody; once it is, it is.
        check_status("Encounter", inpatient, "", "unknown", "");
        check_status("Encounter", inpatient, "unknown", "unknown", "");
        check_status("Encounter", inpatient, "unknown", "planned", "");
        check_status("Encounter", inpatient, "unknown", "in-progress", "ADT^A01");
    }

    #[test]
    fn a_person_is_added_changed_and_merged() {
        let patient = |more: &str| format!(r#"{{"resourceType":"Patient","id":"p"{more}}}"#);
        let replaces = r#","link":[{"type":"replaces","other":{"reference":"Patient/q"}}]"#;
        let replaced = r#","link":[{"type":"replaced-by","other":{"reference":"Patient/p"}}]"#;
        check("", &patient(""), "ADT^A28");
        check(&patient(""), &patient(r#","gender":"male""#), "ADT^A31");
        check(&patient(""), &patient(replaces), "ADT^A40");
        check(&patient(replaces), &patient(&format!(r#"{replaces},"gender":"male""#)), "ADT^A31");
        check(&patient(""), &patient(replaced), "");
    }

    #[test]
    fn a_change_of_what_a_server_keeps_is_none() {
        let patient = |version: u32| {
            format!(
                r#"{{"resourceType":"Patient","meta":{{"versionId":"{version}"}},"text":{{"div":"{version}"}}}}"#
            )
        };
        check(&patient(1), &patient(2), "");
    }

    #[test]
    fn an_order_is_given_changed_held_and_cancelled() {
        let order = r#","intent":"order""#;
        check_status("ServiceRequest", order, "", "draft", "");
        check_status("ServiceRequest", order, "", "active", "ORM^O01:NW");
        check_status("ServiceRequest", order, "draft", "active", "ORM^O01:NW");
        check_status("ServiceRequest", order, "active", "active", "ORM^O01:XO");
        check_status("ServiceRequest", order, "active", "on-hold", "ORM^O01:HD");
        check_status("ServiceRequest", order, "active", "revoked", "ORM^O01:CA");
        check_status("ServiceRequest", order, "draft", "revoked", "");
        check_status("ServiceRequest", order, "active", "completed", "");
        check_status("ServiceRequest", r#","intent":"plan""#, "draft", "active", "");
    }

    #[test]
    fn what_the_receiver_has_of_an_order_goes_by_what_it_was_told() {
        let order = |intent: &str, status: &str, at: usize| {
            format!(
                r#"{{"resourceType":"ServiceRequest","status":"{status}","intent":"{intent}","x":{at}}}"#
            )
        };
        let check = |statuses: &[&str], expected: &str| {
            let versions = statuses.iter().enumerate();
            let mut versions =
                versions.map(|(at, status)| order("order", status, at)).collect::<Vec<_>>();
            let current = versions.pop().expect("it is something");
            let earlier: Vec<&str> = versions.iter().rev().map(String::as_str).collect();
            check_history(&earlier, &current, expected);
        };
        check(&["on-hold"], "");
        check(&["on-hold", "active"], "ORM^O01:NW");
        check(&["on-hold", "on-hold", "active"], "ORM^O01:NW");
        check(&["draft", "on-hold", "active"], "ORM^O01:NW");
        check(&["on-hold", "active", "active"], "ORM^O01:XO");
        check(&["on-hold", "active", "on-hold"], "ORM^O01:HD");
        check(&["active", "on-hold", "on-hold"], "");
        check(&["active", "on-hold", "on-hold", "active"], "ORM^O01:RL");
        check(&["on-hold", "revoked"], "");
        check(&["draft", "on-hold", "revoked"], "");
        check(&["on-hold", "entered-in-error"], "");
        check(&["active", "on-hold", "revoked"], "ORM^O01:CA");
        check(&["active", "on-hold", "on-hold", "entered-in-error"], "ORM^O01:CA");
        // What was taken back is nobody's: it is ordered anew.
        check(&["active", "revoked", "active"], "ORM^O01:NW");
        check(&["active", "revoked", "on-hold", "active"], "ORM^O01:NW");
        check(&["active", "revoked", "entered-in-error"], "");
        // What is done may not be done at the receiver, which says whether it can still be cancelled.
        check(&["active", "completed", "revoked"], "ORM^O01:CA");
        check(&["active", "on-hold", "completed", "revoked"], "ORM^O01:CA");
        check(&["active", "completed", "completed", "entered-in-error"], "ORM^O01:CA");
        check(&["active", "completed", "revoked", "entered-in-error"], "");
        check(&["active", "completed", "active"], "ORM^O01:XO");
        check(&["completed", "revoked"], "");
        check(&["draft", "completed", "entered-in-error"], "");
        // What it was in between and nobody was told of changes nothing of what was.
        check(&["active", "unknown", "revoked"], "ORM^O01:CA");
        check(&["active", "unknown", "active"], "ORM^O01:XO");
        check(&["active", "draft", "revoked"], "ORM^O01:CA");
        check(&["active", "draft", "active"], "ORM^O01:XO");
        check(&["active", "draft", "on-hold"], "ORM^O01:HD");
        check(&["active", "on-hold", "draft", "revoked"], "ORM^O01:CA");
        check(&["active", "on-hold", "unknown", "active"], "ORM^O01:RL");
        check(&["active", "unknown", "draft", "entered-in-error"], "ORM^O01:CA");
        check(&["unknown", "draft", "revoked"], "");
        check(&["draft", "unknown", "active"], "ORM^O01:NW");
        check(&["active", "revoked", "draft", "revoked"], "");
        check(&["active", "revoked", "unknown", "active"], "ORM^O01:NW");
        let again = order("plan", "active", 1);
        let active = order("order", "active", 2);
        check_history(&[&again, &order("order", "active", 0)], &active, "ORM^O01:XO");
        // What must not be done is refused, and so was told to nobody.
        let forbidden = active.replace('{', r#"{"doNotPerform":true,"#);
        check_history(&[&forbidden], &active, "ORM^O01:NW");
        check_history(&[&forbidden], &order("order", "revoked", 3), "");
        check_history(&[&forbidden, &active], &order("order", "revoked", 3), "ORM^O01:CA");
        // A plan that was active was told to nobody.
        let plan = order("plan", "active", 0);
        check_history(&[&plan], &order("order", "active", 1), "ORM^O01:NW");
        check_history(&[&plan], &order("order", "revoked", 1), "");
        check_history(&[&plan], &order("plan", "revoked", 1), "");
        // An order that was told and is a plan since is taken back as what was told, and once.
        let revoked = order("plan", "revoked", 3);
        check_history(&[&active], &revoked, "ORM^O01:CA");
        check_history(&[&plan, &active], &order("proposal", "entered-in-error", 3), "ORM^O01:CA");
        check_history(&[&revoked, &plan, &active], &order("plan", "entered-in-error", 4), "");
        check_history(&[&active], &order("plan", "active", 3), "");
    }

    #[test]
    fn an_appointment_is_made_moved_and_cancelled() {
        let at = |hour: u32| format!(r#","start":"2026-06-01T{hour:02}:00:00Z""#);
        check_status("Appointment", "", "", "proposed", "");
        check_status("Appointment", "", "", "booked", "SIU^S12");
        check_status("Appointment", "", "pending", "booked", "SIU^S12");
        check_status("Appointment", "", "booked", "booked", "SIU^S14");
        check_status("Appointment", "", "booked", "cancelled", "SIU^S15");
        check_status("Appointment", "", "booked", "noshow", "SIU^S26");
        check_status("Appointment", "", "booked", "entered-in-error", "SIU^S17");
        check_status("Appointment", "", "", "cancelled", "");
        let booked =
            |hour| format!(r#"{{"resourceType":"Appointment","status":"booked"{}}}"#, at(hour));
        check(&booked(9), &booked(10), "SIU^S13");
        check(&booked(9), &booked(9), "");
    }

    #[test]
    fn results_vaccinations_documents_and_charges() {
        check_status("DiagnosticReport", "", "", "registered", "");
        check_status("DiagnosticReport", "", "", "final", "ORU^R01");
        check_status("DiagnosticReport", "", "final", "corrected", "ORU^R01");
        check_status("DiagnosticReport", "", "final", "entered-in-error", "ORU^R01");
        check_status("DiagnosticReport", "", "final", "cancelled", "ORU^R01");
        check_status("DiagnosticReport", "", "registered", "entered-in-error", "");
        check_status("Immunization", "", "", "completed", "VXU^V04");
        check_status("DocumentReference", "", "", "current", "MDM^T02");
        check_status("DocumentReference", "", "current", "superseded", "MDM^T03");
        check_status("DocumentReference", "", "current", "entered-in-error", "MDM^T03");
        check_status("DocumentReference", "", "", "superseded", "");
        check_status("ChargeItem", "", "planned", "billable", "DFT^P03");
        check_status("ChargeItem", "", "billable", "billed", "");
        check_status("ChargeItem", "", "billed", "entered-in-error", "DFT^P03");
        check_status("Practitioner", "", "", "active", "");
    }
}
