// What the Node scripts share: the server under test and its credentials.

import assert from 'node:assert/strict';

const wanted = (name) => {
  const value = process.env[name];
  assert.ok(value, `${name} is not set; scripts/clients sets it`);
  return value;
};

export const base = wanted('FHIR_BASE');
export const tokenUrl = wanted('TOKEN_URL');
export const clientId = wanted('CLIENT_ID');
export const clientSecret = wanted('CLIENT_SECRET');
// Sets the resources of one run apart from those of another.
export const run = wanted('RUN');

// An access token by client credentials (RFC 6749 section 4.4).
export async function token(url = tokenUrl) {
  const answer = await fetch(url, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret }),
  });
  assert.equal(answer.status, 200);
  return (await answer.json()).access_token;
}
