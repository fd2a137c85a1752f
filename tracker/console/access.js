// The token: asked for when a server wants one, kept for this tab only.

import { Refusal, setToken, token } from './api.js';
import { changed } from './change.js';
import { buttons, openDialog } from './dialog.js';
import { announce, h } from './dom.js';
import { t } from './i18n.js';

/** The last refusal that a token would help against. */
let refusal = null;
let afterwards = () => {};

/** Sets what is done when there is another token. */
export function onToken(callback) {
  afterwards = callback;
}

/** Notes what a request failed with; true if a token would help. */
export function noteRefusal(error) {
  if (!(error instanceof Refusal && error.needsToken)) return false;
  if (refusal === null) announce(t('access.wanted'), true);
  refusal = error;
  changed();
  return true;
}

/** The button at the top. */
export function accessButton() {
  return h(
    'button',
    { type: 'button', class: 'quiet', onclick: openAccess },
    t(token() ? 'access.has' : 'access.none'),
  );
}

/** What is said while a server wants a token. */
export function accessNotice() {
  if (refusal === null) return null;
  const who = new URL(refusal.url).host;
  return h(
    'div',
    { key: 'access', class: 'notice notice-warn' },
    h('p', null, h('strong', null, t('access.refused', { who })), ' ', refusal.message),
    h(
      'p',
      { class: 'buttons' },
      h('button', { type: 'button', onclick: openAccess }, t('access.enter')),
      h('button', { type: 'button', class: 'quiet', onclick: dismiss }, t('access.dismiss')),
    ),
  );
}

function dismiss() {
  refusal = null;
  changed();
}

function openAccess() {
  let typed = '';
  const input = { type: 'password', autocomplete: 'off', spellcheck: 'false', class: 'code' };
  const save = (text) => {
    setToken(text.trim());
    box.close();
    dismiss();
    afterwards();
  };
  const content = () => [
    h('p', null, t('access.explained')),
    h(
      'label',
      { class: 'field' },
      h('span', null, t('access.token')),
      h('input', { ...input, oninput: (event) => (typed = event.target.value) }),
    ),
    token() && h('p', null, h('button', { type: 'button', onclick: () => save('') }, t('access.forget'))),
    buttons(() => box.close(), t('access.use')),
  ];
  const box = openDialog(t('access.title'), content, () => save(typed));
}
