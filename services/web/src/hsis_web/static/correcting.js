// The form on an item's page that corrects what is known of its cube.

import { call, get, path } from "./api.js";
import { $, element } from "./dom.js";
import { changedMetadata, metadataFields } from "./fields.js";

const NEWEST = 5;

/** Offer the form to who may write; it is filled when it is opened. */
export function setUpCorrecting(collection, item, onError) {
  const url = path("ingest", collection, item, "metadata");
  $("edit").hidden = false;
  $("edit").addEventListener("click", async () => {
    $("correct").hidden = !$("correct").hidden;
    if ($("correct").hidden) return;
    try {
      show(await get(`${url}?limit=${NEWEST}`));
    } catch (error) {
      onError(error);
    }
  });
  $("correct").addEventListener("submit", async (event) => {
    event.preventDefault();
    $("correct-error").hidden = true;
    try {
      const changes = changedMetadata($("correct"));
      if (Object.keys(changes).length) await call("PATCH", url, changes);
      location.reload();
    } catch (error) {
      $("correct-error").textContent = error.message;
      $("correct-error").hidden = false;
    }
  });
}

function show({ metadata, corrections }) {
  $("correct-fields").replaceChildren(...metadataFields(true, metadata));
  $("corrections").replaceChildren(...corrections.map(({ by, at, after }) =>
    element("li", {}, `${new Date(at).toLocaleString()}, ${by}: ${Object.keys(after).join(", ")}`)));
}
