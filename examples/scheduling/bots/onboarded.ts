/** The app calls `POST /bots/onboarded` with `{"task": "…"}`, signed with the key that both know. */
import type { BotEvent, MedplumClient } from "@medplum/core";

export async function handler(client: MedplumClient, event: BotEvent): Promise<{ status: string }> {
  const { task: id } = event.input as { task: string };
  const task = await client.readResource("Task", id);
  if (task.status !== "cancelled") {
    await client.updateResource({ ...task, status: "completed" });
  }
  return { status: task.status === "cancelled" ? "cancelled" : "completed" };
}
