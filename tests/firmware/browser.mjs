// Runs the program in a JavaScript engine, which is a sandbox too: node browser.mjs dynload-firmware.wasm
import { readFileSync, writeSync } from "node:fs";

let memory;
const board = {
  now_us: () => performance.now() * 1000,
  print: (bytes, length) => writeSync(1, new Uint8Array(memory.buffer, bytes, length)),
  quit: (code) => process.exit(code),
};
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { board });
memory = instance.exports.memory;
instance.exports.main(0, 0);
