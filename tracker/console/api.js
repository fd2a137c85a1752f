// Asks trackers and storages. Answers are JSON; refusals are problem documents (RFC 9457), which become a Refusal.

import { t } from './i18n.js';

const TIMEOUT_MS = 10_000;
const TOKEN_KEY = 'fdfs.token';
/** The tracker: what this module was loaded from, without `console/`. */
export const TRACKER = new URL('..', import.meta.url);

/** A server answered that it will not. */
export class Refusal extends Error {
  constructor(status, problem, url) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = problem.code ?? `http_${status}`;
    this.url = url;
  }

  /** Whether a token, or a better one, would help. */
  get needsToken() {
    return this.status === 401 || this.status === 403;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {
  constructor(url, cause) {
    super(noAnswer(url), { cause });
    this.url = url;
  }
}

/** Browsers do not tell a server that is away from one whose answer this page may not see. */
export function noAnswer(url) {
  const { host } = new URL(url);
  const mayBeRefused = host !== TRACKER.host && !token();
  return t(mayBeRefused ? 'api.no_answer_or_refused' : 'api.no_answer', { host });
}

/** The token for this tab; it is gone when the tab is closed. */
export function token() {
  return sessionStorage.getItem(TOKEN_KEY) ?? '';
}

export function setToken(text) {
  if (text) sessionStorage.setItem(TOKEN_KEY, text);
  else sessionStorage.removeItem(TOKEN_KEY);
}

/** Headers that every request has. */
export function headers(more = {}) {
  return token() ? { ...more, Authorization: `Bearer ${token()}` } : more;
}

/** One request; the answer's JSON, or null if it has no content. */
export async function ask(url, { method = 'GET', body = null } = {}) {
  const json = body === null ? {} : { 'Content-Type': 'application/json' };
  let response;
  let text;
  try {
    response = await fetch(url, {
      method,
      headers: headers({ Accept: 'application/json', ...json }),
      body: body === null ? undefined : JSON.stringify(body),
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch (error) {
    throw new Unreachable(url, error);
  }
  if (!response.ok) throw new Refusal(response.status, object(text), url);
  return text ? JSON.parse(text) : null;
}

/** A call of the tracker: a path from its root. */
export function tracker(path, options) {
  return ask(new URL(path, TRACKER), options);
}

/** A problem document, or nothing of it where a proxy answers with a page. */
export function object(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' ? value : {};
  } catch {
    return {};
  }
}

/** A file ID in a path: its slashes stay. */
export function idPath(id) {
  return id.split('/').map(encodeURIComponent).join('/');
}
