// Every interaction of the client, one after another, for a datastore that is real.
import {
  isGone,
  isNotFound,
  MedplumClient,
  normalizeErrorString,
  normalizeOperationOutcome,
  Hl7Message,
} from '@medplum/core';
import { Observation, Patient } from '@medplum/fhirtypes';
import { datastore, state, translate } from 'pipehat';

async function failing(doing: Promise<unknown>): Promise<unknown> {
  try {
    await doing;
    return undefined;
  } catch (error) {
    return error;
  }
}

export async function handler(medplum: MedplumClient): Promise<unknown> {
  const seen: Record<string, unknown> = {};
  const system = 'https://hospital.example/mrn';
  const made = await medplum.createResourceIfNoneExist<Patient>(
    { resourceType: 'Patient', identifier: [{ system, value: '1' }] },
    `identifier=${system}|1`
  );
  const again = await medplum.createResourceIfNoneExist<Patient>(
    { resourceType: 'Patient', identifier: [{ system, value: '1' }] },
    `identifier=${system}|1`
  );
  seen.sameOnce = made.id === again.id;
  const upserted = await medplum.upsertResource<Patient>(
    { ...made, gender: 'female' },
    { identifier: `${system}|1` }
  );
  seen.upserted = [upserted.id === made.id, upserted.gender, upserted.meta?.versionId];
  const patched = await medplum.patchResource('Patient', made.id, [
    { op: 'replace', path: '/gender', value: 'male' },
  ]);
  seen.patched = patched.gender;
  const read = await medplum.readReference<Patient>({ reference: `Patient/${made.id}` });
  seen.read = read.meta?.versionId;
  const first = await medplum.readVersion('Patient', made.id, '1');
  seen.first = first.gender ?? 'none';
  seen.history = (await medplum.readHistory('Patient', made.id)).entry?.length;
  for (let index = 0; index < 5; index += 1) {
    await medplum.createResource<Observation>({
      resourceType: 'Observation',
      status: 'final',
      code: { text: `number ${index}` },
      subject: { reference: `Patient/${made.id}` },
    });
  }
  const pages: number[] = [];
  for await (const page of medplum.searchResourcePages('Observation', `subject=Patient/${made.id}&_count=2`)) {
    pages.push(page.length);
  }
  seen.pages = pages;
  seen.everything = (await medplum.readPatientEverything(made.id)).entry?.length;
  seen.included = (
    await medplum.searchResources('Observation', { _include: 'Observation:subject', _count: 1 })
  ).map((resource) => resource.resourceType);
  const binary = await medplum.createBinary({
    data: new Uint8Array([37, 80, 68, 70]),
    contentType: 'application/pdf',
  });
  const document = await medplum.download(`Binary/${binary.id}`);
  seen.binary = [document.type, document.size, await document.text()];
  const attachment = await medplum.createAttachment('plain', 'note.txt', 'text/plain');
  seen.attachment = [attachment.contentType, attachment.title, attachment.url?.startsWith('Binary/')];
  const media = await medplum.createMedia({ data: 'x', contentType: 'text/plain', filename: 'x.txt' });
  seen.media = [media.status, media.content?.title];
  seen.valid = (await medplum.validateResource<Patient>({ resourceType: 'Patient' })).issue.every(
    (issue) => issue.severity === 'information'
  );
  const wrong = { resourceType: 'Patient', gender: 'maybe' } as unknown as Patient;
  seen.invalid = (await medplum.validateResource(wrong)).issue.some((issue) => issue.severity === 'error');
  const batch = await medplum.executeBatch({
    resourceType: 'Bundle',
    type: 'batch',
    entry: [{ request: { method: 'GET', url: `Patient/${made.id}` } }],
  });
  seen.batch = batch.entry?.[0]?.response?.status;
  seen.get = (await medplum.get(medplum.fhirUrl('Patient', made.id))).resourceType;
  seen.getByPath = (await medplum.get(`fhir/R4/Patient/${made.id}`)).resourceType;
  const gone = await medplum.createResource<Patient>({ resourceType: 'Patient' });
  await medplum.deleteResource('Patient', gone.id);
  seen.gone = isGone(normalizeOperationOutcome(await failing(medplum.readResource('Patient', gone.id))));
  seen.notFound = isNotFound(normalizeOperationOutcome(await failing(medplum.readResource('Patient', 'none'))));
  seen.badSearch = (await failing(medplum.search('Patient', 'birthdate=soon'))) instanceof Error;
  seen.mail = normalizeErrorString(await failing(medplum.sendEmail({})));
  seen.sameStore = (await datastore.readResource('Patient', made.id)).id === made.id;
  await medplum.keyValue.set('key', 'value');
  seen.state = [await medplum.keyValue.get('key'), await state.get('key'), (await state.get('other')) ?? 'none'];
  const message = Hl7Message.parse('MSH|^~\\&|A|B|C|D|20240203||ADT^A01^ADT_A01|X1|P|2.5.1\rPID|1||12^^^H^MR||DOE^JANE');
  seen.translated = (await translate.toFhir(message)).type;
  const event = await translate.toV2(
    { resourceType: 'Bundle', type: 'collection', entry: [{ resource: { ...made, name: [{ family: 'Roe' }] } }] },
    'ADT^A31'
  );
  seen.written = [event.get('MSH-9.2'), event.get('PID-5.1'), event.get('MSH-12.1')];
  return seen;
}
