// What a careful team writes with aws-jwt-verify: an HTTP API authorizer, payload 2.0, simple responses, one log line.
import { JwtVerifier } from "aws-jwt-verify";

const verifier = JwtVerifier.create({
  issuer: null, // Hanko sends none by default
  audience: process.env.HANKO_AUDIENCE,
  jwksUri: `${process.env.HANKO_API_URL}/.well-known/jwks.json`,
});
await verifier.hydrate(); // at start, like ours

export async function handler(event) {
  const started = performance.now();
  const requestId = event.requestContext.requestId;
  try {
    const claims = await verifier.verify(event.headers.authorization.replace(/^Bearer /, ""));
    const { sub: user_id, session_id, email, username, amr, iat: issued_at, exp: expires_at } = claims;
    const context = { user_id, session_id, email: email?.address, username, amr: amr?.join(" "), issued_at, expires_at };
    console.log(JSON.stringify({ outcome: "allowed", requestId, duration_ms: performance.now() - started }));
    return { isAuthorized: true, context };
  } catch (error) {
    console.log(JSON.stringify({ outcome: "denied", reason: error.name, requestId }));
    return { isAuthorized: false };
  }
}
