// One file to ingest by tus: tried again by itself, gone on with after the page was left.

import { LOGGED_OUT } from "./api.js";

const { Upload } = window.tus; // tus.min.js, which is no module
const RETRY_DELAYS_MS = [0, 500, 1000, 2000, 4000, 8000, 15000, 30000, 30000];
const PREFIX = "hsis-upload ";

/** The visitor wanted no more of it. */
export class Cancelled extends Error {}

/** Why a file could not be sent. `passing` says that another try, or a new login, may help. */
export class TransferError extends Error {
  constructor(file, error) {
    const loggedOut = error.originalResponse?.getStatus() === 401;
    super(loggedOut ? LOGGED_OUT : detailOf(error.originalResponse) || `Sending ${file.name} was cut off.`);
    this.passing = mayPass(error) || loggedOut;
  }
}

function mayPass(error) {
  const status = error.originalResponse?.getStatus() ?? 0;
  const creating = error.originalRequest?.getMethod() === "POST";
  return status === 0 || status >= 500 || status === 423 || (status === 409 && !creating);
}

function detailOf(response) {
  try {
    return JSON.parse(response.getBody()).detail;
  } catch {
    return null;
  }
}

/** Send a file of an announced upload, or the rest of it; `onProgress` gets a part of 1. */
export function sendFile(upload, file, onProgress, signal) {
  let cancel;
  return new Promise((resolve, reject) => {
    const transfer = new Upload(file, {
      endpoint: "/uploads",
      metadata: { upload, filename: file.name },
      headers: { "X-Requested-With": "hsis-web" },
      retryDelays: RETRY_DELAYS_MS,
      removeFingerprintOnSuccess: true,
      fingerprint: () => Promise.resolve(["hsis", upload, file.name, file.size, file.lastModified].join(" ")),
      onShouldRetry: mayPass,
      onProgress: (sent, total) => onProgress(total ? sent / total : 1),
      onSuccess: () => resolve(),
      onError: (error) => reject(new TransferError(file, error)),
    });
    cancel = () => {
      transfer.abort(true).catch(() => null); // it expires by itself
      reject(new Cancelled());
    };
    signal.addEventListener("abort", cancel);
    if (signal.aborted) {
      reject(new Cancelled());
      return;
    }
    transfer.findPreviousUploads().then((found) => {
      if (signal.aborted) return;
      if (found.length) transfer.resumeFromPreviousUpload(found[0]);
      transfer.start();
    }, reject);
  }).finally(() => signal.removeEventListener("abort", cancel)); // what was sent stays where the rest is cancelled
}

const keyOf = (files, body) =>
  PREFIX + JSON.stringify([body, files.map(({ name, size, lastModified }) => [name, size, lastModified])]);

/** The upload that these files, with the same choices, were being sent to. */
export const begun = (files, body) => localStorage.getItem(keyOf(files, body));
export const remember = (files, body, upload) => localStorage.setItem(keyOf(files, body), upload);
export const forget = (files, body) => localStorage.removeItem(keyOf(files, body));
