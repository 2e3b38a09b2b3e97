// Cards of collections and items.

import { address, path } from "./api.js";
import { element } from "./dom.js";

export function itemCard(item) {
  const href = path("items", item.collection, item.id);
  const thumbnail = item.assets?.thumbnail;
  const src = thumbnail && address(thumbnail.href);
  const picture = src?.startsWith("/") // the page's policy takes pictures of this origin alone
    ? element("img", { class: "card-img-top thumbnail", src, alt: "", loading: "lazy" })
    : element("div", { class: "card-img-top thumbnail" });
  const about = item.properties;
  const bands = about["hsi:band_count"];
  const details = [
    bands && `${bands} ${bands === 1 ? "band" : "bands"}`,
    about.datetime?.slice(0, 10),
  ].filter(Boolean).join(" · ");
  const link = element("a", { class: "stretched-link text-break", href }, item.id);
  return element("div", { class: "col" },
    element("div", { class: "card h-100 shadow-sm", "data-item": item.id }, picture,
      element("div", { class: "card-body p-2" },
        element("h3", { class: "h6 card-title mb-1" }, link),
        element("p", { class: "small text-body-secondary mb-0" }, details))));
}

export function collectionCard(collection) {
  const link = element("a", { class: "stretched-link text-break", href: path("collections", collection.id) },
    collection.title || collection.id);
  return element("div", { class: "col" },
    element("div", { class: "card h-100 shadow-sm", "data-collection": collection.id },
      element("div", { class: "card-body" },
        element("h2", { class: "h6 card-title" }, link),
        element("p", { class: "small text-body-secondary mb-0" }, collection.description ?? ""))));
}

export function nothing(text) {
  return element("p", { class: "text-body-secondary col-12 w-100" }, text);
}
