// Calls of the services on this origin. The session cookie goes along by itself.

/** An answer of status 400 or more. `message` is the detail that the service gave. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.description || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

/** What 401 means to who was logged in; how a program gets a token is not for them. */
export const LOGGED_OUT = "You are not logged in any more. Log in again, in another tab to keep what is on this page.";

export const path = (...parts) => "/" + parts.map(encodeURIComponent).join("/");

/** JSON of the answer, or null where it has none; ApiError where it is an error. */
export async function call(method, url, body, headers = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers } };
  if (method !== "GET") options.headers["X-Requested-With"] = "hsis-web";
  if (body !== undefined) {
    options.headers["Content-Type"] ??= "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  let content;
  try {
    response = await fetch(url, options);
    content = await readJson(response);
  } catch {
    throw new ApiError(0, { detail: "The server cannot be reached." });
  }
  if (response.status === 401 && !url.startsWith("/auth/")) throw new ApiError(401, { ...content, detail: LOGGED_OUT });
  if (!response.ok) throw new ApiError(response.status, content ?? {});
  return content;
}

async function readJson(response) {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

export const get = (url) => call("GET", url);

const AWAY = new Set([0, 502, 503, 504]);
const OUTAGE_MS = 300_000;
const PATIENT_MS = 1000;

/** The same, asked again while the server is away, as it is where it starts anew: what goes on without
 * being watched is no failure. */
export async function getPatiently(url) {
  const end = performance.now() + OUTAGE_MS;
  for (;;) {
    try {
      return await get(url);
    } catch (error) {
      if (!AWAY.has(error.status) || performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PATIENT_MS));
  }
}

/** The part of an absolute link that is valid on this origin. */
export function local(href) {
  const url = new URL(href, location.href);
  return url.pathname + url.search;
}

/** Where an asset is: the platform's own by its path, another's as it is; null for what no browser
 * opens, or is no address at all. */
export function address(href) {
  const url = URL.canParse(href, location.href) ? new URL(href, location.href) : null;
  if (!["http:", "https:"].includes(url?.protocol)) return null;
  return url.origin === location.origin || url.pathname.startsWith("/blobs/") ? local(href) : url.href;
}

/** Go to the login page and come back here afterwards. */
export function toLogin() {
  const here = location.pathname + location.search;
  location.assign(`/login?next=${encodeURIComponent(here)}`);
}
