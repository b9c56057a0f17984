// The same as client.py by the public SDK for Node. Usage: MODULES=FOLDER node client.mjs. It has one mode, `auto`; who gives up
// does so by the SDK's timeout, or by a signal (`abort TOOL`).
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(`${process.env.MODULES}/`);
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = require('@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');

const { MODULES, PATH } = process.env;
const client = new Client({ name: 'node-sdk-client', version: '1' });

async function call(name, options) {
  try {
    const result = await client.callTool({ name, arguments: { secret: 'PLANTED-ARGUMENT' } }, undefined, options);
    if (result.isError) return { error: 'tool_error' };
    return { took: Number(result.content[0].text.split(' ').at(-1)) };
  } catch (error) {
    return { error: String(error.code ?? error.name) };
  }
}

const does = {
  async stdio(mode, command, ...args) {
    await client.connect(new StdioClientTransport({ command, args, env: { MODULES, PATH } }));
    return {};
  },
  async http(mode, url) {
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    return {};
  },
  list: async () => ({ tools: (await client.listTools()).tools.length }),
  call: (tool) => call(tool, {}),
  give_up: (tool) => call(tool, { timeout: 300 }),
  abort: (tool) => call(tool, { signal: AbortSignal.timeout(300) }),
  async end() {
    await client.close();
    return {};
  },
};

console.log(JSON.stringify({ ready: true }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(' ');
  const start = performance.now();
  const saw = await does[command](...words);
  console.log(JSON.stringify({ ...saw, seconds: (performance.now() - start) / 1e3 }));
}
