// The state of the cluster as the tracker tells it, and what is remembered of it for plots.

import { tracker } from './api.js';
import { setClock } from './format.js';
import { forgetBefore, note } from './history.js';

/** `{at, version, warnings, leader, trackers, groups: [{..., members}]}`. */
export async function readCluster() {
  const calls = ['v1/cluster', 'v1/trackers', 'v1/groups'].map((path) => tracker(path));
  const [{ now, version, warnings }, { leader, trackers }, { groups }] = await Promise.all(calls);
  setClock(now);
  const withMembers = async (group) => {
    try {
      const { storages } = await tracker(`v1/groups/${encodeURIComponent(group.name)}/storages`);
      return { ...group, members: storages };
    } catch (error) {
      // Deleted since the list was made.
      if (error.status === 404) return null;
      throw error;
    }
  };
  const all = await Promise.all(groups.map(withMembers));
  const cluster = {
    at: Date.now(),
    version,
    warnings,
    leader,
    trackers,
    groups: all.filter((group) => group !== null),
  };
  remember(cluster);
  return cluster;
}

/** Names of the series that plots show. */
export const series = {
  lag: (group, pair) => `lag ${group.name} ${pair.source} ${pair.destination}`,
  free: (group, member) => `free ${group.name} ${member.id}`,
};

function remember({ at, groups }) {
  for (const group of groups) {
    for (const pair of group.replication) note(series.lag(group, pair), at, pair.lag_seconds);
    for (const member of group.members) note(series.free(group, member), at, member.free_mb);
  }
  forgetBefore(at);
}
