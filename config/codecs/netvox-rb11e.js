// Netvox RB11E: infrared, temperature and light of a room. 11 bytes, reports on FPort 6, answers
// to commands on FPort 7. Most significant byte first.
// Source: Netvox, RB11E User Manual and LoRaWAN Application Command.
//
//   0    version, 1           4-5  temperature, signed hundredths of a degree
//   1    device type, 3       6-7  light, lux
//   2    report type, 0 or 1  8    somebody is there: 1
//   3    battery in tenths of a volt; bit 7: low   9   taken down: 1   10  reserved
const DEVICE = 0x03;

function word(b, at) {
  return (b[at] << 8) | b[at + 1];
}

function signed(value) {
  return value > 0x7fff ? value - 0x10000 : value;
}

function state(b, at, what) {
  if (b[at] > 1) throw "unknown " + what + " 0x" + b[at].toString(16) + " at byte " + at;
  return b[at];
}

function report(b) {
  if (b[0] !== 1) throw "unknown version " + b[0] + " at byte 0";
  if (b[2] === 0) {
    const date = b.slice(5, 9).map((n) => n.toString(16).padStart(2, "0")).join("");
    return { Device: "RB11E", SWver: b[3] / 10, HWver: b[4], Datecode: date };
  }
  if (b[2] !== 1) throw "unknown report type 0x" + b[2].toString(16) + " at byte 2";
  return {
    Device: "RB11E",
    Volt: (b[3] & 0x7f) / 10,
    LowBattery: (b[3] & 0x80) !== 0,
    Temp: signed(word(b, 4)) / 100,
    Illuminance: word(b, 6),
    Occupy: state(b, 8, "occupancy"),
    DisassembledAlarm: state(b, 9, "alarm"),
  };
}

function answer(b) {
  if (b[0] === 0x81) {
    return { Device: "RB11E", Cmd: "ConfigReportRsp", Status: b[2] === 0 ? "Success" : "Failure" };
  }
  if (b[0] === 0x83) {
    return { Device: "RB11E", Cmd: "SetIRDisableTimeRsp", Status: b[2] === 0 ? "Success" : "Failure" };
  }
  if (b[0] === 0x84) {
    return {
      Device: "RB11E",
      Cmd: "GetIRDisableTimeRsp",
      IRDisableTime: word(b, 2),
      IRDetectionTime: word(b, 4),
    };
  }
  if (b[0] !== 0x82) throw "unknown command 0x" + b[0].toString(16) + " at byte 0";
  return {
    Device: "RB11E",
    Cmd: "ReadConfigReportRsp",
    MinTime: word(b, 2),
    MaxTime: word(b, 4),
    BatteryChange: b[6] / 10,
    TempChange: word(b, 7) / 100,
    IlluminanceChange: word(b, 9),
  };
}

function decodeUplink(input) {
  const b = input.bytes;
  try {
    if (input.fPort !== 6 && input.fPort !== 7) throw "unknown FPort " + input.fPort;
    if (b.length !== 11) throw b.length + " bytes where 11 are expected";
    if (b[1] !== DEVICE) throw "unknown device type 0x" + b[1].toString(16) + " at byte 1";
    return { data: input.fPort === 6 ? report(b) : answer(b) };
  } catch (what) {
    return { errors: [String(what)] };
  }
}

// {MinTime, MaxTime: seconds, BatteryChange: V, TempChange: degrees, IlluminanceChange: lx}
function encodeDownlink(input) {
  const { MinTime, MaxTime, BatteryChange = 0.1, TempChange = 1, IlluminanceChange = 100 } = input.data;
  const fits = (n, most) => Number.isInteger(n) && n >= 0 && n <= most;
  const volt = Math.round(BatteryChange * 10);
  const temp = Math.round(TempChange * 100);
  if (!fits(MinTime, 0xffff) || MinTime === 0) return { errors: ["MinTime: 1 to 65535 s"] };
  if (!fits(MaxTime, 0xffff) || MaxTime < MinTime) return { errors: ["MaxTime: MinTime to 65535 s"] };
  if (!fits(volt, 0xff)) return { errors: ["BatteryChange: 0 to 25.5 V"] };
  if (!fits(temp, 0xffff)) return { errors: ["TempChange: 0 to 655.35 degrees"] };
  if (!fits(IlluminanceChange, 0xffff)) return { errors: ["IlluminanceChange: 0 to 65535 lx"] };
  const two = (n) => [n >> 8, n & 0xff];
  return {
    fPort: 7,
    bytes: [0x01, DEVICE, ...two(MinTime), ...two(MaxTime), volt, ...two(temp), ...two(IlluminanceChange)],
  };
}
