// The cube, or a part of it, as a file of another format: the browser downloads while it is written.

import { ApiError, get } from "./api.js";
import { $, formatBytes } from "./dom.js";

/** Show the form. */
export function setUpExporting(cubeUrl) {
  $("export-section").hidden = false;
  $("export-format").addEventListener("change", showFields);
  showFields();
  $("export").addEventListener("submit", async (event) => {
    event.preventDefault();
    $("export-button").disabled = true;
    $("export-size").textContent = "";
    $("export-error").hidden = true;
    try {
      await download(`${cubeUrl}/export?${query()}`);
    } catch (error) {
      $("export-error").textContent = error.message;
      $("export-error").hidden = false;
      $("export-error").scrollIntoView({ block: "nearest" });
    } finally {
      $("export-button").disabled = false;
    }
  });
}

/** The originals come as they are. */
function showFields() {
  for (const field of $("export").querySelectorAll(".of-a-part")) field.hidden = $("export-format").value === "original";
}

function query() {
  const format = $("export-format").value;
  const chosen = new URLSearchParams({ format });
  for (const name of format === "original" ? [] : ["bands", "window"]) {
    const text = $(`export-${name}`).value.trim();
    if (text) chosen.set(name, text);
  }
  return chosen;
}

/** Ask first, so that what is wrong is told on this page and not in place of it. */
async function download(url) {
  let answer;
  try {
    answer = await fetch(url, { method: "HEAD" });
  } catch {
    throw new ApiError(0, { detail: "The server cannot be reached." });
  }
  if (!answer.ok) await get(url);
  const length = answer.headers.get("Content-Length");
  $("export-size").textContent = length ? `${formatBytes(Number(length))} are on the way.` : "It is on the way.";
  location.assign(url);
}
