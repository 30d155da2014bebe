"""Feeds a running gateway, hears what it answers, and reads it back, all with programs that we
did not write.

lora-mote-emulator is the sensor (encryption, MIC, frame, join) and the concentrator's packet
forwarder (Semtech UDP); paho-mqtt is the cloud, with a persistent MQTT 5 session. Two scenes:

  abp   a sensor with a fixed session sends many uplinks; the cloud is away for half of them.
  otaa  a sensor joins, is sent to, acknowledges, and joins again.

Prints `ok N` when all N uplinks have arrived as sent, and were answered as they asked.

The emulator counts to 65535, says `size` of the base64 text instead of the frame, and takes the
second for its microsecond counter.
"""

import argparse
import base64
import itertools
import json
import logging
import pathlib
import queue
import tempfile
import time
from unittest import mock

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from src import mac, network  # lora-mote-emulator's modules are named so

# kinds of datagrams
PUSH_ACK, PULL_RESP, TX_ACK = b"\x01", b"\x03", b"\x05"

# MAC commands that the gateway sends, and how long they are
LINK_CHECK, DEV_STATUS, RX_TIMING_SETUP = 0x02, 0x06, 0x08
LENGTHS = {LINK_CHECK: 3, DEV_STATUS: 1, RX_TIMING_SETUP: 2}

JOIN_DELAY = 5  # seconds, as LoRaWAN fixes it


class Sensor(mac.Mote):
    """A device of LoRaWAN 1.0 that keeps what it hears.

    The emulator's own is one of 1.1, and only logs what it hears.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.version = "1.0"
        self.delay, self.rx2dr = 1, 0
        self.last_fcnt = None
        self.heard = None
        self.owed = b""  # MAC commands to be answered with the next uplink

    def calcmic_app(self, *args, direction=0, ack=False, **kwargs):
        if direction == 1:
            # that of 1.1 signs as well which uplink is acknowledged
            return super().calcmic_app(*args, direction=1, ack=False, **kwargs)
        # 1.1 joins two halves: CMAC(SNwkSIntKey, B1) and CMAC(FNwkSIntKey, B0). The whole of
        # the second is the MIC of 1.0.
        with mock.patch.object(mac, "MIC_LEN", 8):
            return super().calcmic_app(*args, direction=0, ack=ack, **kwargs)[4:]

    def parse_fhdr(self, macpld):
        length, fhdr, fields = super().parse_fhdr(macpld)
        fields["fopts"] = bytes(fhdr[7:])  # 1.0 does not encrypt them
        fields["port"] = macpld[length] if len(macpld) > length else None
        self.heard = fields
        return length, fhdr, fields

    def encrypt(self, key, payload, direction=0, fcnt=0, start=1):
        text = super().encrypt(key, payload, direction=direction, fcnt=fcnt, start=start)
        if direction == 1 and start == 1:
            self.heard["payload"] = text
        return text

    def form_join(self):
        self.activation = False
        self.delay, self.rx2dr = JOIN_DELAY, 0
        return super().form_join()

    def parse_joinacpt(self, mhdr, joinacptmic):
        super().parse_joinacpt(mhdr, joinacptmic)
        self.delay = self.rxdelay[0]
        self.last_fcnt = None

    def follow(self):
        """Takes note of the downlink that was heard. Returns the answer to a LinkCheckReq."""
        fcnt, fopts = self.heard["fcnt"], self.heard["fopts"]
        assert self.last_fcnt in (None, fcnt - 1), f"FCntDown {fcnt} follows {self.last_fcnt}"
        self.last_fcnt = fcnt
        link = None
        while fopts:
            command, fopts = fopts[: LENGTHS[fopts[0]]], fopts[LENGTHS[fopts[0]] :]
            if command[0] == LINK_CHECK:
                link = tuple(command[1:])
            elif command[0] == DEV_STATUS:
                self.owed += bytes([DEV_STATUS, 254, 10])  # full, and 10 dB of margin
            else:
                self.delay = command[1]
                self.owed += bytes([RX_TIMING_SETUP])
        return link


class Concentrator(mac.Gateway):
    """A packet forwarder with one socket, on which acknowledgements and downlinks mix."""

    def __init__(self, eui, address, timeout):
        super().__init__(eui)
        self.udp = network.UDPClient(address, timeout=timeout)
        self.pull(self.udp)

    def parse_txpk(self, txpk, mote):
        self.txpk = txpk
        super().parse_txpk(txpk, mote)

    def forward(self, frame, device, answered):
        """Pushes a frame; the device hears the answer that there is to be, or not."""
        datagram = self.form_pshdat(frame, device)
        windows = self.windows(json.loads(datagram[12:])["rxpk"][0], device)
        self.udp.send(datagram)
        acknowledged, answers = False, 0
        while not acknowledged or answers < answered:
            received, _ = self.udp.recv()
            if received[3:4] == PULL_RESP:
                device.heard = None
                self.parse_pullresp(received, device)
                self.check(self.txpk, windows)
                self.udp.send(self.version + received[1:3] + TX_ACK + self.gweui)
                answers += 1
            else:
                self.parse_pushack(received)
                assert received[1:] == datagram[1:3] + PUSH_ACK, f"no PUSH_ACK to our token: {received.hex()}"
                acknowledged = True
        assert answers == answered, f"{answers} answers to a frame that asks for {answered}"

    def windows(self, rxpk, device):
        """When and how the device listens after this uplink."""
        at = rxpk["tmst"] + device.delay * 1_000_000
        second = (at + 1_000_000, 869.525, self.txdr2datr[device.rx2dr])
        return [(at, rxpk["freq"], rxpk["datr"]), second]

    @staticmethod
    def check(txpk, windows):
        found = (txpk["tmst"], txpk["freq"], txpk["datr"])
        assert found in windows, f"sent at {found}, but the device listens at {windows}"
        assert txpk["ipol"] and txpk["ncrc"] and not txpk.get("imme"), txpk
        assert (txpk["modu"], txpk["codr"]) == ("LORA", "4/5"), txpk
        assert txpk["size"] == len(base64.b64decode(txpk["data"], validate=True)), txpk


class Cloud:
    """A subscriber whose session the broker keeps while it is away."""

    def __init__(self, args):
        self.address = args.mqtt
        self.timeout = args.timeout
        self.topics = [f"+/+/+/device/{args.dev_eui}/event/+", "+/+/+/command/downlink/reply"]
        self.incoming = queue.Queue()
        self.received = []
        self.subscribed = queue.Queue()
        name = f"peer-{args.dev_eui}"
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.client.on_message = lambda _client, _userdata, message: self.incoming.put(message)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.subscribed.put(codes)

    def connect(self):
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self.client.connect(*self.address, clean_start=False, properties=session)
        self.client.loop_start()

    def subscribe(self):
        self.client.subscribe([(topic, 1) for topic in self.topics])
        codes = self.subscribed.get(timeout=self.timeout)
        assert not any(code.is_failure for code in codes), f"subscription refused: {codes}"

    def disconnect(self):
        self.client.disconnect()
        self.client.loop_stop()

    def find(self, leaf, timeout, fields):
        """Body and topic of the first message on such a topic with these fields; None in vain."""
        deadline = time.monotonic() + timeout
        for number in itertools.count():
            if number == len(self.received):
                try:
                    message = self.incoming.get(timeout=max(deadline - time.monotonic(), 0.001))
                except queue.Empty:
                    return None
                self.received.append((message, json.loads(message.payload)))
            message, body = self.received[number]
            if message.topic.endswith(leaf) and fields.items() <= body.items():
                if "/device/" in message.topic:
                    beside = dict(message.properties.UserProperty)["id"]
                    assert beside == body["id"], "the id beside the body is another"
                return body, message.topic

    def expect(self, leaf, **fields):
        found = self.find(leaf, self.timeout, fields)
        assert found, f"no {leaf} with {fields} arrived, but {[m.topic for m, _ in self.received]}"
        return found

    def command(self, topic, body):
        """Sends a command until it is answered; returns the result."""
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            self.client.publish(topic, json.dumps(body), qos=1)
            # one that comes before the gateway has subscribed is lost
            if found := self.find("/reply", 2, {"id": body["id"]}):
                assert found[0]["ok"], found[0]
                return found[0]["result"]
        raise AssertionError(f"no reply to {body}")


class Street:
    """A sensor, the concentrators that hear it, and what the sensor has sent."""

    def __init__(self, args, device):
        self.args = args
        self.device = device
        self.heard_by = []
        self.sent = []

    def forward(self, frame, answered):
        """Each frame is heard by another concentrator: this sensor waits for no window to pass, and
        the answers of a single one would overlap on the air."""
        eui = f"4e7b2799b9bfd4{len(self.heard_by):02x}"
        self.heard_by.append(eui)
        Concentrator(eui, self.args.udp, self.args.timeout).forward(frame, self.device, answered)

    def uplink(self, port, payload, confirmed=False, check=False, ack=False, answered=False):
        """An uplink, and its answer if it asks for one, or there is to be one for other reasons."""
        device = self.device
        commands, device.owed = device.owed + bytes([LINK_CHECK] * check), b""
        # that it has heard of a new delay a device repeats until it is answered
        answered |= confirmed or check or bytes([RX_TIMING_SETUP]) in commands
        # on port 0 they are encrypted, and all that there is
        frmpld, fopts = (payload, commands) if port else (commands, b"")
        sent = {
            "devAddr": device.devaddr.hex(),
            "fCnt": device.fcntup,
            "fPort": port,
            "confirmed": confirmed,
            "data": base64.b64encode(payload).decode(),
        }
        frame = device.form_phypld(port, frmpld, fopts=fopts, unconfirmed=not confirmed, ack=ack)
        self.forward(frame, answered)
        self.sent.append((self.heard_by[-1], sent))
        if answered:
            link = device.follow()
            # heard 2 dB above the noise where SF7 needs -7.5, by one gateway
            assert link == ((10, 1) if check else None), f"LinkCheckAns {link}"
            assert device.heard["ack"] == confirmed, f"FCntUp {device.fcntup - 1}: {device.heard}"
            assert device.last_msg_acked, "the emulator misses an acknowledgement"

    def check(self, cloud):
        """Whether all has arrived as it was sent."""
        for gateway, sent in self.sent:
            body, _ = cloud.expect("/event/up", devAddr=sent["devAddr"], fCnt=sent["fCnt"])
            for key, value in sent.items():
                assert body[key] == value, f"fCnt {body['fCnt']}: {key} is {body[key]!r}, sent {value!r}"
            assert body["deviceInfo"]["devEui"] == self.args.dev_eui, body["deviceInfo"]
            (heard,) = body["rxInfo"]
            assert (heard["rssi"], heard["gatewayId"]) == (-119, gateway), heard
            assert body["txInfo"]["frequency"] == 868_300_000, body["txInfo"]
        known = {(sent["devAddr"], sent["fCnt"]) for _, sent in self.sent}
        for message, body in cloud.received:
            if message.topic.endswith("/event/up"):
                assert (body["devAddr"], body["fCnt"]) in known, f"{body} was never sent"


def abp(args, cloud, directory):
    """Many uplinks of a device with a fixed session."""
    unused = "00" * 16
    device = Sensor.abp(
        deveui=args.dev_eui,
        joineui="00" * 8,
        devaddr=args.dev_addr,
        appkey=unused,
        nwkkey=unused,
        nwksenckey=args.nwk_s_key,
        snwksintkey=args.nwk_s_key,
        fnwksintkey=args.nwk_s_key,
        appskey=args.app_s_key,
        fcntup=args.first,
        dbpath=directory,
    )
    street = Street(args, device)
    for number in range(args.count):
        if number == args.count // 2:
            cloud.disconnect()
        payload = number.to_bytes(2, "big") + bytes(range(number % 32))
        street.uplink(1 + number % 223, payload, confirmed=number % 4 == 3, check=number % 5 == 0)
    cloud.connect()
    street.check(cloud)
    assert device.delay == 5, "the gateway has moved the answers to where it is set to send them"
    assert device.acked_uplink == args.count // 4
    return len(street.sent)


def join(street, cloud):
    """Joins; the topics of this gateway and tenant."""
    device = street.device
    street.forward(device.form_join(), answered=True)
    assert device.activation, "no session"
    agreed = (device.homenetid, device.rx1droffset, device.rx2dr, device.rxdelay)
    assert agreed == (bytes(3), 0, 3, b"\x05"), agreed
    channels = [int.from_bytes(device.cflist[n : n + 3], "little") for n in range(0, 15, 3)]
    assert channels == [8_671_000, 8_673_000, 8_675_000, 8_677_000, 8_679_000], channels
    assert device.cflist[15:] == b"\x00", "a list of frequencies is of type 0"
    _, topic = cloud.expect("/event/join", devAddr=device.devaddr.hex())
    return topic.split("/device/")[0]


def otaa(args, cloud, directory):
    """A device that joins and is sent to."""
    device = Sensor(
        deveui=args.dev_eui, joineui=args.join_eui, appkey=args.app_key, nwkkey=args.app_key, dbpath=directory
    )
    street = Street(args, device)
    topics = join(street, cloud)
    street.uplink(2, b"hello")
    street.uplink(3, b"acknowledge this", confirmed=True)
    assert device.owed, "nobody has asked how the device is"
    street.uplink(4, b"", confirmed=True, check=True)
    body, _ = cloud.expect("/event/status")
    assert (body["batteryLevel"], body["margin"]) == (100.0, 10), body
    assert device.owed == b"", "it has said already how it is"
    street.uplink(0, b"", check=True)

    for name, confirmed, payload in [("first", False, b"\xca\xfe"), ("second", True, bytes(range(40)))]:
        args_of = {"devEui": args.dev_eui, "fPort": 7, "hex": payload.hex(), "confirmed": confirmed}
        result = cloud.command(f"{topics}/command/downlink", {"id": name, "args": args_of})
        assert result["state"] == "queued", result
    for name, pending, payload in [("first", 1, b"\xca\xfe"), ("second", 0, bytes(range(40)))]:
        street.uplink(5, name.encode(), answered=True)
        heard = device.heard
        assert (heard["port"], heard["payload"], heard["fpending"]) == (7, payload, pending), heard
        body, _ = cloud.expect("/event/txack", queueItemId=name)
        assert body["fCntDown"] == heard["fcnt"], body
        assert body["gatewayId"] == street.heard_by[-1], body
    street.uplink(6, b"I have heard it", ack=True)
    body, _ = cloud.expect("/event/ack", queueItemId="second")
    assert body["acknowledged"] and body["fCntDown"] == device.last_fcnt, body

    before = device.devaddr, device.joinnonce, device.appskey
    join(street, cloud)
    assert device.joinnonce > before[1], "the numbers of joins rise"
    assert device.devaddr != before[0] and device.appskey != before[2], "a session of its own"
    street.uplink(2, b"hello again", confirmed=True)
    street.check(cloud)
    return len(street.sent)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--udp", type=address, required=True, help="the gateway's concentrator address, HOST:PORT")
    parser.add_argument("--mqtt", type=address, required=True, help="the broker, HOST:PORT")
    parser.add_argument("--dev-eui", required=True)
    parser.add_argument("--timeout", type=float, default=30, help="seconds to wait for each message")
    scenes = parser.add_subparsers(required=True)
    fixed = scenes.add_parser("abp")
    fixed.set_defaults(play=abp)
    fixed.add_argument("--dev-addr", required=True)
    fixed.add_argument("--nwk-s-key", required=True)
    fixed.add_argument("--app-s-key", required=True)
    fixed.add_argument("--count", type=int, default=40, help="uplinks to send")
    fixed.add_argument("--first", type=int, default=0, help="frame counter of the first")
    joining = scenes.add_parser("otaa")
    joining.set_defaults(play=otaa)
    joining.add_argument("--join-eui", required=True)
    joining.add_argument("--app-key", required=True)
    return parser.parse_args()


def main():
    args = arguments()
    logging.disable(logging.CRITICAL)  # the emulator logs keys and every frame
    cloud = Cloud(args)
    cloud.connect()
    cloud.subscribe()
    with tempfile.TemporaryDirectory() as directory:
        count = args.play(args, cloud, pathlib.Path(directory))
    cloud.disconnect()
    print(f"ok {count}")


if __name__ == "__main__":
    main()
