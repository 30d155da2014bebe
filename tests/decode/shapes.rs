//! The shapes in which vendors publish codecs, and what their scripts take for granted.

use crate::Serve;
use serde_json::{Value, json};

#[test]
fn older_functions_are_called_as_their_servers_did() {
    let mut serve = Serve::start();
    let things = "function Decoder(bytes, port) { return {bytes: bytes, port: port}; }";
    assert_eq!(serve.out(things), json!({"data": {"bytes": [1, 2], "port": 7}}));
    let chirp = "function Decode(fPort, bytes, variables) { return [fPort, bytes, variables]; }";
    assert_eq!(serve.out(chirp), json!({"data": [7, [1, 2], {}]}));
    let nothing = "function Decoder(bytes, port) {}";
    assert_eq!(serve.out(nothing), json!({}));
    let all = format!("{things} {chirp} function decodeUplink() {{ return {{data: 'new'}}; }}");
    assert_eq!(serve.out(&all), json!({"data": "new"}));

    let downlink = json!({"data": {"led": true}, "fPort": 3});
    let things = "function Encoder(object, port) { return [object.led ? 1 : 0, port]; }";
    let out = serve.call(things, "encodeDownlink", &downlink);
    assert_eq!(out, json!({"out": {"bytes": [1, 3], "fPort": 3}}));
    let chirp = "function Encode(fPort, obj, variables) { return [fPort, obj.led ? 1 : 0]; }";
    let out = serve.call(chirp, "encodeDownlink", &downlink);
    assert_eq!(out, json!({"out": {"bytes": [3, 1], "fPort": 3}}));
    let both = "function decodeDownlink(i) { return {data: {led: i.bytes[0] === 1}}; }
                function normalizeUplink(i) { return {data: {air: {temperature: i.data.t}}}; }";
    let out = serve.call(both, "decodeDownlink", &json!({"bytes": [1], "fPort": 3}));
    assert_eq!(out, json!({"out": {"data": {"led": true}}}));
    let out = serve.call(both, "normalizeUplink", &json!({"data": {"t": 0}}));
    assert_eq!(out, json!({"out": {"data": {"air": {"temperature": 0}}}}));
    let out = serve.call(both, "encodeDownlink", &downlink);
    assert!(out["err"].as_str().unwrap().contains("no function encodeDownlink"), "{out}");
}

#[test]
fn a_function_may_be_declared_in_any_way() {
    let mut serve = Serve::start();
    for script in [
        "var decodeUplink = function () { return {data: 1}; };",
        "const decodeUplink = () => ({data: 1});",
        "let decodeUplink = (i) => ({data: 1})",
        "this.decodeUplink = function () { return {data: 1}; };",
        "decodeUplink = () => ({data: 1});",
        "\u{feff}#! codec\nfunction decodeUplink() { return {data: 1}; }"
            .trim_start_matches('\u{feff}'),
        "\u{feff}function decodeUplink() { return {data: 1}; }",
        "function decodeUplink() { return {data: 1}; } if (typeof module !== 'undefined') module.exports = {};",
        "const console = {log() {}}; function decodeUplink() { console.log(1); return {data: 1}; }",
        "class C { decode() { return {data: 1}; } } function decodeUplink() { return new C().decode(); }",
    ] {
        assert_eq!(serve.out(script), json!({"data": 1}), "{script}");
    }
}

/// In strict mode, which some servers have, one in eight of the published scripts fails or gives
/// another answer.
#[test]
fn scripts_are_sloppy() {
    let mut serve = Serve::start();
    let sloppy = "function decodeUplink(input) {
        undeclared = 010;
        function g(a, a) { return arguments[0] === undefined ? this.undeclared : a; }
        Object.freeze(input).fPort = 99;
        with ({x: 1}) { var y = x; }
        return {data: [undeclared, g(), y, input.fPort]}; }";
    assert_eq!(serve.out(sloppy), json!({"data": [8, 8, 1, 7]}));
}

#[test]
fn the_text_of_numbers_dates_and_holes_is_that_of_the_servers() {
    let mut serve = Serve::start();
    let script = serve.script(
        "script.js",
        r#"function decodeUplink(i) { return {data: {
            z: [0.1 + 0.2, 1e21, 1e-7, -0, 123456789012345680000, 5e-324, 1/3, 2**53, 100],
            b: [NaN, Infinity, undefined, function () {}, , null], c: undefined, a: i.recvTime,
            d: new Date(2024, 0, 1, 12), e: new Date(NaN), f: [(25).toFixed(2), (1.005).toFixed(2),
            (1e21).toString(), (255).toString(16), (0.000001234).toPrecision(2), parseFloat("2.50 C")],
            g: "\ud800\u2028\"\\\u0007å", h: new Uint8Array([1, 2]), "2": 2, "1": 1,
            i: i.recvTime instanceof Date, j: new Date("2024-13-30T00:00:00Z"), k: [..."é€😀"].length } } }"#,
    );
    let input = json!({"bytes": [], "fPort": 1, "recvTime": "2026-11-22T10:00:00.250Z"});
    serve.send(json!({"script": script, "routine": "decodeUplink", "input": input}).to_string());
    // as V8 prints it
    assert_eq!(
        serve.line(),
        r#"{"out":{"data":{"1":1,"2":2,"z":[0.30000000000000004,1e+21,1e-7,0,123456789012345680000,5e-324,0.3333333333333333,9007199254740992,100],"b":[null,null,null,null,null,null],"a":"2026-11-22T10:00:00.250Z","d":"2024-01-01T12:00:00.000Z","e":null,"f":["25.00","1.00","1e+21","ff","0.0000012",2.5],"g":"\ud800
\"\\\u0007å","h":{"0":1,"1":2},"i":true,"j":null,"k":3}}}"#
            .replace('\n', "\u{2028}")
    );
}

#[test]
fn a_codec_s_own_errors_and_warnings_are_an_answer() {
    let mut serve = Serve::start();
    let script =
        "function decodeUplink() { return {errors: ['unknown FPort'], warnings: ['low']}; }";
    assert_eq!(serve.out(script), json!({"errors": ["unknown FPort"], "warnings": ["low"]}));
}

#[test]
fn errors_name_the_line_of_the_script() {
    let mut serve = Serve::start();
    let mut is = |script: &str, told: &str| assert_eq!(serve.err(script), told, "{script}");
    is(
        "function decodeUplink(i) {\n\n  return i.foo.bar;\n}",
        "line 3: TypeError: cannot read property 'bar' of undefined",
    );
    is(
        "function f() {\n  throw new Error('bad length');\n}\nfunction decodeUplink() {\n  f();\n}",
        "line 2: Error: bad length",
    );
    is(
        "function decodeUplink() {\n  [1].map(function () {\n    x();\n  });\n}",
        "line 3: ReferenceError: x is not defined",
    );
    is(
        "\nfunction decodeUplink() {\n  return {data: 1;\n}",
        "line 3: SyntaxError: Unexpected token ';'",
    );
    is("var a = 1;\nmodule.exports = {a};", "line 2: ReferenceError: module is not defined");
    is("function decodeUplink() { throw 'Unknown port'; }", "threw \"Unknown port\"");
    is("function decodeUplink() { throw {code: 5}; }", "threw {\"code\":5}");
    is("function decodeUplink() { class E extends Error {}; throw new E(''); }", "line 1: Error");
    is(
        "function decodeUplink() {}",
        "decodeUplink returned undefined; it has to return an object such as {data: {…}}",
    );
    let arrays = "function decodeUplink() { return [1]; }";
    is(arrays, "decodeUplink returned array; it has to return an object such as {data: {…}}");
}

#[test]
fn buffer_is_there_as_on_servers_that_have_it() {
    let mut serve = Serve::start();
    let mut gives = |code: &str, data: Value| {
        let script = format!("function decodeUplink(input) {{ {code} }}");
        assert_eq!(serve.out(&script), json!({ "data": data }), "{code}");
    };
    gives(
        "const b = Buffer.from([0, 1, 0xff, 0xfe, 0x40, 0x49, 0x0f, 0xdb]); return {data: [
            b.readUInt8(2), b.readInt8(2), b.readUInt16BE(0), b.readUInt16LE(0), b.readInt16BE(2),
            b.readUInt32LE(0), b.readInt32LE(0), b.readFloatBE(4).toFixed(5), b.length,
            b.readUIntBE(0, 3), b.readIntLE(1, 3), String(b.readBigUInt64LE(0))]};",
        json!([
            255,
            -1,
            1,
            256,
            -2,
            4278124800_u32,
            -16842496,
            "3.14159",
            8,
            511,
            -65791,
            "15784915762461737216"
        ]),
    );
    gives(
        "const b = Buffer.alloc(10); b.writeUInt16LE(0x54, 0); b.writeFloatLE(900, 2); b.writeInt8(-1, 6);
         b.writeUInt32BE(258, 6); return {data: b};",
        json!({"type": "Buffer", "data": [84, 0, 0, 0, 97, 68, 0, 0, 1, 2]}),
    );
    gives(
        "const b = Buffer.from('48c3a5', 'hex'); return {data: [b.toString(), b.toString('hex'),
            b.toString('base64'), Buffer.from('SMOl', 'base64').toString('utf8'), b.slice(1).toString('hex'),
            Buffer.concat([b, Buffer.from([1])]).toString('hex'), Buffer.isBuffer(b), b.equals(Buffer.from('Hå')),
            Array.from(b.subarray(0, 2)), b.toString('latin1'), Buffer.from('ab', 'ascii')[1]]};",
        json!(["Hå", "48c3a5", "SMOl", "Hå", "c3a5", "48c3a501", true, true, [72, 195], "HÃ¥", 98]),
    );
    gives(
        "try { Buffer.from([1]).readUInt16BE(0); } catch (e) { return {data: e.name}; }",
        json!("RangeError"),
    );
}
