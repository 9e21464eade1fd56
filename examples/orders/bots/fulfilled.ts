/** An order whose results are there waits for nothing any more. */
import type { ServiceRequest } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";

export async function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  const order = event.input as ServiceRequest;
  const open = await client.searchResources("Task", { focus: `ServiceRequest/${order.id}`, status: "requested,accepted" });
  for (const task of open) {
    await client.updateResource({ ...task, status: "completed" });
  }
}
