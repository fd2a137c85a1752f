// The view of the cluster: trackers, groups, members, capacity, and how far replication is.

import { manageGroup, manageMember } from './admin.js';
import { changed } from './change.js';
import { series } from './cluster.js';
import { h, webUrl } from './dom.js';
import { MB, ago, count, duration, moment, percent, size, utc } from './format.js';
import { samples } from './history.js';
import { t } from './i18n.js';
import { bar, line } from './plot.js';
import { spaceLevel, warnings } from './warnings.js';

/** Groups with more pairs show those that are not in step, until all are asked for. */
const MANY_PAIRS = 24;
/** A bar of lag is full at one day; it grows with the logarithm, so that seconds can be seen, too. */
const LAG_FULL = 86_400;

const showsAllPairs = new Set();

export function clusterView(cluster) {
  if (cluster === null) return h('p', { class: 'empty' }, t('cluster.loading'));
  return [
    summary(cluster),
    warningList(cluster),
    cluster.groups.map(groupView),
    cluster.groups.length === 0 && emptyCluster(),
  ];
}

function summary(cluster) {
  const members = cluster.groups.flatMap((group) => group.members).filter((member) => member.status !== 'DELETED');
  const active = members.filter((member) => member.status === 'ACTIVE').length;
  const sum = (name) => cluster.groups.reduce((total, group) => total + Math.max(0, group[name]), 0);
  const lags = cluster.groups.flatMap((group) => group.replication).map((pair) => pair.lag_seconds ?? 0);
  const fact = (name, value, level = '') =>
    h('div', { class: `fact ${level}` }, h('dt', null, t(name)), h('dd', null, value));
  return h(
    'section',
    { key: 'summary', 'aria-label': t('summary.title') },
    h(
      'dl',
      { class: 'facts' },
      fact('summary.groups', count(cluster.groups.length)),
      fact(
        'summary.members',
        t('summary.of', { part: count(active), all: count(members.length) }),
        active < members.length ? 'bad' : '',
      ),
      fact('summary.free', t('summary.of', { part: size(sum('free_mb') * MB), all: size(sum('total_mb') * MB) })),
      fact('summary.lag', duration(Math.max(0, ...lags))),
      h(
        'div',
        { class: 'fact fact-wide' },
        h('dt', null, t('summary.trackers')),
        h(
          'dd',
          null,
          cluster.trackers.length === 0
            ? t('summary.no_trackers')
            : h('ul', { class: 'inline' }, cluster.trackers.map(trackerView)),
        ),
      ),
    ),
  );
}

function trackerView(tracker) {
  return h(
    'li',
    { key: tracker.address },
    h('span', { class: 'code' }, tracker.address),
    tracker.is_leader && h('span', { class: 'tag tag-ok' }, t('tracker.leader')),
    tracker.is_own && h('span', { class: 'tag' }, t('tracker.own')),
  );
}

function warningList(cluster) {
  const found = warnings(cluster);
  return h(
    'section',
    { key: 'warnings', 'aria-labelledby': 'warnings-title' },
    h('h2', { id: 'warnings-title', class: 'hidden' }, t('warn.title')),
    found.length === 0
      ? h('p', { class: 'all-well' }, t(cluster.groups.length === 0 ? 'warn.nothing_yet' : 'warn.none'))
      : h('ul', { class: 'warnings' }, found.map(warningView)),
  );
}

function warningView({ level, key, text }) {
  return h('li', { key, class: `notice notice-${level}` }, h('strong', null, t(`level.${level}`)), ' ', text);
}

function emptyCluster() {
  return h(
    'div',
    { key: 'empty', class: 'empty' },
    h('h2', null, t('cluster.empty')),
    h('p', null, t('cluster.empty_help')),
  );
}

function groupView(group) {
  const id = `group-${group.name}`;
  return h(
    'section',
    { key: id, class: 'group', 'aria-labelledby': id },
    h(
      'header',
      null,
      h('h2', { id }, group.name),
      h('p', { class: 'muted' }, groupFacts(group)),
      h(
        'button',
        { type: 'button', class: 'quiet', onclick: () => manageGroup(group) },
        t('admin.manage'),
        h('span', { class: 'hidden' }, ` ${group.name}`),
      ),
    ),
    membersTable(group),
    group.replication.length > 0 && pairsTable(group),
  );
}

function groupFacts(group) {
  return t('group.facts', {
    readable: count(group.readable),
    writable: count(group.writable),
    paths: count(group.store_path_count),
    reserved: size(group.reserved_mb * MB),
  });
}

/** A table that becomes a list of cards on narrow screens; roles are written out, since that takes them away. */
function table(caption, columns, rows) {
  const head = (name) => h('th', { role: 'columnheader', scope: 'col' }, t(name));
  const cell = (content, at) => {
    const label = t(columns[at]);
    return at === 0
      ? h('th', { role: 'rowheader', scope: 'row', 'data-label': label }, content)
      : h('td', { role: 'cell', 'data-label': label }, content);
  };
  const body = rows.map(({ key, cells }) => h('tr', { key, role: 'row' }, cells.map(cell)));
  return h(
    'div',
    { key: caption, class: 'table' },
    h(
      'table',
      { role: 'table' },
      h('caption', { class: 'hidden' }, caption),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map(head))),
      h('tbody', { role: 'rowgroup' }, body),
    ),
  );
}

function membersTable(group) {
  const columns = [
    'member.id',
    'member.status',
    'member.mode',
    'member.space',
    'member.free_over_time',
    'member.beat',
    'member.up',
    'member.version',
    'member.http',
    'member.actions',
  ];
  const rows = group.members.map((member) => ({ key: member.id, cells: memberCells(group, member) }));
  return table(t('members.title', { group: group.name }), columns, rows);
}

function memberCells(group, member) {
  const address = `${member.ip}:${member.port}`;
  const freeLine = samples(series.free(group, member));
  return [
    [
      h('span', { class: 'code' }, member.id),
      h('span', { class: 'code muted under' }, member.id === member.ip ? `:${member.port}` : address),
    ],
    [status(member.status), member.is_trunk_server && h('span', { class: 'tag' }, t('member.trunk'))],
    h('span', { class: member.mode === 'rw' ? null : 'bad' }, t(`mode.${member.mode}`)),
    spaceCell(group, member),
    line(freeLine, member.total_mb, t('plot.free', { free: size(member.free_mb * MB) })),
    timeCell(member.last_heart_beat, member.status === 'OFFLINE'),
    timeCell(member.up_time),
    h('span', { class: 'code' }, member.version || '–'),
    httpCell(member.http_url),
    h(
      'button',
      { type: 'button', class: 'quiet', onclick: () => manageMember(group, member) },
      t('admin.manage'),
      h('span', { class: 'hidden' }, ` ${member.id}`),
    ),
  ];
}

/** States differ by their words and marks, not by colours alone. */
function status(name) {
  const level = name === 'ACTIVE' ? 'ok' : name === 'OFFLINE' || name === 'DELETED' ? 'bad' : 'warn';
  return h('span', { class: `status status-${level}`, title: t(`status.${name}`) }, name);
}

function spaceCell(group, member) {
  const used = member.total_mb - member.free_mb;
  const level = spaceLevel(member.free_mb, member.total_mb, member.reserved_mb);
  const sizes = { used: size(used * MB), free: size(member.free_mb * MB), total: size(member.total_mb * MB) };
  const mark = member.total_mb - member.reserved_mb;
  return [
    bar(used, member.total_mb, t('space.label', { ...sizes, percent: Math.round(percent(used, member.total_mb)) }), {
      level,
      mark,
    }),
    h('span', { class: 'under' }, t('space.short', sizes)),
  ];
}

function timeCell(seconds, isLate = false) {
  if (!(seconds > 0)) return h('span', { class: 'muted' }, '–');
  return h(
    'time',
    {
      datetime: new Date(seconds * 1000).toISOString(),
      title: `${moment(seconds)} · ${utc(seconds)}`,
      class: isLate ? 'bad' : null,
    },
    ago(seconds),
  );
}

function httpCell(text) {
  const href = text && webUrl(text);
  if (!href) return h('span', { class: 'muted' }, text ?? t('member.no_http'));
  return h('a', { href, class: 'code', rel: 'noreferrer', target: '_blank' }, text.replace(/^http:\/\//, ''));
}

function pairsTable(group) {
  const all = group.replication;
  const behind = all.filter((pair) => !isInStep(pair));
  const isLong = all.length > MANY_PAIRS;
  const shown = isLong && !showsAllPairs.has(group.name) ? behind : all;
  const columns = [
    'pair.pair',
    'pair.state',
    'pair.lag',
    'pair.over_time',
    'pair.to_go',
    'pair.pace',
    'pair.dead',
    'pair.synced',
  ];
  const rows = shown.map((pair) => ({ key: `${pair.source} ${pair.destination}`, cells: pairCells(group, pair) }));
  return [
    h('h3', { key: 'pairs-title' }, t('pairs.title')),
    isLong &&
      h(
        'p',
        { key: 'pairs-choice', class: 'muted' },
        t('pairs.many', { behind: count(behind.length), all: count(all.length) }),
        ' ',
        h(
          'button',
          { type: 'button', onclick: () => togglePairs(group.name) },
          t(showsAllPairs.has(group.name) ? 'pairs.fewer' : 'pairs.all'),
        ),
      ),
    rows.length > 0 && table(t('pairs.caption', { group: group.name }), columns, rows),
  ];
}

function togglePairs(name) {
  if (!showsAllPairs.delete(name)) showsAllPairs.add(name);
  changed();
}

function isInStep(pair) {
  return !pair.dead_letters && (pair.state === null ? pair.lag_seconds === 0 : pair.state === 'in_step');
}

function pairCells(group, pair) {
  const lag = pair.lag_seconds;
  const lagText = lag === null ? t('pair.unknown') : duration(lag);
  const names = { source: pair.source, destination: pair.destination };
  const part = lag > 0 ? Math.log(1 + lag) / Math.log(1 + LAG_FULL) : 0;
  const plot = samples(series.lag(group, pair));
  const most = Math.max(0, ...plot.map((sample) => sample.value ?? 0));
  return [
    [
      h('span', { class: 'code' }, pair.source),
      h('span', { class: 'arrow', 'aria-hidden': 'true' }, ' → '),
      h('span', { class: 'hidden' }, ` ${t('pair.to')} `),
      h('span', { class: 'code' }, pair.destination),
    ],
    pairState(group, pair),
    [
      bar(part, 1, t('pair.lag_label', { ...names, lag: lagText }), {
        level: lag > 60 ? 'bad' : lag > 5 ? 'warn' : 'ok',
      }),
      h('span', { class: 'under' }, lagText),
    ],
    line(plot, 5, t('plot.lag', { now: lagText, most: duration(most) })),
    toGo(pair),
    pair.per_second === null ? '–' : t('pair.per_second', { n: count(pair.per_second) }),
    pair.dead_letters === null
      ? '–'
      : h('span', { class: pair.dead_letters > 0 ? 'bad' : null }, count(pair.dead_letters)),
    timeCell(pair.last_synced),
  ];
}

/** Of a source that is away only old news is known. */
function pairState(group, pair) {
  const source = group.members.find((member) => member.id === pair.source);
  const name = source?.status === 'OFFLINE' ? 'source_away' : (pair.state ?? 'by_timestamps');
  const level = { in_step: 'ok', by_timestamps: 'ok', stalled: 'bad', source_away: 'bad' }[name] ?? 'warn';
  return h('span', { class: `status status-${level}` }, t(`pair_state.${name}`));
}

function toGo(pair) {
  if (pair.files_to_go === null) return '–';
  if (pair.files_to_go === 0 || pair.seconds_to_go === null) return count(pair.files_to_go);
  return t('pair.to_go_time', { n: count(pair.files_to_go), d: duration(pair.seconds_to_go) });
}
