/** Every message to the laboratory is a Task of its order, which waits for the acknowledgment. */
import type { Identifier, Patient, Reference, ServiceRequest, Task } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message } from "pipehat";
import { ForAPerson, led, orPark, token } from "./feed";
import { currentOf } from "./patients";
import { changeTasks, CONTROL_ID } from "./tasks";

/** What the laboratory is asked for, by ORC-1 (table 0119). */
const ASKED: Record<string, string> = { NW: "fulfill", XO: "change", CA: "abort", HD: "suspend", RL: "resume" };

/** What is asked, without the header, which is new whenever it is asked. */
const CONTENT = "urn:pipehat:content";

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(() => note(client, Message.parse(event.input as string), event));
}

async function note(client: MedplumClient, message: Message, event: BotEvent): Promise<void> {
  const order = await changed(client, event) ?? await orderOf(client, message);
  const asked = ASKED[message.text("ORC-1")] ?? "fulfill";
  const focus = `ServiceRequest/${order.id}`;
  const controlId = { system: CONTROL_ID, value: message.text("MSH-10") };
  const content = { system: CONTENT, value: await digest(message) };
  // Behind a crash the same goes out under another control id: an acknowledgment of either is one of this Task.
  const again = await changeTasks(client, { focus, identifier: token(content), status: "requested" }, (task) =>
    ({ ...task, identifier: [controlId, ...(task.identifier ?? []).filter(({ value }) => value !== controlId.value)] }));
  if (again === 0) {
    await ask(client, message, order, asked, [controlId, content]);
  }
  // Of a patient whose records are merged meanwhile it is the survivor's, as the order is.
  const subject = order.subject?.reference ?? "";
  const survivor = await currentOf(client, subject);
  if (survivor !== subject) {
    await changeTasks(client, { focus, identifier: token(content) }, (task) => led(task, new Map([[subject, survivor]])));
  }
}

async function ask(
  client: MedplumClient, message: Message, order: ServiceRequest, asked: string, identifier: [Identifier, Identifier],
): Promise<void> {
  const task = {
    resourceType: "Task",
    status: "requested",
    intent: "order",
    code: { coding: [{ system: "http://hl7.org/fhir/CodeSystem/task-code", code: asked }] },
    identifier,
    focus: { reference: `ServiceRequest/${order.id}` },
    for: order.subject,
    authoredOn: message.dateTime("MSH-7"),
  };
  await client.createResourceIfNoneExist(task as Task, `identifier=${token(identifier[0])}`);
}

async function digest(message: Message): Promise<string> {
  const text = message.toString().replace(/^MSH.*[\r\n]+/, "");
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The order whose change the message tells, as it was then: the channel follows the datastore, and says which. */
async function changed(client: MedplumClient, { headers = {} }: BotEvent): Promise<ServiceRequest | undefined> {
  const [type, id, version] = ["fhir-type", "fhir-id", "fhir-version"].map((name) => headers[name] as string | undefined);
  if (type !== "ServiceRequest" || id === undefined || version === undefined) {
    return undefined;
  }
  const standing = await there(client.readResource("ServiceRequest", id));
  if (standing === undefined) {
    throw new ForAPerson("the order that the message tells of is not in the datastore any more");
  }
  return await there(client.readVersion("ServiceRequest", id, version)) ?? standing;
}

/**
 * The order that a message tells of which did not come as a change, by number, patient and test: a number alone may be another
 * system's, another patient's, or that of several tests.
 */
async function orderOf(client: MedplumClient, message: Message): Promise<ServiceRequest> {
  const value = message.text("ORC-2.1");
  const system = message.has("ORC-2.3") ? systemAt(message, "ORC-2.3", "ORC-2.4") : undefined;
  const identifier = system === undefined ? value : token({ system, value });
  // A search without a number finds any order. One without a number goes out under its id.
  const found = value === "" ? [] : [
    ...await client.searchResources("ServiceRequest", { identifier, _count: "100" }),
    ...await client.searchResources("ServiceRequest", { _id: value }),
  ];
  const fitting = new Map<string, ServiceRequest>();
  for (const order of found) {
    if (isAsked(order, message) && await isOfPatient(client, order.subject, message)) {
      fitting.set(order.id as string, order);
    }
  }
  const [order] = fitting.values();
  if (order === undefined || fitting.size > 1) {
    throw new ForAPerson(order === undefined
      ? "no order in the datastore has the number (ORC-2), the patient (PID-3) and the test (OBR-4) that the message tells of"
      : `${fitting.size} orders have the number (ORC-2), the patient (PID-3) and the test (OBR-4) that the message tells of`);
  }
  return order;
}

function isAsked({ code }: ServiceRequest, message: Message): boolean {
  const codes = ["OBR-4.1", "OBR-4.4"].map((path) => message.text(path)).filter(Boolean);
  return codes.length === 0
    ? code?.text !== undefined && [message.text("OBR-4.2"), message.text("OBR-4.9")].includes(code.text)
    : code?.coding?.some((coding) => codes.includes(coding.code ?? "")) === true;
}

/** Whether one of the numbers in PID-3 is the patient's; of two records that were merged also the survivor's. */
async function isOfPatient(client: MedplumClient, subject: Reference | undefined, message: Message): Promise<boolean> {
  const own = subject?.reference ?? "";
  for (const reference of new Set([own, await currentOf(client, own)])) {
    const patient = reference.startsWith("Patient/")
      ? await there(client.readReference({ reference } as Reference<Patient>)) : undefined;
    if (patient?.identifier?.some((identifier) => isIn(identifier, message)) === true) {
      return true;
    }
  }
  return false;
}

function isIn({ system, value }: Identifier, message: Message): boolean {
  return message.paths("PID-3[*]").some((at) => {
    const told = message.has(`${at}.4.2`) ? systemAt(message, `${at}.4.2`, `${at}.4.3`) : undefined;
    return message.text(`${at}.1`) === value && told?.toLowerCase() === system?.toLowerCase();
  });
}

/** The system that an authority (HD) means. */
function systemAt(message: Message, id: string, kind: string): string {
  const scheme = { ISO: "urn:oid:", UUID: "urn:uuid:" }[message.text(kind)] ?? "";
  return `${scheme}${message.text(id)}`;
}

/** What is read; nothing where it is not there, or not any more. */
async function there<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    const id = (error as { outcome?: { id?: string } }).outcome?.id;
    if (id === "not-found" || id === "gone") {
      return undefined;
    }
    throw error;
  }
}
