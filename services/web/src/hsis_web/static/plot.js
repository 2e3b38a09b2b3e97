// A plot of spectra in an SVG element: axes, grid, greyed bad bands, one line a pixel.

import { svgElement } from "./dom.js";

const WIDTH = 640;
const HEIGHT = 340;
const MARGIN = { left: 64, right: 14, top: 14, bottom: 42 };

/** Round numbers that divide an interval into about `count` parts. */
export function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough);
  const first = Math.ceil(low / step);
  // No further: where numbers of this size lie more than a step apart, the next is the same again.
  const values = Array.from({ length: count + 1 }, (_, i) => (first + i) * step);
  return [...new Set(values)].filter((value) => value <= high + step * 1e-9);
}

const MAX_DIGITS = 10;

/** With as many digits as tell it from the next one, a `step` away. */
function tickText(value, step) {
  const placeOf = (number) => Math.floor(Math.log10(Math.abs(number)) + 1e-9);
  const digits = (count) => Math.max(0, Math.min(MAX_DIGITS, count));
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3)) {
    return value.toExponential(digits(placeOf(value) - placeOf(step)));
  }
  return value.toFixed(digits(-placeOf(step)));
}

function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  if (low === high) {
    const room = Math.max(0.5, Math.abs(low) * 1e-3); // half of 1 added to 1e20 is 1e20
    return [low - room, high + room];
  }
  return [low, high];
}

/** Positions of the bands along x: wavelengths in nm where known and usable, else numbers from 1. */
export function bandPositions(spectrum) {
  const wavelengths = spectrum.wavelengths_nm;
  if (wavelengths?.every((value) => value > 0)) return { values: wavelengths, title: "Wavelength (nm)" };
  return { values: spectrum.values.map((_, band) => band + 1), title: "Band" };
}

/** Bands in ascending order of position: wavelengths of some sensors overlap at their borders. */
function order(positions) {
  return positions.map((_, band) => band).sort((a, b) => positions[a] - positions[b]);
}

function linePath(spectrum, positions, ascending, toX, toY) {
  let pen = "M";
  let path = "";
  for (const band of ascending) {
    const value = spectrum.values[band];
    if (value === null || !spectrum.good_bands[band]) {
      pen = "M";
      continue;
    }
    path += `${pen}${toX(positions[band]).toFixed(1)} ${toY(value).toFixed(1)}`;
    pen = "L";
  }
  return path;
}

function shadeBadBands(svg, spectrum, positions, ascending, toX) {
  ascending.forEach((band, place) => {
    if (spectrum.good_bands[band]) return;
    const here = positions[band];
    const before = positions[ascending[Math.max(0, place - 1)]];
    const after = positions[ascending[Math.min(ascending.length - 1, place + 1)]];
    const left = toX((before + here) / 2);
    const right = toX((after + here) / 2);
    svg.append(svgElement("rect", { class: "bad-band", x: left, width: Math.max(1, right - left),
      y: MARGIN.top, height: HEIGHT - MARGIN.top - MARGIN.bottom }));
  });
}

function drawAxes(svg, xs, yRange, toX, toY, xTitle, yTitle) {
  const bottom = HEIGHT - MARGIN.bottom;
  for (const x of xs) {
    svg.append(svgElement("line", { class: "grid", x1: toX(x), x2: toX(x), y1: MARGIN.top, y2: bottom }));
    svg.append(svgElement("text", { x: toX(x), y: bottom + 15, "text-anchor": "middle" },
      tickText(x, xs[1] - xs[0] || 1)));
  }
  const ys = ticks(...yRange, 6);
  for (const y of ys) {
    svg.append(svgElement("line", { class: "grid", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: toY(y), y2: toY(y) }));
    svg.append(svgElement("text", { x: MARGIN.left - 6, y: toY(y) + 4, "text-anchor": "end" },
      tickText(y, ys[1] - ys[0] || 1)));
  }
  svg.append(svgElement("path", { class: "axis",
    d: `M${MARGIN.left} ${MARGIN.top}V${bottom}H${WIDTH - MARGIN.right}` }));
  svg.append(svgElement("text", { x: (MARGIN.left + WIDTH - MARGIN.right) / 2, y: HEIGHT - 8,
    "text-anchor": "middle" }, xTitle));
  const middle = (MARGIN.top + bottom) / 2;
  svg.append(svgElement("text", { x: 14, y: middle, "text-anchor": "middle",
    transform: `rotate(-90 14 ${middle})` }, yTitle));
}

/** Draw `[{ spectrum, colour, label }]`; every spectrum is of the same cube. */
export function drawPlot(svg, entries) {
  svg.replaceChildren();
  if (!entries.length) {
    svg.append(svgElement("text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" },
      "Click a pixel of the picture"));
    return;
  }
  const { values: positions, title } = bandPositions(entries[0].spectrum);
  const ascending = order(positions);
  const shown = entries.flatMap(({ spectrum }) => spectrum.values.filter((_, band) => spectrum.good_bands[band]));
  const xRange = extent(positions);
  const [low, high] = extent(shown);
  const room = (high - low) * 0.05;
  const yRange = [low - room, high + room];
  const toX = (x) => MARGIN.left
    + ((x - xRange[0]) / (xRange[1] - xRange[0])) * (WIDTH - MARGIN.left - MARGIN.right);
  const toY = (y) => HEIGHT - MARGIN.bottom
    - ((y - yRange[0]) / (yRange[1] - yRange[0])) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const xTicks = positions.length === 1 ? positions : ticks(...xRange, 8);
  shadeBadBands(svg, entries[0].spectrum, positions, ascending, toX);
  drawAxes(svg, xTicks, yRange, toX, toY, title, entries[0].spectrum.unit || "Value");
  for (const { spectrum, colour, label } of entries) {
    const line = svgElement("path", { class: "spectrum", stroke: colour,
      d: linePath(spectrum, positions, ascending, toX, toY) });
    line.append(svgElement("title", {}, label));
    svg.append(line);
    if (ascending.length === 1) {
      const value = spectrum.values[0];
      if (value !== null) svg.append(svgElement("circle", { r: 4, fill: colour, cx: toX(positions[0]), cy: toY(value) }));
    }
  }
}
