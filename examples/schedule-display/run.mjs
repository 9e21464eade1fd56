#!/usr/bin/env node
// Appointments in the datastore, shown by another organisation: booked, moved, changed, cancelled.
import { field, workflow } from "../workflow.mjs";

await workflow(import.meta.url, async (stage) => {
  const display = await stage.listens();
  await stage.up({ PIPEHAT_DISPLAY: display.address });
  const events = () => display.received.map((message) => field(message, "MSH", 9).split("^")[1]).join(" ");

  stage.says("An appointment is proposed, and booked.");
  const patient = await stage.fhir("Patient", "POST", {
    resourceType: "Patient",
    identifier: [{ type: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/v2-0203", code: "MR" }] },
      system: "urn:oid:1.2.36.1.1", value: "10001" }],
    name: [{ family: "Sample", given: ["Anna", "Barbara"] }],
    birthDate: "1980-02-29",
  });
  const content = {
    resourceType: "Appointment",
    status: "proposed",
    identifier: [{ type: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/v2-0203", code: "FILL" }] },
      system: "urn:oid:1.2.36.1.4", value: "F500" }],
    start: "2026-02-01T09:00:00+01:00",
    end: "2026-02-01T09:30:00+01:00",
    minutesDuration: 30,
    participant: [{ actor: { reference: `Patient/${patient.id}` }, status: "accepted" }],
  };
  const appointment = await stage.fhir("Appointment", "POST", content);
  const becomes = (more) => stage.fhir(`Appointment/${appointment.id}`, "PUT", { ...content, ...more, id: appointment.id });
  await becomes({ status: "booked" });
  await stage.becomes("the display is told of a booking (S12)", () => events() === "S12");
  const [booked] = display.received;
  stage.holds("with its number", (field(booked, "SCH", 1) + field(booked, "SCH", 2)).includes("F500"));
  stage.holds("at its time", field(booked, "TQ1", 7).startsWith("20260201090000"));
  stage.holds("and only the patient's initials", field(booked, "PID", 5) === "S^A" && field(booked, "PID", 7) === "");

  stage.says("It is moved, Pipehat is killed, it is moved again, and gets a comment.");
  const later = { start: "2026-02-02T11:00:00+01:00", end: "2026-02-02T11:30:00+01:00" };
  await becomes({ status: "booked", ...later });
  await stage.isKilled();
  const latest = { start: "2026-02-03T12:00:00+01:00", end: "2026-02-03T12:30:00+01:00" };
  await becomes({ status: "booked", ...latest });
  await becomes({ status: "booked", ...latest, comment: "Bring the letter" });
  // Behind a kill the one that was on its way may come twice: with the same control id, as anybody who takes messages expects.
  const times = () => new Map(display.received.map((message) => [field(message, "MSH", 10), field(message, "TQ1", 7).slice(0, 10)]));
  await stage.becomes("the display is told of both moves (S13), in their order",
    () => [...times().values()].join(" ").startsWith("2026020109 2026020211 2026020312"));

  await stage.becomes("and that something else changed (S14), but not what", () => events().endsWith("S13 S14") && !display.received.join().includes("letter"));

  stage.says("It is given to another patient, who takes the old one's place; and then taken to another room.");
  const other = await stage.fhir("Patient", "POST", { ...patient, id: undefined, meta: undefined, identifier: [{ ...patient.identifier[0], value: "10003" }] });
  const room1 = await stage.fhir("Location", "POST", { resourceType: "Location", name: "ROOM2" });
  const taken = { ...latest, participant: [{ actor: { reference: `Patient/${other.id}` }, status: "accepted" }] };
  await becomes({ status: "booked", ...taken });
  await stage.becomes("the display is told whose the same number now is (S14)", () => {
    const last = display.received.at(-1);
    return field(last, "MSH", 9).startsWith("SIU^S14") && field(last, "PID", 3).startsWith("10003^") && field(last, "SCH", 2) === field(booked, "SCH", 2);
  });
  taken.participant.push({ actor: { reference: `Location/${room1.id}` }, status: "accepted" });
  await becomes({ status: "booked", ...taken });
  await stage.becomes("and where", () => display.received.at(-1).includes("ROOM2"));

  stage.says("It is cancelled. Another one was entered in error.");
  await becomes({ status: "cancelled", ...taken });
  await stage.becomes("the display is told so (S15)", () => events().endsWith("S14 S15"));
  const mistaken = { ...content, identifier: [{ ...content.identifier[0], value: "F502" }] };
  const { id: mistake } = await stage.fhir("Appointment", "POST", { ...mistaken, status: "booked" });
  await stage.fhir(`Appointment/${mistake}`, "PUT", { ...mistaken, id: mistake, status: "entered-in-error" });
  await stage.becomes("of which it is told, too (S17)", () => events().endsWith("S15 S12 S17"));
  stage.holds("and was told of nothing else", times().size === 9);

  stage.says("The appointment of somebody of whom everything is known is booked, moved and cancelled.");
  const v2 = (table, code) => [{ system: `http://terminology.hl7.org/CodeSystem/v2-${table}`, code }];
  const secret = await stage.fhir("Patient", "POST", {
    resourceType: "Patient",
    identifier: [
      { type: { coding: v2("0203", "SS") }, system: "http://hl7.org/fhir/sid/us-ssn", value: "SECRET-1" },
      { type: { coding: v2("0203", "DL") }, system: "urn:oid:1.2.36.9", value: "SECRET-2" },
      { type: { coding: v2("0203", "MR") }, system: "urn:oid:1.2.36.1.1", value: "10002" },
      { type: { coding: v2("0203", "AN") }, system: "urn:oid:1.2.36.1.1", value: "SECRET-3" },
    ],
    name: [{ use: "official", family: "XSECRET", given: ["YSECRET", "ZSECRET"], prefix: ["SECRET"], suffix: ["SECRET"] },
      { use: "maiden", family: "SECRET" }, { use: "nickname", text: "SECRET" }],
    gender: "female",
    birthDate: "1919-09-09",
    deceasedDateTime: "2026-01-19",
    maritalStatus: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", code: "M" }], text: "SECRET" },
    address: [{ city: "SECRET", line: ["SECRET"] }],
    telecom: [{ system: "phone", value: "SECRET", use: "home" }, { system: "phone", value: "SECRET", use: "work" }, { system: "email", value: "SECRET@x.example" }],
    communication: [{ language: { coding: [{ system: "urn:ietf:bcp:47", code: "de" }] } }],
    contact: [{ name: { family: "SECRET" } }],
    multipleBirthInteger: 2,
    extension: [
      { url: "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", valueString: "SECRET" },
      { url: "http://hl7.org/fhir/StructureDefinition/patient-religion", valueCodeableConcept: { text: "SECRET" } },
      { url: "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", valueAddress: { city: "SECRET" } },
    ],
  });
  const who = { reference: `Patient/${secret.id}`, display: "SECRET" };
  const condition = await stage.fhir("Condition", "POST", { resourceType: "Condition", subject: who, code: { text: "SECRET" } });
  await stage.fhir("AllergyIntolerance", "POST", { resourceType: "AllergyIntolerance", patient: who, code: { text: "SECRET" },
    clinicalStatus: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", code: "active" }] } });
  await stage.fhir("Coverage", "POST", { resourceType: "Coverage", status: "active", beneficiary: who, payor: [{ display: "SECRET" }], subscriberId: "SECRET" });
  const relative = await stage.fhir("RelatedPerson", "POST", { resourceType: "RelatedPerson", patient: who, name: [{ family: "SECRET" }] });
  const doctor = await stage.fhir("Practitioner", "POST", { resourceType: "Practitioner", identifier: [{ system: "urn:oid:1.2.36.1.1", value: "1234" }], name: [{ family: "Busch", given: ["Berta"] }], telecom: [{ system: "phone", value: "SECRET" }] });
  const room = await stage.fhir("Location", "POST", { resourceType: "Location", name: "ROOM1", description: "SECRET" });
  const told = {
    ...content,
    identifier: [{ ...content.identifier[0], value: "F501" }],
    reasonCode: [{ text: "SECRET" }],
    reasonReference: [{ reference: `Condition/${condition.id}` }],
    serviceType: [{ text: "SECRET" }],
    specialty: [{ text: "SECRET" }],
    appointmentType: { coding: v2("0276", "FOLLOWUP"), text: "SECRET" },
    description: "SECRET",
    comment: "SECRET",
    patientInstruction: "SECRET",
    participant: [who, { reference: `RelatedPerson/${relative.id}` }, { reference: `Practitioner/${doctor.id}` }, { reference: `Location/${room.id}` }]
      .map((actor) => ({ actor, status: "accepted" })),
  };
  const before = display.received.length;
  const full = await stage.fhir("Appointment", "POST", { ...told, status: "booked" });
  const goesOn = (more) => stage.fhir(`Appointment/${full.id}`, "PUT", { ...told, ...more, id: full.id });
  await goesOn({ status: "booked", ...later });
  await goesOn({ status: "cancelled", ...later, cancelationReason: { text: "SECRET" } });
  await stage.becomes("the display is told of all three", () => display.received.length === before + 3);
  const heard = display.received.slice(before).join("");
  stage.holds("of the patient it has the number and the initials", field(heard, "PID", 3) === "10002^^^NORTH&1.2.36.1.1&ISO^MR" && field(heard, "PID", 5) === "X^Y");
  stage.holds("and with whom, and where", heard.includes("Busch^Berta") && heard.includes("ROOM1"));
  stage.holds("and nothing that is kept from it", !/SECRET|19190909|20260119/.test(heard));
  // A field that is not here is one that nobody has thought about.
  const known = new Set(["MSH", "SCH-1", "SCH-2", "SCH-9", "SCH-10", "SCH-11", "SCH-25", "TQ1-1", "TQ1-7", "TQ1-8", "PID-1", "PID-3", "PID-5",
    "RGS-1", "RGS-2", "AIL-1", "AIL-2", "AIL-3", "AIP-1", "AIP-2", "AIP-3"]);
  const places = display.received.flatMap((message) => message.split("\r")).filter(Boolean).flatMap((line) => {
    const [name, ...fields] = line.split("|");
    return name === "MSH" ? [name] : fields.flatMap((content, at) => (content === "" ? [] : [`${name}-${at + 1}`]));
  });
  stage.holds("in no other field or segment", places.every((place) => known.has(place)));

  stage.says("Appointments of a patient whom the display does not know, and of nobody, are not told.");
  const stranger = await stage.fhir("Patient", "POST", { resourceType: "Patient", name: [{ family: "Stranger" }], identifier: [{ type: { coding: v2("0203", "SS") }, system: "urn:oid:1.2.36.9", value: "SECRET" }] });
  for (const actor of [{ reference: `Patient/${stranger.id}` }, { display: "Somebody" }]) {
    const { id } = await stage.fhir("Appointment", "POST", { ...content, status: "booked", participant: [{ actor, status: "accepted" }] });
    await stage.becomes("one waits for a person", async () => (await stage.api("messages/search", "POST", {})).messages
      .some(({ control_id: own, disposition }) => own === id && disposition === "parked"));
  }
  stage.holds("and the display heard nothing of them", display.received.length === before + 3);
});
