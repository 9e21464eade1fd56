//! From a receiver's file to a [`Profile`]: every mistake with its place.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, nearest};

use super::{Authority, Hierarchic, Offsets, Profile};
use crate::to_v2::tables::Tables;

impl Profile {
    /// Reads a receiver's tree; `docs/translate.md` says what it may hold. `None` when anything is wrong, which is then
    /// reported.
    pub fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let errors_before = diagnostics.errors();
        let mut profile = Self::default();
        let mut fields = Fields::of(node, "receiver profile", diagnostics)?;
        if let Some((application, facility)) = fields.optional("from", party) {
            (profile.sending_application, profile.sending_facility) = (application, facility);
        }
        if let Some((application, facility)) = fields.optional("to", party) {
            (profile.receiving_application, profile.receiving_facility) = (application, facility);
        }
        profile.processing_id = fields.optional("processing-id", text);
        profile.accept_acknowledgment = fields.optional("accept-acknowledgment", acknowledgment);
        profile.application_acknowledgment =
            fields.optional("application-acknowledgment", acknowledgment);
        profile.message_profile = fields.optional("message-profile", text);
        profile.zone = fields.optional("time-zone", zone);
        profile.offsets = fields.optional("offsets", offsets).unwrap_or_default();
        profile.system_base = fields.optional("system-base", text);
        profile.authorities = fields
            .optional("authorities", |node, diagnostics| node.list_of(diagnostics, authority))
            .unwrap_or_default();
        profile.coding_systems = fields
            .optional("coding-systems", |node, diagnostics| {
                texts(node, "coding-systems", diagnostics).map(|texts| texts.into_iter().collect())
            })
            .unwrap_or_default();
        profile.codes = fields.optional("codes", codes).unwrap_or_default();
        fields.finish();
        (diagnostics.errors() == errors_before).then_some(profile)
    }
}

fn text(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    node.text_not_empty(diagnostics).map(str::to_owned)
}

fn acknowledgment(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    // Table 0155.
    node.one_of(&["AL", "NE", "ER", "SU"], diagnostics).map(str::to_owned)
}

fn offsets(node: &Node, diagnostics: &mut Diagnostics) -> Option<Offsets> {
    let word = node.one_of(&["written", "left"], diagnostics)?;
    Some(if word == "left" { Offsets::Left } else { Offsets::Written })
}

/// The application and the facility of a sender or a receiver.
fn party(node: &Node, diagnostics: &mut Diagnostics) -> Option<(Hierarchic, Hierarchic)> {
    let mut fields = Fields::of(node, "a party", diagnostics)?;
    let application = fields.optional("application", hierarchic).unwrap_or_default();
    let facility = fields.optional("facility", hierarchic).unwrap_or_default();
    fields.finish();
    Some((application, facility))
}

/// A namespace, or a map of all three.
fn hierarchic(node: &Node, diagnostics: &mut Diagnostics) -> Option<Hierarchic> {
    if node.as_map().is_none() {
        return node.text_not_empty(diagnostics).map(Hierarchic::named);
    }
    let mut fields = Fields::of(node, "a designator", diagnostics)?;
    let hierarchic = parts(&mut fields);
    fields.finish();
    Some(hierarchic)
}

fn parts(fields: &mut Fields<'_, '_>) -> Hierarchic {
    let namespace = fields.optional("namespace", text).unwrap_or_default();
    let universal_id = fields.optional("universal-id", text).unwrap_or_default();
    let kind = fields.optional("universal-id-type", text).unwrap_or_default();
    // A universal id without its type names nothing (HL7 v2.5.1 §2.A.33.3); most are OIDs.
    let is_oid = !universal_id.is_empty()
        && universal_id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let universal_id_type = if kind.is_empty() && is_oid { "ISO".to_owned() } else { kind };
    Hierarchic { namespace, universal_id, universal_id_type }
}

fn authority(node: &Node, diagnostics: &mut Diagnostics) -> Option<Authority> {
    let mut fields = Fields::of(node, "an authority", diagnostics)?;
    let system = fields.required("system", text);
    let authority = parts(&mut fields);
    let type_code = fields.optional("identifier-type", text);
    fields.finish();
    Some(Authority { system: system?, authority, type_code })
}

/// A map of texts.
fn texts(
    node: &Node,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Option<HashMap<String, String>> {
    let map = node.map(name, diagnostics)?;
    let entry = |(key, node): (&pipehat_config::Key, &Node), diagnostics: &mut Diagnostics| {
        Some((key.text.to_string(), text(node, diagnostics)?))
    };
    let read: Vec<_> = map.iter().map(|pair| entry(pair, diagnostics)).collect();
    read.into_iter().collect()
}

/// Codes by the names of our tables.
fn codes(
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> Option<HashMap<String, HashMap<String, String>>> {
    let map = node.map("codes", diagnostics)?;
    let known: Vec<&str> = Tables::standard().codes.iter().map(|table| &*table.name).collect();
    let mut codes = HashMap::new();
    for (key, node) in map.iter() {
        let name: &str = &key.text;
        if !known.contains(&name) {
            let error =
                Diagnostic::error("config.unknown-key", &key.span, "there is no such code table");
            diagnostics.push(error.with_nearest(nearest(name, known.iter().copied())));
            continue;
        }
        codes.insert(name.to_owned(), texts(node, name, diagnostics)?);
    }
    Some(codes)
}

fn zone(node: &Node, diagnostics: &mut Diagnostics) -> Option<TimeZone> {
    let name = node.text_not_empty(diagnostics)?;
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let error = Diagnostic::error("config.not-a-choice", &node.span, "there is no such time zone");
    diagnostics.push(error.with_help("write it as Region/City, such as `Europe/Berlin`, or `UTC`"));
    None
}

#[cfg(test)]
mod tests {
    use pipehat_config::SourceFile;

    use super::*;

    fn read(text: &str) -> Result<Profile, Vec<String>> {
        let file = SourceFile::new("receivers/lab.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let profile = Node::parse(&file, &mut diagnostics)
            .and_then(|node| Profile::read(&node, &mut diagnostics));
        let told = diagnostics.iter().map(|it| format!("{}: {}", it.code, it.message)).collect();
        profile.ok_or(told)
    }

    #[track_caller]
    fn check_wrong(text: &str, expected: &str) {
        let told = read(text).expect_err("it is wrong").join("\n");
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn a_whole_file_is_read() {
        let profile = read(
            "from: {application: PIPEHAT, facility: {namespace: HOSP, universal-id: 1.2.3}}\n\
             to: {application: LAB}\n\
             processing-id: T\n\
             accept-acknowledgment: AL\n\
             application-acknowledgment: NE\n\
             time-zone: Europe/Berlin\n\
             offsets: left\n\
             system-base: http://synth.example/id/\n\
             authorities:\n\
             - {system: 'http://synth.example/mrn', namespace: HOSP, identifier-type: MR}\n\
             coding-systems: {'http://synth.example/tests': 99LAB}\n\
             codes: {Sex: {other: A}}\n",
        )
        .expect("it is right");
        assert_eq!(profile.sending_facility.universal_id_type, "ISO");
        assert_eq!(profile.receiving_application, Hierarchic::named("LAB"));
        assert_eq!(profile.offsets, Offsets::Left);
        assert_eq!(profile.authorities[0].type_code.as_deref(), Some("MR"));
        assert_eq!(profile.code("Sex", "other"), Some("A"));
        assert_eq!(profile.coding_systems[0].1, "99LAB");
    }

    #[test]
    fn mistakes_are_told() {
        check_wrong("form: {application: A}", "config.unknown-key");
        check_wrong("time-zone: Berlin", "config.not-a-choice: there is no such time zone");
        check_wrong(
            "codes: {Gender: {other: A}}",
            "config.unknown-key: there is no such code table",
        );
        check_wrong("authorities: [{namespace: A}]", "config.missing-key");
        check_wrong("accept-acknowledgment: XX", "config.not-a-choice");
    }
}
