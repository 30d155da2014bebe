// Browan MerryIoT DW10: contact of a door or window, tilt, temperature and humidity. FPort 120,
// least significant byte first.
// Source: Browan, MerryIoT Open/Close Sensor, uplink payload.
//
//   0    bit 0: open; bit 1: button pressed; bit 2: taken down; bit 3: tilted
//   1    battery, (21 + n) / 10 V
//   2    temperature, signed, in degrees; of frames of 10 bytes two, in tenths
//   3    humidity, %
//   4-5  minutes since the last event
//   6-8  count of events
function decodeUplink(input) {
  const b = input.bytes;
  if (input.fPort !== 120) return { errors: ["unknown FPort " + input.fPort] };
  if (b.length !== 9 && b.length !== 10) {
    return { errors: [b.length + " bytes where 9 or 10 are expected"] };
  }
  const fine = b.length === 10;
  const raw = fine ? (b[3] << 8) | b[2] : b[2];
  const temperature = fine ? ((raw << 16) >> 16) / 10 : (raw << 24) >> 24;
  const [humi, t0, t1, c0, c1, c2] = b.slice(fine ? 4 : 3);
  return {
    data: {
      battery_volt: (21 + b[1]) / 10,
      temperature,
      humi,
      open: b[0] & 1,
      button: (b[0] >> 1) & 1,
      tamper: (b[0] >> 2) & 1,
      tilt: (b[0] >> 3) & 1,
      time: (t1 << 8) | t0,
      count: (c2 << 16) | (c1 << 8) | c0,
    },
  };
}
