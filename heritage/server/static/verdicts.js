// A reviewer's verdict on a prediction, which the server adds to a CSV file.

import { about, errorText, sendVerdict } from "./api.js";
import { button, byId, element } from "./dom.js";
import { className, t } from "./texts.js";

const KEY = "heritage-reviewer";
let selects = 0;

/** Return the box for the verdict on a card; it keeps its state in `item.verdict`. */
export function verdictBox(item) {
  const box = element("div", { class: "verdict" });
  show(box, item);
  return box;
}

function show(box, item, focus = null) {
  const first = className(about, item.prediction.ranking[0].label);
  const state = item.verdict ?? {};
  const message = element("p", { class: "message", role: "status" });
  box.classList.toggle("saved", Boolean(state.saved)); // the others are not printed
  if (state.saved) {
    message.textContent = savedText(state, first);
    const change = button(t("verdict_change"), () => {
      item.verdict = null;
      show(box, item, "first");
    }, { class: "plain" });
    box.replaceChildren(message, change);
    if (focus) change.focus();
    return;
  }
  if (state.error) message.textContent = errorText(state.error);
  const group = element("fieldset", {}, element("legend", {}, t("verdict", { label: first })));
  const buttons = element("div", { class: "actions" },
    button(t("verdict_right"), () => save(box, item, "right"), { class: "plain" }),
    button(t("verdict_wrong"), () => {
      item.verdict = { choosing: true };
      show(box, item, "select");
    }, { class: "plain", "aria-expanded": String(Boolean(state.choosing)) }),
    button(t("verdict_unknown"), () => save(box, item, "unknown"), { class: "plain" }));
  group.append(buttons);
  if (state.choosing) group.append(chooser(box, item));
  box.replaceChildren(group, message);
  if (focus === "select") box.querySelector("select").focus();
  if (focus === "first") box.querySelector("button").focus();
}

function chooser(box, item) {
  selects += 1;
  const id = `right-class-${selects}`;
  const labels = about.classes.filter((label) => label !== item.prediction.ranking[0].label);
  const select = element("select", { id },
    ...labels.map((label) => element("option", { value: label }, className(about, label))),
    element("option", { value: "" }, t("verdict_none")));
  return element("div", { class: "chooser" }, element("label", { for: id }, t("verdict_class")), select,
    button(t("verdict_save"), () => save(box, item, "wrong", select.value || null), { class: "filled" }));
}

async function save(box, item, verdict, label = null) {
  const reviewer = byId("reviewer").value.trim();
  try {
    await sendVerdict({ id: item.prediction.id, verdict, label, reviewer });
    item.verdict = { saved: verdict, label };
  } catch (error) {
    item.verdict = { error };
  }
  show(box.isConnected ? box : item.node.querySelector(".verdict"), item, "first");
}

function savedText({ saved, label }, first) {
  if (saved === "right") return t("verdict_saved_right", { label: first });
  if (saved === "unknown") return t("verdict_saved_unknown");
  return label === null ? t("verdict_saved_none") : t("verdict_saved_wrong", { label: className(about, label) });
}

/** Show the field for the reviewer's name, which this browser keeps. */
export function startVerdicts() {
  const field = byId("reviewer");
  field.value = localStorage.getItem(KEY) ?? "";
  field.addEventListener("change", () => localStorage.setItem(KEY, field.value.trim()));
}
