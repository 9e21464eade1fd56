// An intake form: the answers become Observations and the patient's address, in one transaction.
import { BotEvent, getQuestionnaireAnswers, MedplumClient } from '@medplum/core';
import { Bundle, BundleEntry, Patient, QuestionnaireResponse, Reference } from '@medplum/fhirtypes';

export async function handler(
  medplum: MedplumClient,
  event: BotEvent<QuestionnaireResponse>
): Promise<Bundle> {
  const answers = getQuestionnaireAnswers(event.input);
  const patient = await medplum.readReference(event.input.subject as Reference<Patient>);
  const city = answers['city']?.valueString;
  const smokes = answers['smokes']?.valueBoolean;
  const entry: BundleEntry[] = [
    {
      resource: { ...patient, address: [{ city }] },
      request: { method: 'PUT', url: `Patient/${patient.id}` },
    },
    {
      resource: {
        resourceType: 'Observation',
        status: 'final',
        code: { text: 'Smokes' },
        subject: event.input.subject as Reference<Patient>,
        valueBoolean: smokes,
      },
      request: { method: 'POST', url: 'Observation' },
    },
  ];
  return medplum.executeBatch({ resourceType: 'Bundle', type: 'transaction', entry });
}
