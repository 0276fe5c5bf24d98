// Requests to this server, and its errors in the language of the page.

import { has, list, t } from "./texts.js";

const TRIES = 4; // while the server is busy
const FORMATS = { HEIF: "HEIC", WEBP: "WebP" }; // as people write them

export let about = null; // the response of GET /about
let loading = null; // its promise

/** An error of the API: its code is fixed, its message is English. */
export class ApiError extends Error {
  constructor(code, message = "") {
    super(message);
    this.code = code;
  }
}

export function errorText(error) {
  const { megabytes, megapixels, pictures } = about ?? {};
  const formats = list((about?.formats ?? []).map((name) => FORMATS[name] ?? name));
  const key = `error_${error.code}`;
  return error.code && has(key) ? t(key, { megabytes, megapixels, pictures, formats }) : error.message || t("error_bad_response");
}

export async function request(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new ApiError("unreachable");
  }
}

async function content(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const error = body?.error;
  throw error ? new ApiError(error.code, error.message) : new ApiError("bad_response");
}

async function post(url, options) {
  for (let tries = 1; ; tries += 1) {
    const response = await request(url, { method: "POST", ...options });
    const seconds = Number(response.headers.get("retry-after"));
    if (![429, 503].includes(response.status) || !seconds || tries === TRIES) return content(response);
    await new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });
  }
}

/** Predict photographs, of several objects or of one, in the order given. */
export async function predict(photos, query) {
  await loadAbout();
  if (photos.length > about.pictures) throw new ApiError("too_many");
  if (photos.reduce((sum, photo) => sum + photo.blob.size, 0) > about.megabytes * 1e6) throw new ApiError("too_large");
  const form = new FormData();
  for (const photo of photos) form.append("picture", photo.blob, photo.name);
  return post(`predict?${new URLSearchParams(query)}`, { body: form });
}

export function sendVerdict(verdict) {
  return post("verdicts", { body: JSON.stringify(verdict), headers: { "content-type": "application/json" } });
}

export function loadAbout() {
  loading ??= request("about").then(content).then((body) => { about = body; }).catch((error) => {
    loading = null; // the next image tries again
    throw error;
  });
  return loading;
}
