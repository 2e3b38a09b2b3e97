// Who is logged in: shown in the bar of every page.

import { call, get, toLogin } from "./api.js";
import { $, element, showMessage } from "./dom.js";

/** The user that /auth/me tells of, or null for an anonymous visitor. Fills the bar. */
export async function session() {
  let user = null;
  try {
    user = await get("/auth/me");
  } catch (error) {
    if (error.status !== 401) showMessage(error.message);
  }
  $("who").replaceChildren(...(user ? loggedIn(user) : anonymous()));
  return user;
}

function loggedIn(user) {
  const button = element("button", { class: "btn btn-sm btn-outline-light", type: "button", id: "logout" }, "Log out");
  button.addEventListener("click", async () => {
    await call("DELETE", "/auth/session");
    location.assign("/login");
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
