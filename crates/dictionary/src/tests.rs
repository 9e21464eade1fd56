//! The definitions as a whole, and well-known facts from each kind.

use pipehat_message::SegmentName;

use crate::{NodeKind, TableKind, TableNumber, Usage, Version};

fn segment(version: Version, name: &str) -> crate::SegmentDefinition {
    version.segment(name.parse().expect("a segment name")).expect("a segment of the version")
}

#[test]
fn every_definition_can_be_read() {
    for version in Version::ALL {
        assert!(version.segments().len() > 30, "{version}");
        for definition in version.segments() {
            let name: SegmentName = definition.name();
            assert_eq!(version.segment(name), Some(definition), "{version} {name}");
            assert_eq!(definition.fields().len(), usize::from(definition.field_count()));
            for field in definition.fields() {
                assert_eq!(definition.field(usize::from(field.position())), Some(field));
                assert!(
                    field.is_unused() || !field.name().is_empty(),
                    "{version} {name} {field:?}"
                );
            }
        }
        for data_type in version.data_types() {
            assert_eq!(version.data_type(data_type.name()), Some(data_type));
        }
        for table in version.tables() {
            assert_eq!(version.table(table.number()), Some(table));
            for code in table.codes() {
                assert_eq!(table.code(code.code().as_bytes()), Some(code), "{table:?}");
            }
        }
        for structure in version.structures() {
            assert_eq!(version.structure(structure.name()), Some(structure));
            assert_eq!(structure.nodes().len(), structure.node_count());
        }
        for event in version.events() {
            assert_eq!(version.event(event.message_code(), event.trigger_event()), Some(event));
        }
    }
}

#[test]
fn what_definitions_name_is_defined() {
    let mut missing = Vec::new();
    for version in Version::ALL {
        for definition in version.segments() {
            for field in definition.fields().filter(|field| !field.is_unused()) {
                if field.data_type().is_none() {
                    missing.push(format!("{version} {} {field:?}", definition.name()));
                }
            }
        }
        for data_type in version.data_types() {
            for component in data_type.components() {
                if !component.is_unused() && component.data_type().is_none() {
                    missing.push(format!("{version} {} {component:?}", data_type.name()));
                }
            }
        }
        for structure in version.structures() {
            for node in structure.nodes() {
                if let NodeKind::Segment(name) = node.kind()
                    && version.segment(name).is_none()
                {
                    missing.push(format!("{version} {} {name}", structure.name()));
                }
            }
        }
        for event in version.events() {
            if event.structure().is_none() {
                missing.push(format!("{event:?}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn fields_say_what_the_standard_says() {
    let identifiers = segment(Version::V2_5_1, "PID").field(3).expect("PID-3");
    assert_eq!(identifiers.name(), "Patient Identifier List");
    assert_eq!(identifiers.data_type_name(), "CX");
    assert_eq!(identifiers.usage(), Usage::Required);
    assert!(identifiers.cardinality().repeats());
    assert_eq!(identifiers.item(), Some(106));
    let kind = identifiers.data_type().and_then(|cx| cx.component(5)).expect("CX.5");
    assert_eq!(kind.table_number(), TableNumber::new(203));

    assert_eq!(
        segment(Version::V2_3, "MSH").field(9).map(|field| field.data_type_name()),
        Some("CM")
    );
    assert!(
        segment(Version::V2_9_1, "PID")
            .field(2)
            .is_some_and(|field| field.usage() == Usage::Withdrawn)
    );
    assert_eq!(segment(Version::V2_5_1, "PID").field(0), None);
    assert_eq!(segment(Version::V2_5_1, "PID").field(40), None);
}

#[test]
fn tables_say_what_the_standard_says() {
    let sex = TableNumber::parse("HL70001")
        .and_then(|number| Version::V2_5_1.table(number))
        .expect("0001");
    assert_eq!(sex.kind(), TableKind::User);
    assert_eq!(sex.code(b"F").map(|code| code.display()), Some("Female"));
    assert_eq!(sex.code(b"f"), None);
    assert_eq!(TableNumber::parse("0"), None);
    assert_eq!(TableNumber::parse("x1"), None);
}

#[test]
fn structures_say_what_the_standard_says() {
    let oru = Version::V2_5_1.structure("ORU_R01").expect("ORU_R01");
    let groups: Vec<_> = oru
        .nodes()
        .filter_map(|node| if let NodeKind::Group(name) = node.kind() { Some(name) } else { None })
        .collect();
    assert_eq!(
        groups,
        [
            "PATIENT_RESULT",
            "PATIENT",
            "VISIT",
            "ORDER_OBSERVATION",
            "TIMING_QTY",
            "OBSERVATION",
            "SPECIMEN"
        ]
    );
    assert_eq!(oru.node(2).map(|node| node.descendants()), Some(24));
    let event = Version::V2_5_1.event("ADT", "A08").expect("ADT^A08");
    assert_eq!(event.structure_name(), "ADT_A01");
    let newer =
        Version::V2_9_1.event("ADT", "A08").and_then(|event| event.structure()).expect("A08");
    assert_eq!((newer.name(), newer.base_name()), ("ADT_A01-C", "ADT_A01"));
    assert_eq!(Version::V2_9_1.structure("ADT_A01").map(|found| found.name()), Some("ADT_A01-A"));
}
