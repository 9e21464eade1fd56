//! What reading by a structure finds, on known messages and on those that a structure itself makes.

use pipehat_message::SegmentName;
use proptest::prelude::*;

use super::{PlacementProblem, Reading};
use crate::{NodeKind, Structure, Version};

fn names(text: &str) -> Vec<Option<SegmentName>> {
    text.split_whitespace().map(|name| name.parse().ok()).collect()
}

fn structure(version: Version, name: &str) -> Structure {
    version.structure(name).expect("a structure of the version")
}

/// Each segment with the way to its group where that changes; findings behind.
fn shown(reading: &Reading, segments: &[Option<SegmentName>]) -> String {
    let mut text = String::new();
    let mut last = 0;
    for (placement, name) in reading.placements().iter().zip(segments) {
        if placement.group() != last {
            last = placement.group();
            text.push_str(&format!("{} ", reading.group_path(last)));
            if last == 0 {
                text.push_str("/ ");
            }
        }
        let aside = if placement.node().is_none() { "?" } else { "" };
        text.push_str(&name.map_or("-".to_owned(), |name| name.to_string()));
        text.push_str(aside);
        text.push(' ');
    }
    let structure = reading.structure().expect("just read");
    let called = |node: usize| match structure.node(node).map(crate::Node::kind) {
        Some(NodeKind::Segment(name)) => name.to_string(),
        Some(NodeKind::Group(name)) => name.to_owned(),
        kind => format!("{kind:?}"),
    };
    for finding in reading.findings() {
        let what = match finding.problem {
            PlacementProblem::Unexpected => "unexpected".to_owned(),
            PlacementProblem::NotASegment => "no segment".to_owned(),
            PlacementProblem::Misplaced { home } => format!("misplaced {}", called(home)),
            PlacementProblem::TooMany { node } => format!("too many {}", called(node)),
            PlacementProblem::Missing { node } => format!("missing {}", called(node)),
        };
        let group = reading.group_path(finding.group).to_string();
        text.push_str(&format!("\n{} {what} in {group}/", finding.segment));
    }
    text.trim_end().to_owned()
}

fn check(version: Version, name: &str, segments: &str, expected: &str) {
    let segments = names(segments);
    let mut reading = Reading::new();
    reading.read(structure(version, name), segments.iter().copied());
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(shown(&reading, &segments).replace(" \n", "\n"), expected.join("\n"));
}

fn oru(segments: &str, expected: &str) {
    check(Version::V2_5_1, "ORU_R01", segments, expected);
}

fn adt(segments: &str, expected: &str) {
    check(Version::V2_5_1, "ADT_A01", segments, expected);
}

#[test]
fn a_result_is_read_into_its_groups() {
    oru(
        "MSH PID PV1 ORC OBR NTE OBX NTE OBX OBR OBX SPM PID OBR",
        "MSH /PATIENT_RESULT/PATIENT PID /PATIENT_RESULT/PATIENT/VISIT PV1 \
         /PATIENT_RESULT/ORDER_OBSERVATION ORC OBR NTE \
         /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION OBX NTE \
         /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION(2) OBX \
         /PATIENT_RESULT/ORDER_OBSERVATION(2) OBR \
         /PATIENT_RESULT/ORDER_OBSERVATION(2)/OBSERVATION OBX \
         /PATIENT_RESULT/ORDER_OBSERVATION(2)/SPECIMEN SPM \
         /PATIENT_RESULT(2)/PATIENT PID /PATIENT_RESULT(2)/ORDER_OBSERVATION OBR",
    );
}

#[test]
fn what_is_missing_is_found_where_it_should_stand() {
    adt("MSH PID PV1", "MSH PID PV1\n1 missing EVN in /");
    adt("MSH EVN PID", "MSH EVN PID\n3 missing PV1 in /");
    oru(
        "MSH PID OBX",
        "MSH /PATIENT_RESULT/PATIENT PID /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION OBX
         2 missing OBR in /PATIENT_RESULT/ORDER_OBSERVATION/",
    );
    oru(
        "MSH PID",
        "MSH /PATIENT_RESULT/PATIENT PID\n2 missing ORDER_OBSERVATION in /PATIENT_RESULT/",
    );
}

#[test]
fn segments_out_of_place_do_not_derail_what_follows() {
    // GT1 belongs behind PV1.
    adt(
        "MSH EVN PID GT1 PV1 DG1 GT1 IN1",
        "MSH EVN PID GT1? PV1 DG1 GT1 /INSURANCE IN1\n3 misplaced GT1 in /",
    );
    // A header out of order is one finding, not two.
    adt("MSH PID EVN PV1", "MSH PID? EVN PV1\n1 misplaced PID in /");
    // PV1 does not begin another patient.
    oru(
        "MSH PID OBR OBX PV1 OBX",
        "MSH /PATIENT_RESULT/PATIENT PID /PATIENT_RESULT/ORDER_OBSERVATION OBR \
         /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION OBX PV1? \
         /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION(2) OBX
         4 misplaced PV1 in /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION/",
    );
}

#[test]
fn what_occurs_too_often_is_found_once() {
    adt("MSH EVN PID PV1 PV1 PV1 AL1", "MSH EVN PID PV1 PV1 PV1 AL1\n4 too many PV1 in /");
}

#[test]
fn unknown_segments_stay_with_what_they_follow() {
    adt("MSH ZPI EVN PID PV1 ZV1 IN1 ZIN", "MSH ZPI? EVN PID PV1 ZV1? /INSURANCE IN1 ZIN?");
    adt("MSH EVN PID XXX PV1 DSC", "MSH EVN PID XXX? PV1 DSC?\n3 unexpected in /");
    adt("MSH EVN pid PID PV1", "MSH EVN -? PID PV1\n2 no segment in /");
}

#[test]
fn any_segment_is_one_without_a_place_of_its_own() {
    check(
        Version::V2_5_1,
        "MFN_M01",
        "MSH MFI MFE OM1 MFE STF",
        "MSH MFI /MF MFE OM1 /MF(2) MFE STF",
    );
}

#[test]
fn nothing_and_anything_can_be_read() {
    adt("", "\n0 missing MSH in /\n0 missing EVN in /\n0 missing PID in /\n0 missing PV1 in /");
    adt(
        "XXX",
        "XXX?\n0 unexpected in /\n1 missing MSH in /\n1 missing EVN in /\n1 missing PID in /\n1 missing PV1 in /",
    );
}

/// A small generator of its own, so that each structure's messages are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// A message that follows the structure: its segments, and the way to the group of each.
#[derive(Default)]
struct Generated {
    segments: Vec<Option<SegmentName>>,
    ways: Vec<String>,
}

fn generate(structure: Structure, dice: &mut Dice) -> Generated {
    let mut generated = Generated::default();
    generate_children(structure, 0..structure.node_count(), "", dice, &mut generated);
    generated
}

fn children(structure: Structure, nodes: std::ops::Range<usize>) -> Vec<usize> {
    let mut children = Vec::new();
    let mut child = nodes.start;
    while child < nodes.end {
        children.push(child);
        child += 1 + structure.node(child).expect("a child").descendants();
    }
    children
}

fn generate_children(
    structure: Structure,
    nodes: std::ops::Range<usize>,
    way: &str,
    dice: &mut Dice,
    generated: &mut Generated,
) {
    for at in children(structure, nodes) {
        let node = structure.node(at).expect("within the structure");
        let cardinality = node.cardinality();
        let spread = u64::from(cardinality.most.unwrap_or(3).min(3)).max(1);
        let least = u64::from(cardinality.least);
        let times = if least < spread { least + dice.below(spread - least + 1) } else { least };
        let mut occurrence = 0;
        for _ in 0..times {
            let before = generated.segments.len();
            let below = at + 1..at + 1 + node.descendants();
            match node.kind() {
                NodeKind::Segment(name) => generated.push(Some(name), way),
                NodeKind::AnySegment => generated.push("QQQ".parse().ok(), way),
                NodeKind::Group(name) => {
                    let number = if occurrence == 0 {
                        String::new()
                    } else {
                        format!("({})", occurrence + 1)
                    };
                    let way = format!("{way}/{name}{number}");
                    generate_children(structure, below, &way, dice, generated);
                    // What has no segment is not there.
                    occurrence += u64::from(generated.segments.len() > before);
                }
                NodeKind::Choice => {
                    let children = children(structure, below);
                    let chosen = dice.below(children.len().max(1) as u64) as usize;
                    if let Some(&chosen) = children.get(chosen) {
                        let end =
                            chosen + 1 + structure.node(chosen).expect("a child").descendants();
                        generate_children(structure, chosen..end, way, dice, generated);
                    }
                }
            }
        }
    }
}

impl Generated {
    fn push(&mut self, name: Option<SegmentName>, way: &str) {
        self.segments.push(name);
        self.ways.push(way.to_owned());
    }
}

fn dice(seed: u64) -> Dice {
    Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Structures in which the same segments can be grouped in several ways, so that no reader can tell which was meant:
/// groups of optional segments that repeat, or the same segments at the end of a group and behind it.
const AMBIGUOUS: [&str; 40] = [
    "BAR_P01", "BAR_P05", "CCM_I21", "CCR_I16", "CCU_I20", "CSU_C09", "DFT_P03", "DFT_P11",
    "EAC_U07", "EHC_E15", "NMR_N01", "NMR_N02", "OML_O21", "OML_O35", "OPR_O38", "OPU_R25",
    "ORD_O04", "ORF_R04", "ORU_R01", "ORU_R03", "OSM_R26", "OUL_R21", "OUL_R23", "OUL_R24",
    "RCI_I05", "RDE_O01", "REF_I12", "RGV_O01", "RGV_O15", "RPA_I08", "RQA_I08", "RRI_I12",
    "RSP_K25", "RSP_K31", "RSP_Z82", "RSP_Z86", "RSP_Z88", "RSP_Z90", "RAS_O01", "OUL_R22",
];

#[test]
fn what_a_structure_makes_is_read_without_findings_into_its_groups() {
    let mut reading = Reading::new();
    for version in Version::ALL {
        for structure in version.structures() {
            for seed in 1..=2 {
                let generated = generate(structure, &mut dice(seed));
                reading.read(structure, generated.segments.iter().copied());
                let shown = || shown(&reading, &generated.segments);
                assert_eq!(reading.findings(), [], "{structure:?} {seed}: {}", shown());
                if AMBIGUOUS.contains(&structure.base_name()) {
                    continue;
                }
                for (placement, way) in reading.placements().iter().zip(&generated.ways) {
                    let found = reading.group_path(placement.group()).to_string();
                    assert_eq!(&found, way, "{structure:?} {seed}: {}", shown());
                }
            }
        }
    }
}

/// Whatever comes, each segment has one place within groups that lie properly in each other.
fn check_shape(reading: &Reading, segments: usize) {
    assert_eq!(reading.placements().len(), segments);
    let groups = reading.groups();
    for (index, group) in groups.iter().enumerate() {
        let around = &groups[group.parent()];
        assert!(group.parent() < index || index == 0);
        assert!(around.segments().start <= group.segments().start);
        assert!(group.segments().end <= around.segments().end);
        assert!(index == 0 || !group.segments().is_empty());
    }
    for (index, placement) in reading.placements().iter().enumerate() {
        assert!(groups[placement.group()].segments().contains(&index));
        let innermost = groups.iter().filter(|group| group.segments().contains(&index)).count();
        let mut depth = 1;
        let mut group = placement.group();
        while group != 0 {
            group = groups[group].parent();
            depth += 1;
        }
        assert_eq!(depth, innermost, "the innermost group around it");
    }
}

proptest! {
    #[test]
    fn anything_can_be_read(
        which in 0..10_000_usize,
        picks in prop::collection::vec((0..1000_usize, 0..20_u8), 0..60),
    ) {
        let all: Vec<Structure> =
            Version::ALL.into_iter().flat_map(Version::structures).collect();
        let structure = all[which % all.len()];
        let segments: Vec<Option<SegmentName>> = picks
            .into_iter()
            .map(|(pick, kind)| match kind {
                0 => None,
                1 => "XXX".parse().ok(),
                2 => "ZZZ".parse().ok(),
                _ => match structure.node(pick % structure.node_count()).map(crate::Node::kind) {
                    Some(NodeKind::Segment(name)) => Some(name),
                    _ => "NTE".parse().ok(),
                },
            })
            .collect();
        let mut reading = Reading::new();
        reading.read(structure, segments.iter().copied());
        check_shape(&reading, segments.len());
    }
}

#[test]
fn a_hostile_message_takes_time_in_proportion_to_its_segments() {
    let mut reading = Reading::new();
    let oml = structure(Version::V2_5_1, "OML_O21");
    let mut nodes = Vec::new();
    for node in oml.nodes().collect::<Vec<_>>().into_iter().rev() {
        if let NodeKind::Segment(name) = node.kind() {
            nodes.push(Some(name));
        }
    }
    let segments = 100_000;
    reading.read(oml, nodes.iter().copied().cycle().take(segments));
    assert_eq!(reading.placements().len(), segments);
    // No more is kept for a segment than the readings followed, and no more is reported than can be missing in one.
    assert!(reading.traces.len() <= segments * 16);
    assert!(reading.findings().len() <= segments * 4);
}
