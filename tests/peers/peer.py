"""Feeds a running gateway and reads it back, both with programs that we did not write.

lora-mote-emulator is the sensor (encryption, MIC, frame) and the concentrator's packet
forwarder (Semtech UDP); paho-mqtt is the cloud, with a persistent MQTT 5 session that is
away while half of the uplinks are sent. Prints `ok N` when all N have arrived as sent.

The emulator counts to 65535, and says `size` of the base64 text, not of the frame.
"""

import argparse
import base64
import json
import logging
import pathlib
import queue
import tempfile
from unittest import mock

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from src import mac, network  # lora-mote-emulator's modules are named so


class Sensor(mac.Mote):
    """An ABP device of LoRaWAN 1.0; the emulator's own is one of 1.1."""

    def calcmic_app(self, *args, **kwargs):
        # 1.1 joins two halves: CMAC(SNwkSIntKey, B1) and CMAC(FNwkSIntKey, B0). The whole of
        # the second is the MIC of 1.0.
        with mock.patch.object(mac, "MIC_LEN", 8):
            return super().calcmic_app(*args, **kwargs)[4:]


def sensor(args, directory):
    """A sensor with the session given on the command line; its files go to `directory`."""
    unused = "00" * 16
    return Sensor.abp(
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
        version="1.0",
        dbpath=pathlib.Path(directory),
    )


class Cloud:
    """A subscriber whose session the broker keeps while it is away."""

    def __init__(self, host, port, topic, name):
        self.address = (host, port)
        self.topic = topic
        self.messages = queue.Queue()
        self.subscribed = queue.Queue()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.client.on_message = lambda _client, _userdata, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.subscribed.put(codes)

    def connect(self):
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self.client.connect(*self.address, clean_start=False, properties=session)
        self.client.loop_start()

    def subscribe(self):
        self.client.subscribe(self.topic, qos=1)
        codes = self.subscribed.get(timeout=10)
        assert not any(code.is_failure for code in codes), f"subscription refused: {codes}"

    def disconnect(self):
        self.client.disconnect()
        self.client.loop_stop()


def send(gateway, udp, device, number):
    """One uplink through the packet forwarder, acknowledged; what should be read of it."""
    payload = number.to_bytes(2, "big") + bytes(range(number % 32))
    port = 1 + number % 223
    confirmed = number % 4 == 3
    frame = device.form_phypld(port, payload, fopts=b"\x02" if number % 5 == 0 else b"", unconfirmed=not confirmed)
    datagram = gateway.form_pshdat(frame, device)
    udp.send(datagram)
    answer, _ = udp.recv()
    gateway.parse_pushack(answer)
    assert answer[1:3] == datagram[1:3] and answer[3] == 1, f"no PUSH_ACK to our token: {answer.hex()}"
    return {"fPort": port, "confirmed": confirmed, "data": base64.b64encode(payload).decode()}


def check(message, body, expected, args):
    """One `event/up` against what was sent."""
    for key, value in expected.items():
        assert body[key] == value, f"fCnt {body['fCnt']}: {key} is {body[key]!r}, sent {value!r}"
    assert body["devAddr"] == args.dev_addr, body["devAddr"]
    assert body["deviceInfo"]["devEui"] == args.dev_eui, body["deviceInfo"]
    assert body["rxInfo"][0]["rssi"] == -119, body["rxInfo"]
    assert body["txInfo"]["frequency"] == 868_300_000, body["txInfo"]
    assert dict(message.properties.UserProperty)["id"] == body["id"], "the id beside the body is another"


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--udp", type=address, required=True, help="the gateway's concentrator address, HOST:PORT")
    parser.add_argument("--mqtt", type=address, required=True, help="the broker, HOST:PORT")
    parser.add_argument("--dev-eui", required=True)
    parser.add_argument("--dev-addr", required=True)
    parser.add_argument("--nwk-s-key", required=True)
    parser.add_argument("--app-s-key", required=True)
    parser.add_argument("--count", type=int, default=40, help="uplinks to send")
    parser.add_argument("--first", type=int, default=0, help="frame counter of the first")
    parser.add_argument("--timeout", type=float, default=30, help="seconds to wait for each message")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the emulator logs keys and every frame

    cloud = Cloud(*args.mqtt, f"+/+/+/device/{args.dev_eui}/event/up", f"peer-{args.dev_eui}")
    cloud.connect()
    cloud.subscribe()

    sent = {}
    with tempfile.TemporaryDirectory() as directory:
        device = sensor(args, directory)
        gateway = mac.Gateway("4e7b2799b9bfd427")
        udp = network.UDPClient(args.udp)
        gateway.pull(udp)
        for number in range(args.count):
            if number == args.count // 2:
                cloud.disconnect()
            sent[args.first + number] = send(gateway, udp, device, number)
    cloud.connect()

    missing = set(sent)
    while missing:
        try:
            message = cloud.messages.get(timeout=args.timeout)
        except queue.Empty:
            raise SystemExit(f"{len(missing)} of {len(sent)} uplinks did not arrive: fCnt {sorted(missing)}")
        body = json.loads(message.payload)
        assert body["fCnt"] in sent, f"fCnt {body['fCnt']} was never sent"
        check(message, body, sent[body["fCnt"]], args)
        missing.discard(body["fCnt"])  # a second copy is allowed: at least once
    cloud.disconnect()
    print(f"ok {len(sent)}")


if __name__ == "__main__":
    main()
