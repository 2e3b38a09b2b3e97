// The item's metadata as a table, and its files.

import { address, path } from "./api.js";
import { $, element, formatBytes } from "./dom.js";

const LABELS = {
  datetime: "Acquired",
  created: "Stored",
  "hsi:band_count": "Bands",
  "hsi:data_type": "Data type",
  "hsi:wavelength_min": "First wavelength (µm)",
  "hsi:wavelength_max": "Last wavelength (µm)",
  "proj:code": "Reference system",
  "proj:transform": "Transform",
};
const HIDDEN = new Set(["cube:dimensions", "updated", "proj:wkt2", "proj:shape", "hsi:datetime_source"]);

const LONG_TEXT = 200;

function text(value) {
  if (typeof value === "number") return String(Number(value.toPrecision(10)));
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

/** Long values, such as the spectra that a process was given, are shown on demand. */
function folded(shown) {
  if (shown.length <= LONG_TEXT) return shown;
  return element("details", {}, element("summary", {}, `${shown.slice(0, 60)}…`), shown);
}

function row(label, ...content) {
  return element("tr", {}, element("th", { scope: "row", class: "fw-normal text-body-secondary" }, label),
    element("td", { class: "text-break" }, ...content));
}

/** What the bands say one by one, once where all say the same; undefined where they do not. */
function eachBand(cube, name) {
  const values = (cube.bands ?? []).map((band) => band[name]);
  if (values.length === 0 || values.includes(undefined)) return undefined;
  return new Set(values).size === 1 ? values[0] : values;
}

/** The classes of a label map, each with its colour. */
export function swatches(classes) {
  return classes.filter((entry) => !entry.nodata).map((entry) =>
    element("span", { class: "text-break" }, ...colour(entry), text(entry.title ?? entry.name ?? entry.value)));
}

/** The colour of a class, as an element before its name; nothing where it has none. */
function colour(entry) {
  return /^[0-9A-Fa-f]{6}$/.test(entry.color_hint ?? "") && !entry.nodata ? [swatch(entry.color_hint)] : [];
}

/** The colour `hex` as RRGGBB. */
function swatch(hex) {
  const mark = element("span", { class: "swatch me-1", "aria-hidden": "true" });
  mark.style.backgroundColor = `#${hex}`; // by script: the page's policy allows no style attributes
  return mark;
}

/** `shape` is null for an item without a cube. */
export function showMetadata(item, shape) {
  const cube = item.assets.cube ?? {};
  const rows = shape ? [row("Size", `${shape.columns} × ${shape.rows} pixels`)] : [];
  const names = Object.keys(item.properties).filter((name) => !HIDDEN.has(name));
  const order = [...Object.keys(LABELS).filter((name) => names.includes(name)),
    ...names.filter((name) => !(name in LABELS)).sort()];
  for (const name of order) {
    const value = item.properties[name];
    if (name === "datetime" && item.properties["hsi:datetime_source"] === "upload") continue; // not the scene's
    if (value !== null) rows.push(row(LABELS[name] ?? name, folded(text(value))));
  }
  for (const [name, label] of [["unit", "Unit"], ["nodata", "No data"], ["raster:scale", "Scale"],
    ["raster:offset", "Offset"]]) {
    const value = cube[name] ?? eachBand(cube, name);
    if (value !== undefined) rows.push(row(label, folded(text(value))));
  }
  for (const entry of cube["classification:classes"] ?? []) {
    rows.push(row(`Class ${entry.value}`, ...colour(entry), text(entry.title ?? entry.name ?? "")));
  }
  if (item.bbox) rows.push(row("Bounds (°)", item.bbox.map((value) => value.toFixed(5)).join(", ")));
  for (const link of item.links.filter(({ rel }) => rel === "derived_from")) rows.push(row("Made from", source(link)));
  $("metadata").replaceChildren(...rows);
}

/** A link to the page of the item that a `derived_from` link names. */
function source(link) {
  const found = /\/stac\/collections\/([^/]+)\/items\/([^/?]+)/.exec(link.href);
  if (!found) return link.href;
  try {
    const [collection, item] = found.slice(1).map(decodeURIComponent);
    return element("a", { href: path("items", collection, item) }, `${collection} / ${item}`);
  } catch (error) {
    if (error instanceof URIError) return link.href;
    throw error;
  }
}

/** Whether an asset has a role; an item of another program may say anything in its place. */
export const hasRole = ({ roles }, role) => Array.isArray(roles) && roles.includes(role);

/** The files of an item, but for its `labels`, which have a place of their own. */
export function showAssets(item, { labels = false } = {}) {
  const shown = Object.entries(item.assets).filter(([, asset]) => labels || !hasRole(asset, "labels"));
  $("assets").replaceChildren(...shown.map(([key, asset]) => {
    const size = asset["file:size"];
    const details = [asset.type, size !== undefined && formatBytes(size)].filter(Boolean).join(" · ");
    const href = address(asset.href);
    const name = text(asset.title ?? key);
    // A Zarr store is a folder: its link is for programs, and its description can be looked at.
    const zarr = text(asset.type ?? "").includes("zarr");
    const link = href
      ? element("a", { href: zarr ? `${href}/zarr.json` : href, download: !zarr }, name)
      : element("span", {}, name);
    const content = [link, element("div", { class: "small text-body-secondary" }, details)];
    if (zarr || !href) content.push(element("code", { class: "small text-break user-select-all" }, asset.href));
    return element("li", { class: "list-group-item", "data-asset": key }, ...content);
  }));
}
