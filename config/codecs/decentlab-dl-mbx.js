// Decentlab DL-MBX: ultrasonic distance. Most significant byte first, any FPort.
// Source: Decentlab, DL-MBX LoRaWAN payload description (protocol version 2).
//
//   0    protocol version, 2
//   1-2  device id
//   3-4  flags: bit 0: distance follows; bit 1: battery follows
//        distance in mm, 2 bytes; number of valid samples, 2 bytes
//        battery in mV, 2 bytes
function decodeUplink(input) {
  const b = input.bytes;
  const word = (at) => (b[at] << 8) | b[at + 1];
  if (b.length < 5) return { errors: [b.length + " bytes where 5 or more are expected"] };
  if (b[0] !== 2) return { errors: ["unknown protocol version " + b[0]] };
  const flags = word(3);
  if (flags & ~3) return { errors: ["unknown flags 0x" + flags.toString(16)] };
  const length = 5 + (flags & 1 ? 4 : 0) + (flags & 2 ? 2 : 0);
  if (b.length !== length) return { errors: [b.length + " bytes where " + length + " are expected"] };
  const data = { protocol_version: 2, device_id: word(1) };
  let at = 5;
  if (flags & 1) {
    data.samples = word(at + 2);
    // without a single echo the distance is none
    data.distance = data.samples === 0 ? null : word(at);
    at += 4;
  }
  if (flags & 2) data.battery = word(at) / 1000;
  return { data };
}
