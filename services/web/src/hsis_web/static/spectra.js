// The clicked pixels of an item: reading, plot, legend, marks in the picture, CSV.

import { get } from "./api.js";
import { $, element, svgElement } from "./dom.js";
import { bandPositions, drawPlot } from "./plot.js";

const COLOURS = ["#0d6efd", "#d63384", "#198754", "#fd7e14", "#6f42c1", "#20c997", "#dc3545", "#795548",
  "#0aa2c0", "#6c757d"];

/** The spectra read so far. `onChange` is called after each change. */
export class SpectrumBoard {
  constructor(cubeUrl, shape, onChange) {
    this.cubeUrl = cubeUrl;
    this.shape = shape;
    this.onChange = onChange;
    this.entries = [];
    this.taken = 0;
    $("clear").addEventListener("click", () => this.change([]));
    $("csv").addEventListener("click", () => this.download());
    this.draw();
  }

  has(x, y) {
    return this.entries.some(({ spectrum }) => spectrum.x === x && spectrum.y === y);
  }

  async add(x, y) {
    if (this.has(x, y)) return;
    // Physical values: the plot is in their unit, and processes take reference spectra in it.
    const spectrum = await get(`${this.cubeUrl}/spectrum?x=${x}&y=${y}&scaled=true`);
    if (this.has(x, y)) return; // clicked twice
    const colour = COLOURS[this.taken % COLOURS.length];
    this.taken += 1;
    this.change([...this.entries, { spectrum, colour, label: `(${x}, ${y})` }]);
  }

  change(entries) {
    this.entries = entries;
    if (!entries.length) this.taken = 0;
    this.draw();
    this.onChange();
  }

  draw() {
    drawPlot($("plot"), this.entries);
    $("csv").disabled = $("clear").disabled = !this.entries.length;
    $("legend").replaceChildren(...this.entries.map((entry) => this.legendEntry(entry)));
    const { rows, columns } = this.shape;
    $("marks").setAttribute("viewBox", `0 0 ${columns} ${rows}`);
    $("marks").setAttribute("preserveAspectRatio", "none");
    $("marks").replaceChildren(...this.entries.map(({ spectrum, colour }) =>
      svgElement("ellipse", { cx: spectrum.x + 0.5, cy: spectrum.y + 0.5, rx: columns / 90, ry: columns / 90,
        fill: "none", stroke: colour, "stroke-width": 2.5, "vector-effect": "non-scaling-stroke" })));
  }

  legendEntry(entry) {
    const swatch = element("span", { class: "swatch me-1", "aria-hidden": "true" });
    swatch.style.backgroundColor = entry.colour;
    const remove = element("button", { class: "btn btn-sm btn-link p-0 ms-1", type: "button",
      "aria-label": `Remove pixel ${entry.label}` }, "×");
    remove.addEventListener("click", () => this.change(this.entries.filter((other) => other !== entry)));
    return element("li", {}, swatch, entry.label, remove);
  }

  download() {
    const first = this.entries[0].spectrum;
    const { values: positions, title } = bandPositions(first);
    const inNm = title !== "Band";
    const head = ["band", ...(inNm ? ["wavelength_nm"] : []), "good_band",
      ...this.entries.map(({ spectrum }) => `x${spectrum.x}_y${spectrum.y}`)];
    const rows = first.values.map((_, band) => [band + 1, ...(inNm ? [positions[band]] : []),
      first.good_bands[band] ? 1 : 0, ...this.entries.map(({ spectrum }) => spectrum.values[band] ?? "")]);
    const text = [head, ...rows].map((row) => row.join(",")).join("\n") + "\n";
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    const link = element("a", { href: url, download: `${$("page").dataset.item}-spectra.csv` });
    link.click();
    URL.revokeObjectURL(url);
  }
}
