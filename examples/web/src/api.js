// Calls to the API, and what each answer means. The table is in docs/frontend.md.

/** {status, body}; status 0 if there is no answer that the page may read. */
export async function call(session, api, route, by) {
  const token = by === "header" ? session.token : null;
  const path = (by === "cookie" && route.cookiePath) || route.path;
  try {
    const response = await fetch(api.url + path, {
      method: route.method ?? "GET",
      headers: token ? { Authorization: `Bearer ${token}` } : {}, // never "Bearer undefined"
      credentials: by === "cookie" ? "include" : "omit",
    });
    return { status: response.status, body: await response.json().catch(() => ({})), path, sent: token };
  } catch {
    return { status: 0, body: {}, path, sent: token };
  }
}

/** What an answer means: `text` for the user, and what helps: "sign-in", "step-up", "retry" or nothing. */
export async function explain(session, api, route, by, answer) {
  const { status, body } = answer;
  if (status === 0) return { text: "No answer that this page may read: no network, or no CORS headers.", helps: "retry" };
  if (status < 300) return { text: "Allowed." };
  if (status === 401) return unknownCaller(route, by, answer, session);
  if (status === 403) return body.reason ? refused(route, body) : refusedWithoutReason(session, api, route, by);
  if (status >= 500) return { text: "The API could not find out. Your session is still good: try later.", helps: "retry" };
  return { text: "The API did not understand this request." };
}

function unknownCaller(route, by, answer, session) {
  if (by === "cookie" && session.token && !route.cookiePath) {
    return { text: "This route takes the header alone: a foreign page could send the cookie. Send the header." };
  }
  if (by === "header" && !answer.sent) return { text: "You are not signed in.", helps: "sign-in" };
  return { text: "The API does not accept your session: it is over, or it is for another application.", helps: "sign-in" };
}

/** A REST API names every rule that the caller does not meet. The one of this route decides. */
function refused(route, body) {
  const reasons = body.reason.split("; ");
  const reason = reasons[body.rule.split("; ").indexOf(route.rule)] ?? reasons[0];
  if (reason === "login_too_old") return { text: "Your login is too old for this. Sign in again.", helps: "step-up", reason };
  if (reason === "login_too_weak") return { text: "This wants a stronger login: use a passkey.", helps: "step-up", reason };
  return { text: "You are signed in, and you may not do this.", reason };
}

/** An HTTP API answers 403 for a bad session and for a rule alike, and hides the reason. GET /me, which no rule guards, tells. */
async function refusedWithoutReason(session, api, route, by) {
  const me = { path: "/me", cookiePath: "/web/me" };
  const probe = route.path === me.path ? { status: 403 } : await call(session, api, me, by);
  if (probe.status === 200) {
    const text = "You are signed in, and a rule refuses this. This kind of API does not say why: a fresh login may help.";
    return { text, helps: "step-up-if-wanted" };
  }
  if (probe.status === 0 || probe.status >= 500) return { text: "The API could not find out. Try later.", helps: "retry" };
  return { text: "The API does not accept your session: it is over, or it is for another application.", helps: "sign-in" };
}

/** Connect with the token as a subprotocol, ask who we are, hang up. A browser hides why a handshake fails. */
export function connect(session, { url, subprotocol }) {
  const token = session.token;
  if (!token) return Promise.resolve({ status: 401, body: {}, path: "WebSocket", sent: null });
  return new Promise((resolve) => {
    const socket = new WebSocket(url, [subprotocol, token]);
    const done = (status, body) => {
      socket.onclose = null;
      socket.close();
      resolve({ status, body, path: "WebSocket", sent: token });
    };
    socket.onopen = () => socket.send('{"action": "me"}');
    socket.onmessage = ({ data }) => done(101, JSON.parse(data));
    socket.onclose = () => done(0, {});
  });
}

/** What a failed handshake means: GET /me of an API with the same rules knows whether the session is good. */
export async function explainConnection(session, api, answer) {
  if (answer.status === 101) return { text: "Connected, and the API knows you." };
  const probe = answer.sent ? await call(session, api, { path: "/me" }, "header") : answer;
  if (probe.status === 401) return unknownCaller({}, "header", answer, session);
  if (probe.status === 200) return { text: "Refused, though your session is good: by a rule, or because of this page's origin." };
  return { text: "Refused, and nobody says why. Try later.", helps: "retry" };
}
