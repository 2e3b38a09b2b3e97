// The uploads of the page's collection that are no item yet, for those who may write there.

import { call, get, path } from "./api.js";
import { $, element, showMessage } from "./dom.js";
import { mendable, reason } from "./retrying.js";

export const STATES = {
  receiving: "Receiving",
  fetching: "Being fetched",
  queued: "Waiting for the conversion",
  converting: "Converting",
  succeeded: "Done",
  failed: "The conversion failed",
};
const SHOWN = 50;

/** Show those of a collection; nothing where all are items. */
export async function showUploads(collection) {
  const { uploads } = await get(`/uploads?collection=${encodeURIComponent(collection)}&without_item=true&limit=${SHOWN}`);
  $("upload-entries").replaceChildren(...uploads.map((upload) => row(upload, collection)));
  $("uploads").hidden = uploads.length === 0;
}

function row(upload, collection) {
  const { id, item, state } = upload;
  const failed = state === "failed";
  const text = `${item}: ${failed ? reason(upload) : STATES[state] ?? state}`;
  const remove = element("button", { type: "button", class: "btn btn-sm btn-outline-danger text-nowrap" }, failed ? "Dismiss" : "Give up");
  remove.addEventListener("click", async () => {
    const stay = upload.scenes?.length ? " The scenes that are cubes stay." : "";
    if (!window.confirm(`${failed ? "Forget what failed of" : "Give up the upload of"} ${item}? Its files are removed.${stay}`)) return;
    try {
      await call("DELETE", path("uploads", id));
      await showUploads(collection);
    } catch (error) {
      showMessage(error.message);
    }
  });
  const link = element("a", { class: "btn btn-sm btn-outline-secondary text-nowrap", href: `/upload?upload=${id}` },
    failed ? "Convert again" : "Follow");
  return element("li", { class: "list-group-item d-flex flex-wrap flex-md-nowrap align-items-center gap-2", "data-upload": id },
    element("span", { class: `me-auto text-break ${failed ? "text-danger" : ""}` }, text),
    ...(followed(upload) ? [link] : []), remove);
}

/** Whether there is something to see of it: it is on its way, or its files are kept, or those of a
 * scene of an archive (a list tells such ones first, but not all scenes). What a browser was sending goes on
 * where the files are chosen again. */
function followed(upload) {
  if (upload.state === "failed") return mendable(upload) || upload.scenes?.some(mendable);
  return upload.state !== "receiving";
}
