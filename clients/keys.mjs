// Makes a key pair for SMART Backend Services: the private key to FILE, its public JSON Web Key Set to JWKS.
//     node keys.mjs FILE JWKS

import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';

const [file, jwks] = process.argv.slice(2);
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
const key = { ...publicKey.export({ format: 'jwk' }), kid: 'clients', alg: 'ES384', use: 'sig' };
writeFileSync(jwks, JSON.stringify({ keys: [key] }));
