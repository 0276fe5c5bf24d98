// A card for each photograph, or for each object of several photographs.

import { about, errorText } from "./api.js";
import { bar, button, byId, element, fileName, isolated } from "./dom.js";
import { photoFigure } from "./photo.js";
import { canRetry, retry } from "./queue.js";
import { className, percent, t } from "./texts.js";
import { verdictBox } from "./verdicts.js";

export const SHOWN = 8; // classes

export const items = []; // in the order given

/** Add an item: one photograph, or the photographs of one object; at the end, or before another card. */
export function addItem(photos, isObject, before = null) {
  const item = { photos, isObject, state: "pending", prediction: null, error: null, verdict: null, node: element("li") };
  const position = items.findIndex((one) => one.node === before);
  items.splice(position < 0 ? items.length : position, 0, item);
  byId("predictions").insertBefore(item.node, before);
  render(item);
  return item;
}

export function removeItem(item) {
  items.splice(items.indexOf(item), 1);
  item.node.remove();
}

export function renderAll() {
  items.forEach(render);
}

export function render(item) {
  const node = element("li", { class: `card ${item.state}${item.isObject ? " object" : ""}` });
  if (item.prediction?.unsure) node.classList.add("unsure");
  for (const photo of item.photos) {
    photo.error = photo.response?.error ? errorText(photo.response.error) : null;
  }
  const figures = item.photos.map((photo) => photoFigure(photo, { ofView: item.isObject && item.state !== "error" }));
  const article = element("article", {}, element("div", { class: "photos" }, ...figures), result(item));
  if (item.state === "done" && item.prediction.similar.length) article.append(similar(item.prediction.similar));
  node.append(article);
  item.node.replaceWith(node);
  item.node = node;
}

function result(item) {
  const box = element("div", { class: "result" });
  const count = item.photos.length;
  if (item.isObject) box.append(element("p", { class: "eyebrow" }, t("object_heading", { count })));
  box.append(heading(item), element("p", { class: "summary" }, summary(item)));
  if (item.state === "error" && canRetry(item.error)) {
    const again = button(t("retry"), () => {
      retry(item);
      byId("predictions").focus({ preventScroll: true });
    }, { class: "plain" });
    box.append(element("div", { class: "actions" }, again));
  }
  if (item.state !== "done") return box;
  const { prediction } = item;
  if (prediction.unlike_training) return box; // its probabilities mean nothing
  box.append(element("ul", { class: "bars", "aria-label": t("probabilities") }, ...bars(prediction)));
  if (about.threshold !== null) box.append(element("p", { class: "quiet threshold-note" }, t("threshold_note")));
  if (prediction.prediction_set) {
    const classes = prediction.prediction_set.map((label) => className(about, label)).join(", ");
    box.append(element("p", { class: "quiet" }, t("prediction_set", { coverage: percent(about.coverage), classes })));
  }
  if (item.isObject) {
    const key = about.threshold === null ? "object_note_plain" : "object_note";
    box.append(element("p", { class: "quiet" }, t(key, { count: prediction.views })));
  }
  if (about.verdicts) box.append(verdictBox(item));
  return box;
}

function heading(item) {
  if (item.state === "pending") return element("h3", {}, t("predicting"));
  if (item.state === "error") return element("h3", {}, t("no_prediction"));
  if (item.prediction.unlike_training) return element("h3", {}, t("unlike"));
  if (item.prediction.unsure) return element("h3", {}, t("unsure"));
  return element("h3", {}, isolated(className(about, item.prediction.prediction)));
}

function summary(item) {
  if (item.state === "pending") return "";
  if (item.state === "error") return errorText(item.error);
  if (item.prediction.unlike_training) return t("unlike_summary");
  const [first, second] = item.prediction.ranking;
  const probability = percent(first.probability);
  const label = className(about, first.label);
  if (item.prediction.unsure && about.threshold === null) return t("summary_always_unsure", { label, probability });
  if (item.prediction.unsure) return t("summary_unsure", { label, probability, threshold: percent(about.threshold) });
  if (!second || second.probability < 0.1) return t("summary_clear", { probability });
  return t("summary_second", {
    probability, second: className(about, second.label), second_probability: percent(second.probability),
  });
}

function bars(prediction) {
  return prediction.ranking.slice(0, SHOWN).map(({ label, probability }) => element(
    "li", {},
    element("span", { class: "label" }, isolated(className(about, label))),
    bar(probability, about.threshold),
    element("span", { class: "value" }, percent(probability)),
  ));
}

function similar(objects) {
  const list = element("ul", {}, ...objects.map(similarObject));
  const heading = element("h4", {}, t(objects.some((object) => object.museum) ? "similar" : "similar_other"));
  return element("div", { class: "similar" }, heading, list);
}

function similarObject(object) {
  const title = object.title || object.file;
  const shown = object.title ? isolated(title) : fileName(title);
  const missing = () => element("p", { class: "missing" }, t("no_picture"));
  let picture = missing();
  if (object.thumbnail) {
    picture = element("img", { src: object.thumbnail, alt: "", loading: "lazy" });
    picture.addEventListener("error", () => picture.replaceWith(missing()));
  }
  const name = object.link
    ? element("a", {
      class: "title", href: object.link, rel: "noreferrer noopener", target: "_blank", "aria-label": t("link", { title }),
    }, shown)
    : element("span", { class: "title" }, shown);
  const rights = [object.museum, object.credit, object.licence].filter(Boolean);
  const credit = [...new Set(rights)].filter((text, k, all) => !all.some((other, j) => j !== k && other.includes(text)));
  return element(
    "li", {}, picture, name, element("span", {}, isolated(className(about, object.label))),
    credit.length ? element("div", { class: "credit" }, isolated(credit.join(" · "))) : null,
  );
}
