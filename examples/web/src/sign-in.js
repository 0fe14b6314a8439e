// The dialog in which the user signs in, for the first time or once more.
const dialog = document.getElementById("dialog");
const login = document.getElementById("login");

/** Ask the user to sign in, and tell why. True once there is a new session, false if they close the dialog. */
export function signIn(session, config, title, why) {
  document.getElementById("dialog-title").textContent = title;
  document.getElementById("why").textContent = why;
  return new Promise((resolve) => {
    const before = session.token;
    const stop = session.hanko.onSessionCreated(() => {
      if (session.token !== before || before === null) finish(true);
    });
    const closed = () => finish(false);
    const finish = (signedIn) => {
      stop();
      dialog.removeEventListener("close", closed);
      dialog.close();
      login.replaceChildren();
      resolve(signedIn);
    };
    dialog.addEventListener("close", closed);
    show(session, config);
    dialog.showModal();
  });
}

async function show(session, config) {
  login.replaceChildren(config.signIn === "elements" ? await hankoAuth(session) : standIn(session, config.signIn));
}

/** Hanko's own form, 170 kB, fetched when it is needed. It uses the same cookie or the same place in sessionStorage. */
async function hankoAuth({ hankoApiUrl, cookieName, cookieDomain, tokenIn }) {
  const { register } = await import("@teamhanko/hanko-elements");
  await register(hankoApiUrl, { storageKey: cookieName, cookieDomain, sessionTokenLocation: tokenIn });
  const form = document.createElement("hanko-auth");
  form.setAttribute("mode", "login");
  return form;
}

/** `make local` has a stand-in for Hanko without passkeys: its page is a list of people. */
function standIn(session, url) {
  const frame = Object.assign(document.createElement("iframe"), { src: url, title: "Sign in as" });
  addEventListener("message", async function chosen({ origin, source, data }) {
    if (!frame.isConnected) removeEventListener("message", chosen);
    if (source !== frame.contentWindow || origin !== new URL(url).origin) return;
    const answer = await session.hanko.client.post("/sign-in", { as: data.as }); // the SDK stores the token that comes
    session.hanko.relay.dispatchSessionCreatedEvent({ claims: answer.json().claims });
  });
  return frame;
}
