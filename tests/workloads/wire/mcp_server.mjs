// The same as mcp_server.py, as the public SDK for Node has them: the method comes before what says that it is JSON-RPC.
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

async function result({ method, params }) {
  const name = params?.name;
  if (method === 'initialize') {
    const serverInfo = { name: 'node-server', version: '1' };
    return { result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo } };
  }
  if (name === 'slow') await sleep(20);
  if (['echo', 'slow', 'broken'].includes(name)) {
    const content = [{ type: 'text', text: 'PLANTED-RESULT '.repeat(1000) }];
    return { result: { content, isError: name === 'broken' } };
  }
  return { error: { code: -32602, message: 'PLANTED unknown tool' } };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const began = performance.now();
  const message = JSON.parse(line);
  if (message.id === undefined) continue;
  const answer = { ...(await result(message)), jsonrpc: '2.0', id: message.id };
  answer.took = (performance.now() - began) / 1e3;
  process.stdout.write(JSON.stringify(answer) + '\n');
}
