// The same as client.py by the public clients of Node, and by its own HTTP/2.
// Usage: NODE_EXTRA_CA_CERTS=… MODULES=FOLDER node client.mjs PORT. The library is `openai`, `anthropic` or `http2`.
import { createRequire } from 'node:module';
import http2 from 'node:http2';
import readline from 'node:readline';

const require = createRequire(`${process.env.MODULES}/`);
const OpenAI = require('openai').default;
const Anthropic = require('@anthropic-ai/sdk').default;
const BASE = `https://127.0.0.1:${process.argv[2]}`;
const apiKey = 'PLANTED-KEY';
const messages = [{ role: 'user', content: 'PLANTED-PROMPT ' + 'long '.repeat(2000) }];
const chat = (model, stream) => ({ model, messages, ...(stream ? { stream, stream_options: { include_usage: true } } : {}) });

const openai = new OpenAI({ baseURL: `${BASE}/v1`, apiKey });
const anthropic = new Anthropic({ baseURL: BASE, apiKey });

const ask = {
  async openai(model, stream, word) {
    const answer = await openai.chat.completions.create(chat(model, stream));
    if (!stream) return [answer.model, answer.usage.prompt_tokens, answer.usage.completion_tokens];
    let last;
    for await (const chunk of answer) {
      last = chunk;
      if (chunk.choices[0]?.delta.content) word();
    }
    return [last.model, last.usage.prompt_tokens, last.usage.completion_tokens];
  },
  async anthropic(model, stream, word) {
    const asked = { model, max_tokens: 99, messages };
    const events = stream ? anthropic.messages.stream(asked).on('text', word) : null;
    const { usage, model: answered } = await (events ? events.finalMessage() : anthropic.messages.create(asked));
    return [answered, usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens, usage.output_tokens];
  },
  async http2(model, stream, word) {
    const request = session.request({ ':method': 'POST', ':path': '/v1/chat/completions', 'content-type': 'application/json', authorization: `Bearer ${apiKey}` });
    request.end(JSON.stringify(chat(model, stream)));
    let text = '';
    for await (const chunk of request) {
      text += chunk;
      if (text.includes('"content":"PLANTED')) word();
    }
    const last = stream ? text.split('\n').filter((line) => line.startsWith('data: {')).at(-1).slice(6) : text;
    const { model: answered, usage } = JSON.parse(last);
    return [answered, usage.prompt_tokens, usage.completion_tokens];
  },
};

async function one(library, model, stream) {
  const start = performance.now();
  let first = null;
  const told = { model, status: 200 };
  try {
    const [answered, input, output] = await ask[library](model, stream, () => { first ??= (performance.now() - start) / 1e3; });
    Object.assign(told, { answered, input, output });
  } catch (error) {
    Object.assign(told, { status: error.status ?? 200, error: error.constructor.name });
  }
  return { ...told, first, seconds: (performance.now() - start) / 1e3 };
}

let session;
console.log(JSON.stringify({ ready: true }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [library, ways, model, count = '1'] = line.split(' ');
  if (library === 'http2') session ??= http2.connect(BASE);
  const models = Array.from({ length: Number(count) }, (_, n) => `${model}-${n}`);
  const calls = models.map((each) => one(library, each, ways === 'stream'));
  console.log(JSON.stringify(await Promise.all(calls)));
}
