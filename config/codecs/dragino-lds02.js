// Dragino LDS02 (and LDS01) door sensor, FPort 10, 10 bytes, most significant byte first.
// Source: Dragino, LDS02 User Manual, "Uplink Payload".
//
//   0-1  bit 15: open; bit 14: water (LDS01's other mode); bits 13-0: battery in mV
//   2    what it is set to be: 1 door, 2 water leak, 3 both, without what follows but byte 9
//   3-5  how often it was opened since it was switched on
//   6-8  how long it was open the last time, in minutes
//   9    bit 0: it has been open for longer than was set
function decodeUplink(input) {
  const b = input.bytes;
  if (input.fPort !== 10) return { errors: ["unknown FPort " + input.fPort] };
  if (b.length !== 10) return { errors: [b.length + " bytes where 10 are expected"] };
  if (b[2] !== 1 && b[2] !== 3) return { errors: ["unknown mode 0x" + b[2].toString(16) + " at byte 2"] };
  const data = {
    battery: (((b[0] & 0x3f) << 8) | b[1]) / 1000,
    open: (b[0] & 0x80) !== 0,
    openTooLong: (b[9] & 1) !== 0,
  };
  if (b[2] === 1) {
    data.openings = (b[3] << 16) | (b[4] << 8) | b[5];
    data.lastOpenMinutes = (b[6] << 16) | (b[7] << 8) | b[8];
  }
  return { data };
}
