// Cayenne LPP: the open format of sensors that have none of their own. A list of channel, type
// and value, most significant byte first; a type's length is known only from this table, so an
// unknown one ends the payload with an error. Outputs are named by type and channel, as
// presence_1; a state is 0 or 1.
// Source: myDevices, Cayenne Low Power Payload 2.0 and its IPSO types (id - 3200).
const TYPES = {
  0: ["digital_input", 1, 1],
  1: ["digital_output", 1, 1],
  2: ["analog_input", -2, 100],
  3: ["analog_output", -2, 100],
  100: ["generic", 4, 1],
  101: ["illuminance", 2, 1],
  102: ["presence", 1, 1],
  103: ["temperature", -2, 10],
  104: ["humidity", 1, 2],
  115: ["pressure", 2, 10],
  116: ["voltage", 2, 100],
  117: ["current", 2, 1000],
  118: ["frequency", 4, 1],
  120: ["percentage", 1, 1],
  121: ["altitude", -2, 1],
  125: ["concentration", 2, 1],
  128: ["power", 2, 1],
  130: ["distance", 4, 1000],
  131: ["energy", 4, 1000],
  132: ["direction", 2, 1],
  133: ["time", 4, 1],
  142: ["switch", 1, 1],
};
const AXES = {
  113: ["accelerometer", ["x", "y", "z"], [2, 2, 2], [1000, 1000, 1000]],
  134: ["gyrometer", ["x", "y", "z"], [2, 2, 2], [100, 100, 100]],
  136: ["location", ["latitude", "longitude", "altitude"], [3, 3, 3], [10000, 10000, 100]],
};

function decodeUplink(input) {
  const b = input.bytes;
  const data = {};
  let at = 0;
  const take = (length, signed) => {
    if (at + length > b.length) throw "the payload ends in the middle of a value";
    let n = 0;
    for (const byte of b.slice(at, at + length)) n = n * 256 + byte;
    at += length;
    return signed && n >= 2 ** (8 * length - 1) ? n - 2 ** (8 * length) : n;
  };
  const put = (name, value) => {
    if (name in data) throw "two values of " + name;
    data[name] = value;
  };
  try {
    if (b.length === 0) throw "an empty payload";
    while (at < b.length) {
      const start = at;
      const channel = take(1);
      const type = take(1);
      if (TYPES[type]) {
        const [name, length, parts] = TYPES[type];
        put(name + "_" + channel, take(Math.abs(length), length < 0) / parts);
      } else if (AXES[type]) {
        const [name, axes, lengths, parts] = AXES[type];
        const value = {};
        axes.forEach((axis, n) => (value[axis] = take(lengths[n], true) / parts[n]));
        put(name + "_" + channel, value);
      } else {
        throw "unknown type " + type + " at byte " + (start + 1);
      }
    }
    return { data };
  } catch (what) {
    return { errors: [String(what)] };
  }
}

// {digital_output_1: 1, analog_output_2: 50}: outputs are set by the same format.
function encodeDownlink(input) {
  const bytes = [];
  for (const [name, value] of Object.entries(input.data)) {
    const [, kind, channel] = /^(digital|analog)_output_(\d{1,3})$/.exec(name) || [];
    if (!kind || channel > 255) return { errors: ["unknown output " + name] };
    const most = kind === "digital" ? 255 : 327.67;
    if (typeof value !== "number" || value < 0 || value > most) {
      return { errors: [name + ": 0 to " + most] };
    }
    const n = kind === "digital" ? Math.round(value) : Math.round(value * 100);
    if (kind === "digital") bytes.push(+channel, 1, n);
    else bytes.push(+channel, 3, n >> 8, n & 0xff);
  }
  return { fPort: input.fPort || 99, bytes };
}
