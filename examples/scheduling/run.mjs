#!/usr/bin/env node
// Appointments of a scheduling system, and an app that asks patients to prepare: booked, moved, cancelled, missed.
import { createHmac } from "node:crypto";
import { freeAddress, workflow } from "../workflow.mjs";

await workflow(import.meta.url, async (stage) => {
  const scheduling = await freeAddress();
  // The app is down at first.
  let down = 2;
  const app = await stage.serves(() => (down-- > 0 ? 503 : 200));
  await stage.up({ PIPEHAT_LISTEN: scheduling, PIPEHAT_ENGAGEMENT: `${app.url}/onboarding`, PIPEHAT_SECRET_ENGAGEMENT: "a key that both know" });
  await stage.becomes("it says where the app calls the bot `onboarded`", async () =>
    stage.printed.includes(`onboarded  bot for a webhook: ${stage.url}/bots/onboarded\n`));
  const send = async (...messages) => {
    const codes = await stage.sends(scheduling, ...messages);
    stage.holds(`the scheduling system was told ${codes.join(", ")}`, codes.every((code) => code === "AA"));
  };
  const appointment = async (number) => (await stage.found(`Appointment?identifier=urn:oid:1.2.36.1.4%7C${number}`))[0];
  const task = async ({ id }) => (await stage.found(`Task?focus=Appointment/${id}`))[0];
  const heard = () => app.received.map(({ body }) => JSON.parse(body).category[0].coding[0].code);

  stage.says("An appointment is booked (S12). The app is down at first.");
  await send(stage.message("book"));
  const booked = await appointment("P500");
  stage.holds("it is in the datastore, at its time", booked.status === "booked" && Date.parse(booked.start) === Date.parse("2026-02-01T09:00:00+01:00"));
  const onboarding = await stage.becomes("the patient has a Task: to complete the onboarding", async () => {
    const found = await task(booked);
    return found?.status === "requested" && found;
  });
  await stage.becomes("the app is asked until it answers", () => app.received.length === 3);
  stage.holds("to invite the patient", heard().every((what) => what === "invited"));

  stage.says("It is moved (S13), and the booking is told again.");
  await send(stage.message("move"), stage.message("book", { S0001: "X0001" }));
  const moved = await appointment("F500");
  stage.holds("it is at its new time", moved.id === booked.id && Date.parse(moved.start) === Date.parse("2026-02-02T11:00:00+01:00"));
  await stage.becomes("the app is told of the new time, once", () => heard().at(-1) === "moved" && heard().length === 4);
  stage.holds("there is one Task still", (await stage.found("Task")).length === 1);

  stage.says("It is cancelled (S15), and the move is told again.");
  await send(stage.message("cancel"), stage.message("move", { S0002: "X0002" }));
  stage.holds("it is cancelled", (await appointment("P500")).status === "cancelled");
  await stage.becomes("the Task is withdrawn", async () => (await task(booked)).status === "cancelled");
  await stage.becomes("and the app is told so", () => heard().at(-1) === "withdrawn" && heard().length === 5);

  stage.says("Another appointment is booked; its patient completes the onboarding in the app; and does not appear (S26).");
  await send(stage.message("book", { S0001: "S0005", P500: "P5009", F500: "F5009" }));
  const second = await appointment("P5009");
  const open = await stage.becomes("there is a Task", () => task(second));
  const calls = async (key) => {
    const body = JSON.stringify({ task: open.id });
    const signature = createHmac("sha256", key).update(body).digest("hex");
    const headers = { "Content-Type": "application/json", "X-Signature": signature };
    return (await fetch(`${stage.url}/bots/onboarded`, { method: "POST", headers, body })).status;
  };
  const forged = await calls("another key");
  stage.holds("whoever has not the key is refused", forged === 401 || forged === 403);
  stage.holds("the app is heard", (await calls("a key that both know")) === 200 && (await task(second)).status === "completed");
  await send(stage.message("no-show"));
  stage.holds("the appointment is a no-show", (await appointment("P5009")).status === "noshow");
  stage.holds("of what is done nothing is withdrawn", (await task(second)).status === "completed" && !heard().slice(5).includes("withdrawn"));
  stage.holds("the first one's Task is as it was", (await stage.fhir(`Task/${onboarding.id}`)).status === "cancelled");
});
