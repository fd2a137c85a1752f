// The view of uploads: a place to drop files on, and a row for each with its bar and buttons.

import { changed } from './change.js';
import { h, webUrl } from './dom.js';
import { duration, percent, size } from './format.js';
import { t } from './i18n.js';
import { copy } from './lookup.js';
import { addFiles, allUploads, cancel, isBusy, pause, recallUnfinished, resume } from './uploads.js';

const state = { dragging: 0, group: '' };

export function uploadView(cluster) {
  return [dropZone(), options(cluster), list()];
}

function dropZone() {
  return h(
    'div',
    { key: 'drop', class: `drop ${state.dragging > 0 ? 'drop-over' : ''}`, id: 'drop' },
    h('p', { class: 'drop-title' }, t('upload.drop')),
    h(
      'p',
      null,
      // The field itself takes the focus; its label is what one sees and clicks.
      h('input', { type: 'file', multiple: true, id: 'files', class: 'hidden file-input', onchange: chosen }),
      h('label', { for: 'files', class: 'button primary' }, t('upload.choose')),
    ),
    h('p', { class: 'muted' }, t('upload.resumes')),
  );
}

function chosen(event) {
  addFiles(event.target.files, state.group);
  event.target.value = '';
}

function options(cluster) {
  const groups = cluster?.groups ?? [];
  if (groups.length < 2) return null;
  const choose = (event) => (state.group = event.target.value);
  return h(
    'p',
    { key: 'options' },
    h(
      'label',
      { class: 'field field-inline' },
      h('span', null, t('upload.group')),
      h(
        'select',
        { onchange: choose },
        h('option', { value: '' }, t('upload.any_group')),
        groups.map((group) => h('option', { key: group.name, value: group.name }, group.name)),
      ),
    ),
  );
}

function list() {
  const uploads = allUploads();
  if (uploads.length === 0) return null;
  return h(
    'section',
    { key: 'list', 'aria-labelledby': 'uploads-title' },
    h('h2', { id: 'uploads-title' }, t('upload.list')),
    h('ul', { class: 'uploads' }, uploads.map(row)),
  );
}

function row(upload) {
  return h(
    'li',
    { key: upload.key + (upload.result?.id ?? ''), class: `upload upload-${upload.state}` },
    h(
      'div',
      { class: 'upload-head' },
      h('strong', { class: 'wrap' }, upload.name),
      h('span', { class: 'muted' }, size(upload.size)),
    ),
    upload.state !== 'done' && progress(upload),
    h(
      'p',
      { class: upload.state === 'failed' ? 'error' : 'muted', role: upload.state === 'failed' ? 'alert' : null },
      said(upload),
    ),
    upload.result && result(upload.result),
    h('p', { class: 'buttons buttons-left' }, rowButtons(upload)),
  );
}

function progress(upload) {
  const name = { 'aria-label': t('upload.progress', { name: upload.name }) };
  return h('progress', { max: Math.max(1, upload.size), set: { value: upload.sent }, ...name });
}

function said(upload) {
  const part = { percent: Math.floor(percent(upload.sent, upload.size)), sent: size(upload.sent) };
  const reason = upload.error?.message ?? '';
  switch (upload.state) {
    case 'sending':
      if (!upload.rate) return t('upload.sending', part);
      return t('upload.sending_rate', {
        ...part,
        rate: size(upload.rate),
        left: duration((upload.size - upload.sent) / upload.rate),
      });
    case 'retrying':
      return t('upload.retrying', { ...part, reason, wait: duration((upload.retryAt - Date.now()) / 1000) });
    case 'failed':
      return t('upload.failed', { reason });
    case 'done':
      return t('upload.done');
    default:
      return t(`upload.${upload.state}`, part);
  }
}

function result({ id, url }) {
  return h(
    'p',
    { class: 'result' },
    h('a', { href: webUrl(url), class: 'code wrap', target: '_blank', rel: 'noreferrer' }, url),
    h('span', { class: 'hidden' }, id),
  );
}

function rowButtons(upload) {
  const button = (name, onclick, kind = '') =>
    h(
      'button',
      { key: name, type: 'button', class: kind, onclick },
      t(name),
      h('span', { class: 'hidden' }, ` ${upload.name}`),
    );
  const { result } = upload;
  const isRunning = ['waiting', 'sending', 'retrying'].includes(upload.state);
  return [
    isRunning && button('upload.pause', () => pause(upload)),
    upload.state === 'paused' && button('upload.resume', () => resume(upload)),
    upload.state === 'failed' && button('upload.again', () => resume(upload)),
    result && button('copy.url', () => copy(result.url), 'primary'),
    result && h('a', { key: 'look', class: 'button', href: `#file/${result.id}` }, t('upload.look_up')),
    button(upload.state === 'done' ? 'upload.remove' : 'upload.cancel', () => cancel(upload), 'quiet'),
  ];
}

/** Takes files that are dropped anywhere on the page; `showUploads()` brings the view up. */
export function acceptDrops(showUploads) {
  const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
  const drag = (step) => (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    state.dragging = Math.max(0, state.dragging + step);
    changed();
  };
  window.addEventListener('dragenter', drag(1));
  window.addEventListener('dragover', drag(0));
  window.addEventListener('dragleave', drag(-1));
  window.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    state.dragging = 0;
    showUploads();
    addFiles(event.dataTransfer.files, state.group);
  });
  // Uploads go on after a reload, but only when their files are chosen again.
  window.addEventListener('beforeunload', (event) => {
    if (isBusy()) event.preventDefault();
  });
  recallUnfinished();
}
