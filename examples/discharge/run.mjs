#!/usr/bin/env node
// A visit ends in the datastore: those who subscribed hear of it by HL7 v2, once.
import { field, workflow } from "../workflow.mjs";

const disposition = (code, display) => ({ coding: [{ system: "http://terminology.hl7.org/CodeSystem/v2-0112", code, display }] });

/**
 * What a partner was told, each message once: behind a kill it may be delivered again, as it was, under the same control id.
 */
const once = ({ received }) => [...new Map(received.map((message) => [field(message, "MSH", 10), message])).values()];
const isRepeatedAsItWas = ({ received }) => new Set(received).size === new Set(received.map((message) => field(message, "MSH", 10))).size;

await workflow(import.meta.url, async (stage) => {
  const homeCare = await stage.listens();
  // Once Pipehat is killed when billing has a message, and before it could say so.
  let isSaved;
  const saved = new Promise((done) => (isSaved = done));
  let [kills, isBack] = [1, false];
  const billing = await stage.listens(async (message) => {
    if (field(message, "PV1", 19).startsWith("V0002") && kills-- > 0) {
      await saved;
      await stage.isKilled();
      isBack = true;
    }
    return "AA";
  });
  await stage.up({ PIPEHAT_HOME_CARE: homeCare.address, PIPEHAT_BILLING: billing.address });

  stage.says("A patient is in the hospital.");
  const patient = await stage.fhir("Patient", "POST", {
    resourceType: "Patient",
    identifier: [{ type: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/v2-0203", code: "MR" }] },
      system: "urn:oid:1.2.36.1.1", value: "10001" }],
    name: [{ family: "Sample", given: ["Anna", "B"] }],
    birthDate: "1980-02-29",
    gender: "female",
  });
  const visit = (number, more) => ({
    resourceType: "Encounter",
    status: "in-progress",
    class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "IMP" },
    identifier: [{ type: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/v2-0203", code: "VN" }] },
      system: "urn:oid:1.2.36.1.1", value: number }],
    subject: { reference: `Patient/${patient.id}` },
    period: { start: "2026-01-05T08:00:00+01:00" },
    ...more,
  });
  const discharged = {
    status: "finished",
    period: { start: "2026-01-05T08:00:00+01:00", end: "2026-01-07T10:30:00+01:00" },
    hospitalization: { dischargeDisposition: disposition("01", "Discharged to home") },
  };
  const first = await stage.fhir("Encounter", "POST", visit("V0001"));
  const save = (saved, more) => stage.fhir(`Encounter/${saved.id}`, "PUT", { ...visit(saved.identifier[0].value, more), id: saved.id });

  stage.says("She is discharged to her home.");
  await save(first, discharged);
  await stage.becomes("home care and billing are told", () => once(homeCare).length === 1 && once(billing).length === 1);
  const [told] = homeCare.received;
  stage.holds("by an ADT^A03", field(told, "MSH", 9).startsWith("ADT^A03"));
  stage.holds("for her", field(told, "PID", 3).startsWith("10001^^^NORTH&1.2.36.1.1&ISO^MR") && field(told, "PID", 5).startsWith("Sample^Anna"));
  stage.holds("with the number of the visit", field(told, "PV1", 19).startsWith("V0001"));
  stage.holds("where she went", field(told, "PV1", 36) === "01");
  stage.holds("and when", field(told, "PV1", 45).startsWith("20260107103000"));
  stage.holds("each in its own name", field(told, "MSH", 5) === "HOMECARE" && field(billing.received[0], "MSH", 5) === "BILLING");

  stage.says("The visit is saved again, twice; Pipehat is killed and starts again; and another visit ends in death, of which billing hears just when Pipehat is killed.");
  await save(first, { ...discharged, length: { value: 2, unit: "days", system: "http://unitsofmeasure.org", code: "d" } });
  await stage.isKilled();
  await save(first, discharged);
  const second = await stage.fhir("Encounter", "POST", visit("V0002"));
  await save(second, { ...discharged, hospitalization: { dischargeDisposition: disposition("20", "Expired") } });
  isSaved();
  await stage.becomes("it is killed before billing answers", () => isBack);
  await stage.becomes("billing is told of the other one", () => once(billing).length === 2 && field(once(billing)[1], "PV1", 19).startsWith("V0002"));
  stage.holds("nobody was told of the first as of another discharge, and home care not of the other", once(homeCare).length === 1);
  await stage.becomes("it is told again what it had when Pipehat was killed", () => billing.received.length > once(billing).length);
  stage.holds("byte by byte the same, under the same control id", [homeCare, billing].every(isRepeatedAsItWas));

  stage.says("The discharge was a mistake; she is discharged a day later.");
  await save(first, {});
  await save(first, { ...discharged, period: { start: "2026-01-05T08:00:00+01:00", end: "2026-01-08T09:00:00+01:00" } });
  await stage.becomes("that is a discharge of its own", () => once(homeCare).length === 2 && once(billing).length === 3);
  stage.holds("with its own time", field(once(homeCare)[1], "PV1", 45).startsWith("20260108090000"));

  stage.says("Visits of a patient who isn't there, of nobody, and of one without a number end.");
  const nameless = await stage.fhir("Patient", "POST", { resourceType: "Patient", name: [{ family: "Stranger" }] });
  for (const subject of [{ reference: "Patient/nobody" }, { display: "Somebody" }, { reference: `Patient/${nameless.id}` }]) {
    const { id } = await stage.fhir("Encounter", "POST", { ...visit("V0009", discharged), subject });
    await stage.becomes("one waits for a person", async () => (await stage.api("messages/search", "POST", {})).messages
      .some(({ control_id: own, disposition }) => own === id && disposition === "parked"));
    await stage.fhir(`Encounter/${id}`, "DELETE");
  }
  stage.holds("and nobody is told of a discharge without its patient", once(homeCare).length === 2 && once(billing).length === 3);
});
