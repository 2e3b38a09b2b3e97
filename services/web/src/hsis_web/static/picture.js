// The item's picture: bands, stretch, and which pixel lies under the pointer.

import { call } from "./api.js";
import { $, element, showMessage } from "./dom.js";

/** Fill the choices, show the picture, and tell `onPixel(x, y)` of clicks. */
export function setUpPicture(cubeUrl, shape, cube, onPixel) {
  const bands = cube.bands;
  if (cube["classification:classes"]) {
    $("stretch").prepend(element("option", { value: "" }, "Class colours"));
    $("stretch").value = "";
  }
  const natural = naturalColour(bands);
  [["red", 0], ["green", 1], ["blue", 2]].forEach(([id, place]) => {
    $(id).replaceChildren(...bands.map((band, index) =>
      element("option", { value: String(index + 1) }, bandLabel(band, index))));
    $(id).value = String(natural[place] + 1);
  });
  const image = $("preview");
  image.style.aspectRatio = `${shape.columns} / ${shape.rows}`;
  const show = () => {
    $("picture-busy").hidden = false;
    image.src = pictureUrl(cubeUrl);
  };
  image.addEventListener("load", () => {
    askedAgain = null;
    $("picture-busy").hidden = true;
  });
  image.addEventListener("error", () => explain(image));
  $("view").addEventListener("change", show);
  $("view").addEventListener("submit", (event) => event.preventDefault());
  image.addEventListener("click", (event) => onPixel(...pixelAt(event, shape)));
  image.addEventListener("pointermove", (event) => {
    $("pointer").textContent = `(${pixelAt(event, shape).join(", ")})`;
  });
  image.addEventListener("pointerleave", () => { $("pointer").textContent = ""; });
  setUpForm(shape, onPixel);
  show();
}

function setUpForm(shape, onPixel) {
  $("pixel-x").max = String(shape.columns - 1);
  $("pixel-y").max = String(shape.rows - 1);
  $("pixel-form").addEventListener("submit", (event) => {
    event.preventDefault();
    onPixel(Number($("pixel-x").value), Number($("pixel-y").value));
  });
  $("pixel-button").disabled = false;
}

function pictureUrl(cubeUrl) {
  const chosen = ["red", "green", "blue"].map((id) => $(id).value);
  const bands = new Set(chosen).size === 1 ? chosen[0] : chosen.join(",");
  return `${cubeUrl}/preview.png?bands=${bands}&stretch=${encodeURIComponent($("stretch").value)}`;
}

let askedAgain = null;

/** An image says not why it failed: ask again as JSON. What failed in passing is shown after all. */
async function explain(image) {
  const url = image.src;
  const first = askedAgain !== url;
  askedAgain = url;
  let why = "The picture cannot be shown.";
  try {
    await call("GET", url);
    why = first ? null : why;
  } catch (error) {
    why = error.message;
  }
  if (image.src !== url) return; // another is on its way
  if (why) {
    $("picture-busy").hidden = true;
    showMessage(why);
  } else {
    image.src = url;
  }
}

/** The pixel of the cube, (0, 0) the upper left one, under a pointer event on the image. */
function pixelAt(event, shape) {
  const box = event.currentTarget.getBoundingClientRect();
  const place = (offset, length, count) =>
    Math.min(count - 1, Math.max(0, Math.floor((offset / length) * count)));
  return [
    place(event.clientX - box.left, box.width, shape.columns),
    place(event.clientY - box.top, box.height, shape.rows),
  ];
}

function bandLabel(band, index) {
  const wavelength = band["eo:center_wavelength"];
  const name = band.name && band.name !== String(index + 1) ? ` ${band.name}` : "";
  return `${index + 1}${wavelength ? ` · ${(1000 * wavelength).toFixed(0)} nm` : name}`;
}

/** The same choice as the thumbnail's: nearest to 640, 550, 460 nm, else first, middle, last. */
function naturalColour(bands) {
  let good = bands.map((_, index) => index).filter((index) => bands[index]["hsi:good_band"] !== false);
  if (!good.length) good = bands.map((_, index) => index);
  if (good.length < 3) return [good[0], good[0], good[0]];
  const nearest = [0.64, 0.55, 0.46].map((target) =>
    good.map((index) => [Math.abs((bands[index]["eo:center_wavelength"] ?? Infinity) - target), index])
      .reduce((best, candidate) => (candidate[0] < best[0] ? candidate : best)));
  if (nearest.every(([distance]) => distance <= 0.04)) return nearest.map(([, index]) => index);
  return [good[0], good[Math.floor(good.length / 2)], good[good.length - 1]];
}
