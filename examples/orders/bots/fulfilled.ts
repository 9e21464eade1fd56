/** An order whose results are there waits for nothing any more; whether it could still be cancelled the laboratory says. */
import type { ServiceRequest } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { changeTasks, OPEN } from "./tasks";

export async function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  const { id } = event.input as ServiceRequest;
  const search = { focus: `ServiceRequest/${id}`, status: OPEN, "code:not": "abort" };
  await changeTasks(client, search, (task) => ({ ...task, status: "completed" }));
}
