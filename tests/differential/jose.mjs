// What jose says about each token: its claims as JSON, or null. Asked for the same as the others in opinions.py.
import { readFileSync } from 'node:fs';
import { createLocalJWKSet, jwtVerify, errors } from 'jose';

const asked = JSON.parse(readFileSync(0, 'utf8'));
const keys = createLocalJWKSet({ keys: [asked.jwk] });
const options = {
  algorithms: ['RS256'], audience: asked.audience, issuer: asked.issuer, clockTolerance: 10,
  requiredClaims: ['exp', 'iat', 'aud', 'iss', 'sub'],
};
const told = [];
for (const token of asked.tokens) {
  try {
    told.push((await jwtVerify(token, keys, options)).payload);
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    told.push(null);
  }
}
process.stdout.write(JSON.stringify(told));
