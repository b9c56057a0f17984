// A known chain of JavaScript frames, which prints itself and then spins for ever. Each line printed is
// `FUNCTION|FILE|LINE`, innermost frame first, and `ready` ends them: LINE is that on which the function begins,
// and carries an @ mark. `node chain.js stack` makes V8 list the ends of lines first.
'use strict';
const fs = require('fs');
const other = require('./chain_other.js');

class Measure {
  constructor(value) { // @Measure
    this.got = this.größe(value);
  }
  größe(value) { // @größe
    return Measure.测量(value);
  }
  static 测量(value) { // @测量
    return handlers.spin(value);
  }
}

const handlers = {};
handlers.spin = function (value) { // @handlers.spin
  report();
  for (;;) value++;
};

function* generator(depth) { // @generator
  if (depth) yield* generator(depth - 1);
  else yield other.withLocals(() => new Measure(1)); // @arrow
}

async function outer() { // @outer
  for (const each of generator(2)) return each;
}

function main(closure) { // @main
  return [1].map(closure);
}

function report() {
  const lines = {};
  for (const file of [__filename, other.file]) {
    fs.readFileSync(file, 'utf8').split('\n').forEach((text, index) => {
      const mark = / @(\S+)$/.exec(text);
      if (mark) lines[mark[1]] = `${file}|${index + 1}`;
    });
  }
  const named = { arrow: '' };
  // A generator that delegates resumes the inner one: each is a frame.
  const chain = ['handlers.spin', '测量', 'größe', 'Measure', 'arrow', 'many', 'few', 'none', 'withLocals',
    'generator', 'generator', 'generator', 'outer', 'closure', 'main'];
  const show = (name) => `${named[name] ?? name}|${lines[name]}`;
  fs.writeSync(1, chain.map(show).join('\n') + '\nready\n');
}

if (process.argv[2] === 'stack') new Error().stack.length;
const closure = (value) => outer(value); // @closure
main(closure);
