// An agent on Node. It spends its time as its standard input says, one command a line, and answers each with how long that
// took by its own clock.
//
//   getppid N      nothing; answers
//   sleep S        a timer
//   tool S         a child process
//   llm PORT       connects, asks, waits for the first byte (`first`) and for the end (`stream`)
//   fetch PORT S [CERTIFICATE]
//                  asks another host and reads the answer (`waited`), over TLS where there is a certificate; sleeps for S
//                  seconds and asks again on the same connection
"use strict";
const { spawn } = require("node:child_process");
const { on, once } = require("node:events");
const fs = require("node:fs");
const net = require("node:net");
const readline = require("node:readline");
const tls = require("node:tls");

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
    fetch: async (port, seconds, certificate) => {
        const to = { port, host: "127.0.0.1" };
        const connection = certificate
            ? tls.connect({ ...to, ca: fs.readFileSync(certificate) })
            : net.connect(to);
        await once(connection, certificate ? "secureConnect" : "connect");
        let waited = 0;
        for (let times = 0; times < 2; times++) {
            const start = now();
            connection.write("tell me ".repeat(20) + "\n");
            for await (const [data] of on(connection, "data")) {
                if (data.includes("\n")) break;
            }
            waited += now() - start;
            await commands.sleep(seconds);
        }
        connection.destroy();
        return { waited };
    },
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
