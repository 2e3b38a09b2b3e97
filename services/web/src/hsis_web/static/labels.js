// Label maps of the item's cube: shown with their classes; attached and taken off by who may write.

import { ApiError, address, call, path } from "./api.js";
import { $, element, formatBytes } from "./dom.js";
import { hasRole, swatches } from "./metadata.js";

const PREFIX = "labels-";

/** Show the label maps among an item's assets, and to who `mayWrite` what changes them. */
export function setUpLabels(collection, { id, assets }, mayWrite, onError) {
  const url = path("ingest", collection, id, "labels");
  const maps = Object.entries(assets).filter(([, asset]) => hasRole(asset, "labels"));
  $("labels").replaceChildren(...maps.map(([key, asset]) => row(key, asset, mayWrite && (() => remove(url, key, onError)))));
  $("labels-section").hidden = maps.length === 0 && !mayWrite;
  $("labels-adding").hidden = !mayWrite;
  $("add-labels").addEventListener("submit", async (event) => {
    event.preventDefault();
    $("labels-error").hidden = true;
    $("labels-button").disabled = true;
    try {
      await add(url, collection);
      location.reload();
    } catch (error) {
      $("labels-error").textContent = error.message;
      $("labels-error").hidden = false;
    } finally {
      $("labels-button").disabled = false;
    }
  });
}

function row(key, asset, onRemove) {
  const name = key.replace(PREFIX, "");
  const size = asset["file:size"];
  const content = [
    element("a", { href: address(asset.href), download: true, class: "me-auto" }, name),
    element("span", { class: "small text-body-secondary" }, size === undefined ? "" : formatBytes(size)),
  ];
  if (onRemove) {
    const button = element("button", { type: "button", class: "btn btn-sm btn-outline-danger", "aria-label": `Remove ${name}` }, "Remove");
    button.addEventListener("click", onRemove);
    content.push(button);
  }
  return element("li", { class: "list-group-item", "data-labels": name },
    element("div", { class: "d-flex align-items-center gap-2" }, ...content),
    element("div", { class: "small d-flex flex-wrap gap-2" }, ...swatches(asset["classification:classes"] ?? [])));
}

async function remove(url, key, onError) {
  const name = key.replace(PREFIX, "");
  if (!window.confirm(`Remove the labels ${name}? They do not go to the trash.`)) return;
  try {
    await call("DELETE", `${url}/${encodeURIComponent(name)}`);
    location.reload();
  } catch (error) {
    onError(error);
  }
}

/** Send the files to a folder of their own, have the map made of them, and remove them again. */
async function add(url, collection) {
  const files = [...$("labels-files").files];
  const data = files.find(({ name }) => !name.toLowerCase().endsWith(".hdr")) ?? files[0];
  const folder = `raw/${collection}/${PREFIX}${random()}/`;
  const wanted = { name: $("labels-name").value || idOf(data.name), files: files.map(({ name }) => folder + name) };
  const names = $("labels-classes").value.split(",").map((name) => name.trim());
  if (names.some(Boolean)) wanted.class_names = names;
  if ($("labels-variable").value) wanted.variable = $("labels-variable").value;
  const sent = [];
  try {
    for (const file of files) {
      await send(folder + file.name, file);
      sent.push(folder + file.name);
    }
    await call("POST", url, wanted);
  } finally {
    await Promise.all(sent.map((key) => call("DELETE", blob(key)).catch(() => null)));
  }
}

const blob = (key) => path("blobs", ...key.split("/"));

async function send(key, file) {
  let answer;
  try {
    answer = await fetch(blob(key), { method: "PUT", body: file, headers: { "X-Requested-With": "hsis-web" } });
  } catch {
    throw new ApiError(0, { detail: `${file.name} could not be sent.` });
  }
  if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => ({})));
}

/** Not crypto.randomUUID, which pages without TLS have not. */
const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** As the services make an id of a file's name. */
const idOf = (name) => name.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-._]+|[-._]+$/g, "") || "labels";
