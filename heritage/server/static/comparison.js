// Two photographs side by side: probabilities, saliency maps, and the similarity of their features.

import { about, errorText, predict } from "./api.js";
import { SHOWN, items } from "./cards.js";
import { bar, button, byId, element, fileName, isolated, scrollTo } from "./dom.js";
import { pictureOf, showHeat } from "./photo.js";
import { combine } from "./queue.js";
import { className, number, percent, t } from "./texts.js";

let chosen = []; // photographs, two at most
let outcome = null; // the similarity of two photographs, or the error

export const isChosen = (photo) => chosen.includes(photo);

/** Choose a photograph, or undo the choice; the second one opens the comparison. */
export function choose(photo) {
  chosen = isChosen(photo) ? chosen.filter((one) => one !== photo) : [...chosen, photo].slice(-2);
  outcome = null;
  updateButtons();
  renderComparison();
  if (chosen.length === 1) byId("status").textContent = t("compare_second", { name: chosen[0].name });
  if (chosen.length < 2) return;
  byId("status").textContent = "";
  byId("comparison").querySelector("h3").focus({ preventScroll: true });
  scrollTo(byId("comparison"));
  measure(chosen);
}

function close() {
  const [first] = chosen;
  clear();
  first.compareButton.focus();
}

function showAsOneObject() {
  const { node } = combine(chosen);
  clear();
  byId("predictions").focus({ preventScroll: true });
  scrollTo(node);
}

function clear() {
  chosen = [];
  updateButtons();
  renderComparison();
}

function updateButtons() {
  for (const one of document.querySelectorAll(".compare-button")) one.setAttribute("aria-pressed", "false");
  for (const photo of chosen) photo.compareButton?.setAttribute("aria-pressed", "true");
}

async function measure(pair) {
  try {
    const content = await predict(pair, { compare: true });
    if (chosen === pair) outcome = { similarity: content.similarities[0][1] };
  } catch (error) {
    if (chosen === pair) outcome = { error };
  }
  const place = byId("comparison").querySelector(".similarity");
  if (chosen === pair && place) place.textContent = similarityText();
}

function similarityText() {
  if (outcome === null) return t("comparing");
  if (outcome.error) return errorText(outcome.error);
  const format = (value) => number(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const sentence = t("similarity", { value: format(outcome.similarity) });
  if (about.typical_similarity === null) return sentence;
  return `${sentence} ${t("similarity_typical", { value: format(about.typical_similarity) })}`;
}

export function renderComparison() {
  const box = byId("comparison");
  box.hidden = chosen.length < 2;
  box.replaceChildren();
  if (box.hidden) return;
  const heats = [];
  const figures = chosen.map((photo) => {
    const { picture, heat } = pictureOf(photo);
    heats.push(heat);
    return element("figure", {}, picture, element("figcaption", {}, fileName(photo.name)));
  });
  const toggle = button(t("saliency"), () => {
    const shown = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(shown));
    chosen.forEach((photo, k) => showHeat(heats[k], photo, shown));
  }, { class: "plain", "aria-pressed": "false" });
  const combined = button(t("combine"), showAsOneObject, { class: "plain combine-button" });
  const buttons = element("div", { class: "actions" }, toggle, combined,
    button(t("comparison_close"), close, { class: "plain close-button" }));
  if (!chosen.some((photo) => photo.response.saliency)) toggle.remove();
  if (items.some((item) => chosen.every((photo) => item.photos.includes(photo)))) combined.remove();
  box.append(
    element("h3", { tabindex: "-1" }, t("comparison")),
    element("div", { class: "pair" }, ...figures), buttons, table(),
    element("p", { class: "similarity", role: "status" }, similarityText()),
  );
}

function table() {
  const [one, other] = chosen.map((photo) => new Map(photo.response.ranking.map((entry) => [entry.label, entry.probability])));
  const labels = [...one.keys()].sort((a, b) => Math.max(one.get(b), other.get(b)) - Math.max(one.get(a), other.get(a)));
  const cell = (probability) => element(
    "td", {}, element("div", { class: "cell" }, bar(probability, null), element("span", { class: "value" }, percent(probability))),
  );
  const rows = labels.slice(0, SHOWN).map((label) => element(
    "tr", {}, element("th", { scope: "row" }, isolated(className(about, label))), cell(one.get(label)), cell(other.get(label)),
  ));
  const head = element("tr", {}, element("th", { scope: "col" }, t("comparison_class")),
    ...chosen.map((photo) => element("th", { scope: "col" }, fileName(photo.name))));
  return element("table", {}, element("caption", { class: "visually-hidden" }, t("comparison_table")),
    element("thead", {}, head), element("tbody", {}, ...rows));
}
