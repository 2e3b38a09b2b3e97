import { call, get, local, path } from "./api.js";
import { itemCard, nothing } from "./cards.js";
import { $ } from "./dom.js";
import { report, session } from "./session.js";
import { showUploads } from "./uploads.js";

const PAGE_ITEMS = 30;
const id = $("page").dataset.collection;
const user = await session();
let next = `${path("stac", "collections", id)}/items?limit=${PAGE_ITEMS}`;

async function showMore() {
  const page = await get(next);
  $("items").append(...page.features.map(itemCard));
  const link = page.links.find((candidate) => candidate.rel === "next");
  next = link && local(link.href);
  $("more").hidden = !next;
  if (!$("items").childElementCount) $("items").append(nothing("No cubes in this collection yet."));
}

function showAccess({ role, public: isPublic }) {
  $("visibility").textContent = isPublic ? "public" : "private";
  $("visibility").hidden = false;
  $("public").checked = isPublic;
  $("public-control").hidden = role !== "owner";
  $("upload-here").hidden = role !== "owner" && role !== "editor";
}

// Heard before they are shown: what is pressed while the rest still loads counts too.
$("more").addEventListener("click", async () => {
  $("more").disabled = true; // else a second click asks for the same page again
  await showMore().catch((error) => report(error, user));
  $("more").disabled = false;
});

$("public").addEventListener("change", async () => {
  const wanted = $("public").checked;
  $("public").disabled = true;
  try {
    await call("PUT", path("auth", "collections", id, "public"), { public: wanted });
    $("visibility").textContent = wanted ? "public" : "private";
  } catch (error) {
    $("public").checked = !wanted;
    report(error, user);
  }
  $("public").disabled = false;
});

try {
  const collection = await get(path("stac", "collections", id));
  $("title").textContent = collection.title || id;
  $("description").textContent = collection.description ?? "";
  const access = await get(path("auth", "access", id));
  showAccess(access);
  await showMore();
  if (access.role === "owner" || access.role === "editor") await showUploads(id);
} catch (error) {
  report(error, user);
}
