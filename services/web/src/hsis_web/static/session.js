// Who is logged in: shown in the bar of every page.

import { call, get, toLogin } from "./api.js";
import { $, element, showMessage } from "./dom.js";

/** The user that /auth/me tells of, or null for an anonymous visitor. Fills the bar. */
export async function session() {
  const user = await who().catch((error) => {
    showMessage(error.message);
    return null;
  });
  $("who").replaceChildren(...(user ? loggedIn(user) : anonymous()));
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) leaveToOthers(user);
  });
  return user;
}

async function who() {
  try {
    return await get("/auth/me");
  } catch (error) {
    if (error.status !== 401) throw error;
    return null;
  }
}

/** A browser shows a page as it was where one goes back to it: not to who came after its user. */
async function leaveToOthers(user) {
  const now = await who().catch(() => user);
  if (now?.name !== user?.name) location.reload();
}

function loggedIn(user) {
  const button = element("button", { class: "btn btn-sm btn-outline-light", type: "button", id: "logout" }, "Log out");
  button.addEventListener("click", async () => {
    try {
      await call("DELETE", "/auth/session");
      location.assign("/login");
    } catch (error) {
      showMessage(`You are still logged in. ${error.message}`);
    }
  });
  return [element("span", { class: "small" }, user.name), button];
}

function anonymous() {
  return [element("a", { class: "btn btn-sm btn-outline-light", href: "/login" }, "Log in")];
}

/** Show an error; where the visitor is anonymous and it is about that, ask to log in. */
export function report(error, user) {
  if (error.status === 401 && !user) toLogin();
  else showMessage(error.message);
}
