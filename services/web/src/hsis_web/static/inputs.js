// Form fields made of a process description's inputs (JSON Schema), and the values they hold.

import { element } from "./dom.js";

const OWN = new Set(["collection", "item"]);

/** A schema with the members of its alternatives, null excepted. */
function merged(schema) {
  const alternatives = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].filter(({ type }) => type !== "null");
  return Object.assign({}, ...alternatives, schema,
    { types: new Set([schema, ...alternatives].flatMap(({ type }) => type ?? [])) });
}

/** Whether an input takes spectra, so that clicked pixels can be given for it. */
export function takesSpectra(name) {
  return name === "endmembers" || name === "spectra";
}

/** Fields for every input that the page does not know by itself. */
export function inputFields(description) {
  return Object.entries(description.inputs ?? {})
    .filter(([name]) => !OWN.has(name))
    .map(([name, input]) => field(name, input));
}

function field(name, input) {
  const id = `input-${name}`;
  const schema = merged(input.schema ?? {});
  const required = (input.minOccurs ?? 1) > 0 && schema.default === undefined;
  const control = takesSpectra(name) ? null : controlFor(id, schema, required);
  const help = element("div", { class: "form-text", id: `${id}-help` }, input.description ?? schema.description ?? "");
  const label = element("label", { class: "form-label mb-1", for: id }, input.title ?? schema.title ?? name,
    required ? "" : element("span", { class: "text-body-secondary" }, " (optional)"));
  if (takesSpectra(name)) {
    const chosen = element("output", { class: "d-block small", id, "data-input": name, "data-kind": "spectra" });
    return element("div", { class: "mb-2" }, label, chosen, help);
  }
  control.dataset.input = name;
  control.setAttribute("aria-describedby", `${id}-help`);
  return element("div", { class: "mb-2" }, label, control, help);
}

function controlFor(id, schema, required) {
  const { types } = schema;
  if (schema.enum) {
    const select = element("select", { class: "form-select form-select-sm", id, "data-kind": "text" },
      ...(required ? [] : [element("option", { value: "" }, "")]),
      ...schema.enum.map((value) => element("option", { value: String(value) }, String(value))));
    if (schema.default !== undefined) select.value = String(schema.default);
    return select;
  }
  const numeric = (types.has("number") || types.has("integer")) && !types.has("string") && !types.has("array");
  const kind = numeric ? "number" : types.has("boolean") ? "boolean"
    : types.has("array") ? "list" : types.has("object") ? "json" : "text";
  if (kind === "boolean") {
    return element("input", { class: "form-check-input ms-2", id, type: "checkbox", "data-kind": kind,
      checked: schema.default === true });
  }
  const value = schema.default?.length === 0 ? undefined : schema.default ?? undefined;
  return element("input", {
    class: "form-control form-control-sm", id, required, "data-kind": kind,
    type: numeric ? "number" : "text",
    step: types.has("number") ? "any" : undefined,
    min: schema.minimum, max: schema.maximum,
    pattern: schema.pattern,
    placeholder: { list: "values with commas", json: "JSON" }[kind],
    value: typeof value === "object" ? JSON.stringify(value) : value,
  });
}

/** The inputs as the form has them; empty fields are left out. */
export function inputValues(form) {
  const values = {};
  for (const control of form.querySelectorAll("[data-input]")) {
    const { input: name, kind } = control.dataset;
    if (kind === "boolean") values[name] = control.checked;
    else if (kind !== "spectra" && control.value !== "") values[name] = parse(control.value, kind);
  }
  return values;
}

function parse(text, kind) {
  if (kind === "number") return Number(text);
  if (kind === "text") return text;
  try {
    const value = JSON.parse(text);
    return kind === "list" && !Array.isArray(value) ? [value] : value;
  } catch {
    const parts = text.split(",").map((part) => part.trim()).filter(Boolean); // Number("") is 0
    return parts.map((part) => (Number.isNaN(Number(part)) ? part : Number(part)));
  }
}
