// The same as server.py by the public SDK for Node. Usage: MODULES=FOLDER node server.mjs stdio, or http.
import { createRequire } from 'node:module';
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const require = createRequire(`${process.env.MODULES}/`);
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StdioServerTransport } = require('@modelcontextprotocol/sdk/server/stdio.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { z } = require('zod');

const TOOLS = { echo: 0, slow: 50, stuck: 60_000 };
const inputSchema = { secret: z.string() };

function server() {
  const server = new McpServer({ name: 'node-sdk-server', version: '1' });
  for (const [name, milliseconds] of Object.entries(TOOLS)) {
    server.registerTool(name, { description: 'PLANTED', inputSchema }, async ({ secret }, { signal }) => {
      const began = performance.now();
      if (milliseconds) await sleep(milliseconds, undefined, { signal });
      const took = (performance.now() - began) / 1e3;
      return { content: [{ type: 'text', text: `${secret} PLANTED-RESULT ${took}` }] };
    });
  }
  server.registerTool('broken', { description: 'PLANTED', inputSchema }, async ({ secret }) => {
    throw new Error(`PLANTED-ERROR ${secret}`);
  });
  return server;
}

const sessions = new Map();

async function session(id) {
  if (sessions.has(id)) return sessions.get(id);
  const onsessioninitialized = (id) => sessions.set(id, transport);
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized });
  await server().connect(transport);
  return transport;
}

if (process.argv[2] === 'stdio') {
  await server().connect(new StdioServerTransport());
} else {
  const answer = async (request, response) => (await session(request.headers['mcp-session-id'])).handleRequest(request, response);
  const listener = http.createServer(answer).listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ ready: true, port: listener.address().port }));
  });
}
