// What a script finds that is not in the language, and how its functions are called. Evaluated
// before the script, which may then break whatever it likes: nothing global is used afterwards.
(function (write) {
  "use strict";
  const { Date, String, JSON: { stringify } } = globalThis;
  const text = (value) => {
    if (typeof value === "string") return value;
    try {
      const json = value instanceof Error ? undefined : stringify(value);
      return json === undefined ? String(value) : json;
    } catch {
      return "?";
    }
  };
  const print = (...values) => {
    let line = "";
    for (let i = 0; i < values.length; i++) line += (i ? " " : "") + text(values[i]);
    write(line);
  };
  const console = {
    log: print, info: print, warn: print, error: print, debug: print, trace: print, dir: print,
  };
  Object.defineProperty(globalThis, "console", {
    value: console, writable: true, configurable: true, enumerable: false,
  });

  const shapes = {
    // TS013
    plain: (f, input) => f(input),
    // The Things Network, version 2
    Decoder: (f, { bytes, fPort }) => ({ data: f(bytes, fPort) }),
    Encoder: (f, { data, fPort }) => ({ bytes: f(data, fPort), fPort }),
    // ChirpStack, version 3
    Decode: (f, { bytes, fPort, variables }) => ({ data: f(fPort, bytes, variables ?? {}) }),
    Encode: (f, { data, fPort, variables }) => ({ bytes: f(fPort, data, variables ?? {}), fPort }),
  };
  return (shape, f, input) => {
    if (typeof input.recvTime === "string") input.recvTime = new Date(input.recvTime);
    return shapes[shape](f, input);
  };
});
