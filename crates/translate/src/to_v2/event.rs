//! Which event a change of a resource is.

use pipehat_resource::json::Value;

/// A message that a change asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed {
    /// Message code and trigger event: `ADT^A03`.
    pub event: &'static str,
    /// ORC-1, of orders (table 0119).
    pub order_control: Option<&'static str>,
}

/// The event that a change is, from what the resource was (`None`: it is new) and what it is.
///
/// `None` where nobody has to be told: nothing but `meta` changed, the resource is a draft still, or HL7 v2 has no event
/// for it among those there are tables for.
///
/// Orders are proposed as `ORM^O01`; who wants `OML^O21` takes the same `order_control`.
pub fn event_of(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    if previous.is_some_and(|previous| is_same(previous, current)) {
        return None;
    }
    match current.resource_type()? {
        "Patient" => patient(previous, current),
        "Encounter" => encounter(previous, current),
        "ServiceRequest" => order(previous, current),
        "Appointment" => appointment(previous, current),
        "DiagnosticReport" => report(current),
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

/// HL7 v2.5.1 §4.5.1.1, table 0119.
fn order(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    if !matches!(
        current.text("intent"),
        None | Some(
            "order" | "original-order" | "reflex-order" | "filler-order" | "instance-order"
        )
    ) {
        return None;
    }
    let control = match (status(previous), status(Some(current))) {
        ("active", "active") => "XO",
        ("on-hold", "active") => "RL",
        (_, "active") => "NW",
        ("active", "on-hold") => "HD",
        ("active" | "on-hold", "revoked" | "entered-in-error") => "CA",
        _ => return None,
    };
    Some(Proposed { event: "ORM^O01", order_control: Some(control) })
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

/// HL7 v2.5.1 §7.3.1. A report that is only registered has nothing to tell.
fn report(current: &Value) -> Option<Proposed> {
    match status(Some(current)) {
        "partial" | "preliminary" | "final" | "amended" | "corrected" | "appended"
        | "cancelled" => plain("ORU^R01"),
        _ => None,
    }
}

/// HL7 v2.5.1 §9.5.2: a document that is new, with its content.
fn document(previous: Option<&Value>, current: &Value) -> Option<Proposed> {
    let is_current = status(Some(current)) == "current";
    let was_current = status(previous) == "current";
    if is_current && !was_current { plain("MDM^T02") } else { None }
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
