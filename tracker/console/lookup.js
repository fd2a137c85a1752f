// The view of one file: what its name says, which members hold it, its metadata, a preview, and its end.

import { ask, idPath, tracker } from './api.js';
import { noteRefusal } from './access.js';
import { changed } from './change.js';
import { confirm } from './dialog.js';
import { announce, h, webUrl } from './dom.js';
import { isPicture, parse } from './fileid.js';
import { exactSize, moment, utc } from './format.js';
import { t } from './i18n.js';

/** What was typed, and what is known of the file: each part is `{value}` or `{error}` once an answer came. */
const state = { text: '', file: null, ...nothingKnown() };

function nothingKnown() {
  return { bad: false, holders: null, places: null, info: null, metadata: null, previewFailed: false, deleted: false };
}

/** Looks for what a hash such as `#file/group1/M00/...` names. */
export function lookUp(text) {
  if (text === state.text && state.file) return;
  Object.assign(state, { text, file: parse(text), ...nothingKnown() });
  state.bad = text !== '' && state.file === null;
  if (state.file) find(state.file);
  changed();
}

/** Asks the tracker who should have the file, then the best of them about it. */
async function find(file) {
  const path = idPath(file.id);
  const [holders, places] = await Promise.all([
    outcome(tracker(`v1/schedule/holders/${path}`)),
    outcome(tracker(`v1/schedule/download/${path}`)),
  ]);
  if (state.file !== file) return;
  Object.assign(state, { holders, places });
  changed();
  const url = restUrl();
  if (!url) return;
  const [info, metadata] = await Promise.all([outcome(ask(url)), outcome(ask(`${url}/metadata`))]);
  if (state.file !== file) return;
  Object.assign(state, { info, metadata });
  announce(t('lookup.done'));
  changed();
}

async function outcome(promise) {
  try {
    return { value: await promise };
  } catch (error) {
    noteRefusal(error);
    return { error };
  }
}

/** The best member to read the file from. */
function bestPlace() {
  return state.places?.value?.places[0] ?? null;
}

/** The file's URL there. */
function fileUrl() {
  return webUrl(bestPlace()?.url ?? '');
}

/** What the file is asked about and deleted by; null where only storages of FastDFS have it. */
function restUrl() {
  return webUrl(bestPlace()?.rest_url ?? '');
}

export function lookupView() {
  return [
    form(),
    state.bad && h('p', { key: 'bad', role: 'alert', class: 'notice notice-bad' }, t('lookup.bad')),
    state.file && fileView(state.file),
  ];
}

function form() {
  const submit = (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get('id').trim();
    location.hash = `file/${parse(text)?.id ?? text}`;
  };
  return h(
    'form',
    { key: 'form', class: 'lookup', role: 'search', onsubmit: submit },
    h(
      'label',
      { class: 'field' },
      h('span', null, t('lookup.label')),
      h('input', {
        name: 'id',
        type: 'text',
        class: 'code',
        autocomplete: 'off',
        spellcheck: 'false',
        placeholder: 'group1/M00/00/00/…',
        id: 'lookup-id',
      }),
    ),
    h('button', { type: 'submit', class: 'primary' }, t('lookup.go')),
  );
}

/** Puts what is looked at into the field, when it did not come from there. */
export function fillLookup() {
  const field = document.getElementById('lookup-id');
  if (field && document.activeElement !== field) field.value = state.text;
}

function fileView(file) {
  return h(
    'article',
    { key: file.id, class: 'file', 'aria-labelledby': 'file-title' },
    h('h2', { id: 'file-title', class: 'code wrap' }, file.id),
    state.deleted ? h('p', { class: 'notice notice-warn', role: 'status' }, t('lookup.deleted')) : fileActions(file),
    h('div', { class: 'columns' }, [
      nameCard(file),
      holdersCard(),
      infoCard(),
      metadataCard(),
      !state.deleted && previewCard(file),
    ]),
  );
}

function fileActions(file) {
  const url = fileUrl();
  if (!url) return null;
  const save = new URL(url);
  const name = originalName();
  if (name) save.searchParams.set('filename', name);
  return h(
    'p',
    { class: 'buttons buttons-left' },
    h(
      'a',
      { class: 'button primary', href: save.href, download: name ?? file.name, rel: 'noreferrer' },
      t('lookup.download'),
    ),
    h('a', { class: 'button', href: url, target: '_blank', rel: 'noreferrer' }, t('lookup.open')),
    h('button', { type: 'button', onclick: () => copy(url) }, t('copy.url')),
    h('button', { type: 'button', onclick: () => copy(file.id) }, t('copy.id')),
    restUrl() && h('button', { type: 'button', class: 'danger', onclick: () => askToDelete(file) }, t('lookup.delete')),
  );
}

/** Puts a text into the clipboard; where the browser has none for pages without TLS, by the old way. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  announce(t('copy.done'));
}

function askToDelete(file) {
  const run = async () => {
    await ask(restUrl(), { method: 'DELETE' });
    state.deleted = true;
    announce(t('lookup.deleted'));
    changed();
  };
  confirm({
    title: t('lookup.delete_title'),
    text: t('lookup.delete_text', { id: file.id }),
    action: t('lookup.delete'),
    run,
  });
}

function card(title, ...content) {
  return h('section', { key: title, class: 'card' }, h('h3', null, title), content);
}

function rows(pairs) {
  return h(
    'dl',
    { class: 'rows' },
    pairs.filter(Boolean).map(([name, value]) => [h('dt', null, name), h('dd', null, value)]),
  );
}

function nameCard(file) {
  const code = (text) => h('span', { class: 'code' }, text);
  return card(
    t('name.title'),
    rows([
      [t('name.kind'), t(`kind.${file.kind}`)],
      [t('name.time'), [moment(file.time), h('span', { class: 'under muted' }, utc(file.time))]],
      [t('name.size'), file.size === null ? t('name.size_unknown') : exactSize(file.size)],
      [t('name.crc32'), code(file.crc32)],
      [t('name.source'), file.sourceIsId ? [t('name.source_id'), ' ', code(file.source)] : code(file.source)],
      [t('name.place'), code(`${file.group}/${file.storePath}/${file.directory}`)],
      [t('name.extension'), file.extension ? code(file.extension) : '–'],
    ]),
    file.kind === 'slave' && h('p', { class: 'muted' }, t('name.slave_note')),
  );
}

/** What its storage says of it now: of files that change, and of slaves, the name does not. */
function infoCard() {
  const { info } = state;
  if (!info) return null;
  const title = t('info.title');
  if (info.error) return card(title, h('p', { class: 'error' }, info.error.message));
  const { size: bytes, crc32, modified, filename, expires } = info.value;
  const time = (text) => moment(Date.parse(text) / 1000);
  return card(
    title,
    rows([
      [t('info.size'), exactSize(bytes)],
      crc32 && [t('name.crc32'), h('span', { class: 'code' }, crc32)],
      modified && [t('info.modified'), time(modified)],
      filename && [t('info.filename'), filename],
      expires && [t('info.expires'), time(expires)],
    ]),
  );
}

function holdersCard() {
  const title = t('holders.title');
  const { holders } = state;
  if (holders === null) return card(title, h('p', { class: 'muted' }, t('lookup.asking')));
  if (holders.error) return card(title, h('p', { class: 'error' }, holders.error.message));
  const asked = state.info?.value?.holders ?? [];
  return card(
    title,
    h(
      'ul',
      { class: 'holders' },
      holders.value.holders.map((holder) => holderView(holder, asked)),
    ),
    h('p', { class: 'muted' }, t(asked.length > 0 ? 'holders.asked' : 'holders.note')),
  );
}

/** A member: what it said itself when it was asked counts more than what the tracker works out. */
function holderView(holder, asked) {
  const said = asked.find((one) => one.id === holder.storage)?.has_file ?? null;
  const has = said === null ? holder.has : said ? 'yes' : 'not_yet';
  const level = { yes: 'ok', not_yet: 'warn' }[has] ?? 'warn';
  const href = webUrl(holder.url);
  return h(
    'li',
    { key: holder.storage },
    h('span', { class: 'code' }, holder.storage),
    h('span', { class: `status status-${holder.status === 'OFFLINE' ? 'bad' : level}` }, t(`has.${has}`)),
    holder.status !== 'ACTIVE' && h('span', { class: 'tag' }, holder.status),
    holder.is_source && h('span', { class: 'tag' }, t('holders.source')),
    holder.last_synced &&
      h('span', { class: 'muted under' }, t('holders.synced', { when: moment(holder.last_synced) })),
    href && has === 'yes' && h('a', { href, target: '_blank', rel: 'noreferrer' }, t('lookup.open')),
  );
}

/** Names and values, by name. */
function metadata() {
  return Object.entries(state.metadata?.value ?? {});
}

function originalName() {
  return metadata().find(([name]) => name === 'fdfs.filename')?.[1] ?? null;
}

function metadataCard() {
  const title = t('metadata.title');
  if (!state.metadata)
    return card(title, h('p', { class: 'muted' }, restUrl() ? t('lookup.asking') : t('metadata.nobody')));
  const { error } = state.metadata;
  if (error) return card(title, h('p', { class: 'error' }, error.message));
  if (metadata().length === 0) return card(title, h('p', { class: 'muted' }, t('metadata.none')));
  return card(
    title,
    rows(
      metadata().map(([name, value]) => [
        h('span', { class: 'code wrap' }, name),
        h('span', { class: 'wrap' }, String(value)),
      ]),
    ),
  );
}

function previewCard(file) {
  const src = fileUrl();
  if (!src || !isPicture(file.extension)) return null;
  const failed = () => {
    state.previewFailed = true;
    changed();
  };
  return card(
    t('preview.title'),
    state.previewFailed
      ? h('p', { class: 'muted' }, t('preview.failed'))
      : h('img', { class: 'preview', src, alt: t('preview.alt', { id: file.id }), onerror: failed, loading: 'lazy' }),
  );
}
