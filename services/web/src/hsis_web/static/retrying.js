// A form for a conversion that failed because the metadata did not fit: the files are kept, and are
// converted again with what is said now.

import { call, path } from "./api.js";
import { element } from "./dom.js";
import { changedMetadata, retryFields } from "./fields.js";

const KEPT = /:(metadata-mismatch|internal)$/;

const mayFit = ({ state, error }) => state === "failed" && KEPT.test(error?.type ?? "");

/** Whether another try, with other metadata perhaps, may mend what failed: its files are kept. */
export const mendable = (upload) => mayFit(upload) && Boolean(upload.expires_at);

/** Why an upload failed; without how a program tries again, where the page has a form for that. */
export function reason(upload) {
  const detail = upload.error?.detail;
  return mayFit(upload) ? detail.split(" The files are kept for a while")[0] : detail;
}

/** The form for a failed upload, filled with what was `asked` with it: its `metadata`, and its
 * `white_reflectance` where it has a `calibration`. `again` is called with the upload and what is
 * asked now, once it is queued. */
export function retryForm(upload, asked, again) {
  const { id } = upload;
  const named = [...reason(upload).matchAll(/`(\w+)`/g)].map(([, name]) => name);
  const { first, others } = retryFields(named, asked, `retry-${id}`);
  const problem = element("div", { class: "alert alert-danger mt-3 mb-0", role: "alert", hidden: true });
  const button = element("button", { class: "btn btn-primary btn-sm mt-3", type: "submit" }, "Convert again");
  const form = element("form", { class: "border rounded p-3 mb-3", "aria-label": "Other metadata" },
    element("p", { class: "small mb-2" }, "The files are kept. Correct what does not fit; they are not sent again."),
    element("div", { class: "row g-3" }, ...first),
    element("details", { class: "mt-3", open: first.length === 0 },
      element("summary", { class: "small" }, first.length ? "Everything else that is said" : "What is said"),
      element("div", { class: "row g-3 mt-0" }, ...others)),
    button, problem);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    button.disabled = true;
    try {
      const { white_reflectance, ...changes } = changedMetadata(form);
      const now = { metadata: saidNow(asked.metadata ?? {}, changes) };
      if (white_reflectance !== undefined) now.white_reflectance = white_reflectance;
      again(await call("POST", path("uploads", id, "retry"), now), { ...asked, ...now });
    } catch (failure) {
      problem.textContent = failure.message;
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

const withoutNulls = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));

/** All that is said: it takes the place of what was said before. */
function saidNow(before, changes) {
  const now = withoutNulls({ ...before, ...changes });
  if (now.properties) now.properties = withoutNulls({ ...before.properties, ...changes.properties });
  if (now.wavelengths) delete now.wavelengths_file; // what is given outright counts
  return now;
}
