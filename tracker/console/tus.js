// A client of tus 1.0, resumable uploads: creation, and going on after whatever happened to the connection or the server.

import { Refusal, headers, noAnswer, object } from './api.js';

const VERSION = '1.0.0';
/** Bytes of one request. Progress is told inside of it, and a server keeps what arrived of a broken one. */
const PIECE = 32 * 1024 * 1024;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** The upload was stopped by its user. */
export class Stopped extends Error {}
/** The file cannot be read any more: it was changed, moved or deleted. */
export class FileGone extends Error {}
/** The connection broke, or nobody was there. */
class Broken extends Error {}

/**
 * One upload. `on` is told of what happens: `url(url)` when the server has made it, `progress(bytes)`, and
 * `trouble(error, waitMs)` before it is tried again.
 */
export class TusUpload {
  #request = null;
  #wake = null;
  #stopped = false;

  constructor({ file, url = null, createUrl, metadata, on }) {
    Object.assign(this, { file, url, createUrl, metadata, on });
    this.offset = 0;
  }

  /** Sends the file. Resolves to the headers of the last answer. */
  async run() {
    let failures = 0;
    for (;;) {
      try {
        const last = await this.#turn(() => (failures = 0));
        return last;
      } catch (error) {
        if (this.#stopped) throw new Stopped();
        if (!(await this.#mayPass(error))) throw error;
        const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
        failures += 1;
        this.on.trouble(error, wait);
        await this.#sleep(wait);
        if (this.#stopped) throw new Stopped();
      }
    }
  }

  /** Ends what is under way; the server keeps what it has. */
  stop() {
    this.#stopped = true;
    this.#request?.abort();
    this.#wake?.();
  }

  /** Has the server forget the upload. */
  async terminate() {
    this.stop();
    if (this.url) await this.#send('DELETE', this.url, {}, null);
  }

  /** From where the server is to the end. */
  async #turn(onSuccess) {
    let answer = this.url ? await this.#askOffset() : await this.#create();
    onSuccess();
    while (this.offset < this.file.size) {
      answer = await this.#sendPiece();
      onSuccess();
    }
    return answer;
  }

  async #create() {
    const answer = await this.#send('POST', await this.createUrl(), {
      'Upload-Length': String(this.file.size),
      'Upload-Metadata': encodeMetadata(this.metadata),
    });
    this.url = new URL(answer.header('Location'), answer.url).href;
    this.offset = 0;
    this.on.url(this.url);
    return answer;
  }

  async #askOffset() {
    const answer = await this.#send('HEAD', this.url, {});
    this.#move(answer);
    return answer;
  }

  async #sendPiece() {
    const { offset } = this;
    const piece = this.file.slice(offset, offset + PIECE);
    const extra = { 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' };
    const answer = await this.#send('PATCH', this.url, extra, piece, (sent) => this.on.progress(offset + sent));
    this.#move(answer);
    return answer;
  }

  #move(answer) {
    const offset = Number.parseInt(answer.header('Upload-Offset'), 10);
    if (!(offset >= 0 && offset <= this.file.size)) throw new Broken(`bad Upload-Offset of ${this.url}`);
    this.offset = offset;
    this.on.progress(offset);
  }

  /** One request, by XMLHttpRequest: fetch tells nothing about how much of a body was sent. */
  #send(method, url, extra, body = null, onProgress = null) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.#request = request;
      request.open(method, url);
      const all = headers({ 'Tus-Resumable': VERSION, ...extra });
      for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
      if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded);
      request.onerror = () => reject(new Broken(noAnswer(url)));
      request.onabort = () => reject(new Stopped());
      request.onload = () => {
        if (request.status >= 200 && request.status < 300) {
          resolve({ url, header: (name) => request.getResponseHeader(name), text: request.responseText });
        } else {
          reject(new Refusal(request.status, object(request.responseText), url));
        }
      };
      request.send(body);
    });
  }

  /** Whether trying again may help. */
  async #mayPass(error) {
    if (error instanceof Refusal) {
      // Gone: it expired, or was ended elsewhere. All is sent again.
      if (this.url && (error.status === 404 || error.status === 410)) {
        this.url = null;
        return true;
      }
      // 409 and 423: another request is ahead of us, perhaps our own that broke. The server is asked how far it is.
      return [409, 423, 429].includes(error.status) || (error.status >= 500 && error.status !== 507);
    }
    // A browser tells of a file that it cannot read as of a broken connection.
    try {
      await this.file.slice(0, 1).arrayBuffer();
    } catch {
      throw new FileGone();
    }
    return true;
  }

  #sleep(ms) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, ms);
    });
  }
}

/** Upload-Metadata: names, each with its value in base64 of UTF-8. */
function encodeMetadata(metadata) {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return Object.entries(metadata)
    .map(([name, value]) => `${name} ${base64(value)}`)
    .join(',');
}
