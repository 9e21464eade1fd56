// Prints a client's signed assertion (SMART Backend Services; RFC 7523), good for one sign-in.
//     node assertion.mjs FILE CLIENT_ID TOKEN_URL

import { randomUUID, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [file, client, audience] = process.argv.slice(2);
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = Math.floor(Date.now() / 1000);
const claims = { iss: client, sub: client, aud: audience, jti: randomUUID(), iat: now, exp: now + 240 };
const signed = `${part({ alg: 'ES384', typ: 'JWT', kid: 'clients' })}.${part(claims)}`;
const signature = sign('sha384', signed, { key: readFileSync(file), dsaEncoding: 'ieee-p1363' });
process.stdout.write(`${signed}.${signature.toString('base64url')}`);
