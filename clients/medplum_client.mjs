// @medplum/core: `MedplumClient` as an application or a bot uses it.

import assert from 'node:assert/strict';
import { ClientStorage, MedplumClient, MemoryStorage, OperationOutcomeError } from '@medplum/core';
import { base, clientId, clientSecret, run } from './session.mjs';

const system = 'urn:example:medplum';
const root = base.slice(0, -'fhir/R4'.length);
const identifier = (value) => `identifier=${system}|${run}-${value}`;
const patient = (family, value, more = {}) => ({
  resourceType: 'Patient',
  identifier: [{ system, value: `${run}-${value}` }],
  name: [{ family, given: ['Katherine'] }],
  ...more,
});
const fresh = (options = {}) =>
  new MedplumClient({ baseUrl: root, storage: new ClientStorage(new MemoryStorage()), ...options });
// The code of the OperationOutcome that a call fails with.
const fails = (promise, code) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof OperationOutcomeError, String(error));
    return error.outcome.issue[0].code === code;
  });

async function login() {
  await fails(fresh().startClientLogin(clientId, 'not the secret'), 'invalid');
  await fails(fresh().readResource('Patient', 'any'), 'login');

  for (const authCredentialsMethod of ['body', 'header']) {
    const medplum = fresh({ authCredentialsMethod });
    const profile = await medplum.startClientLogin(clientId, clientSecret);
    assert.ok(medplum.isAuthenticated());
    assert.ok(profile.id && profile.resourceType);
    assert.equal(medplum.getProfile().id, profile.id);
    assert.equal((await medplum.getProfileAsync()).id, profile.id);
    assert.equal((await medplum.get('auth/me')).profile.id, profile.id);
  }

  const basic = fresh();
  basic.setBasicAuth(clientId, clientSecret);
  await basic.searchResources('Patient', '_count=1');

  const byKey = fresh();
  await byKey.startJwtAssertionLogin(process.env.KEY_CLIENT_ASSERTION);
  await byKey.searchResources('Patient', '_count=1');

  const medplum = fresh();
  await medplum.startClientLogin(clientId, clientSecret);
  return medplum;
}

async function instances(medplum) {
  const made = await medplum.createResource(patient('Medplum', 'one', { active: true }));
  assert.equal(made.meta.versionId, '1');
  assert.deepEqual(await medplum.readResource('Patient', made.id), made);
  assert.deepEqual(await medplum.readReference({ reference: `Patient/${made.id}` }), made);

  const updated = await medplum.updateResource({ ...made, gender: 'female' });
  assert.equal(updated.meta.versionId, '2');
  // The same again makes no version.
  assert.equal((await medplum.updateResource(updated)).meta.versionId, '2');
  const patched = await medplum.patchResource('Patient', made.id, [
    { op: 'test', path: '/gender', value: 'female' },
    { op: 'add', path: '/birthDate', value: '1918-08-26' },
  ]);
  assert.equal(patched.meta.versionId, '3');
  assert.equal(patched.birthDate, '1918-08-26');

  const history = await medplum.readHistory('Patient', made.id);
  assert.deepEqual(history.entry.map((entry) => entry.resource.meta.versionId), ['3', '2', '1']);
  assert.equal((await medplum.readHistory('Patient', made.id, { count: 2 })).entry.length, 2);
  assert.deepEqual(await medplum.readVersion('Patient', made.id, '1'), made);
  assert.ok((await medplum.readPatientEverything(made.id)).entry.some((entry) => entry.resource.id === made.id));
  const outcome = await medplum.validateResource(patient('Valid', 'valid'));
  assert.equal(outcome.resourceType, 'OperationOutcome');

  await medplum.deleteResource('Patient', made.id);
  await fails(medplum.readResource('Patient', made.id), 'deleted');
  await fails(medplum.readResource('Patient', 'never-there'), 'not-found');
  await fails(medplum.createResource(patient('Medplum', 'bad', { gender: 'x' })), 'code-invalid');
}

async function conditions(medplum) {
  const query = identifier('conditional');
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => medplum.createResourceIfNoneExist(patient('Once', 'conditional'), query)),
  );
  assert.equal(new Set(answers.map((answer) => answer.id)).size, 1);
  const upserted = await medplum.upsertResource(patient('Updated', 'conditional'), query);
  assert.equal(upserted.id, answers[0].id);
  assert.equal(upserted.name[0].family, 'Updated');
  const made = await medplum.upsertResource(patient('New', 'upserted'), { identifier: `${system}|${run}-upserted` });
  assert.equal(made.meta.versionId, '1');
}

async function searches(medplum) {
  const family = `Medplum${run}`;
  const people = await Promise.all(
    [0, 1, 2, 3, 4].map((number) => medplum.createResource(patient(family, `search-${number}`, { birthDate: `199${number}-03-03` }))),
  );
  const bundle = await medplum.search('Patient', { family, _total: 'accurate', _sort: '-birthdate' });
  assert.equal(bundle.total, 5);
  assert.equal(bundle.type, 'searchset');
  const found = await medplum.searchResources('Patient', `family=${family}&_sort=birthdate`);
  assert.deepEqual(found.map((person) => person.id), people.map((person) => person.id));
  assert.equal((await medplum.searchOne('Patient', identifier('search-2'))).id, people[2].id);
  assert.equal(await medplum.searchOne('Patient', identifier('nobody')), undefined);
  assert.equal((await medplum.searchResources('Patient', `name=${family.toLowerCase()}&birthdate=lt1992`)).length, 2);
  assert.equal((await medplum.search('Patient', `family=${family}&_summary=count`)).total, 5);
  assert.equal((await medplum.search('Patient', `family=${family}&_count=0&_total=accurate`)).total, 5);

  const pages = [];
  for await (const page of medplum.searchResourcePages('Patient', `family=${family}&_count=2&_sort=birthdate`)) {
    pages.push(page.map((person) => person.id));
  }
  assert.deepEqual(pages.flat(), people.map((person) => person.id));
  assert.deepEqual(pages.map((page) => page.length), [2, 2, 1]);
  // Without a count of its own it asks for a thousand.
  for await (const page of medplum.searchResourcePages('Patient', `family=${family}`)) {
    assert.equal(page.length, 5);
  }
  return people;
}

async function bundles(medplum, people) {
  const [person, procedure] = [
    'urn:uuid:8d4f1c33-6b0f-4a6e-9a3e-5c35e0a7b101',
    'urn:uuid:8d4f1c33-6b0f-4a6e-9a3e-5c35e0a7b102',
  ];
  const body = {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      {
        fullUrl: procedure,
        resource: { resourceType: 'Procedure', status: 'completed', subject: { reference: person } },
        request: { method: 'POST', url: 'Procedure' },
      },
      {
        fullUrl: person,
        resource: patient('Bundle', 'bundle'),
        request: { method: 'POST', url: 'Patient', ifNoneExist: identifier('bundle') },
      },
    ],
  };
  const first = await medplum.executeBatch(body);
  assert.equal(first.type, 'transaction-response');
  assert.deepEqual(first.entry.map((entry) => entry.response.status.slice(0, 3)), ['201', '201']);
  const made = await medplum.searchOne('Patient', identifier('bundle'));
  const linked = await medplum.searchResources('Procedure', { subject: `Patient/${made.id}` });
  assert.equal(linked[0].subject.reference, `Patient/${made.id}`);
  // The second finds the patient and refers to it.
  const second = await medplum.executeBatch(body);
  assert.deepEqual(second.entry.map((entry) => entry.response.status.slice(0, 3)), ['201', '200']);
  assert.equal((await medplum.searchResources('Procedure', `patient=${made.id}`)).length, 2);

  // One wrong entry, and nothing happened.
  const half = { ...body, entry: [...body.entry, { request: { method: 'DELETE', url: 'Patient?identifier' } }] };
  await assert.rejects(medplum.executeBatch(half), OperationOutcomeError);
  assert.equal((await medplum.searchResources('Procedure', `patient=${made.id}`)).length, 2);

  const batch = await medplum.executeBatch({
    resourceType: 'Bundle',
    type: 'batch',
    entry: [
      { request: { method: 'GET', url: `Patient/${made.id}` } },
      { request: { method: 'GET', url: 'Patient/never-there' } },
    ],
  });
  assert.equal(batch.entry[0].resource.id, made.id);
  assert.deepEqual(batch.entry.map((entry) => entry.response.status.slice(0, 3)), ['200', '404']);

  // Reads within 20 ms go as one batch; their addresses there begin with a slash.
  const gathering = fresh({ autoBatchTime: 20, accessToken: medplum.getAccessToken() });
  const reads = await Promise.all(people.map((one) => gathering.readResource('Patient', one.id)));
  assert.deepEqual(reads, people);
  const results = await Promise.allSettled([
    gathering.readResource('Patient', people[0].id),
    gathering.readResource('Patient', 'never-there'),
  ]);
  assert.deepEqual(results.map((result) => result.status), ['fulfilled', 'rejected']);
}

async function binaries(medplum) {
  const text = 'Hello, Binary \u2713';
  const made = await medplum.createBinary({ data: text, contentType: 'text/plain', filename: 'hello.txt' });
  assert.equal(made.resourceType, 'Binary');
  assert.equal(made.contentType, 'text/plain');
  const blob = await medplum.download(medplum.fhirUrl('Binary', made.id));
  assert.equal(await blob.text(), text);
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  const raw = await medplum.createBinary({ data: new Blob([bytes]), contentType: 'application/octet-stream' });
  const back = new Uint8Array(await (await medplum.download(medplum.fhirUrl('Binary', raw.id))).arrayBuffer());
  assert.deepEqual(back, bytes);
  await medplum.deleteResource('Binary', made.id);
}

// scripts/clients says that this Device stands for the client.
async function comments(medplum) {
  const device = await medplum.updateResource({ resourceType: 'Device', id: 'clients', status: 'active' });
  const one = await medplum.createResource(patient('Commented', 'commented'));
  const comment = await medplum.createComment(one, 'seen');
  assert.deepEqual(comment.sender, { reference: `Device/${device.id}`, display: 'clients' });
  assert.equal(comment.subject.reference, `Patient/${one.id}`);
  const found = await medplum.searchResources('Communication', `sender=Device/${device.id}&subject=Patient/${one.id}`);
  assert.deepEqual(found.map((own) => own.id), [comment.id]);
}

const medplum = await login();
await instances(medplum);
await conditions(medplum);
const people = await searches(medplum);
await bundles(medplum, people);
await binaries(medplum);
await comments(medplum);
