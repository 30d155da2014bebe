// Terabee LoRa Level Monitoring XL: distance by time of flight. 6 bytes, most significant first.
// Source: Terabee, LoRa Level Monitoring XL User Manual, "General uplink payload structure"; the
// values that mean no value, and the faults: those of its published codec.
//
//   0-1  distance in mm, 500 to 60000; 0: nearer than 0.5 m; 1: no valid one; 65535: farther than
//        60 m
//   2    level, %; 255: none
//   3-4  battery, mV
//   5    faults: bit 0 watchdog, 1 LoRa, 2 battery not measured, 3 time of flight
const FAULTS = ["watchdog_reset", "lora_error", "battery_error", "tof_timeout"];

function decodeUplink(input) {
  const b = input.bytes;
  if (b.length !== 6) return { errors: [b.length + " bytes where 6 are expected"] };
  const distance = (b[0] << 8) | b[1];
  const faults = FAULTS.filter((_, bit) => b[5] & (1 << bit));
  const blind = distance <= 1 || distance === 0xffff || faults.includes("tof_timeout");
  const data = {
    distance: blind ? null : distance,
    levelPercentage: blind || b[2] === 255 ? null : b[2],
    batteryVoltage: (b[3] << 8) | b[4],
    faults,
  };
  if (distance === 0) data.distanceError = "too_close";
  if (distance === 1) data.distanceError = "invalid";
  if (distance === 0xffff) data.distanceError = "too_far";
  return { data };
}
