// What an operator may change: modes, the trunk server, and deleting storages and groups. All is asked for by name first.

import { tracker } from './api.js';
import { noteRefusal } from './access.js';
import { confirm, openDialog } from './dialog.js';
import { announce, h } from './dom.js';
import { t } from './i18n.js';

const MODES = ['rw', 'r', 'w', 'none'];

let afterwards = () => {};

/** Sets what is done after a change, so that it is seen at once. */
export function onAdminChange(callback) {
  afterwards = callback;
}

function groupPath(group) {
  return `v1/groups/${encodeURIComponent(group.name)}`;
}

function memberPath(group, member) {
  return `${groupPath(group)}/storages/${encodeURIComponent(member.id)}`;
}

/** A change behind a typed confirmation: `word` is the name of what is changed. */
async function change({ title, text, word, action, path, method, body = null }) {
  const run = async () => {
    try {
      await tracker(path, { method, body });
    } catch (error) {
      noteRefusal(error);
      throw error;
    }
  };
  if (await confirm({ title, text, word, action, run })) {
    announce(t('admin.done'));
    afterwards();
  }
}

/** One thing that can be done, in a list of them. */
function item(title, text, ...controls) {
  return h(
    'section',
    { class: 'choice' },
    h('h3', null, title),
    h('p', { class: 'muted' }, text),
    h('p', { class: 'buttons buttons-left' }, controls),
  );
}

function close(box) {
  return h('p', { class: 'buttons' }, h('button', { type: 'submit' }, t('dialog.close')));
}

export function manageMember(group, member) {
  const names = { member: member.id, group: group.name };
  const then = (what) => () => {
    box.close();
    change({ ...what, word: member.id });
  };
  const setMode = (mode) =>
    then({
      title: t('admin.mode_title', names),
      text: t(`mode_text.${mode}`, names),
      action: t('admin.mode_set', { mode: t(`mode.${mode}`) }),
      path: `${memberPath(group, member)}/mode`,
      method: 'PUT',
      body: { mode },
    });
  const remove = then({
    title: t('admin.delete_member_title', names),
    text: t('admin.delete_member_text', names),
    action: t('admin.delete_member'),
    path: memberPath(group, member),
    method: 'DELETE',
  });
  const box = openDialog(
    t('admin.member_title', names),
    () => [
      item(
        t('admin.mode'),
        t('admin.mode_now', { mode: t(`mode.${member.mode}`) }),
        MODES.filter((mode) => mode !== member.mode).map((mode) =>
          h('button', { key: mode, type: 'button', onclick: setMode(mode) }, t(`mode.${mode}`)),
        ),
      ),
      item(
        t('admin.delete_member'),
        t('admin.delete_member_help'),
        h('button', { type: 'button', class: 'danger', onclick: remove }, t('admin.delete_member')),
      ),
      close(),
    ],
    () => box.close(),
  );
}

export function manageGroup(group) {
  const names = { group: group.name };
  const then = (what) => () => {
    box.close();
    change({ ...what, word: group.name });
  };
  const active = group.members.filter((member) => member.status === 'ACTIVE');
  const setTrunk = (member) =>
    then({
      title: t('admin.trunk_title', names),
      text: t('admin.trunk_text', { ...names, member: member.id }),
      action: t('admin.trunk_set'),
      path: `${groupPath(group)}/trunk-server`,
      method: 'PUT',
      body: { storage: member.id },
    });
  const remove = then({
    title: t('admin.delete_group_title', names),
    text: t('admin.delete_group_text', names),
    action: t('admin.delete_group'),
    path: groupPath(group),
    method: 'DELETE',
  });
  const box = openDialog(
    t('admin.group_title', names),
    () => [
      item(
        t('admin.trunk'),
        group.trunk_server ? t('admin.trunk_now', { member: group.trunk_server }) : t('admin.trunk_none'),
        active
          .filter((member) => member.id !== group.trunk_server)
          .map((member) => h('button', { key: member.id, type: 'button', onclick: setTrunk(member) }, member.id)),
      ),
      item(
        t('admin.delete_group'),
        t('admin.delete_group_help'),
        h('button', { type: 'button', class: 'danger', onclick: remove }, t('admin.delete_group')),
      ),
      close(),
    ],
    () => box.close(),
  );
}
