// Calls whose every frame is known by V8's own account. `wait` sleeps below them again and again, `spin` computes below
// them. Its first line after "ready" is the frames as V8 tells them, innermost first: [[name, file, line], ...].
'use strict';

const { writeSync } = require('node:fs');

const mode = process.argv[2];
const asleep = new Int32Array(new SharedArrayBuffer(4));
let truth;

/** The frames of the caller and below, by V8. */
function account() {
    const prepare = Error.prepareStackTrace;
    Error.prepareStackTrace = (_, sites) => sites.map((s) => [s.getFunctionName(), s.getFileName(), s.getLineNumber()]);
    const told = new Error().stack.slice(1);
    Error.prepareStackTrace = prepare;
    return told;
}

function innermost(seconds) {
    let sum = 0;
    const end = performance.now() + seconds * 1000;
    truth = account(); while (performance.now() < end) { if (mode === 'wait') { Atomics.wait(asleep, 0, 0, 20); } else { for (let i = 0; i < 1e5; i++) { sum = (sum * 31 + i) % 1000003; } } }
    return sum;
}

class Outer {
    method(seconds) {
        return 1 + innermost(seconds);
    }
}

const arrow = (seconds) => 1 + new Outer().method(seconds);

function through(seconds) {
    // A builtin calls back.
    return [seconds].map(arrow)[0];
}

writeSync(1, 'ready\n');
through(0);
writeSync(1, JSON.stringify(truth) + '\n');
for (;;) {
    through(0.5);
}
