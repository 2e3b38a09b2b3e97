import { call, get, getPatiently, path, toLogin } from "./api.js";
import { $, element, formatBytes, setProgress } from "./dom.js";
import { changedMetadata, inNanometres, metadataFields } from "./fields.js";
import { mendable, reason, retryForm } from "./retrying.js";
import { report, session } from "./session.js";
import { STATES } from "./uploads.js";
import { Cancelled, begun, forget, remember, sendFile } from "./transfer.js";

const POLL_MS = 500;
const user = await session();
const askedOf = new Map(); // by the id of a scene that is converted again
let cancelling = null;
let turns = 0;

if (!user) toLogin();
$("collection").value ||= new URLSearchParams(location.search).get("collection") ?? "";
get("/stac/collections")
  .then(({ collections }) =>
    $("collections").replaceChildren(...collections.map(({ id }) => element("option", { value: id }))))
  .catch((error) => report(error, user));

$("said").append(...metadataFields(false));

function requestBody(files) {
  const body = {
    collection: $("collection").value,
    files: files.map(({ name, size }) => ({ name, size })),
  };
  for (const field of ["id", "axes", "variable", "calibration"]) if ($(field).value) body[field] = $(field).value;
  const said = changedMetadata($("said"));
  const [table] = $("wavelengths-file").files;
  if (body.calibration) {
    const [certificate] = $("white-file").files;
    if (certificate) body.white_reflectance = certificate.name;
    else if ($("white-reflectance").value) body.white_reflectance = Number($("white-reflectance").value);
  }
  if (table) said.wavelengths_file = table.name;
  if (Object.keys(said).length) body.metadata = said;
  for (const field of ["rows", "columns"]) if ($(field).value) body[field] = Number($(field).value);
  return body;
}

function fileBar(file) {
  const bar = element("div", { class: "progress mb-2", role: "progressbar", "aria-label": file.name,
    "aria-valuemin": "0", "aria-valuemax": "100" }, element("div", { class: "progress-bar" }));
  $("file-bars").append(
    element("div", { class: "d-flex justify-content-between small" },
      element("span", { class: "text-break" }, file.name), element("span", {}, formatBytes(file.size))), bar);
  return bar;
}

function showError(text) {
  $("upload-error").textContent = text;
  $("upload-error").hidden = false;
}

function showState(upload) {
  $("conversion").hidden = upload.state === "receiving";
  $("conversion-state").textContent = STATES[upload.state] ?? upload.state;
  const part = upload.state === "succeeded" ? 1 : upload.progress;
  $("conversion-percent").textContent = upload.state === "failed" ? "" : `${Math.round(100 * part)} %`;
  setProgress($("conversion").querySelector(".progress"), part);
  const bar = $("conversion").querySelector(".progress-bar");
  const ended = upload.state === "succeeded" || upload.state === "failed";
  bar.classList.toggle("progress-bar-animated", !ended);
  bar.classList.toggle("bg-danger", upload.state === "failed");
  if (upload.state === "failed") showError(reason(upload) || "The file could not be converted.");
  if (upload.scenes?.length) showScenes(upload.collection, upload.scenes);
  else if (upload.state === "succeeded") {
    showDuplicates(upload.duplicate_of);
    $("open-item").href = path("items", upload.collection, upload.item);
    $("open-item").hidden = false;
    $("open-item").focus();
  }
  return ended;
}

function showDuplicates(items) {
  if (!items?.length) return;
  $("upload-note").textContent = `The same files as of ${items.join(", ")}; they are stored once.`;
  $("upload-note").hidden = false;
}

/** How the scenes of a folder or an archive stand, each with its item once it is there, and with what
 * `beside` makes for it. */
function showScenes(collection, scenes, beside = () => []) {
  $("scenes").hidden = false;
  $("scenes").replaceChildren(...scenes.map((scene) => {
    const { item, state } = scene;
    const name = state === "succeeded" ? element("a", { href: path("items", collection, item) }, item) : item;
    const why = state === "failed" ? reason(scene) : STATES[state];
    return element("li", { class: state === "failed" ? "text-danger" : "" }, name, `: ${why ?? state}`,
      ...beside(scene));
  }));
}

/** Whether what is shown is still the caller's to show: the page may follow another upload by now. */
function turn() {
  turns += 1;
  const mine = turns;
  return () => mine === turns;
}

/** Show how an upload goes until it ends; where what was `asked` did not fit the cube, ask again. */
async function follow(id, asked) {
  const current = turn();
  $("upload-error").hidden = true;
  $("retry").replaceChildren();
  for (;;) {
    const upload = await getPatiently(path("uploads", id));
    if (!current()) return;
    if (showState(upload)) {
      if (upload.scenes?.length) askAgain(upload.collection, upload.scenes, asked, () => follow(id, asked));
      else if (mendable(upload)) $("retry").append(retryForm(upload, asked, (again, now) => run(follow(again.id, now))));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The scenes when all have ended, with a form for each of which the metadata did not fit. */
function askAgain(collection, scenes, asked, again) {
  const ask = (scene) => element("details", { class: "text-body" }, element("summary", {}, "Convert it again with other metadata"),
    retryForm(scene, askedOf.get(scene.id) ?? asked, (upload, now) => {
      askedOf.set(scene.id, now);
      run(again(upload));
    }));
  showScenes(collection, scenes, (scene) => (mendable(scene) ? [ask(scene)] : []));
}

/** Say which files were chosen: a browser tells only how many. */
function showChosen() {
  const files = [...$("files").files];
  const size = files.reduce((sum, file) => sum + file.size, 0);
  $("files-chosen").textContent = files.length > 1 ? `${formatBytes(size)}: ${files.map(({ name }) => name).join(", ")}` : "";
}

/** Show an upload that was begun elsewhere, or before the page was left, as the address names it. */
async function followNamed(id) {
  reset(); // what goes wrong is told there
  const current = turn();
  const upload = await get(path("uploads", id));
  if (!current()) return;
  $("collection").value = upload.collection;
  for (const scene of (upload.scenes ?? []).filter(mendable)) { // which may have been tried again
    askedOf.set(scene.id, askedWith(await get(path("uploads", scene.id))));
  }
  if (current()) await follow(id, askedWith(upload));
}

/** What was asked with an upload, as `retryForm` takes it. */
const askedWith = ({ metadata, calibration, white_reflectance }) =>
  ({ metadata: inNanometres(metadata ?? {}), calibration: calibration === "reflectance" ? calibration : "", white_reflectance });

const run = (promise) => promise.catch((error) => showError(error.message));

function reset() {
  turn();
  $("progress").hidden = false;
  $("file-bars").replaceChildren();
  $("conversion").hidden = true;
  $("upload-error").hidden = true;
  $("open-item").hidden = true;
  $("scenes").hidden = true;
  $("upload-note").hidden = true;
  $("retry").replaceChildren();
  $("progress").scrollIntoView(); // the button may lie far below
}

/** The upload that these very files were being sent to before the page was left, or a new one. */
async function announce(files, body) {
  const known = begun(files, body);
  if (known) {
    const upload = await get(path("uploads", known)).catch((error) => {
      if (error.status !== 404) throw error; // it may still be there, and keeps the id from another
      return null;
    });
    if (upload && upload.state !== "failed") return upload;
  }
  const upload = await call("POST", "/uploads", body);
  remember(files, body, upload.id);
  return upload;
}

/** Announce an upload of the files, or find it again, and send them. */
async function send(files, body) {
  const upload = await announce(files, body);
  try {
    for (const file of files) {
      const bar = fileBar(file);
      const there = upload.files.find(({ name }) => name === file.name);
      if (!there?.received) await sendFile(upload.id, file, (part) => setProgress(bar, part), cancelling.signal);
      setProgress(bar, 1);
    }
  } catch (error) {
    // What another try may mend stays: the same files go on from there.
    if (error.passing) throw new Error(`${error.message} Press Upload again to go on from there.`);
    forget(files, body);
    await call("DELETE", path("uploads", upload.id)).catch(() => null); // it expires by itself
    throw error;
  }
  forget(files, body);
  return upload;
}

async function sendCube(files) {
  const body = requestBody(files);
  const upload = await send(files, body);
  $("cancel").hidden = true;
  await follow(upload.id, body);
}

const inFolder = (file) => file.webkitRelativePath.split("/").slice(1).join("/");

/** Upload each scene of a folder; one that fails does not keep the others from it. */
async function sendFolder(files, tables) {
  const found = new Map(files.map((file) => [inFolder(file), file]));
  const id = $("id").value || null;
  const { scenes } = await call("POST", "/ingest/scenes", { names: [...found.keys()], id });
  if (!scenes.length) throw new Error("The folder has no file that could be a cube.");
  const collection = $("collection").value;
  const asked = requestBody(tables);
  const told = scenes.map(({ id: item }) => ({ item, state: "receiving" }));
  for (const [place, { id: item, names }] of scenes.entries()) {
    const own = [...names.map((name) => found.get(name)), ...tables];
    showScenes(collection, told);
    try {
      told[place] = await send(own, { ...requestBody(own), id: item });
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      told[place] = { item, state: "failed", error: { detail: error.message } };
    }
  }
  $("cancel").hidden = true;
  await followScenes(collection, told, asked);
}

/** Show how the uploads of a folder's scenes go until all have ended. */
async function followScenes(collection, told, asked) {
  const current = turn();
  const open = () => told.filter(({ state }) => state !== "succeeded" && state !== "failed");
  while (open().length) {
    for (const upload of open()) {
      const now = await getPatiently(path("uploads", upload.id));
      if (!current()) return;
      told[told.indexOf(upload)] = now;
    }
    showScenes(collection, told);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (!current()) return;
  }
  askAgain(collection, told, asked, (upload) => {
    told[told.findIndex(({ id }) => id === upload.id)] = upload;
    return followScenes(collection, told, asked);
  });
}

$("upload").addEventListener("submit", async (event) => {
  event.preventDefault();
  reset();
  cancelling = new AbortController();
  $("start").disabled = true;
  $("cancel").hidden = false;
  try {
    const [files, folder, bands, panel] = ["files", "folder", "wavelengths-file", "white-file"]
      .map((name) => [...$(name).files]);
    const tables = $("calibration").value ? [...bands, ...panel] : bands;
    if (files.length && folder.length) throw new Error("Choose files of one cube, or a folder; not both.");
    if (!files.length && !folder.length) throw new Error("Choose the files of a cube, or a folder.");
    await (folder.length ? sendFolder(folder, tables) : sendCube([...files, ...tables]));
  } catch (error) {
    showError(error instanceof Cancelled ? "Cancelled." : error.message);
  } finally {
    $("start").disabled = false;
    $("cancel").hidden = true;
  }
});

const showPanel = () => { $("panel").hidden = !$("calibration").value; };
$("calibration").addEventListener("change", showPanel);
$("files").addEventListener("change", showChosen);
showPanel(); // a browser may keep what was chosen before
showChosen();
const named = new URLSearchParams(location.search).get("upload");
if (named && user) run(followNamed(named));

$("cancel").addEventListener("click", () => cancelling?.abort());
$("start").disabled = false; // before, a browser would send the form by itself, and forget the files
