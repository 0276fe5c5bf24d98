// The page: uploads, their queue, examples, and what is known about the network.

import { about, errorText, loadAbout, request } from "./api.js";
import { items, renderAll } from "./cards.js";
import { renderComparison } from "./comparison.js";
import { button, byId, element, scrollTo } from "./dom.js";
import { newPhoto } from "./photo.js";
import { predictPhotos } from "./queue.js";
import { applyTexts, className, date, list, number, percent, startTexts, t, wholePercent } from "./texts.js";
import { startVerdicts } from "./verdicts.js";

function updateStatus() {
  const left = items.filter((item) => item.state === "pending").length;
  const failed = items.filter((item) => item.state === "error").length;
  const done = items.length - failed;
  const parts = [];
  if (left) parts.push(t("status_pending", { count: left }));
  if (!left && done) parts.push(t("status_done", { count: done }));
  if (!left && failed) parts.push(t("status_failed", { count: failed }));
  byId("status").textContent = parts.join(" ");
  byId("print").hidden = left > 0 || !items.length;
  byId("reviewer-box").hidden = !about?.verdicts || !items.length;
}

function showError(error) {
  byId("status").textContent = errorText(error);
}

function addPhotos(photos) {
  if (!photos.length) return;
  const asObject = photos.length > 1 && document.querySelector("input[name=mode]:checked").value === "object";
  const before = items.length;
  const [first] = predictPhotos(photos, asObject);
  if (before) scrollTo(first.node);
}

const addFiles = (files) => addPhotos([...files].map((blob) => newPhoto(blob, blob.name || t("photographs"))));

async function addExample(url, position) {
  let blob;
  try {
    blob = await (await request(url)).blob();
  } catch (error) {
    showError(error);
    return;
  }
  const first = !items.length;
  addPhotos([newPhoto(blob, null, position)]);
  byId("predictions").focus({ preventScroll: true });
  if (first) scrollTo(byId("status"));
}

function showExamples() {
  byId("examples").hidden = !about.examples.length;
  byId("examples-title").textContent = t(about.examples_drawn ? "examples_drawn" : "examples");
  byId("examples").querySelector("ul").replaceChildren(...about.examples.map((url, k) => element("li", {}, button(
    element("img", { src: url, alt: t("example", { number: k + 1 }) }), () => addExample(url, k + 1),
  ))));
}

function thresholdText() {
  const { threshold, all_unsure: allUnsure, facts } = about;
  const precision = facts.target_precision === null ? null : wholePercent(facts.target_precision);
  if (allUnsure) return precision === null ? "" : t("threshold_unreached", { precision });
  if (threshold === null) return t("threshold_never");
  const key = precision === null ? "threshold_set" : "threshold_fitted";
  return t(key, { threshold: percent(threshold), precision });
}

function qualityText() {
  const { facts } = about;
  const parts = [];
  if (about.macro_f1 !== null) {
    const score = number(about.macro_f1, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    parts.push(t(about.drawn ? "quality_drawn" : "quality", { count: about.test_images, score }));
  }
  if (about.rare.length) parts.push(t("rare", { classes: list(about.rare.map((label) => className(about, label))) }));
  const [before, after] = [facts.error_before, facts.error_after].map((value) => (value === null ? "" : wholePercent(value)));
  parts.push(t(`claim_${facts.code}`, { images: facts.images, groups: facts.groups, before, after }), thresholdText());
  return parts.filter(Boolean).join(" ");
}

function noteTexts() {
  const notes = [];
  if (about.drawn) notes.push(t("note_drawn"));
  else if (about.drawn_images) notes.push(t("note_some_drawn", { count: about.drawn_images, total: about.training_images }));
  if (about.prior) {
    const shares = Object.entries(about.prior).sort((one, other) => other[1] - one[1]);
    const texts = shares.map(([label, share]) => `${className(about, label)} ${wholePercent(share)}`);
    notes.push(t("note_prior", { shares: list(texts) }));
  }
  if (about.all_unsure) notes.push(thresholdText());
  return notes.filter(Boolean);
}

function showAbout() {
  applyTexts();
  byId("files").accept = about.formats.map((name) => (name === "HEIF" ? "image/heic,image/heif,.heic" : `image/${name.toLowerCase()}`)).join();
  byId("similar-intro").hidden = !about.similar;
  byId("classes").textContent = t(about.outliers ? "limit_others_checked" : "limit_others", { classes: list(about.classes.map((label) => className(about, label))) });
  byId("limits-of-uploads").textContent = t("upload_note", { megabytes: about.megabytes, pictures: about.pictures });
  byId("quality").textContent = qualityText();
  const notes = noteTexts();
  byId("notes").replaceChildren(...notes.map((note) => element("li", {}, note)));
  byId("notes").hidden = !notes.length;
  showExamples();
}

/** Write everything again, in another language. */
function renderPage() {
  if (about) showAbout();
  renderAll();
  renderComparison();
  updateStatus();
}

function listenForDrops() {
  const drop = byId("drop");
  for (const kind of ["dragenter", "dragover"]) {
    window.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    addFiles(event.dataTransfer.files);
  });
  window.addEventListener("paste", (event) => addFiles(event.clipboardData.files));
}

function listenForPrinting() {
  byId("print").addEventListener("click", () => window.print());
  window.addEventListener("beforeprint", () => {
    byId("printed").textContent = t("printed", { date: date(new Date()), network: about?.network ?? "" });
    // pictures further down may not have been loaded yet
    document.querySelectorAll("img[loading=lazy]").forEach((image) => { image.loading = "eager"; });
  });
}

async function start() {
  byId("files").addEventListener("change", (event) => {
    addFiles(event.target.files);
    event.target.value = "";
  });
  listenForDrops();
  listenForPrinting();
  window.addEventListener("predictions", updateStatus);
  try {
    await startTexts(renderPage, showError);
    await loadAbout();
    showAbout();
    startVerdicts();
  } catch (error) {
    showError(error);
  }
}

start();
