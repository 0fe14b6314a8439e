// What a careful team writes with jose: the remote key set of the sandbox, filled at start.
import { createRemoteJWKSet, jwtVerify } from "jose";

const cacheMaxAge = 1000 * (process.env.PEER_MAX_AGE_SECONDS ?? 600);
const keys = createRemoteJWKSet(new URL(`${process.env.HANKO_API_URL}/.well-known/jwks.json`), { cacheMaxAge });
await keys.reload();
const options = { audience: process.env.HANKO_AUDIENCE, algorithms: ["RS256"], requiredClaims: ["exp", "iat", "sub"] };

export async function handler(event) {
  try {
    const { payload } = await jwtVerify(event.headers.authorization.replace(/^Bearer /, ""), keys, options);
    console.log(JSON.stringify({ outcome: "allowed" }));
    return { isAuthorized: true, context: { user_id: payload.sub, session_id: payload.session_id } };
  } catch (error) {
    console.log(JSON.stringify({ outcome: "denied", reason: error.code ?? error.name }));
    return { isAuthorized: false };
  }
}
