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
    () => [...times().values()].join(" ") === "2026020109 2026020211 2026020312");

  stage.says("It is cancelled.");
  await becomes({ status: "cancelled", ...latest });
  await stage.becomes("the display is told so (S15)", () => events().endsWith("S13 S15"));
  stage.holds("and was told of nothing else", times().size === 4);
});
