// An agent on Node. It spends its time as its standard input says, one command a line, and answers each with how long that
// took by its own clock.
//
//   getppid N      nothing; answers
//   sleep S        a timer
//   tool S         a child process
//   llm PORT       connects, asks, waits for the first byte (`first`) and for the end (`stream`)
"use strict";
const { spawn } = require("node:child_process");
const net = require("node:net");
const readline = require("node:readline");

const now = () => Number(process.hrtime.bigint()) / 1e9;

const commands = {
    getppid: async () => ({}),
    sleep: (seconds) => new Promise((done) => setTimeout(() => done({}), seconds * 1000)),
    tool: (seconds) => new Promise((done) => spawn("sleep", [seconds]).on("close", () => done({}))),
    llm: (port) =>
        new Promise((done) => {
            const connection = net.connect(port, "127.0.0.1");
            let start = 0;
            let first = 0;
            connection.on("connect", () => {
                connection.write("tell me\n");
                start = now();
            });
            connection.on("data", () => {
                first = first || now();
            });
            connection.on("close", () => done({ first: first - start, stream: now() - first }));
        }),
};

async function main() {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [verb, ...words] = line.split(" ");
        const start = now();
        const told = await commands[verb](...words);
        console.log(JSON.stringify({ did: verb, seconds: now() - start, ...told }));
    }
}

main();
