// Numbers, sizes, times and durations as people read them, in the language of the page.

import { language, t } from './i18n.js';

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
export const MB = 1024 * 1024;

export function count(number) {
  return new Intl.NumberFormat(language()).format(number);
}

/** A size in bytes, in steps of 1024 as FastDFS counts. */
export function size(bytes) {
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && value < 100 ? 1 : 0;
  const number = new Intl.NumberFormat(language(), { maximumFractionDigits: digits }).format(value);
  return `${number} ${UNITS[unit]}`;
}

/** The same, and every byte of it. */
export function exactSize(bytes) {
  return bytes < 1000 ? size(bytes) : `${size(bytes)} (${count(bytes)} B)`;
}

export function percent(part, whole) {
  return whole > 0 ? Math.min(100, Math.max(0, (100 * part) / whole)) : 0;
}

/** A length of time in seconds, with the two largest units. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [
    ['days', Math.floor(whole / 86400)],
    ['hours', Math.floor(whole / 3600) % 24],
    ['minutes', Math.floor(whole / 60) % 60],
    ['seconds', whole % 60],
  ];
  const first = parts.findIndex(([, number]) => number > 0);
  if (first < 0) return t('time.seconds', { n: 0 });
  const shown = parts.slice(first, first + 2).filter(([, number]) => number > 0);
  return shown.map(([unit, number]) => t(`time.${unit}`, { n: number })).join(' ');
}

let ahead = 0;

/** Takes over the tracker's clock, in Unix seconds: its times are told against it, not against the reader's. */
export function setClock(now) {
  ahead = now - Date.now() / 1000;
}

/** How long ago a moment in Unix seconds was. */
export function ago(seconds) {
  return t('time.ago', { d: duration(Date.now() / 1000 + ahead - seconds) });
}

/** A moment in Unix seconds, as the reader's clock has it. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString(language(), { dateStyle: 'medium', timeStyle: 'medium' });
}

/** The same in universal time, the same in every language. */
export function utc(seconds) {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
