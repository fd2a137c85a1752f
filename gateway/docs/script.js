'use strict';
// Shows openapi.json. Everything is built of elements and text, never of HTML in strings, so nothing in the document acts.

const own = document.documentElement.dataset.server;
const byPort = { '8888': 'node', '8080': 'tracker' };
const methods = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'];
const $ = (id) => document.getElementById(id);
let doc;

/** An element with attributes (`on...` are listeners) and children: nodes, texts or nothing. */
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== ''));
  return element;
}

/** Follows a reference. */
function at(value) {
  for (let hops = 0; value && value.$ref && hops < 20; hops += 1) {
    value = value.$ref.slice(2).split('/').reduce((from, part) => from?.[part.replaceAll('~1', '/').replaceAll('~0', '~')], doc);
  }
  return value ?? {};
}

/** Text with `code` and **strong** words. */
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (/^`.+`$/.test(part)) {
      const word = part.slice(1, -1);
      const code = el('code', {}, word);
      return doc['x-problem-codes']?.[word] ? el('a', { href: `#code-${word}` }, code) : code;
    }
    return /^\*\*.+\*\*$/.test(part) ? el('strong', {}, part.slice(2, -2)) : part;
  });
}

function words(text) {
  return (text ?? '').trim().split(/\n\s*\n/).filter(Boolean).map((paragraph) => el('p', {}, inline(paragraph.replace(/\n/g, ' '))));
}

function serversOf(operation, item) {
  return (operation.servers ?? item.servers ?? doc.servers).map((server) => ({
    url: server.url,
    name: byPort[new URL(server.url).port] ?? server.url,
  }));
}

/* Schemas */

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split('/').pop();
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const one = [schema.oneOf ?? schema.anyOf].flat().filter(Boolean);
  if (one.length) return one.map(typeOf).join(' | ');
  if (schema.allOf) return schema.allOf.map(typeOf).join(' & ');
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const type = [schema.type ?? 'any'].flat().join(' | ');
  if (type === 'array') return `array of ${typeOf(schema.items ?? {})}`;
  return schema.format ? `${type} (${schema.format})` : type;
}

function limits(schema) {
  const names = { pattern: 'pattern', minimum: '≥', maximum: '≤', minLength: 'length ≥', maxLength: 'length ≤', minItems: 'items ≥', maxItems: 'items ≤', default: 'default' };
  return Object.entries(names).filter(([key]) => schema[key] !== undefined)
    .map(([key, name]) => el('span', { class: 'type' }, ` ${name} ${typeof schema[key] === 'string' ? schema[key] : JSON.stringify(schema[key])}`));
}

/** All properties of an object, those of its parts included. */
function properties(schema, depth = 0) {
  schema = at(schema);
  const found = Object.entries(schema.properties ?? {}).map(([name, value]) => [name, value, (schema.required ?? []).includes(name)]);
  if (depth > 6) return found;
  return found.concat((schema.allOf ?? []).flatMap((part) => properties(part, depth + 1)));
}

function tree(schema, seen = []) {
  const target = at(schema);
  const options = target.oneOf ?? target.anyOf;
  if (options && options.some((option) => ['object', 'array'].includes(at(option).type) || at(option).allOf)) {
    return el('ul', { class: 'tree' }, options.map((option) => el('li', {}, el('span', { class: 'type' }, `one of: ${typeOf(option)}`), tree(option, seen))));
  }
  if (target.type === 'array') return tree(target.items ?? {}, seen);
  if (seen.includes(target)) return null;
  const fields = properties(target);
  const rest = target.additionalProperties;
  if (rest && typeof rest === 'object') fields.push(['(any name)', rest, false]);
  if (!fields.length) return null;
  return el('ul', { class: 'tree' }, fields.map(([name, value, required]) => {
    const about = at(value);
    return el('li', {},
      el('code', { class: required ? 'required' : '' }, name), ' ',
      el('span', { class: 'type' }, typeOf(value)), limits(about),
      about.description ? [' ', el('span', {}, inline(about.description))] : '',
      tree(value, [...seen, target]));
  }));
}

/** An example: the one that is given, or one made of the schema's. */
function example(media, depth = 0) {
  if (media.example !== undefined) return media.example;
  const named = media.examples && Object.values(media.examples)[0];
  if (named !== undefined) return at(named).value ?? named;
  const schema = at(media.schema ?? media);
  for (const key of ['example', 'const', 'default']) if (schema[key] !== undefined) return schema[key];
  if (Array.isArray(schema.examples)) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  if (depth > 5) return undefined;
  const fields = properties(schema);
  if (fields.length) return Object.fromEntries(fields.map(([name, value]) => [name, example(at(value), depth + 1)]).filter(([, value]) => value !== undefined));
  if (schema.type === 'array') return [example(at(schema.items ?? {}), depth + 1)].filter((value) => value !== undefined);
  if (schema.oneOf ?? schema.anyOf) return example(at((schema.oneOf ?? schema.anyOf)[0]), depth + 1);
  return undefined;
}

function shown(value) {
  return el('pre', { tabindex: 0 }, typeof value === 'string' ? value : JSON.stringify(value, null, 2));
}

function contentOf(content) {
  return Object.entries(content ?? {}).map(([type, media]) => {
    const sample = type.includes('json') || type.startsWith('text/') ? example(media) : undefined;
    return [el('h4', {}, el('code', {}, type), ' ', el('span', { class: 'type' }, typeOf(media.schema ?? {}))),
      tree(media.schema ?? {}), sample === undefined ? '' : shown(sample)];
  });
}

/* Requests */

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** What a form says: URL, headers and body, and the same as a line for a shell. */
function request(form, base) {
  let path = form.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of form.inputs) {
    const value = input.value;
    if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, value.split('/').map(encodeURIComponent).join('/'));
    else if (value !== '' && parameter.in === 'query') query.append(parameter.name, value);
    else if (value !== '' && parameter.in === 'header') headers[parameter.name] = value;
  }
  if ($('token').value && form.secured) headers.Authorization = `Bearer ${$('token').value}`;
  const search = query.size ? `?${query}` : '';
  const method = form.method.toUpperCase();
  let body;
  let data = '';
  if (form.body) {
    const type = form.kind.value;
    if (type === 'multipart/form-data') {
      body = new FormData();
      for (const file of form.file.files) body.append('file', file);
      data = [...form.file.files].map((file) => ` -F ${quoted(`file=@${file.name}`)}`).join('') || " -F 'file=@FILE'";
    } else {
      if (type !== '*/*') headers['Content-Type'] = type;
      const file = form.file.files[0];
      body = file ?? form.body.value;
      data = file ? ` --data-binary ${quoted(`@${file.name}`)}` : body ? ` --data-binary ${quoted(body)}` : '';
      if (data && !headers['Content-Type']) headers['Content-Type'] = file?.type || 'application/octet-stream';
    }
  }
  const flags = method === 'HEAD' ? ' -I' : method === 'GET' || (method === 'POST' && data) ? '' : ` -X ${method}`;
  const lines = Object.entries(headers).map(([name, value]) => (name === 'Authorization' ? ' -H "Authorization: Bearer $TOKEN"' : ` -H ${quoted(`${name}: ${value}`)}`));
  return { url: path + search, method, headers, body, curl: `curl -sS${flags}${lines.join('')}${data} ${quoted(base + path + search)}` };
}

async function send(form, out) {
  const { url, method, headers, body } = request(form, location.origin);
  const base = location.pathname.replace(/\/docs\/?$/, '');
  out.replaceChildren(el('p', { role: 'status' }, 'Sent …'));
  const start = performance.now();
  try {
    const answer = await fetch(base + url, { method, headers, body: ['GET', 'HEAD'].includes(method) ? undefined : body, redirect: 'manual', cache: 'no-store' });
    if (answer.type === 'opaqueredirect') {
      out.replaceChildren(el('p', { role: 'status' }, 'A redirect, which this page does not follow. The line above does with -L.'));
      return;
    }
    const blob = await answer.blob();
    const took = Math.round(performance.now() - start);
    const kind = answer.headers.get('content-type') ?? '';
    const textual = /json|^text\/|xml|yaml|javascript/.test(kind);
    let text = textual ? (await blob.text()).slice(0, 65536) : '';
    if (kind.includes('json')) {
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it was cut: shown as it is */ }
    }
    const heads = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
    out.replaceChildren(
      el('p', { role: 'status' }, el('span', { class: 'status' }, `${answer.status} ${answer.statusText}`), ` in ${took} ms, ${blob.size} bytes`),
      shown(heads), text ? shown(text) : '');
  } catch (error) {
    out.replaceChildren(el('p', { role: 'alert' }, `Nothing was answered: ${error.message}`));
  }
}

function tryIt(path, method, operation, item, servers) {
  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(at);
  const security = operation.security ?? doc.security ?? [];
  const form = { path, method, secured: security.length > 0, inputs: [] };
  const fields = parameters.filter((parameter) => parameter.in !== 'cookie').map((parameter) => {
    const id = `${operation.operationId}-${parameter.in}-${parameter.name}`;
    const schema = at(parameter.schema ?? {});
    const sample = parameter.example ?? schema.example;
    const input = schema.enum && !parameter.required
      ? el('select', { id }, el('option', { value: '' }, ''), schema.enum.map((value) => el('option', {}, String(value))))
      : el('input', { id, placeholder: sample === undefined ? '' : String(sample), spellcheck: 'false', autocomplete: 'off' });
    if (parameter.required && sample !== undefined) input.value = String(sample);
    form.inputs.push({ parameter, input });
    return [el('label', { for: id, class: parameter.required ? 'required' : '' }, parameter.name), input];
  });
  const content = at(operation.requestBody).content;
  if (content) {
    const sample = Object.entries(content).map(([type, media]) => (type.includes('json') ? example(media) : undefined)).find((value) => value !== undefined);
    const id = `${operation.operationId}-body`;
    form.kind = el('select', { id: `${id}-kind` }, Object.keys(content).map((type) => el('option', {}, type)));
    form.file = el('input', { id: `${id}-file`, type: 'file', multiple: true });
    form.body = el('textarea', { id, spellcheck: 'false' });
    form.body.value = sample === undefined ? '' : JSON.stringify(sample, null, 2);
    fields.push(el('label', { for: `${id}-kind` }, 'body as'), form.kind,
      el('label', { for: `${id}-file` }, 'file'), form.file, el('label', { for: id }, 'or text'), form.body);
  }
  const here = servers.some((server) => server.name === own);
  const base = here ? location.origin : servers[0].url;
  const line = el('pre', { tabindex: 0 });
  const draw = () => { line.textContent = request(form, base).curl; };
  const copied = el('span', { role: 'status' });
  const copy = el('button', { type: 'button', onclick: async () => {
    try { await navigator.clipboard.writeText(line.textContent); copied.textContent = 'Copied'; } catch { copied.textContent = 'Select the line to copy it'; }
  } }, 'Copy');
  const out = el('div', { class: 'wide' });
  const element = el('form', { class: 'try', oninput: draw, onchange: draw, onsubmit: (event) => { event.preventDefault(); send(form, out); } },
    fields,
    el('div', { class: 'line wide' }, line, el('div', {}, copy, el('br'), copied)),
    here ? el('div', { class: 'wide' }, el('button', { class: 'main' }, 'Send'))
      : el('p', { class: 'wide' }, `A ${servers[0].name} answers this: its own page /docs sends it, and so does the line above.`),
    out);
  $('token').addEventListener('input', draw);
  draw();
  return [el('h3', {}, 'Try it'), element];
}

/* The page */

function parametersOf(parameters) {
  if (!parameters.length) return '';
  return [el('h3', {}, 'Parameters'), el('table', {},
    el('thead', {}, el('tr', {}, ['Name', 'In', 'Value', 'Meaning'].map((name) => el('th', { scope: 'col' }, name)))),
    el('tbody', {}, parameters.map((parameter) => {
      const schema = at(parameter.schema ?? {});
      const sample = parameter.example ?? schema.example;
      return el('tr', {},
        el('td', {}, el('code', { class: parameter.required ? 'required' : '' }, parameter.name)),
        el('td', {}, parameter.in),
        el('td', {}, el('span', { class: 'type' }, typeOf(schema)), limits(schema), sample === undefined ? '' : [' such as ', el('code', {}, String(sample))]),
        el('td', {}, inline(parameter.description ?? schema.description ?? '')));
    })))];
}

function answersOf(responses) {
  return Object.entries(responses ?? {}).map(([status, value]) => {
    const answer = at(value);
    const headers = Object.entries(answer.headers ?? {}).map(([name, header]) => [name, at(header)]);
    const links = Object.values(answer.links ?? {}).map(at).map((link) => link.operationId).filter(Boolean);
    return el('details', { class: 'answer', open: status.startsWith('2') },
      el('summary', {}, el('span', { class: 'status' }, status), ' ', inline((answer.description ?? '').trim().replace(/\n/g, ' '))),
      el('div', { class: 'inner' },
        headers.length ? el('ul', { class: 'tree' }, headers.map(([name, header]) => el('li', {}, el('code', {}, name), ' ', inline(header.description ?? at(header.schema ?? {}).description ?? '')))) : '',
        contentOf(answer.content),
        links.length ? el('p', {}, 'Then: ', links.map((id) => [el('a', { href: `#${id}` }, id), ' '])) : ''));
  });
}

function operationOf(path, method, operation, item) {
  const servers = serversOf(operation, item);
  const body = el('div', { class: 'body' });
  const element = el('details', { class: `operation${operation.deprecated ? ' old' : ''}`, id: operation.operationId },
    el('summary', {}, el('span', { class: `method ${method}` }, method), el('span', { class: 'path' }, path), el('span', { class: 'words' }, inline(operation.summary ?? ''))), body);
  let filled = false;
  element.addEventListener('toggle', () => {
    if (!element.open || filled) return;
    filled = true;
    const request = at(operation.requestBody);
    const security = operation.security ?? doc.security ?? [];
    const schemes = security.map((one) => Object.entries(one).map(([name, scopes]) => [name, ...scopes].join(' ')).join(' and ') || 'nothing');
    body.append(
      el('p', {}, 'Answered by ', servers.map((server) => [el('span', { class: 'who' }, server.name), ' ']), schemes.length ? `Shows: ${schemes.join(', or ')}` : ''),
      ...words(operation.description),
      ...[parametersOf([...(item.parameters ?? []), ...(operation.parameters ?? [])].map(at))].flat(),
      ...(request.content ? [el('h3', {}, 'Body'), ...words(request.description), ...contentOf(request.content).flat(9).filter(Boolean)] : []),
      el('h3', {}, 'Answers'), ...answersOf(operation.responses),
      ...tryIt(path, method, operation, item, servers));
  });
  return element;
}

function codesTable() {
  const rows = Object.entries(doc['x-problem-codes'] ?? {}).map(([code, about]) =>
    el('tr', { id: `code-${code}` }, el('td', {}, el('code', {}, code)), el('td', {}, about.status.join(', ')), el('td', {}, inline(about.meaning))));
  return el('section', {}, el('h2', { id: 'codes' }, 'Codes of problems'),
    el('table', {}, el('thead', {}, el('tr', {}, ['Code', 'Status', 'Meaning'].map((name) => el('th', { scope: 'col' }, name)))), el('tbody', {}, rows)));
}

function draw() {
  $('version').textContent = doc.info.version;
  const main = $('content');
  const contents = $('contents');
  main.replaceChildren(...words(doc.info.description));
  for (const tag of doc.tags) {
    const list = [];
    const section = el('section', {}, el('h2', {}, tag.name), el('p', {}, inline(tag.description ?? '')));
    for (const [path, item] of Object.entries(doc.paths)) {
      for (const method of methods.filter((name) => item[name]?.tags?.includes(tag.name))) {
        section.append(operationOf(path, method, item[method], item));
        list.push(el('li', {}, el('a', { href: `#${item[method].operationId}`, title: item[method].summary }, el('span', { class: `method ${method}` }, method), el('span', { class: 'path' }, path))));
      }
    }
    if (!list.length) continue;
    main.append(section);
    contents.append(el('h2', {}, tag.name), el('ul', {}, list));
  }
  main.append(codesTable());
  contents.append(el('ul', {}, el('li', {}, el('a', { href: '#codes', class: 'plain' }, 'Codes of problems'))));
}

/** Opens what the address names. */
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.closest('[hidden]')) {
    // The search has it not.
    $('find').value = '';
    find();
  }
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.querySelector('summary').focus({ preventScroll: true });
  }
  target.scrollIntoView();
}

/** Leaves only what has all words of the search. */
function find() {
  const wanted = $('find').value.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (element) => wanted.every((word) => element.textContent.toLowerCase().includes(word) || element.id.toLowerCase().includes(word));
  for (const element of document.querySelectorAll('.operation')) {
    const fits = wanted.every((word) => `${element.id} ${element.firstChild.textContent}`.toLowerCase().includes(word));
    element.hidden = !fits;
    document.querySelector(`nav a[href="#${element.id}"]`).parentElement.hidden = !fits;
  }
  for (const row of document.querySelectorAll('tbody tr[id]')) row.hidden = !has(row);
  for (const section of document.querySelectorAll('main section')) section.hidden = !section.querySelector('.operation:not([hidden]), tr[id]:not([hidden])');
}

async function start() {
  const answer = await fetch('openapi.json');
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  doc = await answer.json();
  draw();
  $('find').addEventListener('input', find);
  addEventListener('hashchange', reveal);
  addEventListener('keydown', (event) => {
    if (event.key === '/' && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
      event.preventDefault();
      $('find').focus();
    }
  });
  reveal();
}

start().catch((error) => { $('state').textContent = `openapi.json cannot be read: ${error.message}`; });
