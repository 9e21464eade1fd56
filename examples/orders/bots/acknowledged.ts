/**
 * The acknowledgment finds the Task of what was sent by its control id (MSA-2), and says what became of it. In enhanced mode
 * the laboratory first says that it has the message (CA), then what it does with it (AA). What is done stays done, whichever
 * comes first. A control id alone may be given again, or be another sender's: where the acknowledgment names an order (ORC-2) or
 * a patient (PID-3), they have to be those of the Task.
 */
import type { Identifier, Patient, Reference, ServiceRequest, Task } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message } from "pipehat";
import { ForAPerson, orPark, token } from "./feed";
import { currentOf } from "./patients";
import { changeTasks, CONTROL_ID, OPEN } from "./tasks";

/** What has ended, and what no acknowledgment opens again. */
const ENDED = new Set(["completed", "cancelled", "failed", "entered-in-error"]);

/** What says of a Task that the laboratory has taken the message: what it refuses then is its application acknowledgment. */
const TAKEN = { coding: [{ system: "urn:pipehat:taken", code: "taken" }] };

/**
 * What the laboratory says that it can't do, though it has understood what is asked (ORC-1 of an ORR^O02 with MSA-1 AA: HL7 v2.5.1
 * §4.5.1.1, table 0119): accept, cancel, discontinue, refill, hold, replace, release, change.
 */
const UNABLE = new Set(["UA", "UC", "UD", "UF", "UH", "UM", "UR", "UX"]);

/** The laboratory doesn't take the message, which may be tried again (table 0008). */
const NOT_TAKEN = new Set(["CE", "CR"]);

/**
 * Answers for reasons other than the content (table 0008), behind which the channel sends the same again (`on` of its destination): no
 * refusal as long as it does. What the laboratory has taken (CA) is not sent again, and an AR of that is its refusal.
 */
const TRIED_AGAIN = new Set(["AR", "CE"]);

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(async () => {
    const message = Message.parse(event.input as string);
    const controlId = message.text("MSA-2");
    if (controlId === "") {
      throw new ForAPerson("it does not say what it acknowledges (MSA-2)");
    }
    const search = { identifier: token({ system: CONTROL_ID, value: controlId }) };
    await refuseAnothers(client, message, search);
    let isRefused = false;
    let cancellations: Task[] = [];
    const found = await changeTasks(client, search, (task) => {
      const next = acknowledged(task, message);
      cancellations = [...cancellations.filter(({ id }) => id !== task.id), ...(isCancelled(next ?? task) ? [task] : [])];
      isRefused ||= next?.status === "rejected" && (task.businessStatus !== undefined || message.text("MSA-1") === "AA");
      return next;
    });
    if (found === 0) {
      throw new ForAPerson("no order was sent under this control id (MSA-2)");
    }
    for (const cancellation of cancellations) {
      await end(client, cancellation);
    }
    // Where it refuses at once, the order itself waits for a person.
    if (isRefused) {
      throw new ForAPerson("the laboratory refuses the order, or its cancellation: the Task has its words");
    }
  });
}

/** Sets aside what names another order or another patient than was sent under the control id. */
async function refuseAnothers(client: MedplumClient, message: Message, search: Record<string, string>): Promise<void> {
  const orders = numbersAt(message, "ORC(*)-2", ["1", "3", "4"]);
  const patients = numbersAt(message, "PID-3[*]", ["1", "4.2", "4.3"]);
  if (orders.length === 0 && patients.length === 0) {
    return;
  }
  for (const { focus } of await client.searchResources("Task", { ...search, _count: "100" })) {
    const order = await there<ServiceRequest>(client, focus, "ServiceRequest");
    if (order === undefined) {
      continue;
    }
    const own: Identifier[] = [...(order.identifier ?? []), { value: order.id }];
    if (orders.some((number) => !own.some((identifier) => fits(identifier, number)))) {
      throw new ForAPerson("it names another order (ORC-2) than was sent under the control id that it acknowledges (MSA-2)");
    }
    if (await isAnothers(client, order.subject, patients)) {
      throw new ForAPerson("it names another patient (PID-3) than was sent under the control id that it acknowledges (MSA-2)");
    }
  }
}

/** Whether PID-3 tells somebody else. Numbers of authorities that nobody here knows tell nothing: the laboratory has its own. */
async function isAnothers(client: MedplumClient, subject: Reference | undefined, told: Identifier[]): Promise<boolean> {
  const reference = subject?.reference ?? "";
  const identifiers: Identifier[] = [];
  // Of two records that were merged the survivor's are right, too.
  for (const one of told.length === 0 ? [] : new Set([reference, await currentOf(client, reference)])) {
    identifiers.push(...(await there<Patient>(client, { reference: one }, "Patient"))?.identifier ?? []);
  }
  const comparable = told.filter(({ system }) => system === undefined || identifiers.some((own) => isSystem(own, system)));
  return identifiers.length > 0 && comparable.length > 0
    && !comparable.some((number) => identifiers.some((identifier) => fits(identifier, number)));
}

/** The numbers that stand at a path, with the system of their authority where it has one: the value, its id and the id's kind. */
function numbersAt(message: Message, path: string, [value, id, kind]: [string, string, string]): Identifier[] {
  return message.paths(path).filter((at) => message.has(`${at}.${value}`)).map((at) => {
    const scheme = { ISO: "urn:oid:", UUID: "urn:uuid:" }[message.text(`${at}.${kind}`)] ?? "";
    return {
      value: message.text(`${at}.${value}`),
      system: message.has(`${at}.${id}`) ? `${scheme}${message.text(`${at}.${id}`)}` : undefined,
    };
  });
}

/** Whether a number is that of an identifier: one that tells no system may be of any. */
function fits(own: Identifier, { system, value }: Identifier): boolean {
  return own.value === value && (system === undefined || own.system === undefined || isSystem(own, system));
}

function isSystem(own: Identifier, system: string): boolean {
  return own.system?.toLowerCase() === system.toLowerCase();
}

/** What a reference leads to; nothing where it is not there, or not any more. */
async function there<T extends ServiceRequest | Patient>(
  client: MedplumClient, to: Reference | undefined, type: T["resourceType"],
): Promise<T | undefined> {
  if (to?.reference?.startsWith(`${type}/`) !== true) {
    return undefined;
  }
  try {
    return await client.readReference({ reference: to.reference } as Reference<T>) as T;
  } catch (error) {
    const id = (error as { outcome?: { id?: string } }).outcome?.id;
    if (id === "not-found" || id === "gone") {
      return undefined;
    }
    throw error;
  }
}

function isCancelled({ status, code }: Task): boolean {
  return status === "completed" && code?.coding?.[0]?.code === "abort";
}

/** What else was asked for an order that is cancelled there nobody does any more; what was asked later is another matter. */
async function end(client: MedplumClient, { focus, authoredOn }: Task): Promise<void> {
  const search = { focus: focus?.reference ?? "", status: OPEN, "code:not": "abort" };
  await changeTasks(client, search, (task) => {
    const isLater = Date.parse(task.authoredOn ?? "") > Date.parse(authoredOn ?? "");
    return isLater ? undefined : { ...task, status: "cancelled" };
  });
}

/** The Task as the acknowledgment leaves it; none where that changes nothing. */
function acknowledged(task: Task, message: Message): Task | undefined {
  const { statusReason: _, ...rest } = task;
  if (ENDED.has(task.status)) {
    return undefined;
  }
  const control = message.text("ORC-1");
  if (message.text("MSA-1") === "AA" && UNABLE.has(control)) {
    const coding = [{ system: "http://terminology.hl7.org/CodeSystem/v2-0119", code: control }];
    return { ...rest, status: "rejected", statusReason: { coding, text: message.get("ORC-16.2") || message.get("ORC-16.1") || control } };
  }
  switch (message.text("MSA-1")) {
    case "AA":
      return { ...rest, status: task.code?.coding?.[0]?.code === "abort" ? "completed" : "accepted" };
    case "CA": {
      const isNews = task.status === "requested" || NOT_TAKEN.has(task.statusReason?.coding?.[0]?.code ?? "");
      // An AR may be the refusal of what it has taken, and have come first.
      const isKept = task.statusReason?.coding?.[0]?.code === "AR";
      return isNews ? { ...isKept ? task : rest, status: "received", businessStatus: TAKEN } : undefined;
    }
    default: {
      const code = message.text("MSA-1");
      const text = message.get("ERR-8") || message.get("ERR-3.2") || message.get("MSA-3") || code;
      const coding = [{ system: "http://terminology.hl7.org/CodeSystem/v2-0008", code }];
      const isOpen = TRIED_AGAIN.has(code) && task.businessStatus === undefined;
      const status = !isOpen ? "rejected" : task.status === "rejected" ? "requested" : task.status;
      return { ...rest, status, statusReason: { coding, text } };
    }
  }
}
