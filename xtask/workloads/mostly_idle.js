// A Node agent that waits most of the time, with modules loaded that agents load.
"use strict";
require("https");
require("zlib");
const { createHash } = require("crypto");

function turn() {
    const numbers = {};
    for (let n = 0; n < 2000; n++) numbers[n] = n * n;
    createHash("sha256").update(JSON.stringify(numbers)).digest("hex");
    setTimeout(turn, 100 + Math.random() * 400);
}

turn();
