// Uploads a file by npm `tus-js-client@4.3.1` and goes on whenever the server comes back.
//
//   node tus-upload.js ENDPOINT FILE [PARALLEL]
//
// Prints the URL of the upload when all of it is there. All that is left is one request, as that library does by default;
// with PARALLEL as many parts are sent at once, and joined.
'use strict';

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');

const clients = path.resolve(process.env.FDFS_CLIENTS_DIR || path.join(__dirname, '../../target/clients'));
const tus = createRequire(path.join(clients, 'package.json'))('tus-js-client');

const [endpoint, file, parallel] = process.argv.slice(2);
if (!file) {
  console.error('usage: tus-upload.js ENDPOINT FILE [PARALLEL]');
  process.exit(64);
}

const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  // The library finds out how long a file is, and refuses to be told with several parts.
  parallelUploads: Number(parallel || 1),
  metadata: { filename: 'tus-js.bin', filetype: 'application/octet-stream' },
  retryDelays: Array(600).fill(100),
  onError(error) {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess() {
    console.log(upload.url);
  },
});
upload.start();
