// The libraries of Auth0's sample authorizer, jsonwebtoken and jwks-rsa, with the settings that the sample gives them.
import jwt from "jsonwebtoken";
import jwksClient from "jwks-rsa";

const jwksUri = `${process.env.HANKO_API_URL}/.well-known/jwks.json`;
const cacheMaxAge = 1000 * (process.env.PEER_MAX_AGE_SECONDS ?? 600);
const client = jwksClient({ cache: true, cacheMaxAge, rateLimit: true, jwksRequestsPerMinute: 10, jwksUri });

export async function handler(event) {
  try {
    const token = event.headers.authorization.replace(/^Bearer /, "");
    const { header } = jwt.decode(token, { complete: true });
    const key = (await client.getSigningKey(header.kid)).getPublicKey();
    const payload = jwt.verify(token, key, { audience: process.env.HANKO_AUDIENCE, algorithms: ["RS256"] });
    console.log(JSON.stringify({ outcome: "allowed" }));
    return { isAuthorized: true, context: { user_id: payload.sub, session_id: payload.session_id } };
  } catch (error) {
    console.log(JSON.stringify({ outcome: "denied", reason: error.name }));
    return { isAuthorized: false };
  }
}
