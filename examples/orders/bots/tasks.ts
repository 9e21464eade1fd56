/** What is asked of the laboratory is a Task of its order, one for each message. */
import type { BundleEntry, Task } from "@medplum/fhirtypes";
import type { MedplumClient } from "@medplum/core";
import { perform, replaced, untilNobodyWasQuicker } from "./feed";

/** The system of control ids of messages to the laboratory: Tasks are found by them. */
export const CONTROL_ID = "urn:pipehat:control-id";

/** Tasks that wait for something yet. */
export const OPEN = "requested,received,accepted";

/** Changes the Tasks that a search finds, each as it stands: where another changes one meanwhile, all are looked at anew. */
export async function changeTasks(
  client: MedplumClient, search: Record<string, string>, change: (task: Task) => Task | undefined,
): Promise<number> {
  let found: Task[] = [];
  await untilNobodyWasQuicker(async () => {
    found = await client.searchResources("Task", { ...search, _count: "100" });
    const entries: BundleEntry[] = found.flatMap((task) => {
      const next = change(task);
      return next === undefined ? [] : [replaced(undefined, next, task)];
    });
    return entries.length === 0 || perform(client, entries);
  });
  return found.length;
}
