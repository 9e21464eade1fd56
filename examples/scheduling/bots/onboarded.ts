/** The app calls `POST /bots/onboarded` with `{"task": "…"}`, signed with the key that both know: a Task of the onboarding, and no other. */
import type { BotEvent, MedplumClient } from "@medplum/core";
import { perform, replaced, untilNobodyWasQuicker } from "./feed";

export async function handler(client: MedplumClient, event: BotEvent): Promise<{ status: string }> {
  const { task: id } = event.input as { task?: string };
  let status = "unknown";
  await untilNobodyWasQuicker(async () => {
    const [task] = await client.searchResources("Task", { _id: id ?? "", code: "urn:pipehat:onboarding|onboarding" });
    if (task === undefined) {
      return true;
    }
    status = task.status === "cancelled" ? "cancelled" : "completed";
    return task.status !== "requested" || perform(client, [replaced(undefined, { ...task, status: "completed" }, task)]);
  });
  return { status };
}
