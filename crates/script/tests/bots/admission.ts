// An ADT message from a listener: the patient is found by the medical record number, and made or changed.
import { BotEvent, getIdentifier, Hl7Message, MedplumClient, parseHl7DateTime } from '@medplum/core';
import { Patient } from '@medplum/fhirtypes';

const MRN = 'https://hospital.example/mrn';

export async function handler(medplum: MedplumClient, event: BotEvent<Hl7Message>): Promise<Hl7Message> {
  const message = event.input;
  const pid = message.getSegment('PID');
  const mrn = pid?.getComponent(3, 1);
  if (!pid || !mrn) {
    return message.buildAck({ ackCode: 'AE' });
  }
  let patient: Patient | undefined = await medplum.searchOne('Patient', { identifier: `${MRN}|${mrn}` });
  if (patient && getIdentifier(patient, MRN) !== mrn) {
    throw new Error('the search found somebody else');
  }
  const known: Patient = {
    ...(patient ?? { resourceType: 'Patient', identifier: [{ system: MRN, value: mrn }] }),
    name: [
      {
        family: pid.getComponent(5, 1),
        given: [pid.getComponent(5, 2), pid.getComponent(5, 3)].filter((given) => given !== ''),
      },
    ],
    birthDate: parseHl7DateTime(pid.getField(7).toString())?.substring(0, 10),
    gender: pid.getField(8).toString() === 'F' ? 'female' : 'male',
  };
  patient = known.id ? await medplum.updateResource(known) : await medplum.createResource(known);
  console.log('stored', patient.id);
  return message.buildAck();
}
