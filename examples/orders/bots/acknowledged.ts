/**
 * The acknowledgment finds the Task of what was sent by its control id (MSA-2), and says what became of it. In enhanced mode
 * the laboratory first says that it has the message (CA), then what it does with it (AA). What is done stays done, whichever
 * comes first.
 */
import type { Task } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message } from "pipehat";
import { ForAPerson, orPark, token } from "./feed";
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

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(async () => {
    const message = Message.parse(event.input as string);
    const controlId = message.text("MSA-2");
    if (controlId === "") {
      throw new ForAPerson("it does not say what it acknowledges (MSA-2)");
    }
    const search = { identifier: token({ system: CONTROL_ID, value: controlId }) };
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
      return isNews ? { ...rest, status: "received", businessStatus: TAKEN } : undefined;
    }
    default: {
      const code = message.text("MSA-1");
      const text = message.get("ERR-8") || message.get("ERR-3.2") || message.get("MSA-3") || code;
      const coding = [{ system: "http://terminology.hl7.org/CodeSystem/v2-0008", code }];
      return { ...rest, status: "rejected", statusReason: { coding, text } };
    }
  }
}
