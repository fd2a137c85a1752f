// The page: which view is shown, what is asked in the background, and what stands above every view.

import { TRACKER } from './api.js';
import { accessButton, accessNotice, noteRefusal, onToken } from './access.js';
import { onAdminChange } from './admin.js';
import { changed, onChange } from './change.js';
import { readCluster } from './cluster.js';
import { announce, h, show } from './dom.js';
import { duration, moment } from './format.js';
import { clusterView } from './groups.js';
import { language, otherLanguage, setLanguage, t } from './i18n.js';
import { fillLookup, lookUp, lookupView } from './lookup.js';
import { poll } from './poll.js';
import { acceptDrops, uploadView } from './upload.js';
import { warnings } from './warnings.js';

const VIEWS = ['cluster', 'file', 'upload'];
const THEMES = ['auto', 'light', 'dark'];
const THEME_KEY = 'fdfs.theme';

const state = { view: 'cluster', cluster: null, trouble: null, nextTry: 0, blocked: false };

// --- where we are -------------------------------------------------------------------------------------------------------

/** The hash as it was meant; whoever typed a wrong escape gets it as it is. */
function hash() {
  const text = location.hash.slice(1);
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readHash() {
  const [view, ...rest] = hash().split('/');
  state.view = VIEWS.includes(view) ? view : 'cluster';
  if (state.view === 'file') lookUp(rest.join('/'));
  changed();
}

function theme() {
  const kept = localStorage.getItem(THEME_KEY);
  return THEMES.includes(kept) ? kept : 'auto';
}

function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  localStorage.setItem(THEME_KEY, next);
  changed();
}

function switchLanguage() {
  setLanguage(otherLanguage());
  changed();
}

// --- what is shown ------------------------------------------------------------------------------------------------------

function header() {
  const tab = (view) =>
    h(
      'a',
      { key: view, href: `#${view}`, class: 'tab', 'aria-current': state.view === view ? 'page' : null },
      t(`tab.${view}`),
    );
  return [
    h(
      'h1',
      null,
      h('span', { class: 'mark', 'aria-hidden': 'true' }),
      'fdfs',
      h('span', { class: 'host code', title: state.cluster && `fdfs ${state.cluster.version}` }, TRACKER.host),
    ),
    h('nav', { 'aria-label': t('nav.views') }, VIEWS.map(tab)),
    connection(),
    h(
      'div',
      { class: 'tools' },
      accessButton(),
      h('button', { type: 'button', class: 'quiet', onclick: nextTheme }, t(`theme.${theme()}`)),
      h(
        'button',
        { type: 'button', class: 'quiet', lang: otherLanguage(), onclick: switchLanguage },
        t('language.other'),
      ),
    ),
  ];
}

function connection() {
  const { trouble, cluster } = state;
  const level = trouble ? 'bad' : cluster ? 'ok' : 'warn';
  const text = t(trouble ? 'live.no' : cluster ? 'live.yes' : 'live.wait');
  return h('p', { class: `status status-${level} live`, id: 'live' }, text);
}

/** Stands above every view while something is wrong with the console itself. */
function notices() {
  return [troubleNotice(), accessNotice(), state.blocked && blockedNotice()];
}

function troubleNotice() {
  const { trouble, cluster } = state;
  if (!trouble) return null;
  const wait = Math.max(0, (state.nextTry - Date.now()) / 1000);
  return h(
    'div',
    { key: 'trouble', class: 'notice notice-bad' },
    h(
      'p',
      null,
      h('strong', null, t('trouble.title')),
      ' ',
      trouble.message,
      ' ',
      cluster ? t('trouble.old', { when: moment(cluster.at / 1000) }) : '',
      ' ',
      wait > 0 ? t('trouble.next', { d: duration(wait) }) : t('trouble.now'),
    ),
    h('p', { class: 'buttons' }, h('button', { type: 'button', onclick: askNow }, t('trouble.try'))),
  );
}

/** A storage joined after the page was loaded: the page's policy lets it talk to those of then only. */
function blockedNotice() {
  return h(
    'div',
    { key: 'blocked', class: 'notice notice-warn' },
    h('p', null, t('blocked.text')),
    h(
      'p',
      { class: 'buttons' },
      h('button', { type: 'button', onclick: () => location.reload() }, t('blocked.reload')),
    ),
  );
}

function view() {
  if (state.view === 'file') return lookupView();
  if (state.view === 'upload') return uploadView(state.cluster);
  return clusterView(state.cluster);
}

function title() {
  const bad = state.cluster ? warnings(state.cluster).filter((one) => one.level === 'bad').length : 0;
  return `${bad > 0 ? `(${bad}) ` : ''}${t(`tab.${state.view}`)} · fdfs ${TRACKER.host}`;
}

function draw() {
  const root = document.documentElement;
  root.lang = language();
  root.dataset.theme = theme();
  document.title = title();
  document.getElementById('skip').textContent = t('nav.skip');
  show(document.getElementById('header'), header());
  show(document.getElementById('notices'), notices());
  // Each view has a place of its own, so that what was typed in one is there when it is shown again.
  for (const name of VIEWS) document.getElementById(`view-${name}`).hidden = name !== state.view;
  show(document.getElementById(`view-${state.view}`), view());
  if (state.view === 'file') fillLookup();
}

// --- what is asked in the background ------------------------------------------------------------------------------------

let saidBad = '';

function onAnswer(cluster) {
  if (state.trouble) announce(t('live.yes'));
  Object.assign(state, { cluster, trouble: null });
  // New grave warnings are said aloud; those that were there are not said again.
  const bad = warnings(cluster).filter((one) => one.level === 'bad');
  const keys = bad.map((one) => one.key).join('\n');
  if (keys !== saidBad && bad.length > 0) announce(bad.map((one) => one.text).join(' '));
  saidBad = keys;
  changed();
}

function onTrouble(error, waitMs) {
  const isAccess = noteRefusal(error);
  if (!isAccess && !state.trouble) announce(t('trouble.title'), true);
  Object.assign(state, { trouble: isAccess ? null : error, nextTry: Date.now() + waitMs });
  changed();
}

onChange(draw);
document.getElementById('skip').onclick = (event) => {
  // The hash names the view, so it is not used to jump.
  event.preventDefault();
  document.getElementById('main').focus();
};
window.addEventListener('hashchange', readHash);
document.addEventListener('securitypolicyviolation', (event) => {
  if (event.blockedURI.startsWith('http')) {
    state.blocked = true;
    changed();
  }
});
readHash();
acceptDrops(() => (location.hash = 'upload'));
const askNow = poll(readCluster, onAnswer, onTrouble);
onToken(askNow);
onAdminChange(askNow);
// Times that count down or up are drawn anew each second.
setInterval(() => document.hidden || changed(), 1000);
