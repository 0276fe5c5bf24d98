// Elements of the page; text is only ever set as text.

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Text of unknown direction: names of files, classes and museums. */
export const isolated = (text) => element("bdi", { dir: "auto" }, text);

/** The name of a file, which is broken at a good place if it must be. */
export function fileName(name) {
  const made = isolated("");
  for (const part of name.split(/(?<=[_-])|(?=\.[^.]*$)/)) made.append(part, element("wbr"));
  return made;
}

export function button(text, onClick, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", onClick);
  return made;
}

export function bar(probability, threshold) {
  const track = element("span", { class: "track", "aria-hidden": "true" });
  const fill = element("span", { class: "fill" });
  fill.style.inlineSize = `${100 * probability}%`;
  track.append(fill);
  if (threshold !== null) {
    const line = element("span", { class: "threshold" });
    line.style.insetInlineStart = `${100 * threshold}%`;
    track.append(line);
  }
  return track;
}

export function scrollTo(target, block = "start") {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  target.scrollIntoView({ block, behavior: still ? "auto" : "smooth" });
}
