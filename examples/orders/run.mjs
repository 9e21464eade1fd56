#!/usr/bin/env node
// Orders to a laboratory: activated, acknowledged, refused, answered by a result, revoked.
import { field, freeAddress, workflow } from "../workflow.mjs";

const CODE = "http://terminology.hl7.org/CodeSystem/v2-0203";

await workflow(import.meta.url, async (stage) => {
  // What the laboratory does not answer before it is told to.
  const holds = {};
  const laboratory = await stage.listens((message) => {
    const key = field(message, "ORC", 2).split("^")[0] + field(message, "ORC", 1);
    if (holds[key] !== undefined) {
      return new Promise((answer) => (holds[key] = answer));
    }
    if (field(message, "OBR", 4).startsWith("718-7")) {
      const header = `MSH|^~\\&|LAB|NORTH|CPOE|NORTH|20260105090000+0100||ORR^O02^ORR_O02|R${field(message, "MSH", 10)}|P|2.5.1`;
      return `${header}\rMSA|AE|${field(message, "MSH", 10)}\rERR||OBR^1^4|103^Table value not found^HL70357|E||||We do not offer this test\r`;
    }
    return "AA";
  });
  const results = await freeAddress();
  const acknowledgments = await freeAddress();
  await stage.up({
    PIPEHAT_LABORATORY: laboratory.address,
    PIPEHAT_RESULTS_LISTEN: results,
    PIPEHAT_ACKNOWLEDGMENTS_LISTEN: acknowledgments,
  });
  const taskOf = (order, code) => stage.found(`Task?focus=ServiceRequest/${order.id}&code=${code}`).then(([task]) => task);

  stage.says("A doctor prepares an order, and activates it.");
  const patient = await stage.fhir("Patient", "POST", {
    resourceType: "Patient",
    identifier: [{ type: { coding: [{ system: CODE, code: "MR" }] }, system: "urn:oid:1.2.36.1.1", value: "10001" }],
    name: [{ family: "Sample", given: ["Anna"] }],
    birthDate: "1980-02-29",
    gender: "female",
  });
  const orders = (number, code, display, subject = patient) => stage.fhir("ServiceRequest", "POST", {
    resourceType: "ServiceRequest",
    status: "draft",
    intent: "order",
    identifier: [{ type: { coding: [{ system: CODE, code: "PLAC" }] }, system: "urn:oid:1.2.36.1.2", value: number }],
    code: { coding: [{ system: "http://loinc.org", code, display }] },
    subject: { reference: `Patient/${subject.id}` },
    authoredOn: "2026-01-05T08:30:00+01:00",
  });
  const becomes = (order, status) => stage.fhir(`ServiceRequest/${order.id}`, "PUT", { ...order, status });
  const panel = await orders("P100", "24323-8", "Comprehensive metabolic panel");
  await becomes(panel, "active");
  await stage.becomes("the laboratory has it", () => laboratory.received.length === 1);
  const [sent] = laboratory.received;
  stage.holds("as an ORM^O01 for a new order", field(sent, "MSH", 9).startsWith("ORM^O01") && field(sent, "ORC", 1) === "NW");
  stage.holds("with the order's number, the patient and the test", field(sent, "ORC", 2) === "P100^CPOE^1.2.36.1.2^ISO"
    && field(sent, "PID", 3).startsWith("10001^") && field(sent, "OBR", 4).startsWith("24323-8^"));
  await stage.becomes("the order's Task says that it was accepted", async () => (await taskOf(panel, "fulfill"))?.status === "accepted");

  stage.says("The laboratory does not offer another test.");
  const refused = await orders("P101", "718-7", "Hemoglobin");
  await becomes(refused, "active");
  const task = await stage.becomes("that order's Task was rejected", async () => {
    const task = await taskOf(refused, "fulfill");
    return task?.status === "rejected" && task;
  });
  stage.holds("in the laboratory's words", task.statusReason.text === "We do not offer this test");

  stage.says("The result comes, under the order's number.");
  const [code] = await stage.sends(results, stage.message("result"));
  stage.holds("it is taken", code === "AA");
  const [report] = await stage.found("DiagnosticReport?identifier=F100");
  stage.holds("it belongs to the order", report.basedOn[0].reference === `ServiceRequest/${panel.id}`);
  stage.holds("the order is completed", (await stage.fhir(`ServiceRequest/${panel.id}`)).status === "completed");
  await stage.becomes("and its Task", async () => (await taskOf(panel, "fulfill")).status === "completed");

  stage.says("An order is put on hold while its result is on the way.");
  const held = await orders("P120", "24323-8", "Comprehensive metabolic panel");
  await becomes(held, "active");
  await stage.becomes("it was accepted", async () => (await taskOf(held, "fulfill"))?.status === "accepted");
  await becomes(held, "on-hold");
  const [done] = await stage.sends(results, stage.message("result", { P100: "P120", F100: "F120" }).replace(/^(MSH.*?\|ORU\^R01\^ORU_R01\|)[^|]*/, "$1L0120"));
  stage.holds("it is taken, and the order done: nobody sends it again", done === "AA" && (await stage.fhir(`ServiceRequest/${held.id}`)).status === "completed");

  stage.says("A third order is activated, and revoked. Pipehat is killed in between.");
  const third = await orders("P102", "2345-7", "Glucose");
  await becomes(third, "active");
  await stage.becomes("the laboratory has it", () => laboratory.received.some((message) => field(message, "ORC", 2).startsWith("P102")));
  await stage.isKilled();
  await becomes(third, "revoked");
  await stage.becomes("the laboratory is told to cancel it", () => laboratory.received.some((message) =>
    field(message, "ORC", 2).startsWith("P102") && field(message, "ORC", 1) === "CA"));
  await stage.becomes("which it acknowledged", async () => (await taskOf(third, "abort"))?.status === "completed");
  await stage.becomes("nobody waits for it any more", async () => (await taskOf(third, "fulfill"))?.status === "cancelled");
  stage.holds("it heard of nothing but the orders, the hold and the cancellation",
    new Set(laboratory.received.map((message) => field(message, "ORC", 2) + field(message, "ORC", 1))).size === 6);

  stage.says("A fourth is activated; the laboratory works on it before it acknowledges it.");
  holds.P103NW = () => {};
  const fourth = await orders("P103", "24323-8", "Comprehensive metabolic panel");
  await becomes(fourth, "active");
  await stage.becomes("the laboratory has it", () => laboratory.received.some((message) => field(message, "ORC", 2).startsWith("P103")));
  await stage.sends(results, stage.message("result", { P100: "P103", F100: "F103", L0002: "L0103" }));
  await stage.becomes("its result completes the Task", async () => (await taskOf(fourth, "fulfill"))?.status === "completed");
  // What was on its way when Pipehat was killed may have been delivered, and acknowledged, twice.
  const acknowledged = async () => (await stage.api("messages/search", "POST", {})).messages
    .filter(({ channel, disposition }) => channel === "acknowledgments" && disposition === "delivered").length;
  const before = await acknowledged();
  holds.P103NW("AA");
  await stage.becomes("the acknowledgment comes", async () => (await acknowledged()) === before + 1);
  stage.holds("and does not open it again", (await taskOf(fourth, "fulfill")).status === "completed");

  stage.says("A fifth is changed twice before the laboratory answers, and it refuses the first of the changes.");
  holds.P104NW = () => {};
  const fifth = await orders("P104", "2345-7", "Glucose");
  await becomes(fifth, "active");
  await stage.fhir(`ServiceRequest/${fifth.id}`, "PUT", { ...fifth, status: "active", priority: "urgent" });
  await stage.fhir(`ServiceRequest/${fifth.id}`, "PUT", { ...fifth, status: "active", priority: "stat" });
  const changes = () => stage.found(`Task?focus=ServiceRequest/${fifth.id}&code=change&_sort=_lastUpdated`);
  await stage.becomes("each is a Task of its own", async () => (await changes()).length === 2);
  holds.P104XO = () => {};
  const asked = () => laboratory.received.filter((message) => field(message, "ORC", 2).startsWith("P104")).length;
  holds.P104NW("AA");
  await stage.becomes("the laboratory has the first", () => asked() === 2);
  const refuse = holds.P104XO;
  delete holds.P104XO;
  refuse("AE");
  await stage.becomes("which is rejected, and the second accepted", async () =>
    (await changes()).map(({ status }) => status).sort().join() === "accepted,rejected");

  stage.says("A laboratory in enhanced mode says that it has an order (CA), then that it accepts it (AA); a late CA changes nothing.");
  holds.P105NW = () => {};
  const sixth = await orders("P105", "2345-7", "Glucose");
  await becomes(sixth, "active");
  const waiting = await stage.becomes("it has a Task", () => taskOf(sixth, "fulfill"));
  const controlId = waiting.identifier.find(({ system }) => system === "urn:pipehat:control-id").value;
  const acknowledges = (code, control) => stage.sends(acknowledgments,
    `MSH|^~\\&|LAB|NORTH|CPOE|NORTH|20260105090000+0100||ACK^O01^ACK|${control}|P|2.5.1\rMSA|${code}|${controlId}\r`);
  const status = async () => (await taskOf(sixth, "fulfill")).status;
  await acknowledges("CA", "A0001");
  await stage.becomes("received", async () => (await status()) === "received");
  await acknowledges("AA", "A0002");
  await stage.becomes("accepted", async () => (await status()) === "accepted");
  await acknowledges("CA", "A0003");
  stage.holds("and still accepted", (await status()) === "accepted");
  await stage.becomes("the laboratory has it", () => laboratory.received.some((message) => field(message, "ORC", 2).startsWith("P105")));
  holds.P105NW("AA");

  stage.says("An order that is done turns out to be another patient's; the laboratory says whether it can be cancelled (UC).");
  const ninth = await orders("P109", "2345-7", "Glucose");
  await becomes(ninth, "active");
  await stage.becomes("the laboratory has it", async () => (await taskOf(ninth, "fulfill"))?.status === "accepted");
  await becomes(ninth, "completed");
  holds.P109CA = () => {};
  await becomes(ninth, "entered-in-error");
  const cancellation = await stage.becomes("it is told to cancel it", () => laboratory.received.find((message) =>
    field(message, "ORC", 2).startsWith("P109") && field(message, "ORC", 1) === "CA"));
  await stage.becomes("which is a Task", async () => (await taskOf(ninth, "abort"))?.status === "requested");
  holds.P109CA("MSH|^~\\&|LAB|NORTH|CPOE|NORTH|20260105090000+0100||ORR^O02^ORR_O02|RP109|P|2.5.1\r"
    + `MSA|AA|${field(cancellation, "MSH", 10)}\rORC|UC|P109^CPOE^1.2.36.1.2^ISO||||||||||||||DONE^It was reported\r`);
  const kept = await stage.becomes("it can't be: the Task is rejected", async () => {
    const task = await taskOf(ninth, "abort");
    return task?.status === "rejected" && task;
  });
  stage.holds("in the laboratory's words", kept.statusReason.text === "It was reported" && kept.statusReason.coding[0].code === "UC");
  await stage.becomes("and its answer waits for a person", async () => (await stage.api("messages/search", "POST", {})).messages
    .some(({ control_id: control, disposition }) => control === "RP109" && disposition === "parked"));

  stage.says("It takes an order at the second try (CE, then CA), and refuses it later (AE).");
  holds.P108NW = () => {};
  const eighth = await orders("P108", "2345-7", "Glucose");
  await becomes(eighth, "active");
  const told = await stage.becomes("it has a Task", () => taskOf(eighth, "fulfill"));
  const own = told.identifier.find(({ system }) => system === "urn:pipehat:control-id").value;
  const answers = (code, control, type = "ACK^O01^ACK") => `MSH|^~\\&|LAB|NORTH|CPOE|NORTH|20260105090000+0100||${type}|${control}|P|2.5.1\rMSA|${code}|${own}\r`;
  const becomesTask = (expected) => stage.becomes(expected, async () => (await taskOf(eighth, "fulfill")).status === expected);
  await stage.sends(acknowledgments, answers("CE", "A0011"));
  const reason = async () => (await taskOf(eighth, "fulfill")).statusReason?.coding[0].code;
  await stage.becomes("it is tried again, and no refusal: the Task says so", async () => (await reason()) === "CE");
  await becomesTask("requested");
  await stage.sends(acknowledgments, answers("CA", "A0012"));
  await becomesTask("received");
  const [late] = await stage.sends(acknowledgments, answers("AE", "A0013", "ORR^O02^ORR_O02"));
  stage.holds("the laboratory is told that its answer is there", late === "AA");
  await becomesTask("rejected");
  await stage.becomes("the answer waits for a person", async () => (await stage.api("messages/search", "POST", {})).messages
    .some(({ control_id: control, disposition }) => control === "A0013" && disposition === "parked"));
  await stage.becomes("the laboratory has it", () => laboratory.received.some((message) => field(message, "ORC", 2).startsWith("P108")));
  holds.P108NW("AA");

  stage.says("Its front is busy (AR), and the order is tried again.");
  holds.P113NW = () => {};
  const tenth = await orders("P113", "2345-7", "Glucose");
  await becomes(tenth, "active");
  await stage.becomes("the laboratory has it", () => laboratory.received.some((message) => field(message, "ORC", 2).startsWith("P113")));
  const refuseFor = holds.P113NW;
  delete holds.P113NW;
  refuseFor("AR");
  await stage.becomes("it was accepted at last", async () => (await taskOf(tenth, "fulfill"))?.status === "accepted");
  stage.holds("and was never rejected", (await stage.fhir(`Task/${(await taskOf(tenth, "fulfill")).id}/_history`)).entry
    .every(({ resource }) => resource.status !== "rejected") && (await taskOf(tenth, "fulfill")).statusReason === undefined);

  stage.says("The laboratory tells a result under the order's number, without its authority.");
  const half = (number, control) => stage.message("result", { L0002: control, "P100^CPOE": number, F100: `F${control}`, S200: `S${control}`, "24323-8": "2345-7" });
  const [echo] = await stage.sends(results, half("P113", "L0113"));
  stage.holds("one order alone of the patient has it, and is completed", echo === "AA" && (await stage.fhir(`ServiceRequest/${tenth.id}`)).status === "completed");

  stage.says("Two patients' orders have one number; the laboratory refuses the second.");
  const other = await stage.fhir("Patient", "POST", {
    resourceType: "Patient",
    identifier: [{ type: { coding: [{ system: CODE, code: "MR" }] }, system: "urn:oid:1.2.36.1.1", value: "10002" }],
    name: [{ family: "Example", given: ["Berta"] }],
    birthDate: "1975-07-15",
    gender: "female",
  });
  const mine = await orders("P110", "2345-7", "Glucose");
  await becomes(mine, "active");
  await stage.becomes("the first is accepted", async () => (await taskOf(mine, "fulfill"))?.status === "accepted");
  const hers = await orders("P110", "718-7", "Hemoglobin", other);
  await becomes(hers, "active");
  const hersRefused = await stage.becomes("the second is rejected, for her", async () => {
    const task = await taskOf(hers, "fulfill");
    return task?.status === "rejected" && task;
  });
  stage.holds("and nobody else hears of it", hersRefused.for.reference === `Patient/${other.id}`
    && (await stage.found(`Task?focus=ServiceRequest/${mine.id}`)).map(({ status }) => status).join() === "accepted");

  stage.says("Two tests of one patient have one number; the second is revoked.");
  const stays = await orders("P111", "2345-7", "Glucose");
  await becomes(stays, "active");
  const gone = await orders("P111", "24323-8", "Comprehensive metabolic panel");
  await becomes(gone, "active");
  await stage.becomes("both are accepted", async () =>
    (await Promise.all([taskOf(stays, "fulfill"), taskOf(gone, "fulfill")])).every((task) => task?.status === "accepted"));
  await becomes(gone, "revoked");
  await stage.becomes("its cancellation is done, and its Task with it", async () =>
    (await taskOf(gone, "abort"))?.status === "completed" && (await taskOf(gone, "fulfill")).status === "cancelled");
  stage.holds("the first stays accepted", (await stage.found(`Task?focus=ServiceRequest/${stays.id}`)).map(({ status }) => status).join() === "accepted");

  stage.says("Two tests have one number and codes of the hospital's own; the laboratory reports one of them in LOINC.");
  const [sugar, kalium] = [await orders("P112", "GLU", "Glucose"), await orders("P112", "KAL", "Potassium")];
  await becomes(sugar, "active");
  await becomes(kalium, "active");
  const tasksOf = () => Promise.all([taskOf(sugar, "fulfill"), taskOf(kalium, "fulfill")]).then((tasks) => tasks.map((task) => task?.status).join());
  await stage.becomes("both are accepted", async () => (await tasksOf()) === "accepted,accepted");
  await stage.sends(results, stage.message("result", { L0002: "L0112", P100: "P112", F100: "F112", S200: "S112", "24323-8": "2345-7" }));
  stage.holds("which of them it is nobody knows: neither is completed", (await stage.found("ServiceRequest?identifier=P112")).every(({ status }) => status === "active")
    && (await stage.found("DiagnosticReport?identifier=F112"))[0].basedOn[0].identifier.value === "P112");
  stage.holds("nor their Tasks", (await tasksOf()) === "accepted,accepted");

  stage.says("Orders of a patient who isn't there, and of nobody, are not sent.");
  for (const [number, subject] of [["P106", { reference: "Patient/nobody" }], ["P107", { display: "Somebody" }]]) {
    const order = await orders(number, "2345-7", "Glucose");
    await becomes({ ...order, subject }, "active");
    await stage.becomes("it waits for a person", async () => (await stage.api("messages/search", "POST", {})).messages
      .some(({ control_id: id, disposition }) => id === order.id && disposition === "parked"));
    stage.holds("and the laboratory heard nothing", !laboratory.received.some((message) => field(message, "ORC", 2).startsWith(number)));
    await stage.fhir(`ServiceRequest/${order.id}`, "DELETE");
  }
});
