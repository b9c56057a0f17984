// The server's side of a WebSocket (RFC 6455), with messages compressed where the client offers that (RFC 7692). For
// provider.mjs: whole messages of well-behaved clients on this machine.
import { createHash } from 'node:crypto';
import zlib from 'node:zlib';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10];

// Puts bytes through a stream of zlib, whose dictionary lasts from message to message.
function through(stream) {
  let parts = [];
  stream.on('data', (part) => parts.push(part));
  return async (bytes) => {
    stream.write(bytes);
    await new Promise((done) => stream.flush(zlib.constants.Z_SYNC_FLUSH, done));
    const all = Buffer.concat(parts);
    parts = [];
    return all;
  };
}

// The first frame of these bytes, if it is whole, and how long it is.
function frame(bytes) {
  if (bytes.length < 2) return null;
  let [length, at] = [bytes[1] & 0x7f, 2];
  const extended = { 126: 2, 127: 8 }[length] ?? 0;
  if (bytes.length < at + extended) return null;
  if (extended === 2) length = bytes.readUInt16BE(at);
  if (extended === 8) length = Number(bytes.readBigUInt64BE(at));
  at += extended;
  const mask = bytes.subarray(at, at + 4);
  at += 4;
  if (bytes.length < at + length) return null;
  const payload = Buffer.from(bytes.subarray(at, at + length), 0);
  for (let n = 0; n < length; n++) payload[n] ^= mask[n % 4];
  return { fin: bytes[0] & 0x80, compressed: bytes[0] & 0x40, opcode: bytes[0] & 0xf, payload, size: at + length };
}

function framed(opcode, payload, compressed) {
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65536 ? 4 : 10);
  head[0] = 0x80 | (compressed ? 0x40 : 0) | opcode;
  head[1] = { 2: payload.length, 4: 126, 10: 127 }[head.length];
  if (head.length === 4) head.writeUInt16BE(payload.length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

// Takes the offer, and has each message of text answered by `answer(text, send)`.
export function accept(req, socket, answer) {
  const key = createHash('sha1').update(req.headers['sec-websocket-key'] + GUID).digest('base64');
  const offer = String(req.headers['sec-websocket-extensions'] ?? '').split(',').find((one) => one.trim().startsWith('permessage-deflate'));
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${key}`];
  if (offer) lines.push('Sec-WebSocket-Extensions: permessage-deflate');
  socket.write(lines.join('\r\n') + '\r\n\r\n');
  socket.setNoDelay?.(true);
  const [deflate, inflate] = [through(zlib.createDeflateRaw()), through(zlib.createInflateRaw())];
  const send = async (text) => {
    const bytes = Buffer.from(text);
    const payload = offer ? (await deflate(bytes)).subarray(0, -TAIL.length) : bytes;
    socket.write(framed(TEXT, payload, offer));
  };
  let [held, parts, squeezed] = [Buffer.alloc(0), [], 0];
  const take = async ({ fin, compressed, opcode, payload }) => {
    if (opcode === PING) return socket.write(framed(PONG, payload));
    if (opcode === CLOSE) return socket.end(framed(CLOSE, payload));
    if (opcode > 2) return;
    if (opcode) squeezed = compressed;
    parts.push(payload);
    if (!fin) return;
    const whole = Buffer.concat(parts);
    parts = [];
    await answer((squeezed ? await inflate(Buffer.concat([whole, TAIL])) : whole).toString(), send);
  };
  let turn = Promise.resolve();
  socket.on('error', () => {});
  socket.on('data', (data) => {
    held = Buffer.concat([held, data]);
    for (let next = frame(held); next; next = frame(held)) {
      held = held.subarray(next.size);
      const one = next;
      turn = turn.then(() => take(one));
    }
  });
}
