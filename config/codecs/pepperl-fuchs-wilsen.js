// Pepperl+Fuchs WILSEN.sonic: ultrasonic distance and level, some with a position. Any FPort. A
// list of length, two bytes of a kind, value; the length counts the kind. Most significant byte
// first. A kind that is not known is passed over and named in `other`.
// Source: Pepperl+Fuchs, WILSEN.sonic manual, "Payload".
const KINDS = {
  0x0201: ["temp", 4, (v) => Math.round(v.getFloat32(0) * 10) / 10],
  0x0b01: ["proxx", 2, (v) => v.getUint16(0)],
  0x0b02: ["proxx_mm", 2, (v) => v.getUint16(0)],
  0x0b06: ["fillinglvl", 1, (v) => v.getUint8(0)],
  0x2a25: ["serial_nr", 14, (v) => String.fromCharCode(...new Uint8Array(v.buffer))],
  0x3101: ["lora_count", 2, (v) => v.getUint16(0)],
  0x3102: ["gps_count", 2, (v) => v.getUint16(0)],
  0x3103: ["us_sensor_count", 4, (v) => v.getUint32(0)],
  0x5001: ["latitude", 4, (v) => v.getInt32(0) / 1e6],
  0x5002: ["longitude", 4, (v) => v.getInt32(0) / 1e6],
  0x5004: ["num_satellites", 1, (v) => v.getUint8(0)],
  0x5005: ["hdop", 4, (v) => v.getInt32(0) / 1e6],
  0x5101: ["battery_vol", 1, (v) => v.getUint8(0) / 10],
};

function decodeUplink(input) {
  const b = input.bytes;
  const data = {};
  if (b.length === 0) return { errors: ["an empty payload"] };
  for (let at = 0; at < b.length; at += 1 + b[at]) {
    if (b[at] < 2) return { errors: ["unknown length " + b[at] + " at byte " + at] };
    if (at + 1 + b[at] > b.length) return { errors: ["the payload ends in the middle of a value"] };
    const kind = (b[at + 1] << 8) | b[at + 2];
    const value = b.slice(at + 3, at + 1 + b[at]);
    const [name, length, read] = KINDS[kind] || [];
    if (!name) {
      (data.other = data.other || []).push(kind.toString(16).padStart(4, "0"));
    } else if (value.length !== length) {
      return { errors: [value.length + " bytes of " + name + " where " + length + " are expected"] };
    } else if (name in data) {
      return { errors: ["two values of " + name] };
    } else {
      data[name] = read(new DataView(Uint8Array.from(value).buffer));
    }
  }
  return { data };
}
