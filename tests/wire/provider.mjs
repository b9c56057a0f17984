// A provider of language models that speaks as OpenAI, Anthropic, Gemini, Bedrock and Ollama do, for recordings.
// It answers what the request asks for; the name of the model says what is to go wrong, or that it is slow. Loopback only.
// Usage: node provider.mjs [h2c | tls CERTIFICATE KEY | alpn CERTIFICATE KEY], prints its port. Under TRUTH, a file, it writes
// a line for each call: its model, status and tokens, and when by its own clock it had the first word to say, and no more (s).
// With TEXT_ONLY it asks for no tools: real agents would run them.
import { appendFileSync, readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import zlib from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import { accept } from './socket.mjs';

const SECRET = 'PLANTED-COMPLETION with "quotes", {braces} and \\ "usage":{"input_tokens":666}';
const ARGS = JSON.stringify({ secret: 'PLANTED-ARGUMENT' });
const PARTS = [SECRET.slice(0, 20), SECRET.slice(20, 45), SECRET.slice(45)];
const TEXT_ONLY = 'TEXT_ONLY' in process.env;
const STOP = TEXT_ONLY ? 'end_turn' : 'tool_use';
const failed = new Set();
// What a model says that is called a `download`, bytes; one that is `verbose` says 40 kB.
const LARGE = 50_000_000;

// What an answer is written to: coded as the client accepts it, flushed after each piece.
function out(req, res, type, status = 200, extra = {}) {
  const accepted = String(req.headers['accept-encoding'] ?? '');
  const coding = ['br', 'gzip'].find((name) => accepted.includes(name));
  const plain = req.headers['x-plain'] || !coding;
  const headers = { 'content-type': type, 'x-request-id': 'PLANTED-HEADER', ...extra };
  if (!plain) headers['content-encoding'] = coding;
  res.writeHead(status, headers);
  const over = () => { res.over = performance.now(); };
  if (plain) return { write: (data) => res.write(data), end: () => { over(); res.end(); } };
  const coder = coding === 'br' ? zlib.createBrotliCompress() : zlib.createGzip();
  coder.pipe(res);
  return { write: (data) => { coder.write(data); coder.flush(); }, end: () => { over(); coder.end(); } };
}

function json(req, res, value, status = 200, extra = {}) {
  const body = out(req, res, 'application/json', status, extra);
  body.write(JSON.stringify(value));
  body.end();
}

async function events(req, res, list, { named = false, done = false, drop = 0 } = {}) {
  const body = out(req, res, 'text/event-stream; charset=utf-8');
  let n = 0;
  for (const event of list) {
    if (drop && ++n > drop) return (res.stream ?? res.socket).destroy();
    const text = JSON.stringify(event);
    if (/"(content|text)":"PLANTED/.test(text)) res.first ??= performance.now();
    body.write((named ? `event: ${event.type}\n` : '') + `data: ${text}\n\n`);
    await sleep(res.pause ?? 4);
  }
  if (done) body.write('data: [DONE]\n\n');
  body.end();
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function message(event, payload) {
  const parts = [];
  for (const [name, value] of [[':event-type', event], [':content-type', 'application/json'], [':message-type', 'event']]) {
    const head = Buffer.alloc(4 + name.length);
    head[0] = name.length;
    head.write(name, 1);
    head[1 + name.length] = 7;
    head.writeUInt16BE(value.length, 2 + name.length);
    parts.push(head, Buffer.from(value));
  }
  const headers = Buffer.concat(parts);
  const body = Buffer.from(JSON.stringify(payload));
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(16 + headers.length + body.length, 0);
  prelude.writeUInt32BE(headers.length, 4);
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8);
  const all = Buffer.concat([prelude, headers, body]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(all));
  return Buffer.concat([all, sum]);
}

async function eventStream(res, list) {
  res.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
  for (const [event, payload] of list) {
    res.write(message(event, payload));
    await sleep(4);
  }
  res.end();
}

async function chat(req, res, ask) {
  const id = 'chatcmpl-1';
  const model = `${ask.model}-2026-01-01`;
  const usage = {
    prompt_tokens: 1200, completion_tokens: 80, total_tokens: 1280,
    prompt_tokens_details: { cached_tokens: 1024 }, completion_tokens_details: { reasoning_tokens: 32 },
  };
  const extra = ask.model.startsWith('llama') ? { timings: { prompt_n: 7 } } : {};
  const calls = TEXT_ONLY ? undefined : ask.tools?.map((tool, index) => ({
    index, id: `call_${index}`, type: 'function', function: { name: tool.function.name, arguments: ARGS },
  }));
  const finish = calls ? 'tool_calls' : 'stop';
  if (!ask.stream || ask.stream_options?.include_usage) res.used = [usage.prompt_tokens, usage.completion_tokens];
  if (!ask.stream) {
    const length = ask.model.includes('download') ? LARGE : ask.model.includes('verbose') ? 40_000 : 0;
    const content = length ? 'PLANTED '.repeat(length / 8) : SECRET;
    const answer = { role: 'assistant', content, tool_calls: calls };
    return json(req, res, { id, object: 'chat.completion', model, choices: [{ index: 0, message: answer, finish_reason: finish }], usage, ...extra });
  }
  const chunk = (delta, finish_reason = null) => ({
    id, object: 'chat.completion.chunk', model, choices: [{ index: 0, delta, finish_reason }], ...(ask.stream_options ? { usage: null } : {}),
  });
  const list = [chunk({ role: 'assistant', content: '' }), ...PARTS.map((content) => chunk({ content }))];
  for (const call of calls ?? []) {
    list.push(chunk({ tool_calls: [{ ...call, function: { name: call.function.name, arguments: '' } }] }));
    for (const part of [ARGS.slice(0, 5), ARGS.slice(5)]) list.push(chunk({ tool_calls: [{ index: call.index, function: { arguments: part } }] }));
  }
  list.push(chunk({}, finish));
  if (ask.stream_options?.include_usage) list.push({ id, object: 'chat.completion.chunk', model, choices: [], usage, ...extra });
  await events(req, res, list, { done: true, drop: ask.model.includes('drop') ? 3 : 0 });
}

function response(ask) {
  const model = `${ask.model}-2026-01-01`;
  const usage = { input_tokens: 900, output_tokens: 60, total_tokens: 960, input_tokens_details: { cached_tokens: 512 }, output_tokens_details: { reasoning_tokens: 20 } };
  const text = { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: SECRET, annotations: [] }] };
  const call = { id: 'fc_1', type: 'function_call', call_id: 'call_1', status: 'completed', name: 'get_weather', arguments: ARGS };
  const output = TEXT_ONLY ? [text] : [text, call];
  return { id: 'resp_1', object: 'response', created_at: 1, status: 'completed', error: null, incomplete_details: null, model, output, parallel_tool_calls: true, tool_choice: 'auto', tools: [], usage };
}

function responseEvents(ask) {
  const whole = response(ask);
  const [text, call] = whole.output;
  const begun = { ...whole, status: 'in_progress', output: [], usage: null };
  const calls = call && [
    { type: 'response.output_item.added', output_index: 1, item: { ...call, arguments: '', status: 'in_progress' } },
    { type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 1, delta: ARGS },
    { type: 'response.function_call_arguments.done', item_id: 'fc_1', output_index: 1, name: 'get_weather', arguments: ARGS },
    { type: 'response.output_item.done', output_index: 1, item: call },
  ];
  const list = [
    { type: 'response.created', response: begun },
    { type: 'response.output_item.added', output_index: 0, item: { ...text, content: [], status: 'in_progress' } },
    ...PARTS.map((delta) => ({ type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0, delta, logprobs: [] })),
    { type: 'response.output_text.done', item_id: 'msg_1', output_index: 0, content_index: 0, text: SECRET, logprobs: [] },
    { type: 'response.output_item.done', output_index: 0, item: text },
    ...(calls ?? []),
    { type: 'response.completed', response: whole },
  ];
  return list.map((event, sequence_number) => ({ ...event, sequence_number }));
}

async function responses(req, res, ask) {
  const whole = response(ask);
  res.used = [whole.usage.input_tokens, whole.usage.output_tokens];
  if (!ask.stream) return json(req, res, whole);
  await events(req, res, responseEvents(ask), { named: true });
}

// Responses over a WebSocket: each message asks, and each event of the answer is a message.
function converse(req, socket) {
  accept(req, socket, async (text, send) => {
    const begun = performance.now();
    const ask = JSON.parse(text);
    if (ask.type !== 'response.create') return;
    const { usage } = response(ask);
    for (const event of responseEvents(ask)) {
      await send(JSON.stringify(event));
      await sleep(4);
    }
    bear({ model: ask.model, status: 101, version: 'websocket', seconds: (performance.now() - begun) / 1e3, input: usage.input_tokens, output: usage.output_tokens });
  });
}

function messageEvents(ask) {
  const usage = { input_tokens: 25, cache_creation_input_tokens: 300, cache_read_input_tokens: 4000, output_tokens: 1 };
  const start = { id: 'msg_1', type: 'message', role: 'assistant', model: `${ask.model}-20260101`, content: [], stop_reason: null, stop_sequence: null, usage };
  const tool = [
    { type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: {} } },
    { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: ARGS } },
    { type: 'content_block_stop', index: 1 },
  ];
  return [
    { type: 'message_start', message: start },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'ping' },
    ...PARTS.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
    { type: 'content_block_stop', index: 0 },
    ...(TEXT_ONLY ? [] : tool),
    { type: 'message_delta', delta: { stop_reason: STOP, stop_sequence: null }, usage: { output_tokens: 77 } },
    { type: 'message_stop' },
  ];
}

function wholeMessage(ask) {
  const call = { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { secret: 'PLANTED-ARGUMENT', usage: { output_tokens: 999 } } };
  const content = [{ type: 'text', text: SECRET }, ...(TEXT_ONLY ? [] : [call])];
  return { ...messageEvents(ask)[0].message, content, stop_reason: STOP, usage: { input_tokens: 25, cache_creation_input_tokens: 300, cache_read_input_tokens: 4000, output_tokens: 77 } };
}

async function messages(req, res, ask) {
  if (ask.model.includes('overloaded')) {
    const error = { type: 'overloaded_error', message: 'PLANTED-COMPLETION' };
    if (!ask.stream) return json(req, res, { type: 'error', error }, 529);
    return events(req, res, [...messageEvents(ask).slice(0, 5), { type: 'error', error }], { named: true });
  }
  // What is read from a cache and written to it is counted apart.
  res.used = [25 + 300 + 4000, 77];
  if (!ask.stream) return json(req, res, wholeMessage(ask));
  await events(req, res, messageEvents(ask), { named: true, drop: ask.model.includes('drop') ? 5 : 0 });
}

async function gemini(req, res, url) {
  const part = (parts, more = {}) => ({ candidates: [{ content: { parts, role: 'model' }, index: 0, ...more }], modelVersion: 'gemini-2.5-flash-001' });
  const usageMetadata = { promptTokenCount: 500, candidatesTokenCount: 40, cachedContentTokenCount: 100, thoughtsTokenCount: 15, totalTokenCount: 555 };
  const call = { functionCall: { name: 'get_weather', args: { secret: 'PLANTED-ARGUMENT', usageMetadata: { promptTokenCount: 9 } } } };
  const last = { ...part([TEXT_ONLY ? { text: '.' } : call], { finishReason: 'STOP' }), usageMetadata };
  // What it thinks is counted apart.
  res.used = [500, 40 + 15];
  res.model = /models\/([^/:]+):/.exec(url.pathname)?.[1];
  if (url.pathname.endsWith(':generateContent')) return json(req, res, last);
  const list = [...PARTS.map((text) => ({ ...part([{ text }]), usageMetadata: { promptTokenCount: 500, totalTokenCount: 500 } })), last];
  if (url.searchParams.get('alt') === 'sse') return events(req, res, list);
  const body = out(req, res, 'application/json');
  for (const [n, value] of list.entries()) {
    body.write((n ? ',\n' : '[') + JSON.stringify(value));
    await sleep(4);
  }
  body.write(']\n');
  body.end();
}

async function bedrock(req, res, path) {
  const usage = { inputTokens: 11, outputTokens: 22, totalTokens: 33, cacheReadInputTokens: 0, cacheWriteInputTokens: 0 };
  const call = { toolUse: { toolUseId: 't1', name: 'get_weather', input: { secret: 'PLANTED-ARGUMENT' } } };
  const ask = { model: 'claude' };
  switch (path.split('/').pop()) {
    case 'converse':
      return json(req, res, { output: { message: { role: 'assistant', content: [{ text: SECRET }, call] } }, stopReason: 'tool_use', usage, metrics: { latencyMs: 1 } });
    case 'converse-stream':
      return eventStream(res, [
        ['messageStart', { role: 'assistant' }],
        ...PARTS.map((text) => ['contentBlockDelta', { contentBlockIndex: 0, delta: { text } }]),
        ['contentBlockStop', { contentBlockIndex: 0 }],
        ['contentBlockStart', { contentBlockIndex: 1, start: { toolUse: { toolUseId: 't1', name: 'get_weather' } } }],
        ['contentBlockDelta', { contentBlockIndex: 1, delta: { toolUse: { input: ARGS } } }],
        ['contentBlockStop', { contentBlockIndex: 1 }],
        ['messageStop', { stopReason: 'tool_use' }],
        ['metadata', { usage, metrics: { latencyMs: 1 } }],
      ]);
    case 'invoke':
      return json(req, res, wholeMessage(ask), 200, { 'x-amzn-bedrock-input-token-count': '25', 'x-amzn-bedrock-output-token-count': '77' });
    default: {
      const list = messageEvents(ask);
      list[list.length - 1]['amazon-bedrock-invocationMetrics'] = { inputTokenCount: 25, outputTokenCount: 77, invocationLatency: 5, firstByteLatency: 1 };
      return eventStream(res, list.map((event) => ['chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64'), p: 'abcd' }]));
    }
  }
}

async function ollama(req, res, ask) {
  const last = { model: ask.model, created_at: 'x', message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop', total_duration: 5, prompt_eval_count: 26, eval_count: 298 };
  if (ask.stream === false) return json(req, res, { ...last, message: { role: 'assistant', content: SECRET } });
  res.writeHead(200, { 'content-type': 'application/x-ndjson' });
  for (const content of PARTS) {
    res.write(JSON.stringify({ model: ask.model, created_at: 'x', message: { role: 'assistant', content }, done: false }) + '\n');
    await sleep(4);
  }
  res.end(JSON.stringify(last) + '\n');
}

// Writes down what a call was like.
function bear(truth) {
  if (process.env.TRUTH) appendFileSync(process.env.TRUTH, JSON.stringify(truth) + '\n');
}

// Has it written down once it is over.
function witness(req, res, begun) {
  res.on('close', () => {
    const since = (at) => at && (at - begun) / 1e3;
    const [input, output] = res.used ?? [];
    const times = { first: since(res.first), seconds: since(res.over ?? performance.now()) };
    if (res.model) bear({ model: res.model, status: res.statusCode, version: req.httpVersion, input, output, ...times });
  });
}

async function handle(req, res) {
  witness(req, res, performance.now());
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const url = new URL(req.url, 'http://localhost');
  const path = url.pathname;
  const text = Buffer.concat(chunks).toString();
  const ask = text.startsWith('{') ? JSON.parse(text) : {};
  res.model = ask.model;
  res.pause = ask.model?.includes('crawls') ? 400 : ask.model?.includes('slow') ? 40 : 4;
  if (ask.model?.includes('retry') && !failed.has(text)) {
    failed.add(text);
    const error = { message: 'PLANTED-COMPLETION', type: 'rate_limit_exceeded', code: 'rate_limit' };
    return json(req, res, { type: 'error', error }, 429, { 'retry-after-ms': '20' });
  }
  if (path.endsWith('/chat/completions')) return chat(req, res, ask);
  if (path.endsWith('/responses')) return responses(req, res, ask);
  if (path.endsWith('/embeddings')) {
    const data = [{ object: 'embedding', index: 0, embedding: [0.5, -0.25, 1e-3] }];
    return json(req, res, { object: 'list', data, model: ask.model, usage: { prompt_tokens: 8, total_tokens: 8 } });
  }
  if (path.endsWith('/v1/messages')) return messages(req, res, ask);
  if (path.includes(':generateContent') || path.includes(':streamGenerateContent')) return gemini(req, res, url);
  if (path.startsWith('/model/')) return bedrock(req, res, path);
  if (path === '/noise') return res.end(Buffer.alloc(Number(url.searchParams.get('bytes')), 'noise '));
  if (path === '/api/chat') return ollama(req, res, ask);
  // Whatever else it is, it calls no model.
  res.model = undefined;
  json(req, res, { hello: 'PLANTED-COMPLETION' }, path === '/missing' ? 404 : 200);
}

function serve() {
  const [kind, certificate, key] = process.argv.slice(2);
  if (kind === 'h2c') return http2.createServer(handle);
  if (!['tls', 'alpn'].includes(kind)) return http.createServer({ noDelay: true }, handle);
  if (kind === 'alpn') {
    const server = http2.createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key), allowHTTP1: true }, handle);
    return server.on('secureConnection', (socket) => socket.setNoDelay(true));
  }
  return https.createServer({ cert: readFileSync(certificate), key: readFileSync(key), noDelay: true }, handle);
}

const server = serve();
server.on('upgrade', converse);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
