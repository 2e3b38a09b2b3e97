import { call, get, path } from "./api.js";
import { setUpCorrecting } from "./correcting.js";
import { $ } from "./dom.js";
import { setUpExporting } from "./exporting.js";
import { setUpLabels } from "./labels.js";
import { showAssets, showMetadata } from "./metadata.js";
import { setUpPicture } from "./picture.js";
import { setUpProcessing, spectraChanged } from "./processing.js";
import { report, session } from "./session.js";
import { SpectrumBoard } from "./spectra.js";

const { collection, item: id } = $("page").dataset;
const cubeUrl = path("cubes", collection, id);
const user = await session();
const onError = (error) => report(error, user);

/** Rows and columns, from the projection's shape or the extent of the axes in pixels. */
function shapeOf(item) {
  const shape = item.properties["proj:shape"];
  if (shape) return { rows: shape[0], columns: shape[1] };
  const { x, y } = item.properties["cube:dimensions"];
  return { rows: y.extent[1] - y.extent[0], columns: x.extent[1] - x.extent[0] };
}

async function showItem() {
  const item = await get(path("stac", "collections", collection, "items", id));
  const shape = item.assets.cube ? shapeOf(item) : null;
  showMetadata(item, shape);
  showAssets(item, { labels: !shape });
  if (user) await offerDeletion();
  if (!shape) {
    $("cube").hidden = true; // registered from elsewhere: there is nothing here to look at
    return;
  }
  setUpExporting(cubeUrl);
  setUpLabels(collection, item, !$("delete").hidden, onError);
  const board = new SpectrumBoard(cubeUrl, shape, spectraChanged);
  setUpPicture(cubeUrl, shape, item.assets.cube, (x, y) => board.add(x, y).catch(onError));
  if (!$("delete").hidden) setUpCorrecting(collection, id, onError);
  if (!$("delete").hidden) await setUpProcessing(collection, id, () => board.entries);
}

/** For those who may write here; they may run processes too. */
async function offerDeletion() {
  const { role } = await get(path("auth", "access", collection));
  $("delete").hidden = role !== "owner" && role !== "editor";
}

$("delete").addEventListener("click", async () => {
  if (!window.confirm(`Delete ${id}? It goes to the trash of ${collection}.`)) return;
  try {
    await call("DELETE", path("stac", "collections", collection, "items", id));
    location.assign(path("collections", collection));
  } catch (error) {
    onError(error);
  }
});

await showItem().catch(onError);
