// Making and finding elements. Data becomes text nodes and attributes, never markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children (elements or text). */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

export function svgElement(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(made, attributes);
  made.textContent = text;
  return made;
}

function setAttributes(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) {
      target.setAttribute(name, value === true ? "" : value);
    }
  }
}

/** A message above the page's content; an error stays until it is closed. */
export function showMessage(text, kind = "danger") {
  const close = element("button", { type: "button", class: "btn-close", "aria-label": "Close" });
  const box = element("div", { class: `alert alert-${kind} alert-dismissible`, role: "alert" }, text, close);
  close.addEventListener("click", () => box.remove());
  $("messages").replaceChildren(box);
  box.scrollIntoView({ block: "nearest" }); // what was clicked may lie far below
}

/** Set a Bootstrap progress element to a part of 1. */
export function setProgress(progress, part) {
  const percent = Math.round(100 * part);
  progress.setAttribute("aria-valuenow", String(percent));
  progress.querySelector(".progress-bar").style.width = `${percent}%`;
}

export function formatBytes(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let place = 0;
  while (value >= 1024 && place < units.length - 1) {
    value /= 1024;
    place += 1;
  }
  return `${place === 0 ? value : value.toFixed(1)} ${units[place]}`;
}
