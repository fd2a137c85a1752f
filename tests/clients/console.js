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
const PATIENCE_MS = 60_000;
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
    visit.hosts = new Set();
    visit.page.on('console', (message) => message.type() === 'error' && visit.errors.push(message.text()));
    visit.page.on('pageerror', (error) => visit.errors.push(String(error)));
    visit.page.on('dialog', (dialog) => visit.errors.push(`a script opened a dialog: ${dialog.message()}`) && dialog.dismiss());
    visit.page.on('request', (request) => visit.hosts.add(new URL(request.url()).host));
    return visit;
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
    const group = { name: evil, total_mb: 9, free_mb: 1, reserved_mb: 1, writable: 0, readable: 0, store_path_count: 1 };
    const member = { id: evil, ip: evil, port: 1, status: evil, version: evil, total_mb: 9, free_mb: 1, up_time: 1 };
    await visit.page.route('**/v1/groups', (route) => route.fulfill(json({ groups: [{ ...group, replication: [pair] }] })));
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
