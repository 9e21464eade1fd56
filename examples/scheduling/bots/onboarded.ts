/** The app calls `POST /bots/onboarded` with `{"task": "…"}`, signed with the key that both know: a Task of the onboarding, and no other. */
import type { OperationOutcome } from "@medplum/fhirtypes";
import { badRequest, type BotEvent, type MedplumClient } from "@medplum/core";
import { perform, replaced, untilNobodyWasQuicker } from "./feed";

/** What ids look like (R4 §2.24.0.1): a search by anything else could find others, or all. */
const ID = /^[A-Za-z0-9.-]{1,64}$/;

export async function handler(client: MedplumClient, event: BotEvent): Promise<{ status: string } | OperationOutcome> {
  const id = (event.input as { task?: unknown } | null)?.task;
  if (typeof id !== "string" || !ID.test(id)) {
    return badRequest('the body is to be {"task": "…"}, with the id of the Task');
  }
  let status = "unknown";
  await untilNobodyWasQuicker(async () => {
    const [task] = await client.searchResources("Task", { _id: id, code: "urn:pipehat:onboarding|onboarding" });
    if (task === undefined) {
      return true;
    }
    status = task.status === "cancelled" ? "cancelled" : "completed";
    return task.status !== "requested" || perform(client, [replaced(undefined, { ...task, status: "completed" }, task)]);
  });
  return { status };
}
