// Makes the page be like a description of it.
//
// Views describe what they show by h(); show() changes only what differs, so that focus, selection and scrolling stay where
// they are while numbers change. Text always becomes text nodes: nothing that a server says is ever read as HTML.

const SVG = 'http://www.w3.org/2000/svg';
/** What the last show() made of a node. */
const made = new WeakMap();

/**
 * An element: `h('a', {href, onclick}, 'text', ...)`. Children may be nested arrays; null and false are left out.
 * Properties that begin with `on` are listeners, `style` holds CSS properties, `key` tells siblings apart, booleans set or
 * remove the attribute, all else are attributes. `set` holds properties of the node itself, such as `value`.
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children };
}

/** Makes the content of `parent` be `content`. */
export function show(parent, ...content) {
  patch(parent, flatten(content), parent.namespaceURI === SVG);
}

function flatten(content) {
  return content.flat(Infinity).filter((item) => item !== null && item !== undefined && item !== false && item !== '');
}

function patch(parent, wanted, inSvg) {
  const keyed = new Map();
  for (const node of parent.childNodes) {
    const key = made.get(node)?.key;
    if (key !== undefined) keyed.set(key, node);
  }
  let at = parent.firstChild;
  for (const item of wanted) {
    if (typeof item !== 'object') {
      at = patchText(parent, at, String(item));
      continue;
    }
    const { key } = item.props;
    const candidate = key === undefined ? at : keyed.get(key);
    const fits = candidate && made.get(candidate)?.tag === item.tag && made.get(candidate)?.key === key;
    const svg = inSvg || item.tag === 'svg';
    const node = fits ? candidate : create(item, svg);
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
    update(node, item, svg);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function patchText(parent, at, text) {
  if (at?.nodeType !== Node.TEXT_NODE) {
    parent.insertBefore(document.createTextNode(text), at);
    return at;
  }
  if (at.data !== text) at.data = text;
  return at.nextSibling;
}

function create(item, svg) {
  const node = svg ? document.createElementNS(SVG, item.tag) : document.createElement(item.tag);
  made.set(node, { tag: item.tag, key: item.props.key, props: {} });
  return node;
}

function update(node, item, svg) {
  const memory = made.get(node);
  const old = memory.props;
  memory.props = item.props;
  for (const name of Object.keys(old)) if (!(name in item.props)) setProp(node, name, null);
  for (const [name, value] of Object.entries(item.props)) {
    if (old[name] !== value || name === 'set') setProp(node, name, value);
  }
  patch(node, flatten(item.children), svg);
}

function setProp(node, name, value) {
  if (name === 'key') return;
  if (name.startsWith('on')) {
    node[name.toLowerCase()] = value;
  } else if (name === 'style') {
    for (const [property, text] of Object.entries(value ?? {})) node.style.setProperty(property, text);
  } else if (name === 'set') {
    for (const [property, wanted] of Object.entries(value ?? {}))
      if (node[property] !== wanted) node[property] = wanted;
  } else if (value === null || value === undefined || value === false) {
    node.removeAttribute(name);
  } else {
    node.setAttribute(name, value === true ? '' : value);
  }
}

/** A URL that a link or picture may lead to; anything but HTTP, such as `javascript:`, leads nowhere. */
export function webUrl(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}

/** Tells screen readers, without moving the focus. `urgent` interrupts them. */
export function announce(text, urgent = false) {
  const place = document.getElementById(urgent ? 'said-now' : 'said');
  // The same text twice is two announcements.
  place.textContent = place.textContent === text ? `${text} ` : text;
}
