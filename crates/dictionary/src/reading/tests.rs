//! What reading by a structure finds, on known messages and on those that a structure itself makes.

use pipehat_message::SegmentName;
use proptest::prelude::*;

use super::{PlacementProblem, Reading, SegmentHead};
use crate::{NodeKind, Structure, Version};

/// An ORC with its code as `ORC|NW`, a PID with its patient as `PID|A`.
fn heads(text: &str) -> Vec<SegmentHead> {
    text.split_whitespace()
        .map(|segment| {
            let (name, code) = segment.split_once('|').unwrap_or((segment, ""));
            SegmentHead::new(name.parse().ok(), || code.as_bytes())
                .with_patient(code.as_bytes(), b"")
        })
        .collect()
}

fn silent(name: Option<SegmentName>) -> SegmentHead {
    SegmentHead::new(name, || b"")
}

fn structure(version: Version, name: &str) -> Structure {
    version.structure(name).expect("a structure of the version")
}

/// Each segment with the way to its group where that changes; findings behind.
fn shown(reading: &Reading) -> String {
    let mut text = String::new();
    let mut last = 0;
    for (index, placement) in reading.placements().iter().enumerate() {
        let name = reading.name(index);
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
    let mut reading = Reading::new();
    reading.read(structure(version, name), heads(segments));
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(shown(&reading).replace(" \n", "\n"), expected.join("\n"));
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
fn what_stands_before_a_required_segment_of_its_group_tears_no_group() {
    for version in [Version::V2_3, Version::V2_3_1, Version::V2_4, Version::V2_5_1, Version::V2_8] {
        let structure = structure(version, "ORU_R01");
        for between in [
            "NTE",
            "TQ1",
            "CTD",
            "PV1",
            "FT1",
            "PID|A",
            "PID|A PV1",
            "OBX",
            "NTE NTE NTE",
            "XXX NTE",
            "NTE PID|A NTE PV1 CTD",
            &"NTE ".repeat(200),
        ] {
            let mut reading = Reading::new();
            let segments = format!("MSH PID|A ORC OBR OBX ORC {between} OBR OBX NTE ORC OBR OBX");
            reading.read(structure, heads(&segments));
            let count = between.split_whitespace().count();
            assert_eq!(
                reading.findings().len(),
                count,
                "{version:?} {between}: {}",
                shown(&reading)
            );
            let is_of_second = |segment: usize| {
                let group = reading.placements().get(segment).map(|own| own.group());
                let way = reading.group_path(group.unwrap_or(0)).to_string();
                way.contains("/ORDER_OBSERVATION(2)")
            };
            let is_one = is_of_second(5) && is_of_second(6 + count);
            assert!(is_one, "{version:?} {between}: {}", shown(&reading));
            let count_of = |name: &str| {
                (0..reading.groups().len())
                    .filter(|&group| reading.group_name(group) == name)
                    .count()
            };
            let orders = count_of("ORDER_OBSERVATION");
            assert_eq!(orders, 3, "{version:?} {between}: {}", shown(&reading));
        }
    }
    oru(
        "MSH PID ORC NTE OBR OBX",
        "MSH /PATIENT_RESULT/PATIENT PID /PATIENT_RESULT/ORDER_OBSERVATION ORC NTE? OBR \
         /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION OBX
         3 misplaced NTE in /PATIENT_RESULT/ORDER_OBSERVATION/",
    );
    // What follows another patient is not of what began before.
    for (one, other) in [("PID|A", "PID|B"), ("PID", "PID")] {
        oru(
            &format!("MSH {one} ORC {other} OBR OBX"),
            "MSH /PATIENT_RESULT/PATIENT PID /PATIENT_RESULT/ORDER_OBSERVATION ORC \
             /PATIENT_RESULT(2)/PATIENT PID /PATIENT_RESULT(2)/ORDER_OBSERVATION OBR \
             /PATIENT_RESULT(2)/ORDER_OBSERVATION/OBSERVATION OBX
             3 missing OBR in /PATIENT_RESULT/ORDER_OBSERVATION/",
        );
    }
    // The group begins anew before its segment comes, or the segment doesn't come.
    oru(
        "MSH PID ORC NTE ORC OBR",
        "MSH /PATIENT_RESULT/PATIENT PID /PATIENT_RESULT/ORDER_OBSERVATION ORC NTE \
         /PATIENT_RESULT/ORDER_OBSERVATION(2) ORC OBR
         3 missing OBR in /PATIENT_RESULT/ORDER_OBSERVATION/",
    );
    oru(
        "MSH PID ORC PID PV1 ORC OBR",
        "MSH /PATIENT_RESULT/PATIENT PID /PATIENT_RESULT/ORDER_OBSERVATION ORC \
         /PATIENT_RESULT(2)/PATIENT PID /PATIENT_RESULT(2)/PATIENT/VISIT PV1 /PATIENT_RESULT(2)/ORDER_OBSERVATION ORC OBR
         3 missing OBR in /PATIENT_RESULT/ORDER_OBSERVATION/",
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

/// Where each segment of orders stands, told shortly: the orders by their number, a prior result behind as `+P`, its groups
/// by theirs.
#[track_caller]
fn check_orders(name: &str, segments: &str, expected: &str) {
    for reading in check_orders_out_of_place(name, segments, expected) {
        assert_eq!(reading.findings(), [], "{:?}: {}", reading.structure(), shown(&reading));
    }
}

/// The same of a message that isn't as its structure says.
#[track_caller]
fn check_orders_out_of_place(name: &str, segments: &str, expected: &str) -> Vec<Reading> {
    let mut readings = Vec::new();
    let versions = Version::ALL.into_iter().filter_map(|version| version.structure(name));
    assert!(versions.clone().count() > 0, "{name}");
    for structure in versions {
        let mut reading = Reading::new();
        let before = if name == "OML_O33" { "SPM" } else { "" };
        let before = if name == "OML_O35" { "SPM SAC" } else { before };
        reading.read(structure, heads(&format!("MSH PID {before} {segments}")));
        let mut said = Vec::new();
        for (index, placement) in reading.placements().iter().enumerate() {
            let is_order = reading.name(index).is_some_and(|own| own.as_bytes() == b"OBR");
            let way = reading.group_path(placement.group()).to_string();
            let Some((_, way)) = way.split_once("/ORDER").filter(|_| is_order) else { continue };
            let number = |way: &str| {
                way.split('/').next().map(|step| match step.split_once('(') {
                    Some((_, number)) => number.trim_end_matches(')').to_owned(),
                    None => "1".to_owned(),
                })
            };
            // 2.4 has orders in ORDER_GENERAL.
            let way = way.strip_prefix("_GENERAL/ORDER").unwrap_or(way);
            let order = number(way).expect("its step");
            said.push(match way.split_once("/PRIOR_RESULT") {
                None => order,
                Some((_, prior)) => {
                    let (result, prior) = prior.split_once("/ORDER_PRIOR").expect("its order");
                    let result = number(&format!("_{result}")).expect("its step");
                    let prior = number(&format!("_{prior}")).expect("its step");
                    format!("{order}+P{result}.{prior}")
                }
            });
        }
        assert_eq!(said.join(" "), expected, "{structure:?}: {}", shown(&reading));
        readings.push(reading);
    }
    readings
}

#[test]
fn what_is_out_of_place_behind_an_orc_makes_no_prior_result_of_an_order() {
    for name in ["OML_O21", "OMG_O19", "OML_O33", "OML_O35"] {
        for between in ["NTE", "NTE NTE", "NTE NTE NTE", "XXX", "XXX NTE"] {
            let check = |segments: &str, expected: &str| {
                check_orders_out_of_place(name, segments, expected);
            };
            for code in ["NW", "CA", "RE", ""] {
                for observed in ["", "NTE", "OBX"] {
                    check(
                        &format!(
                            "ORC|NW OBR {observed} ORC|{code} {between} OBR {observed} ORC|NW OBR"
                        ),
                        "1 2 3",
                    );
                }
            }
            check(&format!("ORC|NW OBR OBX ORC|PR {between} OBR OBX"), "1 1+P1.1");
        }
    }
}

#[test]
fn an_orc_behind_observations_begins_the_next_order() {
    for name in ["OML_O21", "OMG_O19", "OML_O33", "OML_O35"] {
        let check = |segments: &str, expected: &str| check_orders(name, segments, expected);
        check("ORC|NW OBR OBX", "1");
        for code in ["NW", "CA", "XO", "RE", "", "\"\""] {
            check(&format!("ORC|NW OBR OBX ORC|{code} OBR OBX"), "1 2");
            check(&format!("ORC|NW OBR OBX OBX ORC|{code} OBR ORC|{code} OBR OBX"), "1 2 3");
            check(
                &format!("ORC|NW OBR OBX NTE ORC|{code} OBR NTE OBX NTE ORC|NW OBR OBX"),
                "1 2 3",
            );
            check(&format!("ORC|NW OBR DG1 OBX ORC|{code} OBR DG1 OBX"), "1 2");
        }
    }
    for name in ["OML_O21", "OMG_O19"] {
        check_orders(name, "ORC|NW OBR OBX ORC|NW OBR OBX BLG ORC|CA OBR OBX", "1 2 3");
    }
    // 2.4 has no TQ1, and specimens elsewhere.
    for (name, version) in [("OML_O21", Version::V2_5_1), ("OMG_O19", Version::V2_8_2)] {
        let mut reading = Reading::new();
        let segments =
            "MSH ORC|NW TQ1 OBR OBX SPM OBX ORC|NW TQ1 OBR OBX SPM OBX ORC|CA TQ1 OBR OBX SPM";
        reading.read(structure(version, name), heads(segments));
        let orders =
            (0..reading.groups().len()).filter(|&group| reading.group_name(group) == "ORDER");
        assert_eq!((orders.count(), reading.findings()), (3, [].as_slice()), "{}", shown(&reading));
    }
}

#[test]
fn what_only_a_prior_result_has_or_says_begins_one() {
    for name in ["OML_O21", "OMG_O19", "OML_O33", "OML_O35"] {
        let check = |segments: &str, expected: &str| check_orders(name, segments, expected);
        check("ORC|NW OBR OBX ORC|PR OBR OBX", "1 1+P1.1");
        check("ORC|NW OBR ORC|PR OBR OBX", "1 1+P1.1");
        check("ORC|NW OBR OBX ORC|PR OBR OBX ORC|PR OBR OBX ORC|NW OBR OBX", "1 1+P1.1 1+P1.2 2");
        check("ORC|NW OBR OBX ORC|PR OBR OBX ORC|CA OBR OBX ORC|PR OBR OBX", "1 1+P1.1 2 2+P1.1");
        for code in ["PR", "NW", "RE", ""] {
            for begins in ["PID", "PID PD1", "PID PV1", "PV1", "PID AL1", "AL1"] {
                check(&format!("ORC|NW OBR OBX {begins} ORC|{code} OBR OBX"), "1 1+P1.1");
                check(&format!("ORC|NW OBR {begins} ORC|{code} OBR NTE OBX NTE"), "1 1+P1.1");
                check(
                    &format!(
                        "ORC|NW OBR OBX {begins} ORC|{code} OBR OBX {begins} ORC|{code} OBR OBX ORC|NW OBR OBX"
                    ),
                    "1 1+P1.1 1+P2.1 2",
                );
            }
        }
        // Who says nothing goes on with the prior result; who says otherwise begins an order.
        check("ORC|NW OBR PID ORC OBR OBX ORC OBR OBX", "1 1+P1.1 1+P1.2");
        check("ORC|NW OBR PID ORC|NW OBR OBX ORC|NW OBR OBX", "1 1+P1.1 2");
        check("ORC|NW OBR PID ORC|PR OBR OBX ORC OBR", "1 1+P1.1 2");
    }
}

#[test]
fn what_says_to_be_a_prior_result_is_none_without_an_order_before() {
    check_orders("OML_O21", "ORC|PR OBR OBX ORC|NW OBR OBX", "1 2");
    // Without its results it still is no order.
    check(
        Version::V2_5_1,
        "OML_O21",
        "MSH ORC|NW OBR ORC|PR OBR",
        "MSH /ORDER ORC /ORDER/OBSERVATION_REQUEST OBR \
         /ORDER/OBSERVATION_REQUEST/PRIOR_RESULT/ORDER_PRIOR ORC OBR
         5 missing OBSERVATION_PRIOR in /ORDER/OBSERVATION_REQUEST/PRIOR_RESULT/ORDER_PRIOR/",
    );
    // Where there are no prior results the code says nothing of the place.
    check(
        Version::V2_5_1,
        "ORU_R01",
        "MSH ORC|PR OBR OBX ORC|PR OBR OBX",
        "MSH /PATIENT_RESULT/ORDER_OBSERVATION ORC OBR /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION OBX \
         /PATIENT_RESULT/ORDER_OBSERVATION(2) ORC OBR /PATIENT_RESULT/ORDER_OBSERVATION(2)/OBSERVATION OBX",
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
                reading.read(structure, generated.segments.iter().copied().map(silent));
                let shown = || shown(&reading);
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

#[test]
fn what_belongs_to_a_prior_result_is_told_by_its_orc_in_all_structures() {
    let is_prior = |way: &str| way.contains("/PRIOR_RESULT");
    let mut reading = Reading::new();
    let mut checked = 0;
    for structure in Version::ALL.into_iter().flat_map(Version::structures) {
        if !structure.grammar().has_prior() {
            continue;
        }
        for seed in 1..=30 {
            let generated = generate(structure, &mut dice(seed));
            let all = generated.segments.iter().zip(&generated.ways);
            reading.read(
                structure,
                all.map(|(name, way)| {
                    SegmentHead::new(*name, || if is_prior(way) { b"PR" } else { b"NW" })
                }),
            );
            let shown = || shown(&reading);
            assert_eq!(reading.findings(), [], "{structure:?} {seed}: {}", shown());
            for (placement, way) in reading.placements().iter().zip(&generated.ways) {
                let found = reading.group_path(placement.group()).to_string();
                assert_eq!(
                    is_prior(&found),
                    is_prior(way),
                    "{structure:?} {seed} {way}: {}",
                    shown()
                );
                checked += usize::from(is_prior(way));
            }
        }
    }
    assert!(checked > 1000, "{checked}");
}

#[test]
fn a_prior_result_may_be_without_an_orc() {
    // ORDER_PRIOR has an ORC that may be missing until 2.6.
    for version in [Version::V2_4, Version::V2_5, Version::V2_5_1, Version::V2_6] {
        let mut reading = Reading::new();
        let segments = "MSH ORC|NW OBR OBX PID OBR OBX OBR OBX ORC|NW OBR OBX ORC|NW OBR";
        reading.read(structure(version, "OMG_O19"), heads(segments));
        let shown = shown(&reading);
        let orders = (0..reading.groups().len())
            .filter(|&group| reading.group_name(group) == "ORDER")
            .count();
        assert_eq!((orders, reading.findings()), (3, [].as_slice()), "{shown}");
        assert!(shown.contains("/ORDER/PRIOR_RESULT/ORDER_PRIOR(2) OBR"), "{shown}");
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
        let segments: Vec<SegmentHead> = picks
            .into_iter()
            .map(|(pick, kind)| {
                let name = match kind {
                    0 => None,
                    1 => "XXX".parse().ok(),
                    2 => "ZZZ".parse().ok(),
                    _ => match structure.node(pick % structure.node_count()).map(crate::Node::kind) {
                        Some(NodeKind::Segment(name)) => Some(name),
                        _ => "NTE".parse().ok(),
                    },
                };
                SegmentHead::new(name, || [&b"NW"[..], b"PR", b""][pick % 3])
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
    reading.read(oml, nodes.iter().copied().map(silent).cycle().take(segments));
    assert_eq!(reading.placements().len(), segments);
    // No more is kept for a segment than the readings followed, and no more is reported than can be missing in one.
    assert!(reading.traces.len() <= segments * 16);
    assert!(reading.findings().len() <= segments * 4);
}
