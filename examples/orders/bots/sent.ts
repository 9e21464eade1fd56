/** Every message to the laboratory is a Task of its order, which waits for the acknowledgment. */
import type { ServiceRequest, Task } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message, park } from "pipehat";
import { token } from "./feed";
import { CONTROL_ID } from "./tasks";

/** What the laboratory is asked for, by ORC-1 (table 0119). */
const ASKED: Record<string, string> = { NW: "fulfill", XO: "change", CA: "abort", HD: "suspend", RL: "resume" };

export async function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  const message = Message.parse(event.input as string);
  const order = await orderOf(client, message);
  if (order === undefined) {
    return park("the order that the message tells of is not in the datastore");
  }
  const asked = ASKED[message.text("ORC-1")] ?? "fulfill";
  const focus = `ServiceRequest/${order.id}`;
  // Behind a crash it may go out under another control id.
  const [waiting] = await client.searchResources("Task", { focus, code: asked, status: "requested" });
  const task: Task = {
    ...waiting,
    resourceType: "Task",
    status: "requested",
    intent: "order",
    code: { coding: [{ system: "http://hl7.org/fhir/CodeSystem/task-code", code: asked }] },
    identifier: [{ system: CONTROL_ID, value: message.text("MSH-10") }],
    focus: { reference: focus },
    for: order.subject,
    authoredOn: message.dateTime("MSH-7"),
  };
  await (waiting === undefined ? client.createResource(task) : client.updateResource(task));
}

async function orderOf(client: MedplumClient, message: Message): Promise<ServiceRequest | undefined> {
  const value = message.text("ORC-2.1");
  const system = message.has("ORC-2.3") ? `urn:oid:${message.text("ORC-2.3")}` : undefined;
  const identifier = system === undefined ? value : token({ system, value });
  // An order without a number goes out under its id.
  return await client.searchOne("ServiceRequest", { identifier }) ?? await client.searchOne("ServiceRequest", { _id: value });
}
