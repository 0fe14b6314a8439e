import { call, connect, explain, explainConnection } from "./api.js";
import { Session } from "./session.js";
import { signIn } from "./sign-in.js";

const ROUTES = [
  { path: "/" },
  { path: "/me", cookiePath: "/web/me" }, // the one route of the examples that takes the cookie
  { path: "/admin/x", rule: "admins only" },
  { path: "/payments", method: "POST", rule: "payments want a fresh, strong login" },
];
const WEBSOCKET = { path: "WebSocket" };
const SHOWN = 20;

const $ = (id) => document.getElementById(id);
const config = await (await fetch("/config.json")).json();
const session = new Session(config);
let signingIn = false;

// --- who is signed in

async function showWho() {
  const { state, claims } = await session.who();
  const ends = claims && new Date(claims.expiration).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const name = claims?.email?.address ?? claims?.username ?? claims?.subject;
  $("who").textContent = {
    in: `Signed in as ${name}, until ${ends}.`,
    out: "Nobody is signed in.",
    unknown: "Hanko cannot be asked who you are. APIs may answer all the same.",
  }[state];
  $("who").dataset.state = state;
  $("sign-in").hidden = state === "in";
  $("sign-out").hidden = state === "out";
}

async function askToSignIn(title, why) {
  if (signingIn) return false;
  signingIn = true;
  const signedIn = await signIn(session, config, title, why);
  signingIn = false;
  await showWho();
  return signedIn;
}

$("sign-in").onclick = () => askToSignIn("Sign in", "");
$("sign-out").onclick = async () => {
  const told = await session.signOut();
  await showWho();
  if (!told) $("who").textContent = "The token is gone from this browser. Hanko could not be told: there the session lives on.";
};
session.hanko.onSessionExpired(showWho); // also when another tab signs out
session.hanko.onSessionCreated(showWho); // also when another tab signs in

// --- calls

async function run(route, repeated = false) {
  const by = new FormData($("how")).get("by");
  const api = config.apis[new FormData($("how")).get("api")];
  const isSocket = route === WEBSOCKET;
  const answer = isSocket ? await connect(session, config.webSocket) : await call(session, api, route, by);
  const meaning = isSocket ? await explainConnection(session, api, answer) : await explain(session, api, route, by, answer);
  show(route, answer, meaning, isSocket ? "" : api.name);
  if (!["sign-in", "step-up"].includes(meaning.helps)) return;
  if (repeated) return show(route, answer, { text: "A new login did not help: is this API for another application?" }, "");
  if (meaning.helps === "sign-in") {
    session.forget(); // our 401 decides, not the SDK's clock
    await showWho();
  }
  if (await askToSignIn(meaning.helps === "sign-in" ? "Sign in" : "Sign in again", meaning.text)) await run(route, true);
}

function show(route, { status, body }, { text, helps, reason }, where) {
  const name = route === WEBSOCKET ? route.path : `${route.method ?? "GET"} ${route.path}`;
  const item = element("li", { className: "answer" });
  item.dataset.status = status;
  const line = element("p", { className: "line" });
  line.append(element("strong", { textContent: status || "—", className: `status s${String(status)[0]}` }));
  line.append(element("code", { textContent: name }), element("span", { textContent: where, className: "where" }));
  item.append(line, element("p", { textContent: text }));
  if (reason) item.append(element("p", { className: "reason", textContent: `Reason: ${reason}` }));
  if (helps === "retry") item.append(action("Try again", () => run(route)));
  if (helps === "step-up-if-wanted") {
    item.append(action("Sign in again", async () => (await askToSignIn("Sign in again", text)) && run(route, true)));
  }
  if (status < 300 && status > 0) {
    const details = element("details");
    const code = element("pre", { textContent: JSON.stringify(body, null, 2), tabIndex: 0 });
    details.append(element("summary", { textContent: "What the API knows" }), code);
    item.append(details);
  }
  $("none").hidden = true;
  $("answers").prepend(item);
  while ($("answers").children.length > SHOWN) $("answers").lastChild.remove();
}

const element = (name, properties = {}) => Object.assign(document.createElement(name), properties);
const action = (text, onclick) => element("button", { textContent: text, onclick });

config.apis.forEach(({ name }, index) => {
  const label = element("label");
  label.append(element("input", { type: "radio", name: "api", value: index, checked: index === 0 }), ` ${name}`);
  $("apis").append(label);
});
for (const route of ROUTES) $("calls").append(action(`${route.method ?? "GET"} ${route.path}`, () => run(route)));
if (config.webSocket) $("calls").append(action("WebSocket", () => run(WEBSOCKET)));
await showWho();
