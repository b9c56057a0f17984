// The same as endpoints.py by Node's own server, in the clear.
import http from 'node:http';

const text = (length) => 'PLANTED!'.repeat(length / 8);

function answer(response, status, length) {
  response.writeHead(status, { 'Content-Length': length, 'Set-Cookie': 'session=PLANTED-COOKIE' });
  response.end(text(length));
}

const server = http.createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (request.method === 'POST') request.resume().on('end', () => answer(response, 201, 24));
  else if (path.startsWith('/v1/items/')) answer(response, 200, 104);
  else if (path === '/slow') setTimeout(() => answer(response, 200, 8), 200);
  else if (path === '/chunked') {
    for (let n = 0; n < 3; n++) response.write('x'.repeat(1000));
    response.end();
  } else if (path === '/drop') request.socket.destroy();
  else answer(response, 404, 16);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
