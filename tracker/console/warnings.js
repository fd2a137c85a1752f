// What an operator should look at, worked out from the cluster's state.

import { MB, count, duration, size } from './format.js';
import { t } from './i18n.js';

/** A member may be this far behind before it is worth a warning, in seconds. */
const LAG = 60;
/** Free space above the reserve that is little: this part of all. */
const LITTLE = 0.05;
/** States through which a member goes on its way to ACTIVE. */
const ON_ITS_WAY = ['INIT', 'WAIT_SYNC', 'SYNCING', 'ONLINE', 'RECOVERY'];

/** Warnings, the gravest first: `{level: 'bad' | 'warn', key, text}`. */
export function warnings(cluster) {
  const found = [];
  const add = (level, key, text) => found.push({ level, key, text });
  if (cluster.groups.length > 0 && cluster.leader === null) add('warn', 'leader', t('warn.no_leader'));
  for (const group of cluster.groups) {
    ofGroup(group, add);
    for (const member of group.members) ofMember(group, member, add);
    for (const pair of group.replication) ofPair(group, pair, add);
  }
  return found.sort((a, b) => (a.level === 'bad' ? 0 : 1) - (b.level === 'bad' ? 0 : 1));
}

function ofGroup(group, add) {
  const present = group.members.filter((member) => member.status !== 'DELETED');
  if (present.length > 0 && group.writable === 0)
    add('bad', `writable ${group.name}`, t('warn.not_writable', { group: group.name }));
  const level = spaceLevel(group.free_mb, group.total_mb, group.reserved_mb);
  const text = { group: group.name, free: size(group.free_mb * MB), reserved: size(group.reserved_mb * MB) };
  if (level === 'bad') add('bad', `space ${group.name}`, t('warn.full', text));
  if (level === 'warn') add('warn', `space ${group.name}`, t('warn.little_space', text));
}

function ofMember(group, member, add) {
  const name = { member: member.id, group: group.name, status: member.status };
  const key = `member ${group.name} ${member.id}`;
  if (member.status === 'OFFLINE') add('bad', key, t('warn.offline', name));
  else if (ON_ITS_WAY.includes(member.status)) add('warn', key, t('warn.on_its_way', name));
}

function ofPair(group, pair, add) {
  const names = { source: pair.source, destination: pair.destination, group: group.name };
  const key = (what) => `${what} ${group.name} ${pair.source} ${pair.destination}`;
  if (pair.dead_letters > 0) add('bad', key('dead'), t('warn.dead_letters', { ...names, n: count(pair.dead_letters) }));
  if (pair.state === 'stalled') add('bad', key('stalled'), t('warn.stalled', names));
  else if (pair.lag_seconds > LAG)
    add('warn', key('lag'), t('warn.lag', { ...names, lag: duration(pair.lag_seconds) }));
}

/** How space is: `bad` below the reserve, where uploads are refused. */
export function spaceLevel(freeMb, totalMb, reservedMb) {
  if (totalMb <= 0) return 'ok';
  if (freeMb <= reservedMb) return 'bad';
  return freeMb - reservedMb < totalMb * LITTLE ? 'warn' : 'ok';
}
