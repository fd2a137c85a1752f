// The tracker's console in headless Chromium, driven by npm `playwright-core` as a person would. Owns what is done and seen
// in the browser; `tests/it/console.rs` runs the servers, and does to them what this asks for.
//
//   node console.js SCENARIO TRACKER_URL [ARGUMENT...]
//
// `please WHAT` on standard output asks the test for something; its answer is a line on standard input. The script exits 1
// with the reason if anything was not as it must be. With FDFS_CONSOLE_PICTURES=DIR it leaves pictures of what it saw.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const assert = require('assert').strict;
const { createRequire } = require('module');

const clients = path.resolve(process.env.FDFS_CLIENTS_DIR || path.join(__dirname, '../../target/clients'));
const { chromium } = createRequire(path.join(clients, 'package.json'))('playwright-core');

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const PATIENCE_MS = 120_000;
const [scenario, tracker, ...given] = process.argv.slice(2);

// --- the test that runs the servers ----------------------------------------------------------------------------------

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test for something, and waits until it is done. */
async function please(what) {
  console.log(`please ${what}`);
  const { value, done } = await answers.next();
  assert(!done, `no answer to: ${what}`);
  return value;
}

// --- the browser -----------------------------------------------------------------------------------------------------

/** A page of its own, and what went wrong on it. */
class Visit {
  static async begin(browser, options = {}) {
    const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1360, height: 900 }, ...options });
    const visit = new Visit();
    visit.context = context;
    visit.page = await context.newPage();
    visit.page.setDefaultTimeout(PATIENCE_MS);
    visit.errors = [];
    await visit.takeParts();
    visit.hosts = new Set();
    visit.page.on('console', (message) => message.type() === 'error' && visit.errors.push(message.text()));
    visit.page.on('pageerror', (error) => visit.errors.push(String(error)));
    visit.page.on('dialog', (dialog) => visit.meet(dialog));
    visit.page.on('request', (request) => visit.hosts.add(new URL(request.url()).host));
    return visit;
  }

  /** Takes the console's parts from a folder, if one is named: what was changed there is tried without a build. */
  async takeParts() {
    const from = process.env.FDFS_CONSOLE_FROM;
    if (!from) return;
    await this.context.route(`${tracker}/console/*`, async (route) => {
      const name = path.basename(new URL(route.request().url()).pathname);
      await route.fulfill({ response: await route.fetch(), body: fs.readFileSync(path.join(from, name)) });
    });
  }

  /** Pages that are left while they upload ask whether that is meant. Nothing else here opens dialogs of the browser. */
  meet(dialog) {
    if (dialog.type() !== 'beforeunload') this.errors.push(`a script opened a dialog: ${dialog.message()}`);
    return dialog.accept();
  }

  async open(view = '') {
    await this.page.goto(`${tracker}/console#${view}`);
  }

  /** All went without an error of script or policy, and nobody was asked but the tracker and `others`. */
  async end(others = []) {
    assert.deepEqual(this.errors, []);
    const strangers = [...this.hosts].filter((host) => host !== new URL(tracker).host && !others.includes(host));
    assert.deepEqual(strangers, []);
    await this.context.close();
  }

  /** A picture for who wants to look at it. */
  async picture(name) {
    const dir = process.env.FDFS_CONSOLE_PICTURES;
    if (dir) await this.page.screenshot({ path: path.join(dir, `${name}.png`), fullPage: true });
  }

  see(text) {
    return this.page.getByText(text).first().waitFor();
  }

  /** Lets no more than so many bytes a second go out. */
  async pace(bytes) {
    const session = await this.context.newCDPSession(this.page);
    await session.send('Network.enable');
    const unlimited = { offline: false, latency: 0, downloadThroughput: -1 };
    await session.send('Network.emulateNetworkConditions', { ...unlimited, uploadThroughput: bytes });
  }

  /** Drags files of the disk over the page and drops them on the place for it, as the system's file manager would. */
  async drop(files) {
    const session = await this.context.newCDPSession(this.page);
    const box = await this.page.locator('#drop').boundingBox();
    const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const data = { items: [], files, dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'])
      await session.send('Input.dispatchDragEvent', { type, ...at, data });
  }

  /** Waits until so many parts of a hundred are sent. */
  async sent(percent) {
    const isThere = (wanted) => {
      const bar = document.querySelector('progress');
      return bar && (100 * bar.value) / bar.max >= wanted;
    };
    await this.page.waitForFunction(isThere, percent);
  }

  /** The URL that a finished upload shows. */
  async stored() {
    await this.page.getByText('Stored', { exact: true }).waitFor();
    return this.page.locator('.result a').first().getAttribute('href');
  }

  /** What is confirmed by typing a name. */
  async confirm(word, button) {
    const dialog = this.page.getByRole('dialog');
    const action = dialog.getByRole('button', { name: button });
    assert(await action.isDisabled(), 'nothing is done before the name is typed');
    await dialog.getByRole('textbox').fill(word);
    await this.page.keyboard.press('Enter');
  }
}

const json = (body) => ({ status: 200, contentType: 'application/json', body: JSON.stringify(body) });

// --- what is tried ---------------------------------------------------------------------------------------------------

const scenarios = {
  /** The page loads without errors and asks nobody else; it shows group, member and state, in both languages. */
  async page(browser) {
    const visit = await Visit.begin(browser);
    const answer = await visit.page.goto(`${tracker}/`);
    assert.equal(new URL(visit.page.url()).pathname, '/console', 'the root leads to the console');
    assert.match(answer.headers()['content-security-policy'], /script-src 'self'/);
    await visit.page.getByRole('heading', { name: 'group1' }).waitFor();
    const row = visit.page.getByRole('row').filter({ has: visit.page.getByText('ACTIVE') });
    await row.getByRole('rowheader').getByText(new URL(tracker).hostname.slice(0, 4)).first().waitFor();
    await visit.page.locator('#live', { hasText: 'Live' }).waitFor();
    await visit.picture('cluster-en-light');

    await visit.page.getByRole('button', { name: '中文' }).click();
    await visit.see('可用空间');
    assert.equal(await visit.page.locator('html').getAttribute('lang'), 'zh');
    await visit.page.reload();
    await visit.see('可用空间');
    await visit.picture('cluster-zh-light');
    await visit.end();

    const chinese = await Visit.begin(browser, { locale: 'zh-CN', colorScheme: 'dark' });
    await chinese.open();
    await chinese.see('可用空间');
    const background = await chinese.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(background, 'rgb(17, 22, 28)', 'dark for who wants it dark');
    await chinese.picture('cluster-zh-dark');
    await chinese.end();

    const narrow = await Visit.begin(browser, { viewport: { width: 360, height: 700 } });
    await narrow.open();
    await narrow.see('ACTIVE');
    for (const view of ['cluster', 'file', 'upload']) {
      await narrow.page.goto(`${tracker}/console#${view}`);
      const width = await narrow.page.evaluate(() => document.documentElement.scrollWidth);
      assert(width <= 360, `${view} is ${width} pixels wide on a narrow screen`);
      await narrow.picture(`${view}-narrow`);
    }
    await narrow.end();
  },

  /** Both languages have every text that the program uses, with the same values in it. */
  async texts(browser) {
    const visit = await Visit.begin(browser);
    await visit.open();
    const texts = await visit.page.evaluate(async () => (await import('/console/i18n.js')).TEXTS);
    for (const [key, [english, chinese]] of Object.entries(texts)) {
      const values = (text) => [...text.matchAll(/\{\w+\}/g)].map(([word]) => word).sort();
      assert(english && chinese, key);
      assert.deepEqual(values(english), values(chinese), key);
    }
    for (const file of fs.readdirSync(given[0]).filter((name) => name.endsWith('.js'))) {
      const source = fs.readFileSync(path.join(given[0], file), 'utf8');
      for (const [, key] of source.matchAll(/\bt\(\s*'([\w.]+)'/g)) assert(key in texts, `${file}: ${key}`);
    }
    await visit.end();
  },

  /** The page reads the names that FastDFS itself made as FastDFS does, and takes nothing else for one. */
  async names(browser) {
    const visit = await Visit.begin(browser);
    await visit.open();
    const cases = fs
      .readFileSync(given[0], 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert(cases.length > 50);
    const read = (texts) =>
      visit.page.evaluate(async (list) => {
        const { parse } = await import('/console/fileid.js');
        return list.map(parse);
      }, texts);
    const found = await read(cases.map((one) => one.file_id));
    for (const [index, { file_id, kind, size, decoded }] of cases.entries()) {
      const file = found[index];
      assert.equal(file?.id, file_id);
      assert.equal(file.time, decoded.timestamp, file_id);
      assert.equal(file.crc32, decoded.crc_field_hex, file_id);
      assert(kind.includes(file.kind) || ['normal', 'trunk'].includes(file.kind), `${file_id}: ${kind}, ${file.kind}`);
      if (['normal', 'trunk'].includes(file.kind)) assert.equal(file.size, size, file_id);
    }
    const [good] = cases.map((one) => one.file_id);
    const [same, escaped, ...bad] = await read([
      ` http://10.0.0.1:8888/${good}?filename=a.txt `,
      `https://files.example/below/${good.replaceAll('/', '%2F')}`,
      good.replace(/[^/]+$/, 'short.txt'),
      good.replace('/M', '/X'),
      `${good}/..`,
      'http://[broken',
      '',
    ]);
    assert.equal(same.id, good);
    assert.equal(escaped.id, good);
    assert.deepEqual(
      bad,
      bad.map(() => null),
    );
    await visit.end();
  },

  /** All can be done without a mouse, in the order in which it is read, and one sees where one is. */
  async keyboard(browser) {
    const visit = await Visit.begin(browser);
    const { page } = visit;
    await visit.open();
    await visit.see('ACTIVE');
    const focused = () => page.evaluate(() => (document.activeElement.innerText || document.activeElement.id).trim());
    const wanted = await page.evaluate(() =>
      [...document.querySelectorAll('a[href], button, input, select')]
        .filter((node) => node.checkVisibility())
        .map((node) => (node.innerText || node.id).trim()),
    );
    const seen = [];
    for (let step = 0; step < wanted.length; step += 1) {
      await page.keyboard.press('Tab');
      seen.push(await focused());
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(outline, 'none', `where the focus is must be seen: ${seen.at(-1)}`);
    }
    assert.deepEqual(seen, wanted);

    // The skip link leads past the header.
    await page.locator('#skip').focus();
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');

    // A dialog keeps the focus, and gives it back.
    const manage = page.getByRole('button', { name: 'Manage group1', exact: true });
    await manage.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Group group1' }).waitFor();
    await visit.picture('manage-group');
    await page.keyboard.press('Tab');
    assert(await page.evaluate(() => document.getElementById('dialog').contains(document.activeElement)));
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.equal(await manage.evaluate((node) => node === document.activeElement), true);

    // To the file view, and a look at what is no ID.
    await page.getByRole('link', { name: 'File', exact: true }).focus();
    await page.keyboard.press('Enter');
    const field = page.getByRole('textbox', { name: 'File ID or URL' });
    await field.focus();
    await page.keyboard.type('nonsense');
    await page.keyboard.press('Enter');
    await visit.see('This is no file ID');
    // Polling draws the page again and again; what is typed and where one is stay.
    await field.fill('half an ID');
    await field.focus();
    await page.waitForResponse((response) => response.url().endsWith('/v1/groups'));
    await page.waitForResponse((response) => response.url().endsWith('/v1/groups'));
    assert.equal(await field.inputValue(), 'half an ID');
    assert.equal(await field.evaluate((node) => node === document.activeElement), true);
    await visit.end();
  },

  /** What servers say is text, whatever it says, and leads nowhere but to the web. */
  async hostile(browser) {
    const evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    const visit = await Visit.begin(browser);
    const pair = { source: evil, destination: evil, known_by: 'reports', state: evil, lag_seconds: 7, files_to_go: 1 };
    const group = {
      name: evil,
      total_mb: 9,
      free_mb: 1,
      reserved_mb: 1,
      writable: 0,
      readable: 0,
      store_path_count: 1,
    };
    const member = { id: evil, ip: evil, port: 1, status: evil, version: evil, total_mb: 9, free_mb: 1, up_time: 1 };
    await visit.page.route('**/v1/groups', (route) =>
      route.fulfill(json({ groups: [{ ...group, replication: [pair] }] })),
    );
    await visit.page.route('**/storages', (route) =>
      route.fulfill(json({ storages: [{ ...member, http_url: 'javascript:alert(3)' }] })),
    );
    await visit.open();
    const heading = visit.page.getByRole('heading', { name: evil });
    await heading.waitFor();
    assert.equal(await visit.page.locator('main img, main script').count(), 0);
    assert.equal(await visit.page.locator('a[href^="javascript"]').count(), 0);
    await visit.picture('hostile');
    await visit.page.goto(`${tracker}/console#file/${encodeURIComponent(evil)}`);
    await visit.see('This is no file ID');
    await visit.end();
  },

  /** A tracker that stops is noticed, what was last known stays, and all goes on when it is back. */
  async trouble(browser) {
    const visit = await Visit.begin(browser);
    await visit.open();
    await visit.see('ACTIVE');
    await please('stop the tracker');
    await visit.see('The tracker does not answer.');
    await visit.page.locator('#live', { hasText: 'No answer' }).waitFor();
    await visit.see('ACTIVE');
    await visit.picture('no-tracker');
    await please('start the tracker');
    await visit.page.getByRole('button', { name: 'Try now' }).click();
    await visit.page.locator('#live', { hasText: 'Live' }).waitFor();
    // The browser itself tells of refused connections.
    visit.errors = visit.errors.filter((text) => !text.includes('ERR_'));
    await visit.end();
  },

  /** A member that dies is said in words, in the list of warnings and in its row. */
  async offline(browser) {
    const visit = await Visit.begin(browser);
    await visit.open();
    await visit.see('Nothing needs attention.');
    await visit.picture('group-en-light');
    const dead = await please('kill a member');
    await visit.see(`${dead} of group1 is offline.`);
    const row = visit.page.getByRole('row').filter({ hasText: 'OFFLINE' });
    await row.getByRole('rowheader').getByText(dead, { exact: true }).first().waitFor();
    assert.match(await visit.page.title(), /^\(\d+\) /);
    await visit.picture('offline-en-light');
    await visit.page.emulateMedia({ colorScheme: 'dark' });
    await visit.picture('offline-en-dark');
    await visit.page.getByRole('button', { name: '中文' }).click();
    await visit.see(`${dead} 已离线。`);
    await visit.picture('offline-zh-dark');
    await visit.end();
  },

  /** Before the first storage joins, the page says what to do. */
  async empty(browser) {
    const visit = await Visit.begin(browser);
    await visit.open();
    await visit.see('No group yet');
    await visit.picture('empty-en-light');
    await visit.end();
  },

  /** A picture is found by its URL: what its name says, who has it, its metadata as text, a preview; then it is deleted. */
  async lookup(browser) {
    const [url, evil, node] = given;
    const id = new URL(url).pathname.slice(1);
    const visit = await Visit.begin(browser);
    const { page } = visit;
    await visit.open('file');
    const field = page.getByRole('textbox', { name: 'File ID or URL' });
    await field.fill(url);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: id }).waitFor();
    await visit.see('normal file');
    await visit.see('43 B');
    await visit.see('has it');
    await visit.see('made it');
    await page.getByText(evil, { exact: true }).first().waitFor();
    await page.waitForFunction(() => document.querySelector('img.preview')?.naturalWidth === 1);
    assert.equal(await page.locator('main img:not(.preview), main script').count(), 0);
    await visit.picture('file-en-light');
    await page.getByRole('button', { name: '中文' }).click();
    await page.emulateMedia({ colorScheme: 'dark' });
    await visit.see('文件名所含信息');
    await visit.picture('file-zh-dark');
    await page.getByRole('button', { name: 'English' }).click();

    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    assert.equal(fs.statSync(await (await download).path()).size, 43);

    await page.getByRole('button', { name: 'Delete' }).click();
    await visit.see('There is no way back.');
    await visit.picture('delete');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.locator('article').getByText('The file was deleted.').waitFor();
    assert.equal((await page.request.get(url)).status(), 404);
    await visit.end([node]);
  },

  /** A large file that is dropped arrives, although its storage is killed and started three times meanwhile. */
  async upload(browser) {
    const [file, node] = given;
    const visit = await Visit.begin(browser);
    await visit.open('upload');
    await visit.picture('upload-en-light');
    await visit.pace(200_000_000);
    await visit.drop([file]);
    for (const percent of [15, 45, 75]) {
      await visit.sent(percent);
      await please('restart the node');
    }
    await visit.picture('uploading');
    const url = await visit.stored();
    // Its name holds markup, which is text here, too.
    await visit.see(path.basename(file));
    assert.equal(await visit.page.locator('main img, main script').count(), 0);
    await visit.picture('uploaded-en-light');
    await please(`compare ${url}`);
    visit.errors = visit.errors.filter((text) => !text.includes('ERR_') && !/\b(404|503)\b/.test(text));
    await visit.end([node]);
  },

  /** An upload is paused and goes on, outlives a reload of the page once its file is chosen again, and can be given up. */
  async reload(browser) {
    const [file, node] = given;
    const visit = await Visit.begin(browser);
    const { page } = visit;
    await visit.open('upload');
    await visit.pace(150_000_000);
    await page.locator('#files').setInputFiles(file);
    await visit.sent(10);
    await page.getByRole('button', { name: /^Pause/ }).click();
    await visit.see(/^Paused at/);
    await page.getByRole('button', { name: /^Resume/ }).click();
    await visit.sent(30);
    await page.reload();
    await visit.see('Not finished in an earlier visit.');
    await visit.picture('unfinished');
    const offsets = [];
    page.on('request', (request) => offsets.push(request.headers()['upload-offset']));
    await page.locator('#files').setInputFiles(file);
    await please(`compare ${await visit.stored()}`);
    const first = Number(offsets.find((offset) => offset !== undefined));
    assert(first > 0, `it goes on where it was, not at ${first}`);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('upload'))), []);

    await page.getByRole('button', { name: /^Remove/ }).click();
    await page.locator('#files').setInputFiles(file);
    await visit.sent(10);
    const ended = page.waitForResponse((response) => response.request().method() === 'DELETE');
    await page.getByRole('button', { name: /^Cancel/ }).click();
    assert.equal((await ended).status(), 204);
    assert.equal(await page.locator('.upload').count(), 0);
    await visit.end([node]);
  },

  /** Modes are set, and what is refused says why; nothing is done before the name is typed. */
  async admin(browser) {
    const [member] = given;
    const visit = await Visit.begin(browser);
    const { page } = visit;
    await visit.open();
    const setMode = async (mode) => {
      await page.getByRole('button', { name: `Manage ${member}`, exact: true }).click();
      await page.getByRole('dialog').getByRole('button', { name: mode, exact: true }).click();
      await visit.confirm(member, `Set: ${mode}`);
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
    };
    await setMode('read only');
    await visit.see(`${member} of group1 is restricted: read only.`);
    await visit.picture('restricted');
    await setMode('read, write');
    await visit.see('Nothing needs attention.');

    await page.getByRole('button', { name: 'Manage group1', exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete the group' }).click();
    await visit.confirm('group1', 'Delete the group');
    await page.getByRole('dialog').getByText('the group has storages').waitFor();
    await visit.picture('refused');
    await page.keyboard.press('Escape');
    await visit.see('ACTIVE');
    visit.errors = visit.errors.filter((text) => !text.includes('409'));
    await visit.end();
  },

  /** A server that wants a token gets the one that is typed. */
  async access(browser) {
    const visit = await Visit.begin(browser);
    const problem = { status: 401, code: 'token_needed', title: 'Unauthorized', detail: 'show a token' };
    await visit.page.route('**/v1/**', (route) => {
      if (route.request().headers().authorization === 'Bearer secret') return route.continue();
      return route.fulfill({ status: 401, contentType: 'application/problem+json', body: JSON.stringify(problem) });
    });
    await visit.open();
    await visit.see('show a token');
    await visit.picture('access');
    await visit.page.getByRole('button', { name: 'Enter a token' }).click();
    await visit.page.getByRole('dialog').getByLabel('Token').fill('secret');
    await visit.page.keyboard.press('Enter');
    await visit.see('ACTIVE');
    assert.equal(await visit.page.getByText('show a token').count(), 0);
    assert.equal(await visit.page.evaluate(() => JSON.stringify(localStorage).includes('secret')), false);
    visit.errors = visit.errors.filter((text) => !text.includes('401'));
    await visit.end();
  },

  /** `/docs` lists the operations of the document, and sends one: its name, a parameter and its value, part of the answer. */
  async docs(browser) {
    const [operation, parameter, value, expected] = given;
    const visit = await Visit.begin(browser);
    const document = await (await fetch(`${tracker}/openapi.json`)).json();
    const all = Object.values(document.paths).flatMap((item) => Object.values(item).map((one) => one.operationId));
    await visit.page.goto(`${tracker}/docs`);
    const operations = visit.page.locator('details.operation');
    await operations.first().waitFor();
    const listed = await operations.evaluateAll((elements) => elements.map((element) => element.id));
    assert.deepEqual(listed.sort(), all.filter(Boolean).sort());
    await operations.first().locator('> summary').click();
    await operations.evaluateAll((elements) => elements.forEach((element) => (element.open = true)));
    await visit.page.waitForFunction((count) => document.querySelectorAll('form.try').length === count, listed.length);

    await visit.page.getByLabel('Find').fill(operation);
    const found = visit.page.locator(`#${operation}`);
    await found.waitFor();
    assert.equal(await visit.page.locator('#healthz').isVisible(), false, 'only what is looked for is shown');
    const form = found.locator('form.try');
    await form.getByLabel(parameter, { exact: true }).fill(value);
    const line = await form.locator('.line pre').textContent();
    assert(line.startsWith('curl ') && line.includes(value.split('/').pop()), line);
    const asked = visit.page.waitForResponse((answer) => answer.request().resourceType() === 'fetch');
    await form.getByRole('button', { name: 'Send' }).click();
    assert.equal((await asked).status(), 200);
    await form.locator('.status', { hasText: '200' }).waitFor();
    const answered = await form.locator('> .wide pre').last().textContent();
    assert(answered.includes(expected), answered);
    await visit.picture(`docs-${operation}`);

    await visit.page.goto(`${tracker}/docs#code-no_such_file`);
    await visit.page.locator('#code-no_such_file').waitFor();
    // The icon is in the page itself.
    await visit.end(['']);
  },
};

async function main() {
  assert(scenarios[scenario], `no scenario ${scenario}`);
  const browser = await chromium.launch({ executablePath: process.env.FDFS_BROWSER, args: FLAGS });
  try {
    await scenarios[scenario](browser);
  } finally {
    await browser.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
