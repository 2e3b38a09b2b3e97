// Running a process over the item and following its job.

import { call, get, getPatiently, path } from "./api.js";
import { $, element, setProgress } from "./dom.js";
import { inputFields, inputValues, takesSpectra } from "./inputs.js";

const POLL_MS = 700;
const FINAL = new Set(["successful", "failed", "dismissed"]);
const STATES = { accepted: "Waiting", running: "Running", successful: "Done", failed: "Failed", dismissed: "Cancelled" };
let source = null;
let chosenSpectra = () => [];
let job = null;
let running = false;
let described = null; // the process whose inputs the form has

/** Show the processes on offer; `spectra()` gives the clicked pixels. */
export async function setUpProcessing(collection, item, spectra) {
  source = { collection, item };
  chosenSpectra = spectra;
  const { processes } = await get("/processing/processes");
  if (!processes.length) return;
  $("process").replaceChildren(...processes.map(({ id, title }) => element("option", { value: id }, title || id)));
  $("process").addEventListener("change", () => {
    if (!running) $("job").hidden = true;
    describe().catch(showError);
  });
  $("run").addEventListener("submit", run);
  $("dismiss").addEventListener("click", () => call("DELETE", path("processing", "jobs", job)).catch(showError));
  await describe();
  $("processing").hidden = false;
}

/** What is pressed before the inputs are those of the process would send it another's. */
function showWhetherReady() {
  $("run-button").disabled = running || described !== $("process").value;
}

async function describe() {
  const id = $("process").value;
  showWhetherReady();
  const description = await get(path("processing", "processes", id));
  if (id !== $("process").value) return; // another was chosen meanwhile
  $("process-description").textContent = description.description ?? "";
  $("inputs").replaceChildren(...inputFields(description));
  described = id;
  showWhetherReady();
  spectraChanged();
}

/** Tell the form that other pixels were clicked. */
export function spectraChanged() {
  for (const output of document.querySelectorAll("[data-kind=spectra]")) {
    const labels = chosenSpectra().map(({ label }) => label);
    output.textContent = labels.length ? `Clicked pixels ${labels.join(", ")}` : "Click pixels in the picture first.";
  }
}

function clicked() {
  return chosenSpectra().map(({ spectrum, label }) => ({
    name: label,
    values: spectrum.values,
    ...(spectrum.wavelengths_nm && { wavelengths_nm: spectrum.wavelengths_nm }),
  }));
}

function executionInputs() {
  const inputs = { ...source, ...inputValues($("inputs")) };
  for (const output of document.querySelectorAll("[data-kind=spectra]")) {
    if (takesSpectra(output.dataset.input) && chosenSpectra().length) inputs[output.dataset.input] = clicked();
  }
  return inputs;
}

async function run(event) {
  event.preventDefault();
  $("job").hidden = false;
  $("job-error").hidden = $("result").hidden = true;
  running = true;
  showWhetherReady();
  try {
    const inputs = executionInputs();
    const started = await call("POST", path("processing", "processes", $("process").value, "execution"),
      { inputs }, { Prefer: "respond-async" });
    job = started.jobID;
    $("dismiss").hidden = false;
    show(started);
    await follow(job);
  } catch (error) {
    showError(error);
  } finally {
    running = false;
    showWhetherReady();
    $("dismiss").hidden = true;
  }
}

/** By server-sent events while they come, else by asking. */
async function follow(id) {
  const last = await followEvents(id);
  if (last) return finish(last);
  for (;;) {
    const state = await getPatiently(path("processing", "jobs", id));
    show(state);
    if (FINAL.has(state.status)) return finish(state);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The job's final state, or null where the events broke off before it. */
function followEvents(id) {
  return new Promise((resolve) => {
    const events = new EventSource(`${path("processing", "jobs", id)}/events`);
    const end = (state) => {
      events.close();
      resolve(state);
    };
    const take = (event) => {
      let state;
      try {
        state = JSON.parse(event.data);
      } catch {
        end(null);
        return;
      }
      if (!state?.status) return;
      show(state);
      if (FINAL.has(state.status)) end(state);
    };
    events.addEventListener("message", take);
    events.addEventListener("error", () => end(null));
  });
}

function show(state) {
  $("job-state").textContent = [STATES[state.status] ?? state.status, state.message].filter(Boolean).join(": ");
  $("job-percent").textContent = `${state.progress ?? 0} %`;
  setProgress($("job").querySelector(".progress"), (state.progress ?? 0) / 100);
}

async function finish(state) {
  if (state.status === "failed") showError(new Error(state.error?.detail || state.message || "The process failed."));
  if (state.status !== "successful") return;
  const { result } = await getPatiently(path("processing", "jobs", state.jobID) + "/results");
  const [, collection, item] = /\/stac\/collections\/([^/]+)\/items\/([^/?]+)/.exec(result.href);
  $("result").href = `/items/${collection}/${item}`;
  $("result").hidden = false;
  $("result").focus();
}

function showError(error) {
  $("job").hidden = false;
  $("job-error").textContent = error.message;
  $("job-error").hidden = false;
}
