// Calls a model by Node's own fetch, as it is told line by line, and says what it saw of each call.
// Usage: NODE_EXTRA_CA_CERTS=… node client.mjs PORT [http]. Commands: `chat MODEL`, `stream MODEL`, `messages MODEL`.
import readline from 'node:readline';

const PORT = process.argv[2];
const SCHEME = process.argv[3] ?? 'https';
const SECRET = 'PLANTED-PROMPT ' + 'long '.repeat(2000);

async function call(command, model) {
  const messages = [{ role: 'user', content: SECRET }];
  const path = command === 'messages' ? '/v1/messages' : '/v1/chat/completions';
  const options = command === 'stream' ? { stream: true, stream_options: { include_usage: true } } : {};
  const asked = command === 'messages' ? { model, max_tokens: 100, stream: true, messages } : { model, messages, ...options };
  const headers = { 'content-type': 'application/json', authorization: 'Bearer PLANTED-KEY', 'x-api-key': 'PLANTED-KEY' };
  const start = performance.now();
  const answer = await fetch(`${SCHEME}://127.0.0.1:${PORT}${path}`, { method: 'POST', headers, body: JSON.stringify(asked) });
  let first = null;
  let text = '';
  for await (const chunk of answer.body) {
    text += Buffer.from(chunk).toString();
    if (first === null && /"(content|text)":"PLANTED/.test(text)) first = (performance.now() - start) / 1e3;
  }
  return { status: answer.status, seconds: (performance.now() - start) / 1e3, first: asked.stream ? first : null };
}

console.log(JSON.stringify({ ready: true }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, argument] = line.split(' ');
  console.log(JSON.stringify(await call(command, argument)));
}
