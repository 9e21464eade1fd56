// An ORU message with a PDF in an OBX: the document is kept as a Binary, and a DiagnosticReport shows it.
import { BotEvent, ContentType, createReference, Hl7Message, Hl7Segment, MedplumClient } from '@medplum/core';
import { DiagnosticReport, Patient } from '@medplum/fhirtypes';

export async function handler(medplum: MedplumClient, event: BotEvent): Promise<Hl7Message> {
  const message = event.input as Hl7Message;
  const documents = message.getAllSegments('OBX').filter((obx) => obx.getField(2).toString() === 'ED');
  if (documents.length === 0) {
    const error = new Hl7Segment(['ERR', '', 'OBX^1', '101^Required field missing^HL70357', 'E'], message.context);
    return message.buildAck({ ackCode: 'AE', errSegment: error });
  }
  const mrn = message.getSegment('PID')?.getComponent(3, 1);
  const patient = await medplum.createResourceIfNoneExist<Patient>(
    { resourceType: 'Patient', identifier: [{ system: 'https://hospital.example/mrn', value: mrn }] },
    `identifier=https://hospital.example/mrn|${mrn}`
  );
  for (const obx of documents) {
    const data = Uint8Array.from(atob(obx.getComponent(5, 5)), (character) => character.charCodeAt(0));
    const binary = await medplum.createBinary(data, 'report.pdf', 'application/pdf');
    await medplum.createResource<DiagnosticReport>({
      resourceType: 'DiagnosticReport',
      status: 'final',
      code: { text: obx.getComponent(3, 2) },
      subject: createReference(patient),
      presentedForm: [{ contentType: 'application/pdf', url: `Binary/${binary.id}`, title: 'report.pdf' }],
    });
  }
  if (event.contentType !== ContentType.HL7_V2) {
    throw new Error('this is for HL7 messages');
  }
  return message.buildAck();
}
