/** Every message to the laboratory is a Task of its order, which waits for the acknowledgment. */
import type { Identifier, ServiceRequest, Task } from "@medplum/fhirtypes";
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
  return orPark(() => note(client, Message.parse(event.input as string)));
}

async function note(client: MedplumClient, message: Message): Promise<void> {
  const order = await orderOf(client, message);
  if (order === undefined) {
    throw new ForAPerson("the order that the message tells of is not in the datastore");
  }
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

async function orderOf(client: MedplumClient, message: Message): Promise<ServiceRequest | undefined> {
  const value = message.text("ORC-2.1");
  if (value === "") {
    // A search without a number finds any order.
    return undefined;
  }
  const scheme = { ISO: "urn:oid:", UUID: "urn:uuid:" }[message.text("ORC-2.4")] ?? "";
  const system = message.has("ORC-2.3") ? `${scheme}${message.text("ORC-2.3")}` : undefined;
  const identifier = system === undefined ? value : token({ system, value });
  // An order without a number goes out under its id.
  return await client.searchOne("ServiceRequest", { identifier }) ?? await client.searchOne("ServiceRequest", { _id: value });
}
