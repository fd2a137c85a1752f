// Uploads a file by the browser build of npm `tus-js-client@4.3.1`, from a page of the tracker in headless Chromium.
//
//   node tus-browser.js TRACKER_URL FILE
//
// The upload begins at the tracker, which redirects. Prints its URL when all of it is there.
'use strict';

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');

const clients = path.resolve(process.env.FDFS_CLIENTS_DIR || path.join(__dirname, '../../target/clients'));
const { chromium } = createRequire(path.join(clients, 'package.json'))('playwright-core');
const library = path.join(clients, 'node_modules/tus-js-client/dist/tus.min.js');
const [tracker, file] = process.argv.slice(2);

/** Runs in the page. */
function upload(input) {
  return new Promise((resolve, reject) => {
    const { files } = input;
    const upload = new tus.Upload(files[0], {
      endpoint: '/v1/uploads',
      chunkSize: 1 << 20,
      metadata: { filename: 'browser.bin' },
      onError: reject,
      onSuccess: () => resolve(upload.url),
    });
    upload.start();
  });
}

async function main() {
  const executablePath = process.env.FDFS_BROWSER;
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const page = await browser.newPage();
    await page.goto(`${tracker}/healthz`);
    // The page has no policy of its own, so it may run the library.
    await page.evaluate(fs.readFileSync(library, 'utf8'));
    await page.evaluate(() => {
      document.body.innerHTML = '<input type="file">';
    });
    await page.setInputFiles('input', file);
    console.log(await page.evaluate(upload, await page.$('input')));
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
