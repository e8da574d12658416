// The untrusted side of one JavaScript program: load it, call its function on request, and send back copies of results.
//
// It speaks the frames of `channel.py`, with the part of `codec.py` that JavaScript's values need. It sees code and
// arguments and no expected value, so whatever a program does to this process, it cannot know what would pass. Values
// that no test expects, such as functions and `undefined`, are sent as a tuple with a description, which equals nothing.
"use strict";

const fs = require("fs");
const { createRequire } = require("module");
const { types } = require("util");
const vm = require("vm");

const CHANNEL = Number(process.argv[2]);
const MAX_BYTES = 8 * 2 ** 20;
const MAX_DEPTH = 90;
const EXIT = process.exit.bind(process);
const FORBIDDEN = new Set(["EACCES", "EPERM", "EROFS"]);

const TOO_LARGE = Symbol(`value larger than ${MAX_BYTES / 2 ** 20} MiB`);

class TooLarge extends Error {}

function read(count) {
  const block = Buffer.alloc(count);
  for (let at = 0; at < count; ) {
    const part = fs.readSync(CHANNEL, block, at, count - at, null);
    if (part === 0) EXIT(0); // the judge has closed the channel
    at += part;
  }
  return block;
}

function decode(data) {
  let at = 0;
  const take = (count) => data.subarray(at, (at += count));
  function value() {
    const tag = String.fromCharCode(take(1)[0]);
    if (tag === "N") return null;
    if (tag === "T" || tag === "F") return tag === "T";
    const count = take(4).readUInt32BE();
    const values = () => Array.from({ length: count }, value);
    switch (tag) {
      case "i":
        return Number(BigInt.asIntN(8 * count, BigInt(`0x${take(count).toString("hex")}`)));
      case "f":
        return take(count).readDoubleBE();
      case "s":
        return take(count).toString();
      case "b":
        return take(count);
      case "l":
      case "t":
        return values();
      case "d": {
        const flat = values();
        return Object.fromEntries(flat.flatMap((key, index) => (index % 2 ? [] : [[key, flat[index + 1]]])));
      }
    }
    throw new Error(`unknown tag ${tag}`);
  }
  return value();
}

class Encoder {
  parts = [];
  size = 0;

  put(tag, count, payload) {
    const head = Buffer.alloc(5, tag);
    head.writeUInt32BE(count, 1);
    this.parts.push(head);
    if (payload) this.parts.push(payload);
    this.size += 5 + (payload ? payload.length : 0);
    if (this.size > MAX_BYTES) throw new TooLarge();
  }

  single(tag) {
    this.parts.push(Buffer.from(tag));
    this.size += 1;
  }

  text(text) {
    const bytes = Buffer.from(text);
    this.put("s", bytes.length, bytes);
  }

  texts(texts) {
    this.put("l", texts.length);
    texts.forEach((text) => this.text(text));
  }

  described(description) {
    this.put("t", 1);
    this.text(description);
  }

  number(value) {
    const bytes = Buffer.alloc(8);
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      bytes.writeBigInt64BE(BigInt(value));
      this.put("i", 8, bytes);
    } else {
      bytes.writeDoubleBE(value);
      this.put("f", 8, bytes);
    }
  }

  value(value, depth = 0) {
    if (types.isNumberObject(value) || types.isStringObject(value) || types.isBooleanObject(value)) {
      value = value.valueOf();
    }
    if (value === null) this.single("N");
    else if (typeof value === "boolean") this.single(value ? "T" : "F");
    else if (typeof value === "number") this.number(value);
    else if (typeof value === "bigint") this.described(`${value}n`);
    else if (typeof value === "string") this.string(value);
    else if (value === TOO_LARGE) this.described(`a ${TOO_LARGE.description}`);
    else if (typeof value === "undefined") this.described("undefined");
    else if (typeof value !== "object") this.described(`a ${typeof value}`);
    else if (depth >= MAX_DEPTH) this.described(`a value nested deeper than ${MAX_DEPTH} levels`);
    else if (Array.isArray(value)) {
      this.put("l", value.length);
      for (let index = 0; index < value.length; index++) this.value(value[index], depth + 1);
    } else this.object(value, depth);
  }

  string(value) {
    // UTF-8 has no lone surrogates, and no test expects one.
    if (/[\ud800-\udfff]/u.test(value)) this.described("a string with half a character");
    else this.text(value);
  }

  object(value, depth) {
    const prototype = Object.getPrototypeOf(value);
    const kind = Object.prototype.toString.call(value);
    const isPlain = prototype === null || prototype.constructor === Object;
    if (!isPlain || !["[object Object]", "[object Arguments]"].includes(kind)) {
      this.described(`an object of ${prototype?.constructor?.name || kind}`);
      return;
    }
    if (Object.getOwnPropertySymbols(value).some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol))) {
      this.described("an object with symbols");
      return;
    }
    const keys = Object.keys(value);
    this.put("d", 2 * keys.length);
    for (const key of keys) {
      this.string(key);
      this.value(value[key], depth + 1);
    }
  }
}

function send(count, write) {
  const encoder = new Encoder();
  encoder.put("t", count);
  write(encoder);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(encoder.size);
  const frame = Buffer.concat([length, ...encoder.parts]);
  for (let at = 0; at < frame.length; ) at += fs.writeSync(CHANNEL, frame, at);
}

function load(code, entryPoint) {
  const names = ["exports", "require", "module", "__filename", "__dirname"];
  const file = `${process.cwd()}/solution.js`;
  const compile = (source) => vm.compileFunction(source, names, { filename: "solution.js" });
  compile(code); // alone, so that what follows cannot make a program of it
  const program = compile(`${code}\n;return typeof ${entryPoint} === "function" ? ${entryPoint} : undefined;`);
  const module = { exports: {} };
  return () => program.call(module.exports, module.exports, createRequire(file), module, file, process.cwd());
}

function describeSyntax(error) {
  const line = /^solution\.js:(\d+)/.exec(error.stack);
  return `${error.name}: ${error.message}${line ? ` (line ${line[1]})` : ""}`;
}

// Return the names of an exception, with Python's for what the judge has to know, and its message.
function describe(error) {
  try {
    if (!types.isNativeError(error)) return [["Error"], `${typeof error === "object" ? "an object" : String(error)}`];
    const names = [String(error.name)];
    if (FORBIDDEN.has(error.code)) names.push("PermissionError");
    if (error.message === "Array buffer allocation failed") names.push("MemoryError");
    return [names, String(error.message).slice(0, 1000)];
  } catch {
    return [["Error"], ""];
  }
}

function sendRaised(token, error, ...rest) {
  const [names, message] = describe(error);
  send(4 + rest.length, (encoder) => {
    encoder.put("b", token.length, token);
    encoder.text("raised");
    encoder.texts(names);
    encoder.text(message);
    rest.forEach((value) => encoder.value(value));
  });
}

function sendTexts(token, ...texts) {
  send(1 + texts.length, (encoder) => {
    encoder.put("b", token.length, token);
    texts.forEach((text) => encoder.text(text));
  });
}

function sendReturned(token, value) {
  send(4, (encoder) => {
    encoder.put("b", token.length, token);
    encoder.text("returned");
    encoder.value(value);
    encoder.value({}); // arguments that changed: tests look at results only
  });
}

send(1, (encoder) => encoder.text("ready"));
let candidate;
for (;;) {
  const [token, kind, ...request] = decode(read(read(4).readUInt32BE()));
  if (kind === "load") {
    const [code, entryPoint] = request;
    let program;
    try {
      program = load(code, entryPoint);
    } catch (error) {
      sendTexts(token, "syntax", describeSyntax(error));
      continue;
    }
    try {
      candidate = program();
    } catch (error) {
      sendRaised(token, error);
      continue;
    }
    if (candidate) sendTexts(token, "loaded");
    else sendRaised(token, new ReferenceError(`the program defines no function '${entryPoint}'`));
  } else {
    try {
      const result = candidate(...request[1]);
      try {
        sendReturned(token, result);
      } catch (error) {
        if (!(error instanceof TooLarge)) throw error;
        sendReturned(token, TOO_LARGE);
      }
    } catch (error) {
      sendRaised(token, error, {});
    }
  }
}
