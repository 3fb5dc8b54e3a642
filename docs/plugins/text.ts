// The plugin of docs/plugins.md in AssemblyScript.
//
// asc text.ts -O --use abort= -o text.wasm
//
// `--use abort=` makes an error of the language a trap. Otherwise the module imports `env.abort`, which only a host that
// defines it provides.

@external("vais", "read_args") declare function read_args(to: usize): void;
@external("vais", "set_result") declare function set_result(from: usize, len: usize): void;
@external("vais", "config_get")
declare function config_get(name: usize, nameLength: usize, to: usize, room: usize): i32;

/** Returns the arguments, one after the other. */
function args(length: i32): ArrayBuffer {
  const bytes = new ArrayBuffer(length);
  read_args(changetype<usize>(bytes));
  return bytes;
}

/** Returns a value of the plugin's configuration. */
function config(name: string): string | null {
  const key = String.UTF8.encode(name);
  const length = config_get(changetype<usize>(key), key.byteLength, 0, 0);
  if (length < 0) return null;
  const value = new ArrayBuffer(length);
  config_get(changetype<usize>(key), key.byteLength, changetype<usize>(value), length);
  return String.UTF8.decode(value);
}

/** Sets the result, and returns what an export has to return: 0, or 1 if the result is the text of an error. */
function finish(result: ArrayBuffer, status: i32 = 0): i32 {
  set_result(changetype<usize>(result), result.byteLength);
  return status;
}

/** Upper case, of ASCII letters. */
export function shout(length: i32): i32 {
  const bytes = args(length);
  const text = Uint8Array.wrap(bytes);
  for (let n = 0; n < length; n++) {
    const byte = text[n];
    if (byte >= 0x61 && byte <= 0x7a) text[n] = byte - 32;
  }
  return finish(bytes);
}

/** A greeting, by the plugin's configuration. */
export function greet(length: i32): i32 {
  const greeting = config("greeting");
  const name = String.UTF8.decode(args(length));
  const text = (greeting === null ? "Hello" : greeting) + ", " + name + "!";
  return finish(String.UTF8.encode(text));
}

/** Always an error. */
export function refuse(length: i32): i32 {
  return finish(String.UTF8.encode("cannot accept: " + String.UTF8.decode(args(length))), 1);
}

/** Two arguments with a space between them. */
export function join(firstLength: i32, secondLength: i32): i32 {
  const both = args(firstLength + secondLength);
  const first = String.UTF8.decode(both.slice(0, firstLength));
  const second = String.UTF8.decode(both.slice(firstLength));
  return finish(String.UTF8.encode(first + " " + second));
}
