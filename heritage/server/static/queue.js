// The photographs to predict: a few requests at a time, in the order given.

import { ApiError, predict } from "./api.js";
import { addItem, items, removeItem, render } from "./cards.js";

const CONCURRENT = 3; // requests; the server puts them into one batch
const PASSING = ["busy", "disconnected", "stopping", "stuck", "too_many_requests", "too_slow", "unreachable"];

const queue = [];
let running = 0;

/** Whether the same request may succeed later. */
export const canRetry = (error) => !(error instanceof ApiError) || PASSING.includes(error.code);

/** Predict photographs, each separately or all as one object, and return their cards. */
export function predictPhotos(photos, asObject) {
  const added = asObject ? [addItem(photos, true)] : photos.map((photo) => addItem([photo], false));
  enqueue(...added);
  return added;
}

/** Predict a card again. */
export function retry(item) {
  item.state = "pending";
  item.error = null;
  render(item);
  enqueue(item);
}

/** Put the photographs of several cards into one card, as those of one object. */
export function combine(photos) {
  const parts = items.filter((item) => item.photos.some((photo) => photos.includes(photo)));
  const all = parts.flatMap((item) => item.photos);
  const whole = addItem(all, true, parts[0].node);
  parts.forEach(removeItem);
  enqueue(whole);
  return whole;
}

function enqueue(...added) {
  queue.push(...added);
  changed();
  for (let k = 0; k < CONCURRENT; k += 1) work();
}

async function work() {
  if (running >= CONCURRENT || !queue.length) return;
  running += 1;
  const item = queue.shift();
  try {
    await predictItem(item);
    item.state = "done";
  } catch (error) {
    item.error = error;
    item.state = "error";
  }
  render(item);
  running -= 1;
  changed();
  work();
}

async function predictItem(item) {
  const content = await predict(item.photos, { saliency: true, similar: true, object: item.isObject });
  item.photos.forEach((photo, k) => { photo.response = content.pictures[k]; });
  item.prediction = item.isObject ? content.object : content.pictures[0];
  if (item.prediction.ranking.length) return;
  const { code, message } = item.photos.find((photo) => photo.response.error).response.error;
  throw new ApiError(code, message);
}

function changed() {
  window.dispatchEvent(new Event("predictions"));
}
