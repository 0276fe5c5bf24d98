// A photograph with its saliency map, and the buttons below it.

import { about } from "./api.js";
import { choose, isChosen } from "./comparison.js";
import { button, element, fileName } from "./dom.js";
import { className, percent, t } from "./texts.js";

let notes = 0;

/** Return a photograph; an example has a number in place of a name. */
export function newPhoto(blob, name, example = null) {
  return { blob, url: URL.createObjectURL(blob), get name() { return name ?? t("example", { number: example }); } };
}

/** Return the picture of a photograph; where the browser cannot show it, a text replaces it. */
export function pictureOf(photo) {
  const image = element("img", { src: photo.url, alt: t("your_photograph", { name: photo.name }) });
  const heat = element("img", { class: "heat", alt: "", hidden: true });
  const picture = element("div", { class: "picture" }, image, heat);
  image.addEventListener("error", () => {
    picture.replaceChildren(element("p", { class: "missing" }, t("no_preview")));
  });
  return { picture, heat };
}

export function showHeat(heat, photo, shown) {
  if (photo.response?.saliency && !heat.src) heat.src = photo.response.saliency;
  heat.style.inset = `${50 * (1 - about.crop)}%`;
  heat.style.width = heat.style.height = `${100 * about.crop}%`;
  heat.hidden = !shown;
}

/** Return the figure of a photograph; that of one of several views has its prediction. */
export function photoFigure(photo, { ofView }) {
  const { picture, heat } = pictureOf(photo);
  const caption = element("figcaption", {}, fileName(photo.name));
  const figure = element("figure", { class: "photo" }, picture, caption);
  if (ofView) caption.append(element("span", { class: "view" }, viewText(photo)));
  if (!photo.response?.ranking.length || photo.response.unlike_training) return figure; // there is no class to explain
  const actions = element("div", { class: "actions" });
  if (photo.response.saliency) addSaliency(photo, actions, heat);
  const compare = button(t("compare"), () => choose(photo, compare), {
    class: "compare-button plain", "aria-label": t("compare_with", { name: photo.name }), "aria-pressed": String(isChosen(photo)),
  });
  photo.compareButton = compare;
  actions.append(compare);
  figure.append(actions);
  if (photo.note) figure.append(photo.note);
  return figure;
}

function addSaliency(photo, actions, heat) {
  notes += 1;
  photo.note = element("p", { class: "quiet saliency-note", id: `saliency-${notes}`, hidden: !photo.saliency }, t("saliency_note"));
  const toggle = button(t("saliency"), () => {
    photo.saliency = !photo.saliency;
    toggle.setAttribute("aria-pressed", String(photo.saliency));
    showHeat(heat, photo, photo.saliency);
    photo.note.hidden = !photo.saliency;
  }, {
    class: "saliency-button plain", "aria-label": t("saliency_of", { name: photo.name }),
    "aria-pressed": String(Boolean(photo.saliency)), "aria-describedby": photo.note.id,
  });
  showHeat(heat, photo, Boolean(photo.saliency));
  actions.append(toggle);
}

function viewText(photo) {
  const response = photo.response;
  if (!response?.ranking.length) return photo.error ?? t("predicting");
  if (response.unlike_training) return t("unlike");
  const [first] = response.ranking;
  const text = `${className(about, first.label)} ${percent(first.probability)}`;
  return response.unsure ? `${t("unsure")} (${text})` : text;
}
