// Dingtek DF702 waste bin sensor, FPort 3, 17 bytes, or 25 with a position or its settings.
// Most significant byte first, but for the position.
// Source: Dingtek, DF702&DF703 Waste Bin Sensor LoRaWAN Protocol.
//
//   0      0x80               3     what follows: 3 are settings
//   5-6    distance, mm       7     1: a position follows, two floats: longitude, latitude
//   then   temperature, signed; sign of the angle; angle in degrees; two bytes of alarms, each
//          in a half: full and fire, tilt and weak battery; the frame's number; 0x81 at the end
function decodeUplink(input) {
  const b = input.bytes;
  if (input.fPort !== 3) return { errors: ["unknown FPort " + input.fPort] };
  if (b.length !== 17 && b.length !== 25) {
    return { errors: [b.length + " bytes where 17 or 25 are expected"] };
  }
  if (b[0] !== 0x80 || b[b.length - 1] !== 0x81) return { errors: ["no frame of a DF702"] };
  if (b[3] === 3) {
    if (b.length !== 25) return { errors: ["17 bytes of settings where 25 are expected"] };
    return {
      data: {
        periodic_interval: b[7],
        detection_interval: b[8],
        full_alarm_threshold: b[9],
        fire_alarm_threshold: b[10],
        tilt_alarm_threshold: b[11],
        tilt_enable: b[12] !== 0,
        ultrasonic_range: b[13] === 0 ? 2000 : 5000,
      },
    };
  }
  const data = { level: (b[5] << 8) | b[6] };
  let at = 8;
  if (b.length === 25) {
    const view = new DataView(Uint8Array.from(b).buffer);
    const position = { longitude: view.getFloat32(8, true), latitude: view.getFloat32(12, true) };
    // without a fix there is none
    if (position.longitude || position.latitude) Object.assign(data, position);
    at = 16;
  }
  const [celsius, , angle, alarms, more] = b.slice(at);
  data.temperature = (celsius << 24) >> 24;
  data.angle = angle;
  data.full = alarms >> 4 !== 0;
  data.fire = (alarms & 15) !== 0;
  data.tilt = more >> 4 !== 0;
  data.battery = (more & 15) !== 0;
  return { data };
}
