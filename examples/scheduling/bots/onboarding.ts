/**
 * A new appointment gives each of its patients a Task, to complete the onboarding, and a Communication that says so; a moved
 * one another Communication; one that is cancelled, or goes on without the patient (who declined, too), withdraws the Task, and
 * whoever has done it is told, too; one that is booked again asks anew. Nobody is asked to prepare for, or told of, what has begun. The channel `engagement` takes Communications to the app. Of a patient
 * whose records are merged, even while this runs, it is one appointment with one Task: the survivor's.
 */
import type { Appointment, Communication, Reference, Task } from "@medplum/fhirtypes";
import type { BotEvent, MedplumClient } from "@medplum/core";
import { log } from "pipehat";
import { led, perform, replaced, untilNobodyWasQuicker } from "./feed";
import { currentOf } from "./patients";

const ONBOARDING = "urn:pipehat:onboarding";

/** What a Task last changed for: a version of the appointment. */
const VERSION = "urn:pipehat:onboarding-version";

const WITHDRAWN = new Set(["cancelled", "noshow", "entered-in-error"]);

export function handler(client: MedplumClient, event: BotEvent): Promise<void> {
  return untilNobodyWasQuicker(async () => {
    await follow(client, event.input as Appointment);
    return true;
  });
}

async function follow(client: MedplumClient, appointment: Appointment): Promise<void> {
  const version = `${appointment.id}-${appointment.meta?.versionId}`;
  const focus = { reference: `Appointment/${appointment.id}` };
  const tasks = await client.searchResources("Task", { focus: focus.reference, _count: "100" });
  const named = [...(appointment.participant ?? []).map(({ actor }) => actor), ...tasks.map((task) => task.for)]
    .map((actor) => actor?.reference ?? "").filter((reference) => reference.startsWith("Patient/"));
  const survivors = new Map<string, string>();
  for (const reference of new Set(named)) {
    survivors.set(reference, await currentOf(client, reference));
  }
  const whose = (task: Task): string => survivors.get(task.for?.reference ?? "") ?? "";
  const patients = (appointment.participant ?? []).filter(({ status }) => status !== "declined").map(({ actor }) => survivors.get(actor?.reference ?? ""))
    .filter((reference) => reference !== undefined);

  if (appointment.status === "booked" && Date.parse(appointment.start ?? "") < Date.now()) {
    log.info("asked.past: the appointment has begun: its patients are asked and told nothing");
  } else if (appointment.status === "booked") {
    for (const reference of new Set(patients)) {
      await ask({ reference }, tasks.find((task) => whose(task) === reference));
    }
  }
  for (const task of tasks) {
    if (!patients.includes(whose(task)) || WITHDRAWN.has(appointment.status)) {
      await withdraw(task);
    }
  }
  // A merge leads to the survivor what it finds: what was written behind that here, or by a run that broke off, has to follow.
  for (const reference of new Set([...survivors.keys(), ...survivors.values()])) {
    const now = await currentOf(client, reference);
    if (now !== reference) {
      await lead(reference, now);
    }
  }

  async function lead(from: string, to: string): Promise<void> {
    const left = [
      ...await client.searchResources("Task", { patient: from, code: `${ONBOARDING}|onboarding`, _count: "100" }),
      ...await client.searchResources("Communication", { subject: from, category: `${ONBOARDING}|`, _count: "100" }),
    ];
    for (const one of left) {
      await perform(client, [replaced(undefined, led(one, new Map([[from, to]])), one)]);
    }
  }

  async function ask(patient: Reference, task: Task | undefined): Promise<void> {
    if (task === undefined) {
      const search = `focus=${focus.reference}&patient=${patient.reference}&code=${ONBOARDING}|onboarding`;
      const code = { coding: [{ system: ONBOARDING, code: "onboarding" }], text: "Complete the onboarding" };
      const asked = { resourceType: "Task", intent: "order", status: "requested", code, focus, for: patient, owner: patient, identifier: mark() };
      await tell("invited", patient, await client.createResourceIfNoneExist(timed(asked as Task), search));
    } else if (task.status === "cancelled") {
      const { statusReason: _, ...open } = task;
      await change(task, timed({ ...open, status: "requested", identifier: mark() }));
      await tell("invited", patient, task);
    } else if (isOfThis(task)) {
      // A run that broke off between the Task and its Communication is done again.
      await tell("invited", patient, task);
    } else if (task.statusReason !== undefined || !isAtItsTime(task)) {
      // Done, and cancelled since; or at another time. Of another room, or of who else comes, nobody is told.
      await tell("moved", patient, task);
      const { statusReason: _, ...open } = task;
      await change(task, timed(open));
    }
  }

  async function withdraw(task: Task): Promise<void> {
    if (task.status === "requested") {
      await change(task, timed({ ...task, status: "cancelled", statusReason: reason(), identifier: mark() }));
    } else if (task.status === "completed" && task.statusReason === undefined && appointment.status !== "noshow") {
      // What is done stays done; but the appointment isn't.
      await tell("withdrawn", { reference: whose(task) }, task);
      await change(task, { ...task, statusReason: reason() });
      return;
    } else if (task.status !== "cancelled" || !isOfThis(task)) {
      return;
    }
    await tell("withdrawn", { reference: whose(task) }, task);
  }

  /** The Task as it was read, and not as another (the patient is done) has left it: then all of it is looked at again. */
  async function change(task: Task, next: Task): Promise<void> {
    await perform(client, [replaced(undefined, led(next, survivors), task)]);
  }

  function reason(): Task["statusReason"] {
    return { text: `appointment ${appointment.status}` };
  }

  /** With the time that the patient was told. */
  function timed(task: Task): Task {
    const { executionPeriod: _, ...rest } = task;
    return appointment.start === undefined ? rest as Task : { ...rest, executionPeriod: { start: appointment.start } } as Task;
  }

  function isAtItsTime({ executionPeriod }: Task): boolean {
    const [told, start] = [executionPeriod?.start, appointment.start];
    return told === start || Date.parse(told ?? "") === Date.parse(start ?? "");
  }

  function mark(): Task["identifier"] {
    return [{ system: VERSION, value: version }];
  }

  function isOfThis(task: Task): boolean {
    return task.identifier?.some(({ value }) => value === version) === true;
  }

  /** Once for each version of the appointment: told again, it is the same. */
  async function tell(what: string, patient: Reference, task: Task): Promise<void> {
    const value = `${what}-${version}-${task.id}`;
    await client.createResourceIfNoneExist({
      resourceType: "Communication",
      identifier: [{ system: ONBOARDING, value }],
      status: "in-progress",
      category: [{ coding: [{ system: ONBOARDING, code: what }] }],
      about: [{ reference: `Task/${task.id}` }, focus],
      subject: patient,
      recipient: [patient],
      payload: [{ contentString: `Your appointment: ${appointment.start ?? "time to be told"}` }],
    } as Communication, `identifier=${ONBOARDING}|${value}`);
  }
}
