// Writes vectors.json: LoRaWAN 1.0.x data frames and joins made by an implementation that is not ours,
// lora-packet 0.9.3 (MIT). Not run by the tests; the result is checked in. To make it again:
//
//   dir="$(mktemp -d)"
//   npm install --prefix "$dir" lora-packet@0.9.3
//   NODE_PATH="$dir/node_modules" node tests/lorawan/make-vectors.mjs
//
// Keys, DevAddr and hex texts are as people print them: most significant byte first.
// `phyHex` is the PHYPayload byte by byte as it goes over the air. `fCnt` has 32 bits, of
// which the frame carries 16; `fPort` null means that the frame ends after FOpts.
// `fOptsHex` and `payloadHex` are plain text. `valid` false: the MIC does not fit `fCnt`,
// `direction` and `nwkSKey` as given; `why` says what was done to the frame.

import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";

const lora = createRequire(import.meta.url)("lora-packet");

const SENSOR = {
  devAddr: "260b1739",
  nwkSKey: "2b7e151628aed2a6abf7158809cf4f3c",
  appSKey: "000102030405060708090a0b0c0d0e0f",
};
const OTHER = {
  devAddr: "fc00af01",
  nwkSKey: "99887766554433221100ffeeddccbbaa",
  appSKey: "f0e1d2c3b4a5968778695a4b3c2d1e0f",
};

const counting = (length) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + 3) & 0xff)).toString("hex");

/** One frame; what `given` leaves out is an unconfirmed uplink with a small payload on port 1. */
function frame(name, given = {}) {
  const v = {
    name,
    ...SENSOR,
    fCnt: 1,
    fPort: 1,
    direction: "up",
    confirmed: false,
    adr: false,
    adrAckReq: false,
    ack: false,
    fPending: false,
    fOptsHex: "",
    payloadHex: "cafe01",
    ...given,
  };
  const bytes = (hex) => Buffer.from(hex, "hex");
  const upper = Buffer.alloc(2);
  upper.writeUInt16LE(v.fCnt >>> 16);
  const packet = lora.fromFields(
    {
      MType: `${v.confirmed ? "Confirmed" : "Unconfirmed"} Data ${v.direction === "up" ? "Up" : "Down"}`,
      DevAddr: bytes(v.devAddr),
      FCtrl: { ADR: v.adr, ADRACKReq: v.adrAckReq, ACK: v.ack, FPending: v.fPending },
      FCnt: v.fCnt & 0xffff,
      FOpts: bytes(v.fOptsHex),
      FPort: v.fPort ?? NaN,
      payload: bytes(v.payloadHex),
    },
    bytes(v.appSKey),
    bytes(v.nwkSKey),
    undefined,
    upper,
  );
  // The library leaves a frame without FPort unsigned.
  if (v.fPort === null) lora.recalculateMIC(packet, bytes(v.nwkSKey), undefined, upper);
  const phy = packet.PHYPayload;

  // Read back by the library from the air bytes alone, so that no field was dropped on the way.
  const read = lora.fromWire(phy);
  const plain = v.fPort === null ? Buffer.alloc(0) : lora.decrypt(read, bytes(v.appSKey), bytes(v.nwkSKey), upper);
  const same =
    lora.verifyMIC(read, bytes(v.nwkSKey), undefined, upper) &&
    read.DevAddr.toString("hex") === v.devAddr &&
    read.getFPort() === v.fPort &&
    read.getFCnt() === (v.fCnt & 0xffff) &&
    read.FOpts.toString("hex") === v.fOptsHex &&
    plain.toString("hex") === v.payloadHex &&
    read.getDir() === v.direction &&
    read.isConfirmed() === v.confirmed &&
    read.getFCtrlADR() === v.adr &&
    read.getFCtrlACK() === v.ack;
  if (!same) throw new Error(`${name}: does not read back as written`);
  return { ...v, phyHex: phy.toString("hex"), valid: true };
}

/** The same frame with something changed after it was signed. */
function forged(name, given, why, change) {
  const v = { ...frame(name, given), valid: false, why };
  const phy = Buffer.from(v.phyHex, "hex");
  return { ...v, ...(change(phy, v) ?? { phyHex: phy.toString("hex") }) };
}

const vectors = [
  frame("unconfirmed uplink"),
  frame("confirmed uplink", { confirmed: true }),
  frame("another device", { ...OTHER, fCnt: 77, fPort: 85, payloadHex: "03671001046864" }),

  frame("uplink with one MAC command in FOpts", { fOptsHex: "02" }),
  frame("uplink with 15 bytes of FOpts", { fOptsHex: "0307030703070307060a1e0d050300", fCnt: 12 }),
  frame("confirmed uplink with FOpts and FCnt of 32 bits", { confirmed: true, fOptsHex: "060a1e", fCnt: 0x00020003 }),

  frame("no FPort, no FOpts", { fPort: null, payloadHex: "" }),
  frame("no FPort, with FOpts", { fPort: null, payloadHex: "", fOptsHex: "02", fCnt: 9 }),
  frame("no FPort, only an acknowledgement", { fPort: null, payloadHex: "", ack: true, fCnt: 10 }),
  frame("FPort with empty payload", { fPort: 7, payloadHex: "", fCnt: 2 }),
  frame("FPort 0: MAC commands under NwkSKey", { fPort: 0, payloadHex: "0307060a1e", fCnt: 3 }),
  frame("FPort 0 with empty payload", { fPort: 0, payloadHex: "", fCnt: 4 }),
  frame("FPort 223, the greatest for applications", { fPort: 223, fCnt: 5 }),
  frame("FPort 224, the test protocol's", { fPort: 224, fCnt: 6 }),

  frame("payload of one byte", { payloadHex: "00", fCnt: 20 }),
  frame("payload of 15 bytes, short of one cipher block", { payloadHex: counting(15), fCnt: 21 }),
  frame("payload of 16 bytes, one cipher block", { payloadHex: counting(16), fCnt: 22 }),
  frame("payload of 17 bytes, one more", { payloadHex: counting(17), fCnt: 23 }),
  frame("payload of 51 bytes, the greatest at SF12", { payloadHex: counting(51), fCnt: 24 }),
  frame("payload of 222 bytes, the greatest at SF7", { payloadHex: counting(222), fCnt: 25 }),
  frame("payload of 222 bytes with 15 of FOpts, only without a repeater", { payloadHex: counting(222), fOptsHex: counting(15), fCnt: 26 }),
  frame("payload of 242 bytes, the greatest without a repeater", { payloadHex: counting(242), fCnt: 27 }),

  frame("FCnt 0", { fCnt: 0 }),
  frame("FCnt 65535", { fCnt: 65535 }),
  frame("FCnt 65536", { fCnt: 65536 }),
  frame("FCnt 0x12345678", { fCnt: 0x12345678, payloadHex: counting(33) }),
  frame("FCnt 0x12345678, FPort 0", { fCnt: 0x12345678, fPort: 0, payloadHex: "020d" }),
  frame("FCnt 0xffffffff", { fCnt: 0xffffffff }),

  frame("ADR", { adr: true, fCnt: 30 }),
  frame("ADR and ADRACKReq", { adr: true, adrAckReq: true, fCnt: 31 }),
  frame("ACK", { ack: true, fCnt: 32 }),
  frame("ADR, ADRACKReq, ACK and FOpts", { adr: true, adrAckReq: true, ack: true, fOptsHex: "0307", fCnt: 33 }),

  frame("unconfirmed downlink", { direction: "down", fCnt: 5 }),
  frame("confirmed downlink", { direction: "down", confirmed: true, fCnt: 6 }),
  frame("downlink with ACK and FPending", { direction: "down", ack: true, fPending: true, fCnt: 7 }),
  frame("downlink that only acknowledges", { direction: "down", ack: true, fPort: null, payloadHex: "", fCnt: 8 }),
  frame("downlink with LinkADRReq in FOpts", { direction: "down", adr: true, fOptsHex: "0350ff0001", fCnt: 9 }),
  frame("downlink with FPort 0", { direction: "down", fPort: 0, payloadHex: "0350ff000106", fCnt: 10 }),
  frame("downlink with FCnt 0x00010002", { direction: "down", fCnt: 0x00010002, payloadHex: counting(20) }),

  forged("one bit of the payload is wrong", { fCnt: 40 }, "payload bit flipped", (phy) => {
    phy[9] ^= 0x10;
  }),
  forged("one bit of the MIC is wrong", { fCnt: 41 }, "MIC bit flipped", (phy) => {
    phy[phy.length - 1] ^= 0x01;
  }),
  forged("the counter was raised", { fCnt: 42 }, "FCnt in the frame and in fCnt one higher than signed", (phy, v) => {
    phy.writeUInt16LE(43, 6);
    return { phyHex: phy.toString("hex"), fCnt: v.fCnt + 1 };
  }),
  forged("signed under another rollover", { fCnt: 0x00010007 }, "the upper half of fCnt is 0, signed with 1", () => ({ fCnt: 7 })),
  forged("signed for another address", { fCnt: 44 }, "DevAddr in the frame and in devAddr changed after signing", (phy, v) => {
    Buffer.from(OTHER.devAddr, "hex").reverse().copy(phy, 1);
    return { phyHex: phy.toString("hex"), devAddr: OTHER.devAddr };
  }),
  forged("signed with another key", { fCnt: 45 }, "nwkSKey is not the signing key", () => ({ nwkSKey: OTHER.nwkSKey })),
  forged("a downlink played back as an uplink", { direction: "down", fCnt: 46 }, "message type and direction changed after signing", (phy) => {
    phy[0] = 0x40;
    return { phyHex: phy.toString("hex"), direction: "up" };
  }),
  forged("FPort moved from 1 to 0", { fCnt: 47 }, "FPort in the frame and in fPort changed after signing", (phy) => {
    phy[8] = 0;
    return { phyHex: phy.toString("hex"), fPort: 0 };
  }),
];

/** A join: the request, the answer, and the session keys that follow. */
function join(name, given) {
  const v = { name, joinEui: "70b3d57ed0000001", devEui: "70b3d50700001739", appKey: SENSOR.nwkSKey, ...given };
  const bytes = (hex) => Buffer.from(hex, "hex");
  const key = bytes(v.appKey);
  const request = lora.fromFields(
    { MType: "Join Request", AppEUI: bytes(v.joinEui), DevEUI: bytes(v.devEui), DevNonce: bytes(v.devNonce) },
    null, null, key,
  ).PHYPayload;
  if (!lora.verifyMIC(lora.fromWire(request), null, key)) throw new Error(`${name}: the request does not verify`);
  const fields = {
    MType: "Join Accept", AppNonce: bytes(v.joinNonce), NetID: bytes(v.netId), DevAddr: bytes(v.devAddr),
    DLSettings: v.dlSettings, RxDelay: v.rxDelay,
  };
  if (v.cfListHex) fields.CFList = bytes(v.cfListHex);
  const accept = lora.fromFields(fields, null, null, key).PHYPayload;
  const keys = lora.generateSessionKeys10(key, bytes(v.netId), bytes(v.joinNonce), bytes(v.devNonce));
  return {
    ...v, requestHex: request.toString("hex"), acceptHex: accept.toString("hex"),
    nwkSKey: keys.NwkSKey.toString("hex"), appSKey: keys.AppSKey.toString("hex"),
  };
}

const joins = [
  join("17 bytes, without channels", {
    devNonce: "1234", joinNonce: "010203", netId: "000000", devAddr: "0100beef", dlSettings: 0x00, rxDelay: 1, cfListHex: "",
  }),
  join("33 bytes, with five channels", {
    devNonce: "ffff", joinNonce: "fffffe", netId: "000013", devAddr: "260b1739", dlSettings: 0x23, rxDelay: 5,
    cfListHex: "184f84e85684b85e84886684586e8400",
  }),
  join("first nonce, another key", {
    appKey: OTHER.nwkSKey, devNonce: "0000", joinNonce: "000001", netId: "000000", devAddr: "01ffffff", dlSettings: 0x05, rxDelay: 15, cfListHex: "",
  }),
];

const text = { madeBy: "lora-packet 0.9.3", vectors, joins };
writeFileSync(new URL("vectors.json", import.meta.url), JSON.stringify(text, null, 2) + "\n");
console.log(`${vectors.length} vectors`);
