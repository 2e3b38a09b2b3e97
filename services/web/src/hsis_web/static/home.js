import { call, get, path } from "./api.js";
import { collectionCard, itemCard, nothing } from "./cards.js";
import { $ } from "./dom.js";
import { report, session } from "./session.js";

const RECENT_ITEMS = 10;
const user = await session();

try {
  const [{ collections }, recent] = await Promise.all([
    get("/stac/collections"),
    get(`/stac/search?limit=${RECENT_ITEMS}`),
  ]);
  $("collections").replaceChildren(
    ...(collections.length ? collections.map(collectionCard) : [nothing(noCollections())]));
  $("items").replaceChildren(
    ...(recent.features.length ? recent.features.map(itemCard) : [nothing("No cubes yet.")]));
} catch (error) {
  report(error, user);
}

function noCollections() {
  return user ? "No collections yet: make one, or upload a cube." : "No public collections. Log in to see yours.";
}

$("show-create").hidden = !user;
$("show-create").addEventListener("click", () => {
  $("create").hidden = !$("create").hidden;
  $("show-create").setAttribute("aria-expanded", String(!$("create").hidden));
  if (!$("create").hidden) $("create-id").focus();
});

$("create").addEventListener("submit", async (event) => {
  event.preventDefault();
  const id = $("create-id").value;
  const title = $("create-title").value;
  try {
    await call("POST", "/stac/collections", {
      type: "Collection",
      stac_version: "1.1.0",
      id,
      ...(title && { title }),
      description: $("create-description").value || title || id,
      license: "other",
      extent: { spatial: { bbox: [[-180, -90, 180, 90]] }, temporal: { interval: [[null, null]] } },
      links: [],
    });
    location.assign(path("collections", id));
  } catch (error) {
    report(error, user);
  }
});
