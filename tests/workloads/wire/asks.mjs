// The same as asks.py by Node's own client, in the clear. Usage: node asks.mjs PORT. Command: `ask N`.
import http from 'node:http';
import readline from 'node:readline';

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const headers = { Authorization: 'Bearer PLANTED-KEY', Cookie: 'session=PLANTED-COOKIE' };

function ask(path, body) {
  const start = performance.now();
  return new Promise((resolve) => {
    const done = () => resolve((performance.now() - start) / 1000);
    const options = { host: '127.0.0.1', port: process.argv[2], path, agent, headers, method: body ? 'POST' : 'GET' };
    const request = http.request(options, (answer) => answer.resume().on('end', done));
    request.on('error', done).end(body);
  });
}

console.log(JSON.stringify({ ready: true }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  let seconds = 0;
  for (let n = Number(line.split(' ')[1]); n > 0; n--) {
    await ask('/v1/items/PLANTED0a1b2c3d4e5f6071?key=PLANTED-QUERY');
    await ask('/v1/items', 'PLANTED-BODY '.repeat(100));
    await ask('/nowhere');
    await ask('/chunked');
    seconds += await ask('/slow');
    await ask('/drop');
  }
  console.log(JSON.stringify({ seconds }));
}
