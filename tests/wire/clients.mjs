// Node's clients against the provider of provider.mjs; prints what each saw, a line of JSON for each call.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.MODULES}/`);
const OpenAI = require('openai').default;
const Anthropic = require('@anthropic-ai/sdk').default;
const base = `http://127.0.0.1:${process.argv[2]}`;
const apiKey = 'PLANTED-KEY';
const messages = [{ role: 'user', content: 'PLANTED-PROMPT' }];
const note = (truth) => console.log(JSON.stringify(truth));

const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey });
const answer = await openai.chat.completions.create({ model: 'gpt-4.1', messages });
note({ provider: 'openai', request_model: 'gpt-4.1', response_model: answer.model, status: 200, stream: false, input: answer.usage.prompt_tokens, output: answer.usage.completion_tokens });

let last;
for await (const chunk of await openai.chat.completions.create({ model: 'gpt-4.1', messages, stream: true, stream_options: { include_usage: true } })) last = chunk;
note({ provider: 'openai', request_model: 'gpt-4.1', response_model: last.model, status: 200, stream: true, chunks: 3, input: last.usage.prompt_tokens, output: last.usage.completion_tokens });

const anthropic = new Anthropic({ baseURL: base, apiKey });
const stream = anthropic.messages.stream({ model: 'claude-opus-4', max_tokens: 99, messages });
const { usage, model, stop_reason } = await stream.finalMessage();
note({ provider: 'anthropic', request_model: 'claude-opus-4', response_model: model, status: 200, stream: true, finish: stop_reason, tools: ['get_weather'], input: usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens, output: usage.output_tokens });

const url = `${base}/v1beta/models/gemini-2.5-pro:streamGenerateContent`;
await (await fetch(url, { method: 'POST', body: JSON.stringify({ contents: messages }), headers: { 'content-type': 'application/json', 'x-goog-api-key': apiKey } })).text();
note({ provider: 'gcp.gemini', request_model: 'gemini-2.5-pro', response_model: 'gemini-2.5-flash-001', status: 200, stream: true, finish: 'STOP', tools: ['get_weather'], input: 500, output: 55 });
