"use strict";

const CONCURRENT = 3; // requests; the server puts them into one batch
const TRIES = 4; // while the server is busy
const UNREACHABLE = "The server cannot be reached. Is it still running?";

const byId = (id) => document.getElementById(id);
const percent = (value) => {
  if (value >= 0.9995) return ">\u00a099.9\u00a0%";
  return value < 0.001 ? "<\u00a00.1\u00a0%" : `${(100 * value).toFixed(1)}\u00a0%`;
};

const displayName = (label) => about?.names[label] ?? label;

let about = null; // the response of GET /about
let loading = null; // its promise
let queue = [];
let running = 0;
let total = 0;
let finished = 0;

function createElement(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined && text !== null) element.textContent = text;
  return element;
}

function updateStatus() {
  const left = total - finished;
  byId("status").textContent = left
    ? `Predicting ${left === 1 ? "the photograph" : `${left} photographs`} …`
    : `${finished === 1 ? "One prediction" : `${finished} predictions`} below.`;
}

function addCard(name, source) {
  const card = byId("card").content.firstElementChild.cloneNode(true);
  const picture = card.querySelector(".picture img");
  picture.src = source;
  picture.alt = `Your photograph ${name}`;
  picture.addEventListener("error", () => picture.closest(".picture").remove());
  card.querySelector("figcaption").textContent = name;
  card.querySelector("h3").textContent = "Predicting …";
  card.classList.add("pending");
  byId("predictions").prepend(card);
  return card;
}

function showBars(list, prediction) {
  for (const { label, probability } of prediction.ranking.slice(0, 8)) {
    const row = createElement("li");
    const track = createElement("span", "track");
    const fill = createElement("span", "fill");
    track.setAttribute("aria-hidden", "true");
    fill.style.display = "block";
    fill.style.width = `${100 * probability}%`;
    track.append(fill);
    if (about && about.threshold !== null) {
      const threshold = createElement("span", "threshold");
      threshold.style.left = `${100 * about.threshold}%`;
      track.append(threshold);
    }
    row.append(createElement("span", "label", displayName(label)), track, createElement("span", "value", percent(probability)));
    list.append(row);
  }
}

function showSimilar(box, similar) {
  if (!similar.length) return;
  const list = box.querySelector("ul");
  for (const object of similar) {
    const entry = createElement("li");
    const picture = createElement("img");
    picture.src = object.thumbnail;
    picture.alt = "";
    picture.loading = "lazy";
    const title = object.title || "Untitled object";
    const name = createElement(object.link ? "a" : "span", "title", title);
    if (object.link) {
      name.href = object.link;
      name.rel = "noreferrer noopener";
      name.target = "_blank";
      name.setAttribute("aria-label", `${title}, on the museum’s site, in a new window`);
    }
    const rights = [object.museum, object.credit, object.licence].filter(Boolean);
    const credit = [...new Set(rights)].filter((text, k, all) => !all.some((other, j) => j !== k && other.includes(text)));
    entry.append(picture, name, createElement("span", "", displayName(object.label)), createElement("div", "credit", credit.join(" · ")));
    list.append(entry);
  }
  box.hidden = false;
}

function showSaliency(card, url) {
  if (!url || !card.querySelector(".picture")) return;
  const heat = card.querySelector(".heat");
  const button = card.querySelector(".saliency-button");
  const note = card.querySelector(".saliency-note");
  heat.src = url;
  if (about) heat.style.inset = `${50 * (1 - about.crop)}%`;
  if (about) heat.style.width = heat.style.height = `${100 * about.crop}%`;
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!shown));
    heat.hidden = shown;
    note.hidden = shown;
  });
}

function summary(prediction) {
  const [first, second] = prediction.ranking;
  if (prediction.unsure && about.threshold === null) {
    return `Most likely ${displayName(first.label)}, with ${percent(first.probability)}. Every prediction of this network is `
      + "unsure, because no threshold reaches the target precision.";
  }
  if (prediction.unsure) {
    return `Most likely ${displayName(first.label)}, with ${percent(first.probability)}. Predictions below `
      + `${percent(about.threshold)} are wrong too often to be relied on.`;
  }
  return second && second.probability >= 0.1
    ? `With ${percent(first.probability)}; second is ${displayName(second.label)}, with ${percent(second.probability)}.`
    : `With ${percent(first.probability)}; all other classes are far less likely.`;
}

function showPrediction(card, prediction) {
  card.classList.remove("pending");
  if (prediction.unsure) card.classList.add("unsure");
  card.querySelector("h3").textContent = prediction.unsure ? "Unsure" : displayName(prediction.prediction);
  card.querySelector(".summary").textContent = summary(prediction);
  showBars(card.querySelector(".bars"), prediction);
  card.querySelector(".threshold-note").hidden = about === null || about.threshold === null;
  showSaliency(card, prediction.saliency);
  showSimilar(card.querySelector(".similar"), prediction.similar);
}

function showError(card, message) {
  card.classList.remove("pending");
  card.classList.add("error");
  card.querySelector("h3").textContent = "No prediction";
  card.querySelector(".summary").textContent = message;
  card.querySelector(".bars").remove();
  card.querySelector(".threshold-note").remove();
}

async function request(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new Error(UNREACHABLE);
  }
}

async function post(form) {
  for (let tries = 1; ; tries += 1) {
    const response = await request("predict?saliency=true&similar=true", { method: "POST", body: form });
    const seconds = Number(response.headers.get("retry-after"));
    if (![429, 503].includes(response.status) || !seconds || tries === TRIES) return response;
    await new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });
  }
}

async function predict(blob, name, card) {
  await loadAbout();
  if (blob.size > about.megabytes * 1e6) {
    throw new Error(`The file is larger than ${about.megabytes} MB.`);
  }
  const form = new FormData();
  form.append("picture", blob, name);
  const response = await post(form);
  const content = await response.json().catch(() => null);
  if (!response.ok) throw new Error(content?.error?.message ?? "The server did not respond correctly.");
  showPrediction(card, content.pictures[0]);
}

async function work() {
  if (running >= CONCURRENT || !queue.length) return;
  running += 1;
  const { blob, name, card } = queue.shift();
  try {
    await predict(blob, name, card);
  } catch (error) {
    showError(card, error.message);
  }
  running -= 1;
  finished += 1;
  updateStatus();
  work();
}

function addFiles(files) {
  const images = [...files];
  if (!images.length) return;
  for (const blob of images) {
    const name = blob.name || "image";
    queue.push({ blob, name, card: addCard(name, URL.createObjectURL(blob)) });
    total += 1;
  }
  updateStatus();
  for (let k = 0; k < CONCURRENT; k += 1) work();
}

async function addExample(url, number) {
  let blob;
  try {
    blob = await (await request(url)).blob();
  } catch (error) {
    byId("status").textContent = error.message;
    return;
  }
  addFiles([new File([blob], `Example ${number}`, { type: blob.type })]);
  byId("predictions").focus({ preventScroll: true });
  byId("status").scrollIntoView({ block: "start" });
}

function showExamples(urls) {
  if (!urls.length) return;
  const list = byId("examples").querySelector("ul");
  urls.forEach((url, k) => {
    const entry = createElement("li");
    const button = createElement("button");
    const picture = createElement("img");
    button.type = "button";
    picture.src = url;
    picture.alt = `Example ${k + 1}`;
    button.append(picture);
    button.addEventListener("click", () => addExample(url, k + 1));
    entry.append(button);
    list.append(entry);
  });
  byId("examples").hidden = false;
}

function showAbout() {
  byId("classes").textContent = about.classes.map(displayName).join(", ");
  byId("limits-of-uploads").textContent = `One or several, up to ${about.megabytes} MB each. They are kept in this `
    + "server’s memory only until the prediction is made.";
  const parts = [];
  if (about.macro_f1 !== null) {
    parts.push(`On ${about.test_images.toLocaleString("en")} test ${about.drawn ? "drawings" : "images"}, the network’s macro-F1 score is `
      + `${about.macro_f1.toFixed(2)} (1 is perfect).`);
  }
  if (about.rare.length) {
    parts.push(`It was trained on few ${about.drawn ? "drawings" : "images"} of ${about.rare.map(displayName).join(" and ")}: expect more errors there.`);
  }
  parts.push(about.probabilities);
  byId("quality").textContent = parts.join(" ");
}

function showNotes() {
  const list = byId("notes");
  list.replaceChildren(...about.notes.map((note) => createElement("li", "", note)));
  list.hidden = !about.notes.length;
  if (about.examples_drawn) byId("examples-title").textContent = "Or try an example (a drawing, not a photograph)";
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

function loadAbout() {
  loading ??= request("about").then((response) => response.json()).then((content) => {
    about = content;
    showAbout();
    showNotes();
    showExamples(about.examples);
  }).catch((error) => {
    loading = null; // the next image tries again
    throw error;
  });
  return loading;
}

async function start() {
  byId("files").addEventListener("change", (event) => {
    addFiles(event.target.files);
    event.target.value = "";
  });
  listenForDrops();
  try {
    await loadAbout();
  } catch (error) {
    byId("status").textContent = error.message;
  }
}

start();
