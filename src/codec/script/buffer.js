// Node's Buffer, as far as codecs use it: ChirpStack gives it to scripts, and some rely on it.
(function () {
  "use strict";
  const texts = {
    hex: {
      read(text) {
        const pairs = text.match(/^(?:[0-9a-fA-F]{2})*/)[0].match(/../g) || [];
        return pairs.map((pair) => parseInt(pair, 16));
      },
      write: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    },
    latin1: {
      read: (text) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) & 255),
      write: (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""),
    },
    ascii: {
      read: (text) => texts.latin1.read(text),
      write: (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte & 127)).join(""),
    },
    base64: {
      read(text) {
        const clean = text.replace(/-/g, "+").replace(/_/g, "/").replace(/=[^]*$/, "");
        const digits = clean.replace(/[^A-Za-z0-9+/]/g, "");
        return texts.latin1.read(atob(digits.length % 4 === 1 ? digits.slice(0, -1) : digits));
      },
      write: (bytes) => btoa(texts.latin1.write(bytes)),
    },
    utf8: {
      read: (text) => texts.latin1.read(unescape(encodeURIComponent(text.toWellFormed()))),
      write(bytes) {
        let text = "";
        for (let i = 0; i < bytes.length; ) {
          const first = bytes[i++];
          const more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1;
          let code = more > 0 ? first & (0x3f >> more) : first;
          let got = 0;
          while (got < more && (bytes[i] & 0xc0) === 0x80) {
            const now = (code << 6) | (bytes[i] & 0x3f);
            // what is written longer than need be, is half a pair, or is above the last sign
            if (got === 0 && ((more === 2 && (now < 0x20 || (now >= 0x360 && now < 0x380)))
              || (more === 3 && (now < 0x10 || now >= 0x110)))) break;
            code = now;
            got++;
            i++;
          }
          text += more >= 0 && got === more ? String.fromCodePoint(code) : "\ufffd";
        }
        return text;
      },
    },
  };
  texts["utf-8"] = texts.utf8;
  texts.binary = texts.latin1;
  texts.base64url = {
    read: texts.base64.read,
    write: (bytes) => texts.base64.write(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, ""),
  };
  const encoding = (name = "utf8") => {
    const found = texts[String(name).toLowerCase()];
    if (!found) throw new TypeError("Unknown encoding: " + name);
    return found;
  };

  class Buffer extends Uint8Array {
    constructor(value, second, third) {
      if (typeof value === "string") super(encoding(second).read(value));
      else super(value, second, third);
    }
    static from(value, second, third) {
      if (value && value.type === "Buffer" && Array.isArray(value.data)) value = value.data;
      return new Buffer(typeof value === "number" ? [value] : value, second, third);
    }
    static alloc(size, fill = 0) {
      return new Buffer(size).fill(fill);
    }
    static allocUnsafe(size) {
      return new Buffer(size);
    }
    static concat(list, total = list.reduce((sum, part) => sum + part.length, 0)) {
      const whole = new Buffer(total);
      let at = 0;
      for (const part of list) {
        whole.set(part.subarray(0, total - at), at);
        at = Math.min(total, at + part.length);
      }
      return whole;
    }
    static isBuffer(value) {
      return value instanceof Buffer;
    }
    static byteLength(value, name) {
      return typeof value === "string" ? encoding(name).read(value).length : value.byteLength;
    }
    toString(name, start = 0, end = this.length) {
      return encoding(name).write(this.subarray(start, end));
    }
    toJSON() {
      return { type: "Buffer", data: Array.from(this) };
    }
    equals(other) {
      return this.length === other.length && this.every((byte, i) => byte === other[i]);
    }
    // the same memory, other than Uint8Array's
    slice(start, end) {
      return this.subarray(start, end);
    }
    copy(target, at = 0, start = 0, end = this.length) {
      const part = this.subarray(start, Math.min(end, start + target.length - at));
      target.set(part, at);
      return part.length;
    }
    write(text, at = 0, length = this.length - at, name = "utf8") {
      if (typeof at === "string") [at, length, name] = [0, this.length, at];
      if (typeof length === "string") [length, name] = [this.length - at, length];
      const bytes = encoding(name).read(text).slice(0, Math.min(length, this.length - at));
      this.set(bytes, at);
      return bytes.length;
    }
  }

  const view = (buffer) => new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const define = (name, value) => {
    const names = name.includes("UInt") ? [name, name.replace("UInt", "Uint")] : [name];
    for (const name of names) {
      Object.defineProperty(Buffer.prototype, name, { value, writable: true, configurable: true });
    }
  };
  const kinds = [
    ["Int8", 1], ["UInt8", 1, "Uint8"], ["Int16", 2], ["UInt16", 2, "Uint16"], ["Int32", 4],
    ["UInt32", 4, "Uint32"], ["Float", 4, "Float32"], ["Double", 8, "Float64"], ["BigInt64", 8],
    ["BigUInt64", 8, "BigUint64"],
  ];
  for (const [name, size, type = name] of kinds) {
    const least = type.startsWith("I") ? -(2 ** (size * 8 - 1)) : 0;
    const most = 2 ** (size * 8 - (type.startsWith("I") ? 1 : 0)) - 1;
    for (const order of size === 1 ? [""] : ["LE", "BE"]) {
      define("read" + name + order, function (at = 0) {
        return view(this)["get" + type](at, order === "LE");
      });
      define("write" + name + order, function (value, at = 0) {
        if (/^U?[Ii]nt/.test(type) && (value < least || value > most)) {
          throw new RangeError(`The value ${value} is out of range of ${name}`);
        }
        view(this)["set" + type](at, value, order === "LE");
        return at + size;
      });
    }
  }
  for (const order of ["LE", "BE"]) {
    const places = (at, length) =>
      Array.from({ length }, (_, i) => at + (order === "LE" ? length - 1 - i : i));
    const inside = (buffer, at, length) => {
      if (!(at >= 0 && length >= 1 && length <= 6 && at + length <= buffer.length)) {
        throw new RangeError("Attempt to access memory outside buffer bounds");
      }
    };
    const unsigned = function (at, length) {
      inside(this, at, length);
      return places(at, length).reduce((sum, place) => sum * 256 + this[place], 0);
    };
    define("readUInt" + order, unsigned);
    define("readInt" + order, function (at, length) {
      const value = unsigned.call(this, at, length);
      return value >= 2 ** (length * 8 - 1) ? value - 2 ** (length * 8) : value;
    });
    const write = function (value, at, length) {
      inside(this, at, length);
      for (const place of places(at, length).reverse()) {
        this[place] = value;
        value = Math.floor(value / 256);
      }
      return at + length;
    };
    define("writeUInt" + order, write);
    define("writeInt" + order, write);
  }
  Object.defineProperty(globalThis, "Buffer", {
    value: Buffer, writable: true, configurable: true, enumerable: false,
  });
})();
