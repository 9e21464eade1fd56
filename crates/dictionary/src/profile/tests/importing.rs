//! Conformance profiles in XML.

use super::read;
use crate::profile::import;

const WORKBENCH: &str = r#"<?xml version="1.0"?>
<HL7v2xConformanceProfile HL7Version="2.5.1" ProfileType="Constrainable">
  <MetaData Name="Results of the laboratory"/>
  <DynamicDef AccAck="NE" AppAck="AL"/>
  <HL7v2xStaticDef MsgType="ORU" EventType="R01" MsgStructID="ORU_R01">
    <Segment Name="MSH" LongName="Message Header" Usage="R" Min="1" Max="1">
      <Field Name="Field Separator" Usage="R" Min="1" Max="1" Datatype="ST" Length="1"/>
      <Field Name="Encoding Characters" Usage="R" Min="1" Max="1" Datatype="ST" Length="4"/>
      <Field Name="Sending Application" Usage="R" Min="1" Max="1" Datatype="HD" Length="227">
        <Component Name="Namespace" Usage="R" Datatype="IS" Length="20" ConstantValue="LIS"/>
      </Field>
    </Segment>
    <SegGroup Name="PATIENT_RESULT" Usage="R" Min="1" Max="1">
      <Segment Name="PID" LongName="Patient Identification" Usage="R" Min="1" Max="1">
        <Field Name="Set ID" Usage="X" Min="0" Max="0" Datatype="SI" Length="4"/>
        <Field Name="Patient ID" Usage="X" Min="0" Max="0" Datatype="CX" Length="20"/>
        <Field Name="Patient Identifier List" Usage="R" Min="1" Max="3" Datatype="CX" Length="250">
          <Component Name="ID Number" Usage="R" Datatype="ST" Length="10"/>
          <Component Name="Check Digit" Usage="X" Datatype="ST" Length="1"/>
        </Field>
        <Field Name="Alternate Patient ID" Usage="O" Min="0" Max="*" Datatype="CX" Length="20"/>
        <Field Name="Patient Name" Usage="C" Min="0" Max="*" Datatype="XPN" Length="250">
          <Predicate>unless the patient is unknown</Predicate>
        </Field>
        <Field Name="Mother" Usage="O" Min="0" Max="*" Datatype="XPN" Length="250"/>
        <Field Name="Birth" Usage="RE" Min="0" Max="1" Datatype="TS" Length="26"/>
        <Field Name="Sex" Usage="R" Min="1" Max="1" Datatype="IS" Length="1" Table="0001"/>
      </Segment>
      <Segment Name="ZLB" LongName="Notes of the laboratory" Usage="O" Min="0" Max="3">
        <Field Name="Set ID" Usage="R" Min="1" Max="1" Datatype="SI" Length="4"/>
        <Field Name="Kind" Usage="O" Min="0" Max="1" Datatype="ID" Length="2" Table="9001"/>
      </Segment>
    </SegGroup>
  </HL7v2xStaticDef>
  <hl7tables>
    <hl7table id="0001"><tableElement code="F"/><tableElement code="M"/></hl7table>
  </hl7tables>
</HL7v2xConformanceProfile>"#;

const NIST: &str = r#"<ConformanceProfile ID="p" Type="Constrainable" HL7Version="2.5.1" SchemaVersion="2.5">
  <MetaData Name="Results"/>
  <Messages>
    <Message ID="m" Type="ORU" Event="R01" StructID="ORU_R01">
      <Segment Ref="msh1" Usage="R" Min="1" Max="1"/>
      <Group ID="g" Name="PATIENT_RESULT" Usage="R" Min="1" Max="*">
        <Segment Ref="pid1" Usage="R" Min="1" Max="1"/>
        <Segment Ref="nte1" Usage="RE" Min="0" Max="*"/>
        <Segment Ref="nte2" Usage="X" Min="0" Max="0"/>
      </Group>
    </Message>
  </Messages>
  <Segments>
    <Segment ID="msh1" Name="MSH" Label="MSH_LAB" Description="Message Header">
      <Field Name="Field Separator" Usage="R" Datatype="ST" Min="1" Max="1" MinLength="1" MaxLength="1"/>
    </Segment>
    <Segment ID="pid1" Name="PID" Description="Patient Identification">
      <Field Name="Set ID" Usage="O" Datatype="SI" Min="0" Max="1"/>
      <Field Name="Patient ID" Usage="W" Datatype="CX" Min="0" Max="0"/>
      <Field Name="Identifiers" Usage="R" Datatype="CX_LAB" Min="1" Max="2"/>
    </Segment>
    <Segment ID="nte1" Name="NTE"><Field Name="Set ID" Usage="R" Datatype="SI" Min="1" Max="1"/></Segment>
    <Segment ID="nte2" Name="NTE"/>
  </Segments>
  <Datatypes>
    <Datatype ID="CX_LAB" Name="CX" Label="CX_LAB">
      <Component Name="ID" Usage="R" Datatype="ST" MinLength="1" MaxLength="10"/>
      <Component Name="Check Digit" Usage="O" Datatype="ST" MinLength="1" MaxLength="1"/>
      <Component Name="Scheme" Usage="O" Datatype="ID"/>
      <Component Name="Authority" Usage="R" Datatype="HD_LAB"/>
      <Component Name="Type" Usage="R" Datatype="ID" Binding="LAB_IDS"/>
    </Datatype>
    <Datatype ID="HD_LAB" Name="HD"><Component Name="Namespace" Usage="R" Datatype="IS"/></Datatype>
    <Datatype ID="ST" Name="ST"/>
  </Datatypes>
  <Predicates/>
</ConformanceProfile>"#;

const VALUE_SETS: &str = r#"<ValueSetLibrary><ValueSetDefinitions>
  <ValueSetDefinition BindingIdentifier="LAB_IDS" Name="Identifiers">
    <ValueElement Value="MR" Usage="R"/><ValueElement Value="PI" Usage="P"/><ValueElement Value="SS" Usage="E"/>
  </ValueSetDefinition>
</ValueSetDefinitions></ValueSetLibrary>"#;

#[track_caller]
fn check(documents: &[(&str, &str)], expected: &str, left_out: &[&str]) {
    let documents: Vec<(&str, &[u8])> =
        documents.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let imported = import("lab2", &documents).expect("a profile");
    let written = imported.profile.write();
    // Comments are not what this is about.
    let said: Vec<&str> = written
        .lines()
        .map(|line| line.split("  #").next().unwrap_or(line).trim_end())
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(said.join("\n"), expected.trim(), "{written}");
    assert_eq!(imported.left_out, left_out);
    read(&written).unwrap_or_else(|mistakes| panic!("{mistakes}"));
}

#[test]
fn of_the_messaging_workbench() {
    let expected = "\
profile: lab2
version: 2.5.1
description: Results of the laboratory
messages: [ORU^R01]
segments:
  MSH: { usage: R, cardinality: 1..1 }
  PID: { usage: R, cardinality: 1..1 }
  ZLB: { name: Notes of the laboratory, cardinality: 0..3, after: [PID] }
groups:
  /PATIENT_RESULT: { cardinality: 1..1 }
fields:
  MSH-3: R
  MSH-3.1: { usage: R, constant: LIS }
  PID-1: X
  PID-2: X
  PID-3: { cardinality: 1..3 }
  PID-3.1: { usage: R, length: 0..10 }
  PID-3.2: X
  PID-7: RE
  PID-8: { usage: R, values: [F, M] }
  ZLB-1: { name: Set ID, type: SI, usage: R, cardinality: 1..1, length: 0..4 }
  ZLB-2: { name: Kind, type: ID, cardinality: 0..1, length: 0..2 }";
    check(
        &[("lab2.xml", WORKBENCH)],
        expected,
        &[
            "PID-5: usage C with its condition in prose: unless the patient is unknown",
            "ZLB-2: the codes of `9001` are not in the documents",
            "acknowledgments (DynamicDef): set them at the channel",
        ],
    );
}

#[test]
fn of_nist() {
    let expected = "\
profile: lab2
version: 2.5.1
description: Results
messages: [ORU^R01]
segments:
  MSH: { usage: R, cardinality: 1..1 }
  PID: { usage: R, cardinality: 1..* }
fields:
  NTE-1: R
  PID-2: X
  PID-3: { cardinality: 1..2 }
  PID-3.1: { usage: R, length: 1..10 }
  PID-3.4: R
  PID-3.4.1: R
  PID-3.5: { usage: R, values: [MR, PI] }";
    check(
        &[("lab2.xml", NIST), ("values.xml", VALUE_SETS)],
        expected,
        &["predicates of conditional usage (Predicates)"],
    );
}

const GROUPS: &str = r#"<HL7v2xConformanceProfile HL7Version="2.5.1">
  <HL7v2xStaticDef MsgType="ORU" EventType="R01" MsgStructID="ORU_R01">
    <Segment Name="MSH" Usage="R" Min="1" Max="1"/>
    <SegGroup Name="PATIENT_RESULT" Usage="R" Min="1" Max="1">
      <SegGroup Name="PATIENT" Usage="R" Min="1" Max="1">
        <Segment Name="PID" Usage="R" Min="1" Max="1"/>
        <Segment Name="NTE" Usage="O" Min="0" Max="*">
          <Field Name="Set ID" Usage="R" Min="1" Max="1" Datatype="SI"/>
          <Field Name="Source" Usage="X" Min="0" Max="0" Datatype="ID"/>
        </Segment>
        <SegGroup Name="VISIT" Usage="X" Min="0" Max="0"><Segment Name="PV1" Usage="R" Min="1" Max="1"/></SegGroup>
      </SegGroup>
      <SegGroup Name="ORDER_OBSERVATION" Usage="R" Min="1" Max="*">
        <Segment Name="ORC" Usage="R" Min="1" Max="1"/>
        <Segment Name="OBR" Usage="R" Min="1" Max="1"/>
        <Segment Name="NTE" Usage="X" Min="0" Max="0">
          <Field Name="Set ID" Usage="R" Min="1" Max="1" Datatype="SI"/>
        </Segment>
        <SegGroup Name="OBSERVATION" Usage="R" Min="1" Max="*">
          <Segment Name="OBX" Usage="R" Min="1" Max="1"/>
          <Segment Name="NTE" Usage="O" Min="0" Max="2">
            <Field Name="Set ID" Usage="R" Min="1" Max="1" Datatype="SI"/>
            <Field Name="Source" Usage="R" Min="1" Max="1" Datatype="ID"/>
          </Segment>
        </SegGroup>
        <SegGroup Name="SPECIMEN" Usage="RE" Min="0" Max="3"><Segment Name="SPM" Usage="R" Min="1" Max="1"/></SegGroup>
        <SegGroup Name="SPECIMENS" Usage="O" Min="0" Max="3"/>
      </SegGroup>
    </SegGroup>
  </HL7v2xStaticDef>
</HL7v2xConformanceProfile>"#;

#[test]
fn groups_and_what_stands_in_them() {
    let expected = "\
profile: lab2
version: 2.5.1
messages: [ORU^R01]
segments:
  MSH: { usage: R, cardinality: 1..1 }
  OBR: { usage: R, cardinality: 1..* }
  OBX: { usage: R, cardinality: 1..* }
  ORC: { usage: R, cardinality: 1..* }
  PID: { usage: R, cardinality: 1..1 }
  /PATIENT_RESULT/ORDER_OBSERVATION/NTE: X
  /PATIENT_RESULT/ORDER_OBSERVATION/ORC: R
  /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION/NTE: { cardinality: 0..2 }
groups:
  /PATIENT_RESULT: { cardinality: 1..1 }
  /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION: R
  /PATIENT_RESULT/ORDER_OBSERVATION/SPECIMEN: { usage: RE, cardinality: 0..3 }
  /PATIENT_RESULT/PATIENT: R
  /PATIENT_RESULT/PATIENT/VISIT: X
fields:
  NTE-1: R
  /PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION/NTE-2: R
  /PATIENT_RESULT/PATIENT/NTE-2: X";
    check(
        &[("lab2.xml", GROUPS)],
        expected,
        &[
            "usage and cardinality of segment groups that the message structure does not have: SPECIMENS",
        ],
    );
}

#[test]
fn what_is_no_conformance_profile_is_refused() {
    let check = |text: &str, expected: &str| {
        let error = import("lab2", &[("a.xml", text.as_bytes())]).expect_err("no profile");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("<a/>", "no conformance profile");
    check("<ConformanceProfile/>", "describes no message");
    check("<HL7v2xConformanceProfile/>", "describes no message");
    check("MSH|", "can't be read");
}
