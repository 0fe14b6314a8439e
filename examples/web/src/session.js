// Where the session token is, who is signed in, and how a session ends.
import { Hanko } from "@teamhanko/hanko-frontend-sdk";

/** What the rest of the page knows of Hanko. `config` is config.json. */
export class Session {
  constructor({ hankoApiUrl, cookieName = "hanko", cookieDomain, tokenIn = "cookie" }) {
    Object.assign(this, { hankoApiUrl, cookieName, cookieDomain, tokenIn });
    this.hanko = new Hanko(hankoApiUrl, { cookieName, cookieDomain, sessionTokenLocation: tokenIn });
  }

  /**
   * The token, or null: none, or in an HttpOnly cookie, which no page can read. Read anew for each request, because it
   * changes in other tabs. hanko.getSessionToken() looks into the cookie alone, even if the token is in sessionStorage.
   */
  get token() {
    const found = this.tokenIn === "sessionStorage" ? sessionStorage.getItem(this.cookieName) : this.hanko.getSessionToken();
    return found || null;
  }

  /** The token's claims, for display alone: nothing here verifies them. */
  get claims() {
    try {
      const payload = this.token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0))));
    } catch {
      return null;
    }
  }

  /** {state: "in", claims}, {state: "out"}, or {state: "unknown"} if Hanko cannot be asked. */
  async who() {
    try {
      const answer = await this.hanko.validateSession();
      return answer.is_valid ? { state: "in", claims: answer.claims } : { state: "out" };
    } catch {
      return { state: "unknown" };
    }
  }

  /** End the session at Hanko and forget the token here. False if Hanko could not be told: the session lives on there. */
  async signOut() {
    try {
      await this.hanko.logout();
      return true;
    } catch {
      return false;
    } finally {
      this.forget();
    }
  }

  /** The SDK's own logout leaves a cookie that has a domain: remove both kinds. */
  forget() {
    sessionStorage.removeItem(this.cookieName);
    for (const domain of ["", this.cookieDomain && `; Domain=${this.cookieDomain}`]) {
      if (domain !== undefined) document.cookie = `${this.cookieName}=; Path=/; Secure; Max-Age=0${domain}`;
    }
  }
}
