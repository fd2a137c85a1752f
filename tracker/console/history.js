// The last ten minutes of numbers, kept while the page is open.

export const SPAN_MS = 10 * 60_000;

const series = new Map();

/** Notes a value; null means that it is not known now. */
export function note(name, at, value) {
  if (!series.has(name)) series.set(name, []);
  const samples = series.get(name);
  samples.push({ at, value });
  while (samples[0].at < at - SPAN_MS) samples.shift();
}

/** Samples by time, oldest first. */
export function samples(name) {
  return series.get(name) ?? [];
}

/** Forgets series without a sample since `at`: what they were about is gone. */
export function forgetBefore(at) {
  for (const [name, list] of series) if (list.at(-1).at < at) series.delete(name);
}
