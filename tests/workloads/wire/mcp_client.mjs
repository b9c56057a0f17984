// The same as mcp_client.py: Node gives its children unix sockets.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';

let server;
let answers;
let number = 0;

async function ask(method, params) {
  const message = { method, params, jsonrpc: '2.0', id: ++number };
  const start = performance.now();
  server.stdin.write(JSON.stringify(message) + '\n');
  const answer = JSON.parse((await answers.next()).value);
  if (answer.id !== number) throw new Error(`an answer to ${answer.id}`);
  return { seconds: (performance.now() - start) / 1e3, took: answer.took };
}

console.log(JSON.stringify({ ready: true }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(' ');
  let said;
  if (command === 'start') {
    server = spawn(words[0], words.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    answers = readline.createInterface({ input: server.stdout })[Symbol.asyncIterator]();
    said = { pid: server.pid, ...(await ask('initialize', { protocolVersion: '2025-06-18' })) };
  } else if (command === 'call') {
    said = await ask('tools/call', { name: words[0], arguments: { secret: 'PLANTED-ARGUMENT' } });
  } else {
    server.stdin.end();
    said = { status: (await once(server, 'exit'))[0] };
  }
  console.log(JSON.stringify(said));
}
