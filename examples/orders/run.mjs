#!/usr/bin/env node
// Orders to a laboratory: activated, acknowledged, refused, answered by a result, revoked.
import { field, freeAddress, workflow } from "../workflow.mjs";

const CODE = "http://terminology.hl7.org/CodeSystem/v2-0203";

await workflow(import.meta.url, async (stage) => {
  const laboratory = await stage.listens((message) => {
    if (field(message, "OBR", 4).startsWith("718-7")) {
      const header = `MSH|^~\\&|LAB|NORTH|CPOE|NORTH|20260105090000+0100||ORR^O02^ORR_O02|R${field(message, "MSH", 10)}|P|2.5.1`;
      return `${header}\rMSA|AE|${field(message, "MSH", 10)}\rERR||OBR^1^4|103^Table value not found^HL70357|E||||We do not offer this test\r`;
    }
    return "AA";
  });
  const results = await freeAddress();
  await stage.up({
    PIPEHAT_LABORATORY: laboratory.address,
    PIPEHAT_RESULTS_LISTEN: results,
    PIPEHAT_ACKNOWLEDGMENTS_LISTEN: await freeAddress(),
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
  const orders = (number, code, display) => stage.fhir("ServiceRequest", "POST", {
    resourceType: "ServiceRequest",
    status: "draft",
    intent: "order",
    identifier: [{ type: { coding: [{ system: CODE, code: "PLAC" }] }, system: "urn:oid:1.2.36.1.2", value: number }],
    code: { coding: [{ system: "http://loinc.org", code, display }] },
    subject: { reference: `Patient/${patient.id}` },
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

  stage.says("A third order is activated, and revoked. Pipehat is killed in between.");
  const third = await orders("P102", "2345-7", "Glucose");
  await becomes(third, "active");
  await stage.becomes("the laboratory has it", () => laboratory.received.some((message) => field(message, "ORC", 2).startsWith("P102")));
  await stage.isKilled();
  await becomes(third, "revoked");
  await stage.becomes("the laboratory is told to cancel it", () => laboratory.received.some((message) =>
    field(message, "ORC", 2).startsWith("P102") && field(message, "ORC", 1) === "CA"));
  await stage.becomes("which it acknowledged", async () => (await taskOf(third, "abort"))?.status === "completed");
  stage.holds("it heard of nothing but the orders and the cancellation",
    new Set(laboratory.received.map((message) => field(message, "ORC", 2) + field(message, "ORC", 1))).size === 4);
});
