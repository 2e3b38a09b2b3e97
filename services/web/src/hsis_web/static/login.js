import { call } from "./api.js";
import { $ } from "./dom.js";

/** Only a path of this origin: `next` comes from the URL, which anyone can write. */
function nextPage() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  const url = URL.canParse(wanted, location.origin) && new URL(wanted, location.origin);
  return url && url.origin === location.origin ? url.pathname + url.search : "/";
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = $("login-error");
  problem.hidden = true;
  try {
    await call("POST", "/auth/session", { username: $("username").value, password: $("password").value });
    $("password").value = ""; // else it is there for who goes back to this page
    location.assign(nextPage());
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    $("password").select();
  }
});
$("log-in").disabled = false; // before, a browser would send the form by itself
