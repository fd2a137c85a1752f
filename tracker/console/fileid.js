// What a file ID says by itself: no server is asked. As in all FastDFS names, 27 characters are the base64 of 20 bytes:
// source, time, size and CRC32. A slave's are those of its master.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const CODE_LEN = 27;
/** Characters of a master's name: the code and seven of digits, dot and extension; in a trunk its slot besides. */
const NAME_LEN = CODE_LEN + 7;
const TRUNK_NAME_LEN = NAME_LEN + 16;
const MAX_STORAGE_NUMBER = 0xffffff;

const ID = /^([A-Za-z0-9]{1,16})\/(M[0-9A-Fa-f]{2})\/([0-9A-F]{2})\/([0-9A-F]{2})\/([A-Za-z0-9._-]+)$/;

/** Reads an ID, or a URL that ends in one; null if it is neither. */
export function parse(text) {
  const found = ID.exec(pathOf(text.trim()));
  if (!found) return null;
  const [id, group, storePath, high, low, name] = found;
  const code = decodeCode(name.slice(0, CODE_LEN));
  return code && { id, group, storePath, directory: `${high}/${low}`, name, ...code, ...rest(name, code) };
}

/** The last five segments of a URL's path; of other texts without a leading slash. */
function pathOf(text) {
  let path = text;
  if (/^https?:\/\//i.test(text)) {
    try {
      path = decodeURIComponent(new URL(text).pathname);
    } catch {
      return '';
    }
  }
  return path.split('/').filter(Boolean).slice(-5).join('/');
}

function decodeCode(text) {
  const bytes = decodeBase64(text, 20);
  if (!bytes) return null;
  const view = new DataView(bytes.buffer);
  const number = view.getUint32(0, true);
  const isId = number >= 1 && number <= MAX_STORAGE_NUMBER;
  const field = view.getBigUint64(8);
  const has = (bit) => (field >> bit) & 1n;
  const isAppender = has(58n) === 1n;
  const isTrunk = has(59n) === 1n;
  const size = has(63n) || isTrunk ? Number(field & 0xffffffffn) : Number(field);
  return {
    source: isId ? String(number) : bytes.slice(0, 4).join('.'),
    sourceIsId: isId,
    time: view.getUint32(4),
    // An appender's size is not in its name.
    size: isAppender ? null : size,
    crc32: view.getUint32(16).toString(16).padStart(8, '0'),
    isAppender,
    isTrunk,
  };
}

/** Extension and kind. Masters have names of one length, in a trunk of another; every other length is a slave's. */
function rest(name, code) {
  const isSlave = name.length !== (code.isTrunk ? TRUNK_NAME_LEN : NAME_LEN);
  const dot = name.lastIndexOf('.');
  const plain = code.isTrunk ? 'trunk' : 'normal';
  return {
    extension: dot < 0 ? '' : name.slice(dot + 1),
    kind: code.isAppender ? 'appender' : isSlave ? 'slave' : plain,
  };
}

/** Strict: the right length, no foreign character, no spare bit set. */
function decodeBase64(text, length) {
  const bytes = new Uint8Array(length);
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return null;
    value = (value << 6) | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      if (at === length) return null;
      bytes[at++] = (value >> bits) & 0xff;
      value &= (1 << bits) - 1;
    }
  }
  return at === length && value === 0 ? bytes : null;
}

/** Whether browsers show a file with this extension as a picture. */
export function isPicture(extension) {
  return /(^|\.)(avif|bmp|gif|ico|jpe?g|png|svg|webp)$/i.test(extension);
}
