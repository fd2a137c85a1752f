// Small plots: a line over the last ten minutes, and bars.

import { h } from './dom.js';
import { SPAN_MS } from './history.js';
import { percent } from './format.js';

const WIDTH = 160;
const HEIGHT = 28;

/**
 * A line of samples. The right edge is the newest one, the top the greatest value, at least `atLeast`; gaps are times
 * without a value. `label` says in words what is to be seen.
 */
export function line(samples, atLeast, label) {
  const values = samples.map((sample) => sample.value).filter((value) => value !== null);
  const top = Math.max(atLeast, ...values);
  const end = samples.at(-1)?.at ?? 0;
  const x = (at) => round(WIDTH * (1 - (end - at) / SPAN_MS));
  const y = (value) => round(HEIGHT - 1.5 - (HEIGHT - 3) * (value / top));
  let path = '';
  let area = '';
  let from = null;
  let last = null;
  for (const { at, value } of [...samples, { at: end, value: null }]) {
    if (value !== null) {
      path += `${from === null ? 'M' : 'L'}${x(at)} ${y(value)}`;
      area += from === null ? `M${x(at)} ${HEIGHT}L${x(at)} ${y(value)}` : `L${x(at)} ${y(value)}`;
      from ??= at;
      last = at;
    } else if (from !== null) {
      area += `L${x(last)} ${HEIGHT}Z`;
      from = null;
    }
  }
  return h(
    'svg',
    { class: 'plot', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    h('title', null, label),
    h('path', { class: 'plot-area', d: area }),
    h('path', { class: 'plot-line', d: path, 'vector-effect': 'non-scaling-stroke' }),
  );
}

function round(number) {
  return Math.round(number * 10) / 10;
}

/** A bar that is full to a part of a whole. `mark` is another part that has a line across. `level` is ok, warn or bad. */
export function bar(part, whole, label, { level = 'ok', mark = null } = {}) {
  const style = { '--part': `${percent(part, whole)}%` };
  return h(
    'span',
    { class: `bar bar-${level}`, role: 'img', 'aria-label': label, title: label },
    h('span', { class: 'bar-fill', style }),
    mark === null ? null : h('span', { class: 'bar-mark', style: { '--part': `${percent(mark, whole)}%` } }),
  );
}
