/** The acknowledgment finds the Task of what was sent by its control id (MSA-2), and says what became of it. */
import type { BotEvent, MedplumClient } from "@medplum/core";
import { Message, park } from "pipehat";
import { CONTROL_ID } from "./tasks";

/** Table 0008: what the laboratory took. All else it did not. */
const TAKEN = new Set(["AA", "CA"]);

export async function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  const message = Message.parse(event.input as string);
  const task = await client.searchOne("Task", { identifier: `${CONTROL_ID}|${message.text("MSA-2")}` });
  if (task === undefined) {
    return park("no order was sent under this control id");
  }
  if (TAKEN.has(message.text("MSA-1"))) {
    const { statusReason: _, ...rest } = task;
    const isCancelling = task.code?.coding?.[0]?.code === "abort";
    await client.updateResource({ ...rest, status: isCancelling ? "completed" : "accepted" });
    return;
  }
  const why = message.get("ERR-8") || message.get("ERR-3.2") || message.get("MSA-3") || message.text("MSA-1");
  await client.updateResource({ ...task, status: "rejected", statusReason: { text: why } });
}
