// The trash of the collection that the page shows, for those who may write there.

import { call, get, path } from "./api.js";
import { $, element, showMessage } from "./dom.js";

const collection = $("page").dataset.collection;
const trash = path("stac", "collections", collection, "trash");
const PAGE_ENTRIES = 30;

async function show() {
  const { role } = await get(path("auth", "access", collection));
  if (role !== "owner" && role !== "editor") return;
  await showPage(role);
}

/** The entries after one, below those that are shown already, or the first ones. */
async function showPage(role, after) {
  const { entries, total } = await get(`${trash}?limit=${PAGE_ENTRIES}` + (after ? `&after=${after}` : ""));
  if (!after) $("trash-entries").replaceChildren();
  $("trash-entries").append(...entries.map((entry) => row(entry, role === "owner")));
  $("trash-more").onclick = () => showMore(role, entries.at(-1).id);
  $("trash-more").hidden = !entries.length || $("trash-entries").childElementCount >= total;
  $("trash").hidden = !$("trash-entries").childElementCount;
}

async function showMore(role, after) {
  $("trash-more").disabled = true; // else a second click asks for the same page again
  await showPage(role, after).catch((error) => showMessage(error.message));
  $("trash-more").disabled = false;
}

function row(entry, mayPurge) {
  const until = new Date(entry.expires_at).toLocaleString();
  const buttons = [button("Restore", "secondary", () => restore(entry))];
  if (mayPurge) buttons.push(button("Delete for good", "danger", () => purge(entry)));
  return element(
    "li",
    { class: "list-group-item d-flex flex-wrap align-items-center gap-2" },
    element("span", { class: "me-auto" }, `${entry.item}, deleted by ${entry.deleted_by}, kept until ${until}`),
    ...buttons,
  );
}

function button(text, kind, action) {
  const made = element("button", { type: "button", class: `btn btn-sm btn-outline-${kind}` }, text);
  made.addEventListener("click", () => action().catch((error) => showMessage(error.message)));
  return made;
}

/** As it was; where its cube was replaced, its original files are converted again. */
async function restore(entry) {
  if (entry.cube_kept) {
    await call("POST", `${trash}/${entry.id}/restore`);
    location.reload();
    return;
  }
  const id = window.prompt(`Another cube took the place of ${entry.item}. Restore it under which id?`, entry.item);
  if (!id) return;
  await call("POST", path("ingest", "restore"), { collection, entry: entry.id, id });
  showMessage(`${id} is being made of its original files again.`, "info");
}

async function purge(entry) {
  if (!window.confirm(`Remove ${entry.item} for good?`)) return;
  await call("DELETE", `${trash}/${entry.id}`);
  await show();
}

await show().catch(() => null); // the page itself tells what is wrong with the collection
