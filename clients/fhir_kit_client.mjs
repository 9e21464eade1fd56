// fhir-kit-client: every method of its `Client`.

import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';
import { base, clientId, clientSecret, run, token } from './session.mjs';

const system = 'urn:example:fhir-kit-client';
const patient = (family, value, more = {}) => ({
  resourceType: 'Patient',
  identifier: [{ system, value: `${run}-${value}` }],
  name: [{ family, given: ['Joan'] }],
  ...more,
});
const status = (code) => (error) => error.response?.status === code && error.response.data.resourceType === 'OperationOutcome';
const ids = (bundle) => (bundle.entry ?? []).map((entry) => entry.resource.id);

async function discovery() {
  const open = new Client({ baseUrl: base });
  const statement = await open.capabilityStatement();
  assert.equal(statement.fhirVersion, '4.0.1');
  const { tokenUrl } = await open.smartAuthMetadata();
  await assert.rejects(open.search({ resourceType: 'Patient' }), status(401));
  const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
  const byBasic = new Client({ baseUrl: base, customHeaders: { Authorization: `Basic ${basic}` } });
  await byBasic.search({ resourceType: 'Patient', searchParams: { _count: 1 } });
  return new Client({ baseUrl: base, bearerToken: await token(tokenUrl) });
}

async function instances(client) {
  const made = await client.create({ resourceType: 'Patient', body: patient('Kit', 'one', { active: true }) });
  const { response } = Client.httpFor(made);
  assert.equal(response.status, 201);
  assert.equal(response.headers.get('location'), `${base}/Patient/${made.id}/_history/1`);
  assert.equal(response.headers.get('etag'), 'W/"1"');

  const at = { resourceType: 'Patient', id: made.id };
  assert.deepEqual(await client.read(at), made);
  const updated = await client.update({
    ...at,
    body: { ...made, gender: 'female' },
    options: { headers: { 'If-Match': 'W/"1"' } },
  });
  assert.equal(updated.meta.versionId, '2');
  await assert.rejects(
    client.update({ ...at, body: made, options: { headers: { 'If-Match': 'W/"1"' } } }),
    status(412),
  );
  const patched = await client.patch({ ...at, jsonPatch: [{ op: 'replace', path: '/gender', value: 'other' }] });
  assert.equal(patched.gender, 'other');
  assert.equal((await client.vread({ ...at, version: '1' })).gender, undefined);
  assert.deepEqual(await client.resolve({ reference: `Patient/${made.id}` }), patched);
  assert.deepEqual(await client.resolve({ reference: `${base}/Patient/${made.id}` }), patched);

  const gone = await client.delete(at);
  assert.equal(Client.httpFor(gone).response.status, 204);
  await assert.rejects(client.read(at), status(410));
  await assert.rejects(client.read({ ...at, id: 'never-there' }), status(404));
  await assert.rejects(client.create({ resourceType: 'Patient', body: patient('Kit', 'bad', { gender: 'x' }) }), (error) =>
    [400, 422].includes(error.response.status));

  const versions = await client.history(at);
  assert.deepEqual(versions.entry.map((entry) => entry.request.method), ['DELETE', 'PATCH', 'PUT', 'POST']);
  assert.ok((await client.history({ resourceType: 'Patient' })).entry.length >= 4);
  assert.ok((await client.history()).entry.length >= 4);
}

async function conditions(client) {
  const value = `${run}-conditional`;
  const headers = { 'If-None-Exist': `identifier=${system}|${value}` };
  const create = () => client.create({ resourceType: 'Patient', body: patient('Once', 'conditional'), options: { headers } });
  const answers = await Promise.all(Array.from({ length: 10 }, create));
  assert.equal(new Set(answers.map((answer) => answer.id)).size, 1);
  const statuses = answers.map((answer) => Client.httpFor(answer).response.status).sort();
  assert.deepEqual(statuses, [...Array(9).fill(200), 201]);

  const searchParams = { identifier: `${system}|${value}` };
  const updated = await client.update({ resourceType: 'Patient', searchParams, body: patient('Updated', 'conditional') });
  assert.equal(updated.id, answers[0].id);
  assert.equal(updated.name[0].family, 'Updated');
}

async function searches(client) {
  const family = `Kit${run}`;
  const people = await Promise.all(
    [0, 1, 2, 3, 4].map((number) =>
      client.create({ resourceType: 'Patient', body: patient(family, `search-${number}`, { birthDate: `200${number}-05-01` }) })),
  );
  const observation = await client.create({
    resourceType: 'Observation',
    body: { resourceType: 'Observation', status: 'final', code: { text: 'pulse' }, subject: { reference: `Patient/${people[0].id}` } },
  });

  const all = people.map((person) => person.id).sort();
  const found = await client.search({ resourceType: 'Patient', searchParams: { family, _total: 'accurate' } });
  assert.equal(found.total, 5);
  assert.deepEqual(ids(found).sort(), all);
  const posted = await client.search({ resourceType: 'Patient', searchParams: { family }, options: { postSearch: true } });
  assert.deepEqual(ids(posted).sort(), all);
  const two = await client.search({ resourceType: 'Patient', searchParams: { family, birthdate: ['ge2001', 'lt2003'] } });
  assert.equal(two.entry.length, 2);

  const walked = [];
  const pages = [];
  let page = await client.search({ resourceType: 'Patient', searchParams: { family, _count: 2, _sort: 'birthdate' } });
  for (; page; page = await client.nextPage({ bundle: page })) {
    walked.push(...ids(page));
    pages.push(page);
  }
  assert.deepEqual(walked, people.map((person) => person.id));
  assert.equal(pages.length, 3);

  const compartment = { resourceType: 'Patient', id: people[0].id };
  for (const postSearch of [false, true]) {
    const inside = await client.search({ resourceType: 'Observation', compartment, options: { postSearch } });
    assert.deepEqual(ids(inside), [observation.id]);
    const across = await client.search({ searchParams: { _type: 'Patient,Observation', _id: people[0].id }, options: { postSearch } });
    assert.deepEqual(ids(across), [people[0].id]);
  }
  const subject = await client.resolve({ reference: observation.subject.reference, context: observation });
  assert.equal(subject.id, people[0].id);

  const everything = await client.operation({ name: 'everything', resourceType: 'Patient', id: people[0].id, method: 'GET' });
  assert.deepEqual(ids(everything).sort(), [people[0].id, observation.id].sort());
  const outcome = await client.operation({ name: '$validate', resourceType: 'Patient', input: patient('Valid', 'valid') });
  assert.equal(outcome.resourceType, 'OperationOutcome');
}

async function bundles(client) {
  const fullUrl = 'urn:uuid:0f0b2f6e-7a3d-4f0e-9a58-3d9b2a6e5c01';
  const transaction = await client.transaction({
    body: {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        { fullUrl, resource: patient('Bundle', 'bundle'), request: { method: 'POST', url: 'Patient' } },
        {
          resource: { resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: fullUrl } },
          request: { method: 'POST', url: 'Observation' },
        },
      ],
    },
  });
  assert.equal(transaction.type, 'transaction-response');
  const [person, observation] = transaction.entry.map((entry) => entry.response.location.split('/_history/')[0]);
  const read = await client.request(observation);
  assert.ok(person.endsWith(read.subject.reference));

  const batch = await client.batch({
    body: {
      resourceType: 'Bundle',
      type: 'batch',
      entry: [
        { request: { method: 'GET', url: read.subject.reference } },
        { request: { method: 'GET', url: 'Patient/never-there' } },
      ],
    },
  });
  assert.deepEqual(batch.entry.map((entry) => entry.response.status.slice(0, 3)), ['200', '404']);
}

const client = await discovery();
await instances(client);
await conditions(client);
await searches(client);
await bundles(client);
