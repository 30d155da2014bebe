// Teneo IoT filling degree sensor: distance by laser, FPort 1, most significant byte first.
// Source: Teneo IoT, Filling Degree Sensor payload (of its examples).
//
//   0    battery, 2 V and tenths
//   1-2  distance in cm
//   3    only in frames of 4 and 8 bytes: 0 good, 4 nothing in sight, else the number of an error
//   then temperature in hundredths of a degree and humidity in hundredths of a percent, or nothing
function decodeUplink(input) {
  const b = input.bytes;
  if (input.fPort !== 1) return { errors: ["unknown FPort " + input.fPort] };
  if (![3, 4, 7, 8].includes(b.length)) {
    return { errors: [b.length + " bytes where 3, 4, 7 or 8 are expected"] };
  }
  const status = b.length % 4 === 0 ? b[3] : 0;
  const data = {
    battery: (20 + b[0]) / 10,
    // where there is no echo the bytes say 0, and that would be a full bin
    distance: status === 0 ? (b[1] << 8) | b[2] : null,
    valid: status === 0 || status === 4,
  };
  if (!data.valid) data.errorcode = status;
  if (b.length > 4) {
    const [t1, t0, h1, h0] = b.slice(-4);
    const celsius = (((t1 << 8) | t0) << 16) >> 16;
    // as its sibling says that it has none
    data.temperature = celsius === 0x7fff ? null : celsius / 100;
    data.relativeHumidity = ((h1 << 8) | h0) / 100;
  }
  return { data };
}
