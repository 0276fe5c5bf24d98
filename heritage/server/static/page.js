"use strict";

const AT_A_TIME = 3; // requests; the server puts them into one batch
const TRIES = 4; // while the server is busy
const UNREACHABLE = "The server cannot be reached. Is it still running?";

const place = (id) => document.getElementById(id);
const percent = (value) => {
  if (value >= 0.9995) return ">\u00a099.9\u00a0%";
  return value < 0.001 ? "<\u00a00.1\u00a0%" : `${(100 * value).toFixed(1)}\u00a0%`;
};

const called = (label) => about?.names[label] ?? label;

let about = null;
let loading = null;
let waiting = [];
let busy = 0;
let asked = 0;
let answered = 0;

function make(tag, name, text) {
  const found = document.createElement(tag);
  if (name) found.className = name;
  if (text !== undefined && text !== null) found.textContent = text;
  return found;
}

function tell() {
  const left = asked - answered;
  place("status").textContent = left
    ? `Looking at ${left === 1 ? "the photograph" : `${left} photographs`} …`
    : `${answered === 1 ? "One answer" : `${answered} answers`} below.`;
}

function newCard(name, source) {
  const card = place("card").content.firstElementChild.cloneNode(true);
  const picture = card.querySelector(".picture img");
  picture.src = source;
  picture.alt = `Your photograph ${name}`;
  picture.addEventListener("error", () => picture.closest(".picture").remove());
  card.querySelector("figcaption").textContent = name;
  card.querySelector("h3").textContent = "Looking …";
  card.classList.add("waiting");
  place("answers").prepend(card);
  return card;
}

function showBars(list, reply) {
  for (const { label, probability } of reply.ranking.slice(0, 8)) {
    const row = make("li");
    const track = make("span", "track");
    const fill = make("span", "fill");
    track.setAttribute("aria-hidden", "true");
    fill.style.display = "block";
    fill.style.width = `${100 * probability}%`;
    track.append(fill);
    if (about && about.threshold !== null) {
      const bound = make("span", "bound");
      bound.style.left = `${100 * about.threshold}%`;
      track.append(bound);
    }
    row.append(make("span", "label", called(label)), track, make("span", "value", percent(probability)));
    list.append(row);
  }
}

function showSimilar(box, similar) {
  if (!similar.length) return;
  const list = box.querySelector("ul");
  for (const object of similar) {
    const entry = make("li");
    const picture = make("img");
    picture.src = object.thumbnail;
    picture.alt = "";
    picture.loading = "lazy";
    const title = object.title || "Untitled object";
    const name = make(object.link ? "a" : "span", "title", title);
    if (object.link) {
      name.href = object.link;
      name.rel = "noreferrer noopener";
      name.target = "_blank";
      name.setAttribute("aria-label", `${title}, on the museum’s site, in a new window`);
    }
    const rights = [object.museum, object.credit, object.licence].filter(Boolean);
    const credit = [...new Set(rights)].filter((one, k, all) => !all.some((other, j) => j !== k && other.includes(one)));
    entry.append(picture, name, make("span", "", called(object.label)), make("div", "credit", credit.join(" · ")));
    list.append(entry);
  }
  box.hidden = false;
}

function showHeat(card, address) {
  if (!address || !card.querySelector(".picture")) return;
  const heat = card.querySelector(".heat");
  const button = card.querySelector(".look");
  const words = card.querySelector(".looked");
  heat.src = address;
  if (about) heat.style.inset = `${50 * (1 - about.crop)}%`;
  if (about) heat.style.width = heat.style.height = `${100 * about.crop}%`;
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!shown));
    heat.hidden = shown;
    words.hidden = shown;
  });
}

function words(reply) {
  const [first, second] = reply.ranking;
  if (reply.unsure) {
    return `The likeliest is ${called(first.label)}, with ${percent(first.probability)}. Below ${percent(about.threshold)} it `
      + "is wrong too often to be called an answer.";
  }
  return second && second.probability >= 0.1
    ? `With ${percent(first.probability)}; ${called(second.label)} comes next, with ${percent(second.probability)}.`
    : `With ${percent(first.probability)}; nothing else comes near.`;
}

function showReply(card, reply) {
  card.classList.remove("waiting");
  if (reply.unsure) card.classList.add("unsure");
  card.querySelector("h3").textContent = reply.unsure ? "Unsure" : called(reply.answer);
  card.querySelector(".words").textContent = words(reply);
  showBars(card.querySelector(".bars"), reply);
  card.querySelector(".bounded").hidden = about === null || about.threshold === null;
  showHeat(card, reply.saliency);
  showSimilar(card.querySelector(".similar"), reply.similar);
}

function showFault(card, message) {
  card.classList.remove("waiting");
  card.classList.add("fault");
  card.querySelector("h3").textContent = "No answer";
  card.querySelector(".words").textContent = message;
  card.querySelector(".bars").remove();
  card.querySelector(".bounded").remove();
}

async function reach(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    throw new Error(UNREACHABLE);
  }
}

async function post(form) {
  for (let tries = 1; ; tries += 1) {
    const reply = await reach("predict?saliency=true&similar=true", { method: "POST", body: form });
    const seconds = Number(reply.headers.get("retry-after"));
    if (![429, 503].includes(reply.status) || !seconds || tries === TRIES) return reply;
    await new Promise((done) => { setTimeout(done, 1000 * seconds); });
  }
}

async function ask(blob, name, card) {
  await know();
  if (blob.size > about.megabytes * 1e6) {
    throw new Error(`The file is larger than ${about.megabytes} MB.`);
  }
  const form = new FormData();
  form.append("picture", blob, name);
  const reply = await post(form);
  const content = await reply.json().catch(() => null);
  if (!reply.ok) throw new Error(content?.error?.message ?? "The server gave no answer.");
  showReply(card, content.pictures[0]);
}

async function work() {
  if (busy >= AT_A_TIME || !waiting.length) return;
  busy += 1;
  const { blob, name, card } = waiting.shift();
  try {
    await ask(blob, name, card);
  } catch (fault) {
    showFault(card, fault.message);
  }
  busy -= 1;
  answered += 1;
  tell();
  work();
}

function take(files) {
  const pictures = [...files];
  if (!pictures.length) return;
  for (const blob of pictures) {
    const name = blob.name || "picture";
    waiting.push({ blob, name, card: newCard(name, URL.createObjectURL(blob)) });
    asked += 1;
  }
  tell();
  for (let k = 0; k < AT_A_TIME; k += 1) work();
}

async function takeExample(address, number) {
  let blob;
  try {
    blob = await (await reach(address)).blob();
  } catch (fault) {
    place("status").textContent = fault.message;
    return;
  }
  take([new File([blob], `Example ${number}`, { type: blob.type })]);
  place("answers").focus({ preventScroll: true });
  place("status").scrollIntoView({ block: "start" });
}

function showExamples(addresses) {
  if (!addresses.length) return;
  const list = place("examples").querySelector("ul");
  addresses.forEach((address, k) => {
    const entry = make("li");
    const button = make("button");
    const picture = make("img");
    button.type = "button";
    picture.src = address;
    picture.alt = `Example ${k + 1}`;
    button.append(picture);
    button.addEventListener("click", () => takeExample(address, k + 1));
    entry.append(button);
    list.append(entry);
  });
  place("examples").hidden = false;
}

function showAbout() {
  place("classes").textContent = about.classes.map(called).join(", ");
  place("bounds").textContent = `One or several, up to ${about.megabytes} MB each. They stay in this server’s memory and `
    + "are forgotten at once.";
  const parts = [];
  if (about.macro_f1 !== null) {
    parts.push(`On ${about.test_images.toLocaleString("en")} photographs kept aside for testing its mean F1 score was `
      + `${about.macro_f1.toFixed(2)} (1 is perfect).`);
  }
  if (about.rare.length) parts.push(`It saw few photographs of ${about.rare.map(called).join(" and ")}: expect more mistakes there.`);
  parts.push(about.calibrated
    ? "Its percentages are calibrated: of answers given with 80 %, about four in five are right on photographs like "
      + "those it was tested on."
    : "Its percentages are not calibrated yet and may be too high or too low.");
  place("quality").textContent = parts.join(" ");
}

function watchDrops() {
  const drop = place("drop");
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
    take(event.dataTransfer.files);
  });
  window.addEventListener("paste", (event) => take(event.clipboardData.files));
}

function know() {
  loading ??= reach("about").then((reply) => reply.json()).then((content) => {
    about = content;
    showAbout();
    showExamples(about.examples);
  }).catch((fault) => {
    loading = null; // the next picture tries again
    throw fault;
  });
  return loading;
}

async function start() {
  place("files").addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
  watchDrops();
  try {
    await know();
  } catch (fault) {
    place("status").textContent = fault.message;
  }
}

start();
