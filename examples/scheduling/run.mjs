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
  stage.holds("it is in the datastore, at its time", booked.status === "booked" && Date.parse(booked.start) === Date.parse("2099-02-01T09:00:00+01:00"));
  const onboarding = await stage.becomes("the patient has a Task: to complete the onboarding", async () => {
    const found = await task(booked);
    return found?.status === "requested" && found;
  });
  await stage.becomes("the app is asked until it answers", () => app.received.length === 3);
  stage.holds("to invite the patient", heard().every((what) => what === "invited"));

  stage.says("It is moved (S13), and the booking is told again.");
  await send(stage.message("move"), stage.message("book", { S0001: "X0001" }));
  const moved = await appointment("F500");
  stage.holds("it is at its new time", moved.id === booked.id && Date.parse(moved.start) === Date.parse("2099-02-02T11:00:00+01:00"));
  await stage.becomes("the app is told of the new time, once", () => heard().at(-1) === "moved" && heard().length === 4);
  stage.holds("there is one Task still", (await stage.found("Task")).length === 1);

  stage.says("What the scheduling system tries out (MSH-11 T) moves nothing.");
  await send(stage.message("book", { S0001: "X0003", "|P|2.5.1": "|T|2.5.1", 20260105: "20260106" }));
  stage.holds("it is where it was", (await appointment("P500")).meta.versionId === moved.meta.versionId);

  stage.says("It is cancelled (S15), and the move is told again.");
  await send(stage.message("cancel"), stage.message("move", { S0002: "X0002" }));
  stage.holds("it is cancelled", (await appointment("P500")).status === "cancelled");
  await stage.becomes("the Task is withdrawn", async () => (await task(booked)).status === "cancelled");
  await stage.becomes("and the app is told so", () => heard().at(-1) === "withdrawn" && heard().length === 5);

  stage.says("Another appointment is booked; its patient completes the onboarding in the app; and does not appear (S26).");
  await send(stage.message("book", { S0001: "S0005", P500: "P5009", F500: "F5009" }));
  const second = await appointment("P5009");
  const open = await stage.becomes("there is a Task", () => task(second));
  const calls = async (key, id = open.id, body = JSON.stringify({ task: id })) => {
    const signature = createHmac("sha256", key).update(body).digest("hex");
    const headers = { "Content-Type": "application/json", "X-Signature": signature };
    return (await fetch(`${stage.url}/bots/onboarded`, { method: "POST", headers, body })).status;
  };
  const forged = await calls("another key");
  stage.holds("whoever has not the key is refused", forged === 401 || forged === 403);
  const other = await stage.fhir("Task", "POST", { resourceType: "Task", status: "requested", intent: "order", code: { text: "Another" } });
  await calls("a key that both know", other.id);
  stage.holds("and of other Tasks the app says nothing", (await stage.fhir(`Task/${other.id}`)).status === "requested");
  await stage.fhir(`Task/${other.id}`, "DELETE");
  for (const body of ["{}", "[]", "null", '""', '{"x":1}', '{"task":""}', '{"task":null}', `{"task":["${open.id}"]}`, '{"task":"*"}', `{"task":"x,${open.id}"}`]) {
    stage.holds(`a signed call that names no Task is refused: ${body.replace(open.id, "…")}`, (await calls("a key that both know", undefined, body)) === 400);
  }
  stage.holds("and the one that is open stays so", (await task(second)).status === "requested");
  stage.holds("the app is heard", (await calls("a key that both know")) === 200 && (await task(second)).status === "completed");
  await send(stage.message("no-show"));
  stage.holds("the appointment is a no-show", (await appointment("P5009")).status === "noshow");
  stage.holds("of what is done nothing is withdrawn", (await task(second)).status === "completed" && !heard().slice(5).includes("withdrawn"));
  stage.holds("the first one's Task is as it was", (await stage.fhir(`Task/${onboarding.id}`)).status === "cancelled");

  stage.says("The first is booked again (S12), and cancelled again.");
  const again = (name, control, day) => stage.message(name, { S0001: control, S0003: control, 20260105: `202601${day}`, 20260107: `202601${day}` });
  await send(again("book", "S0101", "11"));
  await stage.becomes("the patient is asked anew", async () => (await task(booked)).status === "requested" && heard().at(-1) === "invited");
  await send(again("cancel", "S0102", "12"));
  await stage.becomes("and told that it is withdrawn, again", async () => (await task(booked)).status === "cancelled"
    && heard().filter((what) => what === "withdrawn").length === 2);

  stage.says("A group is invited (two PIDs); one of them does not come any more.");
  const member = (number) => `PID|1||${number}^^^NORTH^MR||Member^M${number}\r`;
  const group = (name, control, ...numbers) => stage.message(name, { S0001: control, S0002: control, P500: "P700", F500: "F700" })
    .replace(/PID.*\r/, numbers.map(member).join(""));
  await send(group("book", "S0111", 20001, 20002));
  const both = await appointment("P700");
  const tasks = (status) => stage.found(`Task?focus=Appointment/${both.id}&status=${status}`);
  await stage.becomes("each has a Task of his own", async () => new Set((await tasks("requested")).map((one) => one.for.reference)).size === 2);
  await send(group("move", "S0112", 20001));
  await stage.becomes("one is moved, the other withdrawn", async () => {
    const [[stays, ...others], left] = await Promise.all(["requested", "cancelled"].map(tasks));
    return others.length === 0 && left.length === 1 && heard().slice(-2).sort().join() === "moved,withdrawn"
      && Date.parse(stays?.executionPeriod.start) === Date.parse("2099-02-02T11:00:00+01:00");
  });

  stage.says("An appointment of which the patient has done all is cancelled, and booked again; another is changed by messages that tell no status.");
  const third = (name, control, day, changes = {}) => again(name, control, day).replaceAll("P500", "P510").replaceAll("F500", "F510")
    .replace(changes.from ?? "", changes.to ?? "");
  await send(third("book", "S0131", "14"));
  const done = await appointment("P510");
  const theirs = await stage.becomes("its patient is asked", () => task(done));
  await stage.becomes("and has done it", async () => (await calls("a key that both know", theirs.id)) === 200 && (await task(done)).status === "completed");
  const toldOf = (what) => app.received.map(({ body }) => JSON.parse(body)).filter(({ about, category }) =>
    about.some(({ reference }) => reference === `Task/${theirs.id}`) && category[0].coding[0].code === what).length;
  await send(third("cancel", "S0132", "15"));
  await stage.becomes("the patient is told that it is cancelled, and has done what was asked", async () => toldOf("withdrawn") === 1 && (await task(done)).status === "completed");
  const changed = (control, day, status) => third("book", control, day).replace("SIU^S12", "SIU^S14").replace("BOOKED", status);
  await send(changed("S0133", "16", ""));
  stage.holds("a change without a status (S14, SCH-25) leaves it cancelled", (await appointment("P510")).status === "cancelled");
  await stage.refused(scheduling, changed("S0134", "17", "QUEUED"), "the status of the appointment (SCH-25)");
  await send(third("book", "S0135", "18"));
  await stage.becomes("booked again, the patient is told the time", async () => toldOf("moved") === 1);
  await send(third("cancel", "S0136", "19"));
  await stage.becomes("and that it is cancelled, again", async () => toldOf("withdrawn") === 2 && toldOf("invited") === 1);
  await send(changed("S0137", "20", "Dc"));
  stage.holds("what is discontinued is not booked", (await appointment("P510")).status === "cancelled");
  await send(third("book", "S0138", "21"), changed("S0139", "24", ""), third("cancel", "S0140", "22"), third("book", "S0141", "21"));
  stage.holds("a cancellation that comes behind a later change of something else counts", (await appointment("P510")).status === "cancelled");
  await stage.becomes("and the patient is told of it", async () => toldOf("moved") === 2 && toldOf("withdrawn") === 3
    && (await task(done)).statusReason !== undefined);

  stage.says("Another is broken off (S16), and one deleted (S17); what else is told of appointments waits for a person.");
  const fourth = (name, control, number, event) => stage.message(name, {
    S0001: control, S0003: control, P500: number, F500: `F${number}`, 10001: "10004", S12: event, S15: event, CANCELLED: "",
    20260107: "20260108",
  }).replace("Sample^Anna^B||19800229|F", "Fourth^Fay");
  for (const [number, event, status] of [["P520", "S16", "cancelled"], ["P521", "S17", "entered-in-error"]]) {
    await send(fourth("book", `S${number}1`, number, "S12"));
    const made = await appointment(number);
    await stage.becomes("its patient is asked", async () => (await task(made))?.status === "requested");
    await send(fourth("cancel", `S${number}2`, number, event));
    stage.holds(`by ${event} it is ${status}`, (await appointment(number)).status === status);
    await stage.becomes("and the patient is asked no more", async () => (await task(made)).status === "cancelled");
  }
  await stage.refused(scheduling, fourth("book", "S0529", "P520", "S20"), "what the event (MSH-9.2) does to an appointment");

  stage.says("Messages of an appointment come in every order: status and time are of the newest that speaks of each.");
  const ordersOf = (all) => (all.length < 2 ? [all] : all.flatMap((one) => ordersOf(all.filter((other) => other !== one)).map((order) => [one, ...order])));
  const [early, late] = ["2099-03-01T09:00:00+01:00", "2099-03-02T09:00:00+01:00"];
  const sets = [
    [[["S12", early], ["S15", early], ["S14", early]], "cancelled", early, "GONE"],
    [[["S12", early], ["S16", early], ["S14", ""]], "cancelled", early, "ROUTINE"],
    [[["S12", early], ["S17", early], ["S14", early]], "entered-in-error", early, ""],
    [[["S12", early], ["S26", early], ["S14", early]], "noshow", early, ""],
    [[["S12", early], ["S13", late], ["S14", ""]], "booked", late, ""],
    [[["S12", early], ["S14", early], ["S15", ""]], "cancelled", early, "GONE"],
    [[["S12", early], ["S13", late], ["S15", ""], ["S14", ""]], "cancelled", late, "GONE"],
  ];
  let sent = 0;
  for (const [told, status, start, reason] of sets) {
    const outcomes = new Set();
    for (const order of ordersOf(told)) {
      const number = `P6${String(sent).padStart(3, "0")}`;
      const messages = order.map(([event, time]) => stage.message("book", {
        S0001: `O${(sent += 1)}`, P500: number, F500: `F${number}`, 10001: "10006", S12: event, BOOKED: "", "Sample^Anna^B||19800229|F": "Order^Oda",
        20260105: `2026011${told.findIndex(([own]) => own === event)}`,
      }).replace(/TQ1.*\r/, "").replace(/(AIS.*?)\|2099[^|]*/, "$1|").replace(/\^\^\^2099[^|]*/, time && `^^^${time.replace(/[-:T]/g, "")}`)
        .replace("|ROUTINE^", event === "S15" ? "|GONE^" : "|ROUTINE^"));
      if ((await stage.sends(scheduling, ...messages)).some((code) => code !== "AA")) {
        throw new Error(`refused: ${order}`);
      }
      const is = await appointment(number);
      outcomes.add([is.status, is.start && Date.parse(is.start), is.cancelationReason?.coding[0].code ?? ""].join());
    }
    const expected = [status, Date.parse(start), reason].join();
    stage.holds(`${told.map(([event, time]) => event + (time ? "" : " without a time")).join(", ")}: ${status}`, [...outcomes].join(" or ") === expected);
  }

  stage.says("A family shares an insurance's number.");
  const kin = (number) => stage.message("book", { S0001: `S${number}`, P500: `P${number}`, F500: `F${number}`, "10001^^^NORTH^MR": `${number}^^^NORTH^MR~F1^^^INSURER^HC`, "Sample^Anna^B||19800229|F": "Kin^One" });
  await send(kin(50001), kin(50002));
  const [one, two] = await Promise.all(["P50001", "P50002"].map(appointment));
  const whose = ({ participant }) => participant.map(({ actor }) => actor?.reference).find((reference) => reference?.startsWith("Patient/"));
  stage.holds("each has an appointment of his own", whose(one) !== whose(two));

  stage.says("Messages tell of some who take part, and what becomes of them (AIP-2, AIL-2: added, updated, deleted), or of nobody.");
  const team = (name, control, day, ...resources) => stage.message(name, {
    S0001: control, S0003: control, P500: "P530", F500: "F530", 10001: "10005", "Sample^Anna^B||19800229|F": "Team^Tom", S12: resources.length > 2 ? "S12" : "S14",
    20260105: `202601${day}`,
  }).replace(/(RGS\|[^]*)?$/, resources.length === 0 ? "" : `RGS|1\r${resources.join("\r")}\r`);
  const doctor = (number, action) => `AIP|1|${action}|${number}^Doc^D${number}^^^^^^NORTH&1.2.36.1.1&ISO|ATT`;
  const room = (number, action) => `AIL|1|${action}|${number}^^^NORTH`;
  const takePart = async () => {
    const references = (await appointment("P530")).participant.map(({ actor }) => actor.reference);
    const all = await Promise.all(references.map((reference) => stage.fhir(reference)));
    return all.map(({ resourceType, name, identifier }) => (resourceType === "Patient" ? "Tom" : name?.[0]?.given?.[0] ?? identifier[0].value)).sort().join();
  };
  await send(team("book", "S0531", "25", doctor(1, ""), doctor(2, ""), room("R1", "")));
  const whole = await takePart();
  stage.holds(`all take part: ${whole}`, whole.endsWith("D1,D2,R1,Tom"));
  await send(team("book", "S0532", "26", doctor(2, "U")));
  stage.holds("who is told to be another leaves the others as they are", (await takePart()) === whole);
  await send(team("book", "S0533", "27"));
  stage.holds("and so does a message without any", (await takePart()) === whole);
  await send(team("book", "S0534", "28", doctor(3, "A"), doctor(1, "D")));
  stage.holds("one is added, and one doesn't take part any more", (await takePart()) === whole.replace("D1,D2", "D2,D3"));
  const services = async () => ((await appointment("P530")).serviceType ?? []).map(({ coding }) => coding[0].code).join();
  await send(team("book", "S0535", "29", "AIS|1|A|CHECKUP^Check up^L", "AIS|2|A|SCAN^Scan^L"));
  stage.holds("services are added", (await services()) === "CHECKUP,SCAN");
  await send(team("book", "S0536", "30", "AIS|1|D|CHECKUP^Check up^L"));
  stage.holds("and one of them is taken out", (await services()) === "SCAN" && (await takePart()) === whole.replace("D1,D2", "D2,D3"));

  stage.says("A patient's records are merged just when an appointment was made for the one that goes.");
  const person = (number, more) => ({
    resourceType: "Patient", identifier: [{ system: "urn:oid:1.2.36.1.1", value: number }], name: [{ family: "Merged" }], active: true, ...more,
  });
  const stays = await stage.fhir("Patient", "POST", person("80001"));
  const link = [{ other: { reference: `Patient/${stays.id}` }, type: "replaced-by" }];
  const goes = await stage.fhir("Patient", "POST", person("80002", { active: false, link }));
  const madeFor = (patient, more) => ({
    resourceType: "Appointment", status: "booked", start: "2099-02-03T09:00:00+01:00", end: "2099-02-03T09:30:00+01:00",
    participant: [{ actor: { reference: `Patient/${patient.id}` }, status: "accepted" }], ...more,
  });
  const merged = await stage.fhir("Appointment", "POST", madeFor(goes));
  const toldTo = (patient) => app.received.map(({ body }) => JSON.parse(body)).filter(({ subject }) => subject.reference === `Patient/${patient.id}`)
    .map(({ category }) => category[0].coding[0].code).join();
  await stage.becomes("the one that remains is asked", async () => (await task(merged))?.for.reference === `Patient/${stays.id}` && toldTo(stays) === "invited");
  await stage.fhir(`Appointment/${merged.id}`, "PUT", madeFor(stays, { id: merged.id }));
  await stage.fhir(`Appointment/${merged.id}`, "PUT", madeFor(stays, { id: merged.id, status: "cancelled" }));
  await stage.becomes("once, and told when it is cancelled", () => toldTo(stays) === "invited,withdrawn" && toldTo(goes) === "");
  stage.holds("there is one Task", (await stage.found(`Task?focus=Appointment/${merged.id}`)).length === 1);

  stage.says("One of two declines, and then the other (their participant's status).");
  const guests = await Promise.all(["80003", "80004"].map((number) => stage.fhir("Patient", "POST", person(number))));
  const party = (...statuses) => madeFor(goes, {
    participant: statuses.map((status, at) => ({ actor: { reference: `Patient/${guests[at].id}` }, status })),
  });
  const declined = await stage.fhir("Appointment", "POST", party("accepted", "declined"));
  await stage.becomes("who comes is invited", () => toldTo(guests[0]) === "invited");
  await stage.fhir(`Appointment/${declined.id}`, "PUT", { ...party("declined", "declined"), id: declined.id });
  await stage.becomes("and the Task withdrawn", async () => (await task(declined)).status === "cancelled" && toldTo(guests[0]) === "invited,withdrawn");
  stage.holds("who had declined was asked nothing", (await stage.found(`Task?focus=Appointment/${declined.id}`)).length === 1 && toldTo(guests[1]) === "");

  stage.says("It is told to be at another time, and not for how long (SCH-9).");
  const lasting = (name, control, changes) => stage.message(name, { S0001: control, S0002: control, P500: "P540", F500: "F540", 10001: "10007", "Sample^Anna^B": "Long^Lou", ...changes });
  await send(lasting("book", "S0541", {}), lasting("move", "S0542", { "30|min": "|", 20990202113000: "20990202120000" }));
  const longer = await appointment("P540");
  stage.holds("of the old duration nothing is left", Date.parse(longer.end) === Date.parse("2099-02-02T12:00:00+01:00") && longer.minutesDuration === undefined);
  await send(lasting("book", "S0543", { 20260105: "20260104" }));
  stage.holds("and an older message does not bring it back", (await appointment("P540")).minutesDuration === undefined);
  await stage.becomes("its patient is asked", async () => (await task(longer))?.status === "requested");

  stage.says("An appointment is booked that was in the past.");
  await send(stage.message("book", { S0001: "S0551", P500: "P550", F500: "F550", 10001: "10008", "Sample^Anna^B": "Past^Pia", 2099: "2025" }));
  const past = await appointment("P550");
  await stage.becomes("it is there", () => past.status === "booked");

  stage.says("Messages that say not whose appointment it is, or another's, or which.");
  const stands = async () => JSON.stringify(await Promise.all(["Appointment", "Patient", "Task"].map((type) => stage.found(`${type}?_sort=_id&_count=500`))));
  await stage.becomes("those asked have their Tasks", async () => (await stage.found("Task?status=requested&_count=100")).length === 11);
  const before = await stands();
  const wrong = (control, pid, changes = {}) => stage.message("move", { S0002: control, P500: `P${control}`, F500: `F${control}`, "10001^^^NORTH^MR": pid, 20260106: "20260120", ...changes });
  const nobody = "no number finds the patient";
  await stage.refused(scheduling, wrong("S0121", "50003"), nobody);
  await stage.refused(scheduling, wrong("S0122", "50003^^^UNKNOWN^MR"), nobody);
  await stage.refused(scheduling, wrong("S0123", "F1^^^INSURER^HC"), nobody);
  await stage.refused(scheduling, wrong("S0124", "").replace(/PID.*\r/, ""), "there is no PID");
  await stage.refused(scheduling, stage.message("move", { S0002: "S0125", "10001^^^NORTH^MR||Sample^Anna^B": "50001^^^NORTH^MR||Kin^One", 20260106: "20260120" }), "the appointment with its number is another patient's");
  await stage.refused(scheduling, stage.message("move", { S0002: "S0126", F500: "F5009", 20260106: "20260120" }), "its placer and its filler number are those of several appointments");
  await stage.refused(scheduling, wrong("S0127", "50001^^^NORTH^MR", { "Sample^Anna^B||19800229|F": "Kin^One" }).replace(/^(MSH\|.{4}\|SCHED\|NORTH\|PIPEHAT\|NORTH\|)[^|]*/, "$1"), "says when this was");

  stage.says("Messages of which the time, or the status, is not understood.");
  const misread = (control, changes) => stage.message("book", { S0001: control, 20260105: "20260121", ...changes });
  const unread = "the time of the appointment (SCH-11, TQ1) can't be read";
  await stage.refused(scheduling, misread("S0561", { SIU_S12: "SIU_S13", "SIU^S12": "SIU^S13", "20990201090000+0100": "20990232090000" }), unread);
  await stage.refused(scheduling, misread("S0562", { P500: "P560", F500: "F560", "20990201090000+0100": "20270328023000" }), unread);
  await stage.refused(scheduling, misread("S0563", { "20990201093000+0100": "20990201083000+0100" }), "ends before it begins");
  await stage.refused(scheduling, misread("S0564", { P500: "P560", F500: "F560", "20990201090000+0100": "", "20990201093000+0100": "" }), "nobody has told when it begins");
  await stage.refused(scheduling, misread("S0565", { "|BOOKED": "|Tentative" }), "the status of the appointment (SCH-25)");
  stage.holds("nothing changed, and nothing was made", (await stands()) === before);
  stage.holds("and of what is past nobody was asked", (await stage.found(`Task?focus=Appointment/${past.id}`)).length === 0);
});
