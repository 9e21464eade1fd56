/**
 * A new appointment gives the patient a Task, to complete the onboarding, and a Communication that says so; a moved one
 * another Communication; a cancelled one withdraws the Task. The channel `engagement` takes Communications to the app.
 */
import type { Appointment, Communication, Task } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";

const ONBOARDING = "urn:pipehat:onboarding";

export async function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  const appointment = event.input as Appointment;
  const patient = appointment.participant?.map(({ actor }) => actor).find((actor) => actor?.reference?.startsWith("Patient/"));
  if (patient === undefined) {
    return;
  }
  const identifier = [{ system: ONBOARDING, value: appointment.id }];
  const known = await client.searchOne("Task", { identifier: `${ONBOARDING}|${appointment.id}` });
  if (appointment.status === "booked") {
    const task: Task = known ?? await client.createResourceIfNoneExist({
      resourceType: "Task",
      identifier,
      status: "requested",
      intent: "order",
      code: { coding: [{ system: ONBOARDING, code: "onboarding" }], text: "Complete the onboarding" },
      focus: { reference: `Appointment/${appointment.id}` },
      for: patient,
      owner: patient,
    } as Task, `identifier=${ONBOARDING}|${appointment.id}`);
    const isNew = known === undefined || await client.searchOne("Communication", { identifier: `${ONBOARDING}|invited-${appointment.id}` }) === undefined;
    await tell(isNew ? "invited" : "moved", isNew ? "" : `-${appointment.meta?.versionId}`, task);
    return;
  }
  if (known === undefined || known.status === "completed") {
    return;
  }
  if (known.status !== "cancelled") {
    await client.updateResource({ ...known, status: "cancelled", statusReason: { text: `appointment ${appointment.status}` } });
  }
  await tell("withdrawn", "", known);

  /** Once for each: told again, it is the same. */
  async function tell(what: string, more: string, task: Task): Promise<void> {
    const value = `${what}-${appointment.id}${more}`;
    await client.createResourceIfNoneExist({
      resourceType: "Communication",
      identifier: [{ system: ONBOARDING, value }],
      status: "in-progress",
      category: [{ coding: [{ system: ONBOARDING, code: what }] }],
      about: [{ reference: `Task/${task.id}` }, { reference: `Appointment/${appointment.id}` }],
      subject: patient,
      recipient: [patient],
      payload: [{ contentString: `Your appointment: ${appointment.start ?? "time to be told"}` }],
    } as Communication, `identifier=${ONBOARDING}|${value}`);
  }
}
