// The texts of the page: a catalogue for each language, with placeholders and plural categories.

import { byId } from "./dom.js";

const page = document.documentElement; // the server writes its language, its direction and its kind of classes
const YEAR = 365 * 24 * 3600;

const loaded = {};
let language = "en";
let locale = "en";
let texts = {};

async function load(name) {
  loaded[name] ??= fetch(`texts/${name}.json`).then((response) => response.json());
  try {
    texts = await loaded[name];
  } catch (error) {
    delete loaded[name];
    throw error;
  }
  language = name;
  locale = navigator.languages.find((wanted) => wanted.split("-")[0] === name) ?? name;
  if (name === "ar") locale = "ar-u-nu-latn"; // the digits of file names and of the texts
}

export const number = (value, options = {}) => new Intl.NumberFormat(locale, options).format(value);

export function percent(value) {
  const format = (rounded, digits = 1) => number(rounded, { style: "percent", minimumFractionDigits: digits });
  if (value >= 0.9995) return t("more_than", { value: format(0.999) });
  return value < 0.001 ? t("less_than", { value: format(0.001) }) : format(Math.round(1000 * value) / 1000);
}

export const wholePercent = (value) => number(value, { style: "percent", maximumFractionDigits: 1 });

export const list = (items) => new Intl.ListFormat(locale).format(items.map(isolate));

export const date = (value) => new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short" }).format(value);

// Names of others must not change the direction of a sentence, nor end their own isolation.
const CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const FROM_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const isolate = (text) => {
  const plain = text.replace(CONTROLS, "");
  return page.dir === "rtl" || FROM_RIGHT.test(plain) ? `\u2068${plain}\u2069` : plain;
};

export function has(key) {
  return key in texts;
}

/** Return a text; `count` chooses the plural form, and numbers are written as the language writes them. */
export function t(key, values = {}) {
  const other = `${key}_other`;
  let text = page.dataset.classes === "other" && other in texts ? texts[other] : texts[key];
  if (typeof text === "object") text = text[new Intl.PluralRules(language).select(values.count)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : isolate(String(value));
  });
}

/** Return the display name of a class: as written, unless the data set names translations. */
export function className(about, label) {
  return about.translations[language]?.[label] ?? about.names[label] ?? label;
}

export function applyTexts() {
  const buttons = [...byId("languages").querySelectorAll("button")];
  page.lang = language;
  page.dir = buttons.find((one) => one.lang === language).dir;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = t(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", t(one.dataset.label));
  for (const one of buttons) one.setAttribute("aria-current", String(one.lang === language));
}

/** Load the texts of the page's language, and of another one when it is chosen. */
export async function startTexts(onChange, onError) {
  for (const one of byId("languages").querySelectorAll("button")) {
    one.addEventListener("click", async () => {
      try {
        await load(one.lang);
      } catch {
        onError({ code: "unreachable" });
        return;
      }
      document.cookie = `heritage-language=${one.lang}; max-age=${YEAR}; samesite=lax`;
      applyTexts();
      onChange();
    });
  }
  await load(page.lang);
  applyTexts();
}
