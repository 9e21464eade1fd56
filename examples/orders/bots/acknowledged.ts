/**
 * The acknowledgment finds the Task of what was sent by its control id (MSA-2), and says what became of it. In enhanced mode
 * the laboratory first says that it has the message (CA), then what it does with it (AA). What is done stays done, whichever
 * comes first.
 */
import type { Task } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message } from "pipehat";
import { ForAPerson, orPark } from "./feed";
import { changeTasks, CONTROL_ID } from "./tasks";

/** What has ended, and what no acknowledgment opens again. */
const ENDED = new Set(["completed", "cancelled", "failed", "entered-in-error"]);

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return orPark(async () => {
    const message = Message.parse(event.input as string);
    const search = { identifier: `${CONTROL_ID}|${message.text("MSA-2")}` };
    if (await changeTasks(client, search, (task) => acknowledged(task, message)) === 0) {
      throw new ForAPerson("no order was sent under this control id (MSA-2)");
    }
  });
}

/** The Task as the acknowledgment leaves it; none where that changes nothing. */
function acknowledged(task: Task, message: Message): Task | undefined {
  const { statusReason: _, ...rest } = task;
  if (ENDED.has(task.status)) {
    return undefined;
  }
  switch (message.text("MSA-1")) {
    case "AA":
      return { ...rest, status: task.code?.coding?.[0]?.code === "abort" ? "completed" : "accepted" };
    case "CA":
      return task.status === "requested" ? { ...rest, status: "received" } : undefined;
    default: {
      const why = message.get("ERR-8") || message.get("ERR-3.2") || message.get("MSA-3") || message.text("MSA-1");
      return { ...rest, status: "rejected", statusReason: { text: why } };
    }
  }
}
