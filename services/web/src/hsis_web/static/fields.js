// Fields for what is known of a cube (CubeMetadata): to be given with an upload, or corrected.

import { element } from "./dom.js";

function number(text) {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new RangeError(text);
  return value;
}

const list = (text) => text.split(/[\s,;]+/).filter(Boolean).map(number);

/** A number for all bands, or a list of one each. */
function oneOrEach(text) {
  const numbers = list(text);
  return numbers.length === 1 ? numbers[0] : numbers;
}

/** `lon, lat`, `west, south, east, north` or GeoJSON. */
function place(text) {
  return /^[{[]/.test(text) ? JSON.parse(text) : list(text);
}

/** Lines `name = value`; a value is JSON where it can be, else text. */
function properties(text) {
  const entries = text.split("\n").filter((line) => line.trim()).map((line) => {
    const [name, ...rest] = line.split("=");
    return [name.trim(), propertyValue(rest.join("=").trim())];
  });
  return Object.fromEntries(entries);
}

/** A number with more digits than a browser keeps, such as that of a sample, is text: not one digit may change. */
const propertyValue = (text) =>
  /^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text)) ? text : jsonOrText(text);

function jsonOrText(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A number, or the name of a file. */
const numberOrName = (text) => (Number.isFinite(Number(text)) ? Number(text) : text);

/** A name a band, with commas between them. */
const names = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);

/** 1 or 0 a band, or true or false. */
function flags(text) {
  return text.split(/[\s,;]+/).filter(Boolean).map((word) => {
    if (!["0", "1", "false", "true"].includes(word)) throw new RangeError(word);
    return word === "1" || word === "true";
  });
}

const joined = (values) => values.join(", ");
const digits = (values) => values.map(Number).join(", ");
const lines = (object) =>
  Object.entries(object).map(([name, value]) => `${name} = ${readAsItself(value) ? value : JSON.stringify(value)}`).join("\n");
const readAsItself = (value) => typeof value === "string" && propertyValue(value) === value && value === value.trim() && !value.includes("\n");
const same = (value) => String(value);

const PANEL = "white_reflectance"; // no metadata, but said with them

/** `wide` fields are lists or lines; `read` makes the value of a text, `show` the text of a value.
 * Some are only for an `upload`, only to `correct` a stored cube, or only to `retry` a conversion. */
const FIELDS = [
  { name: "unit", label: "Unit", hint: "of stored × scale + offset" },
  { name: "scale", label: "Scale", read: oneOrEach, hint: "a number, or one a band" },
  { name: "offset", label: "Offset", read: oneOrEach, hint: "a number, or one a band" },
  { name: "nodata", label: "No data", read: jsonOrText, upload: true },
  { name: "sensor", label: "Sensor" },
  { name: "platform", label: "Platform" },
  { name: "datetime", label: "Acquired", hint: "2024-06-01T10:30+02:00" },
  { name: "license", label: "Licence", hint: "CC-BY-4.0" },
  { name: "place", label: "Place", read: place, show: JSON.stringify, hint: "lon, lat or W, S, E, N" },
  { name: "wavelengths", label: "Wavelengths (nm)", read: list, show: joined, wide: true, correct: true },
  { name: "fwhm", label: "Widths (nm)", read: list, show: joined, wide: true, correct: true },
  { name: "good_bands", label: "Good bands", read: flags, show: digits, wide: true, retry: true, hint: "1 or 0 a band" },
  { name: "band_names", label: "Names of the bands", read: names, show: joined, wide: true, retry: true },
  { name: PANEL, label: "White panel reflects", read: numberOrName, retry: true, hint: "0.99, or a file of the upload" },
  { name: "properties", label: "Further properties", read: properties, show: lines, wide: true, hint: "name = value" },
];

/** Controls for an upload (`correct` false) or for a stored cube, with what is known of it. */
export function metadataFields(correct, known = {}) {
  return controls(FIELDS.filter((field) => !field.retry && (correct ? !field.upload : !field.correct)), known, "metadata");
}

/** Controls for what was `asked` with an upload, which did not fit: those of the `named` fields, and the others. */
export function retryFields(named, asked, prefix) {
  const known = { ...asked.metadata, [PANEL]: asked[PANEL] };
  const fields = FIELDS.filter(({ name }) => name !== PANEL || asked.calibration);
  const isNamed = ({ name }) => named.includes(name) || (name === "wavelengths" && Boolean(known.wavelengths_file));
  return {
    first: controls(fields.filter(isNamed), known, prefix),
    others: controls(fields.filter((field) => !isNamed(field)), known, prefix),
  };
}

/** What was said of a cube, its lengths in nanometres, as the fields have them. A file of lengths keeps its unit. */
export function inNanometres(said) {
  const { wavelengths, fwhm, wavelength_unit: unit, wavelengths_file: file } = said;
  const inMicrometres = unit === "um" || (!unit && wavelengths && Math.max(...wavelengths) < 100); // as ingest guesses
  if (!inMicrometres || file) return said;
  const converted = (lengths) => lengths?.map((length) => Number((1000 * length).toPrecision(12)));
  return { ...said, wavelengths: converted(wavelengths), fwhm: converted(fwhm), wavelength_unit: "nm" };
}

function controls(fields, known, prefix) {
  return fields.map(({ name, label, hint, wide, show = same }) => {
    const id = `${prefix}-${name}`;
    const value = known[name] === undefined || known[name] === null ? "" : show(known[name]);
    const common = { class: "form-control form-control-sm", id, "data-field": name, placeholder: hint };
    const control = wide ? element("textarea", { ...common, rows: 3 }) : element("input", common);
    control.value = value;
    control.dataset.before = value;
    return element("div", { class: wide ? "col-12" : "col-sm-6" },
      element("label", { class: "form-label small mb-1", for: id }, label), control);
  });
}

/** The fields that were changed, as the services take them: null for one that was emptied. */
export function changedMetadata(form) {
  const changes = {};
  for (const control of form.querySelectorAll("[data-field]")) {
    const text = control.value.trim();
    if (text === control.dataset.before.trim()) continue;
    const { name, label, read = same } = FIELDS.find((field) => field.name === control.dataset.field);
    try {
      changes[name] = text === "" ? null : read(text);
    } catch {
      throw new Error(`${label}: ${text.slice(0, 60)} cannot be read.`);
    }
    if (name === "properties" && text !== "") changes.properties = merged(properties(control.dataset.before), changes.properties);
    if (name === "wavelengths" || name === "fwhm") changes.wavelength_unit = text === "" ? changes.wavelength_unit : "nm";
  }
  return changes;
}

/** The properties that are not as before, with null for those that are there no more. */
function merged(before, after) {
  const changed = Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
  const gone = Object.keys(before).filter((name) => !(name in after));
  return Object.fromEntries([...gone.map((name) => [name, null]), ...changed]);
}
