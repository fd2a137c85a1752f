// Questions before something is done. The browser's own modal dialog keeps the focus inside, and Escape leaves it.

import { h, show } from './dom.js';
import { t } from './i18n.js';

/**
 * Opens the dialog. `content()` describes what is in it and is asked again by the returned `redraw`; `submit()` is called
 * when its form is sent, `closed()` when it was left. Returns `{redraw, close}`.
 */
export function openDialog(title, content, submit, closed = () => {}) {
  const dialog = document.getElementById('dialog');
  const close = () => dialog.close();
  const redraw = () =>
    show(
      dialog,
      h(
        'form',
        {
          method: 'dialog',
          onsubmit: (event) => {
            event.preventDefault();
            submit();
          },
        },
        h('h2', { id: 'dialog-title' }, title),
        content(),
      ),
    );
  dialog.onclose = () => {
    // The event of one that was left for the next comes when that is open.
    if (dialog.open) return;
    // Left empty, so that the next one does not begin with fields that hold what was typed here.
    show(dialog);
    closed();
  };
  show(dialog);
  redraw();
  dialog.showModal();
  return { redraw, close };
}

/** The row of buttons at a dialog's end. */
export function buttons(close, action, { danger = false, disabled = false } = {}) {
  return h(
    'p',
    { class: 'buttons' },
    h('button', { type: 'button', onclick: close }, t('dialog.cancel')),
    h('button', { type: 'submit', class: danger ? 'danger' : 'primary', disabled }, action),
  );
}

/**
 * Asks before `run()` is called. With `word` it must be typed first. While it runs the dialog stays, and shows why it
 * failed; resolves to whether it was done.
 */
export function confirm({ title, text, word = null, action, run }) {
  return new Promise((resolve) => {
    const state = { typed: '', busy: false, error: null, done: false };
    const ready = () => !state.busy && (word === null || state.typed.trim() === word);
    const typed = (event) => {
      state.typed = event.target.value;
      box.redraw();
    };
    const content = () => [
      h('p', null, text),
      word !== null &&
        h(
          'label',
          { class: 'field' },
          h('span', null, t('dialog.type', { word })),
          h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', class: 'code', oninput: typed }),
        ),
      h('p', { role: 'alert', class: 'error' }, state.error),
      buttons(() => box.close(), state.busy ? t('dialog.busy') : action, { danger: true, disabled: !ready() }),
    ];
    const submit = async () => {
      if (!ready()) return;
      state.busy = true;
      state.error = null;
      box.redraw();
      try {
        await run();
        state.done = true;
        box.close();
      } catch (error) {
        state.error = error.message;
        state.busy = false;
        box.redraw();
      }
    };
    const box = openDialog(title, content, submit, () => resolve(state.done));
  });
}
