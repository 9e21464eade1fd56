// A Subscription on Patient: who has no telephone gets a task, once.
import { BotEvent, createReference, getReferenceString, MedplumClient } from '@medplum/core';
import { Patient, Task } from '@medplum/fhirtypes';

export async function handler(medplum: MedplumClient, event: BotEvent<Patient>): Promise<Task | undefined> {
  const patient = event.input;
  if (patient.telecom?.some((telecom) => telecom.system === 'phone')) {
    return undefined;
  }
  const open = await medplum.searchResources('Task', {
    patient: getReferenceString(patient),
    status: 'requested',
    _count: 1,
  });
  if (open.length > 0) {
    return undefined;
  }
  return medplum.createResource<Task>({
    resourceType: 'Task',
    status: 'requested',
    intent: 'order',
    description: 'Ask for a telephone number',
    for: createReference(patient),
  });
}
