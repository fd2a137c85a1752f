// What an operator should look at: what the tracker warns of, in the page's language, and what is about to be the matter.

import { MB, count, duration, size } from './format.js';
import { find, t } from './i18n.js';

/** Clients or files are harmed by these. */
const BAD = [
  'storage_offline',
  'group_full',
  'group_not_writable',
  'group_not_readable',
  'dead_letters',
  'replication_stalled',
];
/** Free space above the reserve that is little: this part of all. */
const LITTLE = 0.05;

/** Warnings, the gravest first: `{level: 'bad' | 'warn', key, text}`. */
export function warnings(cluster) {
  const told = cluster.warnings.map((warning) => ({ ...warning, ...valuesOf(warning, cluster) }));
  const found = [...told, ...cluster.groups.flatMap(soon)];
  return found.map(shown).sort((a, b) => rank(a) - rank(b));
}

function rank({ level }) {
  return level === 'bad' ? 0 : 1;
}

/** What there is to say about a warning of the tracker beyond its code. */
function valuesOf({ group: name, storage, destination }, { groups }) {
  const group = groups.find((one) => one.name === name);
  const member = group?.members.find((one) => one.id === storage);
  const pair = group?.replication.find((one) => one.source === storage && one.destination === destination);
  return {
    status: member?.status,
    mode: member && t(`mode.${member.mode}`),
    n: pair && count(pair.dead_letters ?? 0),
    lag: pair && duration(pair.lag_seconds ?? 0),
    ...(group && space(group)),
  };
}

function space(group) {
  return { free: size(group.free_mb * MB), reserved: size(group.reserved_mb * MB) };
}

/** What the tracker does not warn of yet: senders that get nowhere, and space that comes to its end. */
function soon(group) {
  const stalled = group.replication.filter((pair) => pair.state === 'stalled');
  const found = stalled.map(({ source, destination }) => {
    return { code: 'replication_stalled', group: group.name, storage: source, destination };
  });
  const isLittle = spaceLevel(group.free_mb, group.total_mb, group.reserved_mb) === 'warn';
  return isLittle ? [...found, { code: 'little_space', group: group.name, ...space(group) }] : found;
}

function shown(warning) {
  const { code, group, storage, destination, detail } = warning;
  const key = [code, group, storage, destination].join(' ');
  const place = [group, storage, destination].filter(Boolean).join(', ');
  const text = find(`warn.${code}`, warning) ?? `${place}: ${detail}`;
  return { level: BAD.includes(code) ? 'bad' : 'warn', key, text };
}

/** How space is: `bad` below the reserve, where uploads are refused. */
export function spaceLevel(freeMb, totalMb, reservedMb) {
  if (totalMb <= 0) return 'ok';
  if (freeMb <= reservedMb) return 'bad';
  return freeMb - reservedMb < totalMb * LITTLE ? 'warn' : 'ok';
}
