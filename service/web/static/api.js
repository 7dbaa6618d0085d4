// Requests to the service, with the key of this tab.

const KEY = "nobacktrack.key";

/** A refusal of the service (RFC 9457), or the fact that it did not answer. */
export class Problem extends Error {
  constructor(status, detail, { title = "", field = null, retryAfter = null } = {}) {
    super(detail);
    this.status = status;
    this.title = title;
    this.field = field;
    this.retryAfter = retryAfter;
  }
}

/** Addresses are relative, so that the page works behind a proxy that serves it under a prefix. */
const address = (path) => new URL(path, document.baseURI);

export const streamPath = (name, ...rest) => ["v1/streams", ...[name, ...rest].map(encodeURIComponent)].join("/");

// The key is kept in the tab's storage. Where a browser forbids that, it lasts until the page is closed.
let held = "";
try {
  held = sessionStorage.getItem(KEY) ?? "";
} catch {}

export const key = {
  get: () => held,
  /** An empty text forgets the key. */
  set: (value) => {
    held = value;
    try {
      if (value) sessionStorage.setItem(KEY, value);
      else sessionStorage.removeItem(KEY);
    } catch {}
  },
};

let wanted = async () => false;
let asking = null;

/** Set how the user is asked for a key: a function that resolves to whether there is a new one. */
export const askForKey = (how) => {
  wanted = how;
};

/** The response to a request. Throws Problem when the service refuses or does not answer. */
export async function request(path, { headers = {}, ...more } = {}) {
  for (;;) {
    const used = key.get();
    const sent = used ? { ...headers, Authorization: `Bearer ${used}` } : headers;
    let response;
    try {
      response = await fetch(address(path), { cache: "no-store", ...more, headers: sent });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, "The service does not answer.");
    }
    if (response.ok) return response;
    const problem = await read(response);
    if (response.status !== 401) throw problem;
    if (used === key.get()) {
      asking ??= wanted(problem, Boolean(used)).finally(() => {
        asking = null;
      });
      if (!(await asking)) throw problem;
    }
  }
}

export const getJson = async (path, more) => (await request(path, more)).json();

export const sendJson = (path, body, more) =>
  getJson(path, { method: "POST", body, headers: { "Content-Type": "application/json" }, ...more });

async function read(response) {
  const body = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After"));
  return new Problem(response.status, body.detail ?? `The service answered ${response.status}.`, {
    title: body.title ?? "",
    field: body.field ?? null,
    retryAfter: seconds > 0 ? seconds : null,
  });
}
