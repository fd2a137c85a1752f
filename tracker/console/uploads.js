// Uploads of this page: a queue of files, two at a time, and what is remembered of unfinished ones for the next visit.

import { noteRefusal } from './access.js';
import { Refusal, TRACKER, tracker } from './api.js';
import { changed } from './change.js';
import { announce } from './dom.js';
import { t } from './i18n.js';
import { FileGone, Stopped, TusUpload } from './tus.js';

const AT_ONCE = 2;
const MEMORY = 'fdfs.upload.';
/** Servers forget unfinished uploads, too. */
const REMEMBERED_MS = 7 * 86_400_000;

/**
 * Uploads, oldest first: `{key, name, size, group, file, sent, state, error, retryAt, rate, result}`. A state is `waiting`,
 * `sending`, `retrying`, `paused`, `failed`, `done`, or `unfinished`: begun before the page was loaded, without its file.
 */
const uploads = [];

export function allUploads() {
  return uploads;
}

/** Queues files. One that was begun before goes on where it was. */
export function addFiles(files, group) {
  for (const file of files) {
    const key = keyOf(file);
    const known = uploads.find((upload) => upload.key === key && upload.state !== 'done');
    if (known && known.state !== 'unfinished') continue;
    if (known) uploads.splice(uploads.indexOf(known), 1);
    const url = known?.url ?? recall(key)?.url ?? null;
    uploads.push({
      ...blank(key, file.name, file.size),
      group: known?.group ?? group,
      file,
      url,
      sent: known?.sent ?? 0,
    });
  }
  pump();
}

function blank(key, name, size) {
  return {
    key,
    name,
    size,
    group: null,
    file: null,
    url: null,
    sent: 0,
    state: 'waiting',
    error: null,
    retryAt: 0,
    rate: null,
    result: null,
  };
}

/** The same file again has the same key. */
function keyOf(file) {
  return `${MEMORY}${file.name}|${file.size}|${file.lastModified}`;
}

export function pause(upload) {
  upload.state = 'paused';
  upload.client?.stop();
  changed();
}

export function resume(upload) {
  upload.state = 'waiting';
  upload.error = null;
  pump();
}

/** Takes an upload from the list, and from the server if it is not done. */
export async function cancel(upload) {
  const { client, state } = upload;
  upload.state = 'cancelled';
  uploads.splice(uploads.indexOf(upload), 1);
  forget(upload.key);
  pump();
  if (state === 'done' || !upload.url) {
    client?.stop();
    return;
  }
  try {
    await (client ?? new TusUpload({ url: upload.url })).terminate();
  } catch {
    // The server ends it by itself when its time is over.
  }
}

/** Starts what may start. */
function pump() {
  const busy = uploads.filter((upload) => upload.state === 'sending' || upload.state === 'retrying').length;
  const next = uploads.filter((upload) => upload.state === 'waiting').slice(0, Math.max(0, AT_ONCE - busy));
  for (const upload of next) send(upload);
  changed();
}

async function send(upload) {
  upload.state = 'sending';
  const meter = new Meter(upload);
  const client = new TusUpload({
    file: upload.file,
    url: upload.url,
    createUrl: () => schedule(upload.group),
    metadata: { filename: upload.name, ...(upload.file.type ? { filetype: upload.file.type } : {}) },
    on: {
      url: (url) => {
        upload.url = url;
        remember(upload);
      },
      progress: (sent) => {
        upload.state = 'sending';
        meter.note(sent);
        changed();
      },
      trouble: (error, wait) => {
        Object.assign(upload, { state: 'retrying', error, retryAt: Date.now() + wait, rate: null });
        changed();
      },
    },
  });
  upload.client = client;
  try {
    const answer = await client.run();
    Object.assign(upload, { state: 'done', sent: upload.size, error: null, result: stored(answer) });
    forget(upload.key);
    announce(t('upload.said_done', { name: upload.name }));
  } catch (error) {
    if (upload.state === 'paused' || upload.state === 'cancelled') return;
    const gone = error instanceof FileGone;
    Object.assign(upload, { state: 'failed', error: gone ? new Error(t('upload.file_gone')) : error });
    if (!(error instanceof Stopped)) announce(t('upload.said_failed', { name: upload.name }), true);
    noteRefusal(error);
  } finally {
    if (upload.client === client) upload.client = null;
    pump();
  }
}

/** The storage is FastDFS's: it has no HTTP of its own to upload by. */
class NoHttp extends Refusal {
  constructor(text) {
    super(422, { code: 'no_http', detail: text }, TRACKER);
  }
}

/** Where the tracker wants the next upload, as that storage's URL for resumable ones. */
async function schedule(group) {
  const query = group ? `?${new URLSearchParams({ group })}` : '';
  const { places } = await tracker(`v1/schedule/upload${query}`);
  if (!places[0].resumable_url) throw new NoHttp(t('upload.no_http'));
  return places[0].resumable_url;
}

/** ID and URL of the file that an upload has become. */
function stored(answer) {
  const id = answer.header('Fdfs-File-Id');
  return id && { id, url: new URL(answer.header('Content-Location'), answer.url).href };
}

/** Bytes a second, smoothed over some seconds. */
class Meter {
  constructor(upload) {
    this.upload = upload;
    this.at = performance.now();
    this.from = null;
  }

  note(sent) {
    const { upload } = this;
    upload.sent = sent;
    const now = performance.now();
    this.from ??= sent;
    const seconds = (now - this.at) / 1000;
    if (seconds < 0.5) return;
    const rate = Math.max(0, sent - this.from) / seconds;
    upload.rate = upload.rate === null ? rate : upload.rate * 0.7 + rate * 0.3;
    this.at = now;
    this.from = sent;
  }
}

// --- memory ------------------------------------------------------------------------------------------------------------

function remember(upload) {
  const { name, size, group, url } = upload;
  localStorage.setItem(upload.key, JSON.stringify({ name, size, group, url, at: Date.now() }));
}

function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function forget(key) {
  localStorage.removeItem(key);
}

/** Lists what an earlier visit left unfinished; the same files must be chosen again to go on. */
export function recallUnfinished() {
  for (const key of Object.keys(localStorage).filter((name) => name.startsWith(MEMORY))) {
    const memory = recall(key);
    if (!memory?.url || Date.now() - memory.at > REMEMBERED_MS) {
      forget(key);
      continue;
    }
    const { name, size, group, url } = memory;
    uploads.push({ ...blank(key, String(name), Number(size)), group, url, state: 'unfinished' });
  }
}

/** Whether the page should not be left without a word. */
export function isBusy() {
  return uploads.some((upload) => ['waiting', 'sending', 'retrying'].includes(upload.state));
}
