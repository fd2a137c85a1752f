// Conformance client: npm `fdfs@1.0.4` (a callback-era library: one connection a call, ended with command 82; it knows
// only 16-byte address slots). Owns the operations of that library; `install` puts the library where this looks for it.
//
//   node npm-fdfs.js TRACKER_HOST TRACKER_PORT
//
// The library asks for any place to store before it appends or modifies, so the request may reach a member that has no copy
// yet. FastDFS 6.16.1 answers that with 2: those operations pass there only with one storage in the group.
//
// One line an operation: `ok NAME`, `FAIL NAME: why`, or `left out NAME: reason`. Exits 1 if anything failed.
// With FDFS_CLIENTS_SPOIL=1 every expectation is made wrong, so that every operation must fail: a test of this file.
'use strict';

process.noDeprecation = true; // the library uses `new Buffer`
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const { createRequire } = require('module');
const { isDeepStrictEqual } = require('util');
const { Writable, Readable } = require('stream');

const clients = path.resolve(process.env.FDFS_CLIENTS_DIR || path.join(__dirname, '../../target/clients'));
const Fdfs = createRequire(path.join(clients, 'package.json'))('fdfs');

const OPERATION_TIMEOUT_MS = 20_000;
const ENOENT = 2;
const SPOIL = process.env.FDFS_CLIENTS_SPOIL === '1';

const [host, port] = process.argv.slice(2);
if (!port) {
  console.error('usage: npm-fdfs.js TRACKER_HOST TRACKER_PORT');
  process.exit(64);
}
const silent = () => {};
const fdfs = new Fdfs({
  trackers: [{ host, port: Number(port) }],
  timeout: 10_000,
  defaultExt: 'bin',
  logger: { log: silent },
});

// --- content ---------------------------------------------------------------------------------------------------------

/** `length` bytes that differ by `seed`, the same in every run. */
function content(length, seed) {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** CRC-32 of `bytes`, read back from a gzip trailer: older Node has no zlib.crc32. */
function crc32(bytes) {
  const zipped = zlib.gzipSync(bytes);
  return zipped.readUInt32LE(zipped.length - 8);
}

const SMALL = content(1_000, 1);
const LARGE = content(700_001, 2); // more than two of the server's default buffers

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'fdfs-npm-'));
process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));

function localFile(name, bytes) {
  const file = path.join(scratch, name);
  fs.writeFileSync(file, bytes);
  return file;
}

// --- checks ----------------------------------------------------------------------------------------------------------

function spoilt(value) {
  if (Buffer.isBuffer(value)) return Buffer.concat([value.subarray(0, -1), Buffer.from([value.at(-1) ^ 1])]);
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'object') return { ...value, spoilt: 'yes' };
  return `${value}-spoilt`;
}

function show(value) {
  return Buffer.isBuffer(value) ? `${value.length} bytes, crc32 ${crc32(value).toString(16)}` : JSON.stringify(value);
}

function same(what, actual, expected) {
  const wanted = SPOIL ? spoilt(expected) : expected;
  if (!isDeepStrictEqual(actual, wanted)) throw new Error(`${what}: expected ${show(wanted)}, got ${show(actual)}`);
}

/** The server must refuse `promise` with status `code`; anything else, success included, is a failure. */
async function refused(what, promise, code) {
  const error = await promise.then(() => ({ code: 0 }), (e) => e);
  if (error.code === undefined) throw error;
  same(`${what}: status`, error.code, code);
}

async function download(id, range) {
  const chunks = [];
  const target = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  await fdfs.download(id, { target, ...range });
  return Buffer.concat(chunks);
}

async function holds(id, expected) {
  same(`content of ${id}`, await download(id), expected);
}

const appender = (bytes) => fdfs.upload(bytes, { method: 'uploadAppender', ext: 'log' });

/** What a modify of `base` at `offset` must give. */
function overwritten(base, offset, patch) {
  const result = Buffer.alloc(Math.max(base.length, offset + patch.length));
  base.copy(result);
  patch.copy(result, offset);
  return result;
}

// --- operations ------------------------------------------------------------------------------------------------------

const PATCH = content(300, 3);

const operations = {
  'upload buffer': async () => {
    const id = await fdfs.upload(SMALL, { ext: 'txt' });
    same('shape of the file ID', /^[A-Za-z0-9]{1,16}\/M[0-9A-F]{2}\/[0-9A-F]{2}\/[0-9A-F]{2}\/[\w-]{27,}\.txt$/.test(id) ? 'good' : id, 'good');
    await holds(id, SMALL);
  },
  'upload buffer of one byte': async () => holds(await fdfs.upload(content(1, 4)), content(1, 4)),
  'upload empty buffer': async () => {
    const info = await fdfs.getFileInfo(await fdfs.upload(Buffer.alloc(0)));
    same('size', info.size, 0);
    same('crc32', info.crc32, 0);
  },
  'upload buffer over the buffer size': async () => holds(await fdfs.upload(LARGE), LARGE),
  'upload file': async () => {
    const id = await fdfs.upload(localFile('picture.jpg', LARGE));
    same('extension', path.extname(id), '.jpg');
    await holds(id, LARGE);
  },
  'upload stream': async () => {
    const stream = fs.createReadStream(localFile('stream.dat', LARGE));
    const id = await fdfs.upload(stream, { size: LARGE.length, ext: 'dat' });
    same('extension', path.extname(id), '.dat');
    await holds(id, LARGE);
  },
  'upload to a named group': async () => {
    const [group] = (await fdfs.upload(SMALL)).split('/');
    const id = await fdfs.upload(PATCH, { group });
    same('group', id.split('/')[0], group);
    await holds(id, PATCH);
  },
  'upload to an unknown group is refused': async () => {
    await refused('upload', fdfs.upload(SMALL, { group: 'nosuchgroup' }), ENOENT);
  },
  'upload appender': async () => holds(await appender(SMALL), SMALL),
  'append buffer': async () => {
    const id = await appender(SMALL);
    await fdfs.upload(PATCH, { method: 'append', fileId: id });
    await fdfs.upload(LARGE, { method: 'append', fileId: id });
    await holds(id, Buffer.concat([SMALL, PATCH, LARGE]));
  },
  'append file': async () => {
    const id = await appender(SMALL);
    await fdfs.upload(localFile('more', LARGE), { method: 'append', fileId: id });
    await holds(id, Buffer.concat([SMALL, LARGE]));
  },
  'append stream': async () => {
    const id = await appender(SMALL);
    await fdfs.upload(Readable.from([PATCH.subarray(0, 7), PATCH.subarray(7)]), {
      method: 'append',
      fileId: id,
      size: PATCH.length,
    });
    await holds(id, Buffer.concat([SMALL, PATCH]));
  },
  'modify at the start': async () => {
    const id = await appender(SMALL);
    await fdfs.upload(PATCH, { method: 'modify', fileId: id, offset: 0 });
    await holds(id, overwritten(SMALL, 0, PATCH));
  },
  'modify in the middle': async () => {
    const id = await appender(SMALL);
    await fdfs.upload(localFile('patch', PATCH), { method: 'modify', fileId: id, offset: 450 });
    await holds(id, overwritten(SMALL, 450, PATCH));
  },
  'modify past the end': async () => {
    const id = await appender(SMALL);
    await fdfs.upload(PATCH, { method: 'modify', fileId: id, offset: 900 });
    await holds(id, overwritten(SMALL, 900, PATCH));
  },
  'download whole': async () => {
    const id = await fdfs.upload(LARGE);
    const file = path.join(scratch, 'whole');
    await fdfs.download(id, file);
    same('local file', fs.readFileSync(file), LARGE);
  },
  'download range': async () => {
    const id = await fdfs.upload(LARGE);
    same('middle', await download(id, { offset: 5, bytes: 400_000 }), LARGE.subarray(5, 400_005));
    same('first byte', await download(id, { offset: 0, bytes: 1 }), LARGE.subarray(0, 1));
    same('from an offset to the end', await download(id, { offset: 600_000 }), LARGE.subarray(600_000));
    same('past the end is clamped', await download(id, { offset: 700_000, bytes: 99 }), LARGE.subarray(700_000));
  },
  'download stream': async () => {
    const id = await fdfs.upload(LARGE);
    const file = path.join(scratch, 'streamed');
    await fdfs.download(id, fs.createWriteStream(file));
    same('streamed file', fs.readFileSync(file), LARGE);
  },
  'metadata overwrite': async () => {
    const id = await fdfs.upload(SMALL);
    await fdfs.setMetaData(id, { width: '160', author: 'some one', empty: '' });
    same('metadata', await fdfs.getMetaData(id), { author: 'some one', empty: '', width: '160' });
    await fdfs.setMetaData(id, { height: '80' }, 'O');
    same('metadata overwritten', await fdfs.getMetaData(id), { height: '80' });
  },
  'metadata merge': async () => {
    const id = await fdfs.upload(SMALL);
    await fdfs.setMetaData(id, { a: '1', b: '2' });
    await fdfs.setMetaData(id, { b: 'two', c: '3' }, 'M');
    same('metadata merged', await fdfs.getMetaData(id), { a: '1', b: 'two', c: '3' });
  },
  'metadata get without any': async () => refused('get', fdfs.getMetaData(await fdfs.upload(SMALL)), ENOENT),
  'file info': async () => {
    // One content for each value of the CRC's highest bit: the field is a signed number extended to 64 bits.
    const both = [content(100, 5), content(100, 6), content(100, 7), content(100, 8)];
    const [low, high] = [both.find((b) => crc32(b) < 2 ** 31), both.find((b) => crc32(b) >= 2 ** 31)];
    for (const bytes of [low, high, LARGE]) {
      const before = Math.floor(Date.now() / 1000);
      const id = await fdfs.upload(bytes);
      const info = await fdfs.getFileInfo(id);
      same('size', info.size, bytes.length);
      same('crc32', info.crc32 >>> 0, crc32(bytes));
      same('source address', /^\d+\.\d+\.\d+\.\d+$/.test(info.addr) ? 'IPv4' : info.addr, 'IPv4');
      same('time', Math.abs(info.timestamp - before) < 60 ? 'now' : info.timestamp, 'now');
    }
  },
  'file info of an appender': async () => {
    const id = await appender(SMALL);
    await fdfs.upload(PATCH, { method: 'append', fileId: id });
    same('size', (await fdfs.getFileInfo(id)).size, SMALL.length + PATCH.length);
  },
  delete: async () => {
    const id = await fdfs.upload(SMALL);
    await fdfs.del(id);
    await refused('download of a deleted file', download(id), ENOENT);
    await refused('info of a deleted file', fdfs.getFileInfo(id), ENOENT);
    await refused('second delete', fdfs.del(id), ENOENT);
  },
  'delete appender': async () => {
    const id = await appender(SMALL);
    await fdfs.del(id);
    await refused('download of a deleted appender', download(id), ENOENT);
    await refused('append to a deleted appender', fdfs.upload(PATCH, { method: 'append', fileId: id }), ENOENT);
  },
};

const leftOut = {
  'list groups': 'the library knows only the group record of 5.x (105 bytes)',
  'list storages': 'the library knows only the storage record of 5.x (600 bytes)',
  'upload slave, truncate, regenerate': 'the library has no such call',
};

// --- run -------------------------------------------------------------------------------------------------------------

// The library throws inside socket callbacks; such an error belongs to the operation under way.
let abandon = silent;
process.on('uncaughtException', (error) => abandon(error));

function run(operation) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no end after ${OPERATION_TIMEOUT_MS} ms`)), OPERATION_TIMEOUT_MS);
    const settle = (how) => (value) => {
      clearTimeout(timer);
      how(value);
    };
    abandon = settle(reject);
    operation().then(settle(resolve), settle(reject));
  });
}

(async () => {
  let failures = 0;
  for (const [name, operation] of Object.entries(operations)) {
    try {
      await run(operation);
      console.log(`ok ${name}`);
    } catch (error) {
      failures++;
      console.log(`FAIL ${name}: ${String((error && error.message) || error).split('\n')[0]}`);
    }
  }
  for (const [name, reason] of Object.entries(leftOut)) console.log(`left out ${name}: ${reason}`);
  process.exit(failures === 0 ? 0 : 1);
})();
