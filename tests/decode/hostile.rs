//! Scripts that mean no good, or were written on a bad day. Each is answered, and the next
//! payload is decoded as if nothing had been.

use crate::Serve;
use serde_json::json;

/// Tried after each.
const GOOD: &str = "function decodeUplink(input) {
    return {data: {sum: input.bytes[0] + input.bytes[1], port: input.fPort, when: new Date(0)}};
}";

/// What comes of a hostile script.
enum End {
    /// An error with these words.
    Told(&'static str),
    /// Its worker may have to be killed, or it may be stopped in order: this depends on the build.
    Stopped,
    /// It harms nobody, and its answer is as in any JavaScript engine.
    Answers(&'static str),
}
use End::{Answers, Stopped, Told};

const TIME: &str = "still computing after 250 ms";
const MEMORY: &str = "out of memory";
const STACK: &str = "Maximum call stack size exceeded";

const CASES: &[(&str, &str, End)] = &[
    ("loop", "function decodeUplink() { for (;;); }", Told(TIME)),
    ("loop at load", "while (true) {} function decodeUplink() {}", Told("while loading: still")),
    ("loop that catches", "function decodeUplink() { for (;;) try { for (;;); } catch (e) {} }", Told(TIME)),
    ("loop in finally", "function decodeUplink() { try { for (;;); } finally { for (;;); } }", Told(TIME)),
    ("loop in a getter", "function decodeUplink() { return {get data() { for (;;); }}; }", Told(TIME)),
    ("loop in toJSON", "function decodeUplink() { return {data: {toJSON() { for (;;); }}}; }", Told(TIME)),
    (
        "loop in the look for the function",
        "Object.defineProperty(globalThis, 'decodeUplink', {get() { for (;;); }});",
        Told(TIME),
    ),
    (
        "loop in the conversion of an error",
        "function decodeUplink() { throw {toJSON() { for (;;); }, toString() { for (;;); }}; }",
        Told("threw"),
    ),
    (
        "loop in the stack of an error",
        "function decodeUplink() {
            const e = new Error('x');
            Object.defineProperty(e, 'stack', {get() { for (;;); }});
            Object.defineProperty(e, 'name', {get() { for (;;); }});
            throw e; }",
        Told("x"),
    ),
    (
        "loop while the stack is made",
        "Error.prepareStackTrace = () => { for (;;); }; function decodeUplink() { null.x; }",
        Stopped,
    ),
    (
        "loop in a comparison",
        "function decodeUplink() { [3, 1, 2].sort(() => { for (;;); }); }",
        Told(TIME),
    ),
    (
        "generator without end",
        "function* g() { for (;;) yield 1; } function decodeUplink() { return {data: [...g()]}; }",
        Stopped,
    ),
    (
        "regular expression that goes back",
        "function decodeUplink() { return {data: /^(a+)+$/.test('a'.repeat(40) + 'b')}; }",
        Told(TIME),
    ),
    (
        "regular expression on a long text",
        "function decodeUplink() { return {data: /(.*)*x/s.exec('a'.repeat(1e6))}; }",
        Stopped,
    ),
    ("join of what is not there", "function decodeUplink() { return {data: new Array(2**32 - 1).join('')}; }", Stopped),
    ("reversal of what is not there", "function decodeUplink() { const a = []; a[2**32 - 2] = 1; return {data: a.reverse()}; }", Stopped),
    (
        "quadratic search",
        "function decodeUplink() {
            const a = new Array(1e5).fill('x'.repeat(50));
            let n = 0; for (;;) n += a.indexOf('y' + n); }",
        Stopped,
    ),
    ("big numbers", "function decodeUplink() { let n = 3n; for (;;) n = n * n; }", Stopped),
    ("recursion", "function decodeUplink() { return decodeUplink(); }", Told(STACK)),
    (
        "recursion in the depth of a function of the engine",
        "const o = {toString() { return '' + o; }}; function decodeUplink() { return {data: '' + o}; }",
        Told(STACK),
    ),
    ("array that grows", "function decodeUplink() { const a = []; for (;;) a.push({}); }", Told(MEMORY)),
    ("text that grows", "function decodeUplink() { let s = 'x'; for (;;) s += s; }", Stopped),
    ("text by repetition", "function decodeUplink() { return {data: 'x'.repeat(2**29)}; }", Told(MEMORY)),
    ("buffer", "function decodeUplink() { return {data: new ArrayBuffer(2**30)}; }", Told(MEMORY)),
    (
        "memory bomb that catches",
        "function decodeUplink() { const a = []; for (;;) try { for (;;) a.push('x'.repeat(1e5) + a.length); } catch (e) {} }",
        Stopped,
    ),
    ("cyclic result", "function decodeUplink() { const a = {}; a.a = a; return a; }", Told("circular")),
    (
        "deep result",
        "function decodeUplink() { let a = {}; for (let i = 0; i < 1e5; i++) a = {a}; return a; }",
        Stopped,
    ),
    (
        "result a little too deep",
        "function decodeUplink() { let a = 1; for (let i = 0; i < 33; i++) a = [a]; return {data: a}; }",
        Told("deeper than 32"),
    ),
    ("long result", "function decodeUplink() { return {data: 'x'.repeat(65536)}; }", Told("64 are allowed")),
    (
        "wide result",
        "function decodeUplink() { const a = {}; for (let i = 0; i < 2e4; i++) a['k' + i] = i; return a; }",
        Told("64 are allowed"),
    ),
    (
        "result behind a proxy",
        "function decodeUplink() { return new Proxy({}, {ownKeys() { for (;;); }}); }",
        Told(TIME),
    ),
    (
        "prototypes and built-in functions in pieces",
        "Object.prototype.data = 'evil'; Object.prototype.errors = ['evil']; Array.prototype.push = null;
         Function.prototype.call = null; Object.defineProperty(Object.prototype, 'bytes', {set() { throw 1 }});
         JSON.stringify = JSON.parse = globalThis.Date = String = () => 'evil';
         function decodeUplink(input) { return {data: input.bytes}; }",
        Answers(r#"{"data":[1,2]}"#),
    ),
    (
        "toJSON for everybody",
        "Object.prototype.toJSON = () => 'evil'; function decodeUplink() { return {data: 1}; }",
        Told("JSON of the returned object is no object"),
    ),
    ("null", "function decodeUplink() { throw null; }", Told("threw null")),
    ("undefined", "function decodeUplink() { throw undefined; }", Told("threw undefined")),
    (
        "waiting",
        "function decodeUplink() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }",
        Told("line 1: TypeError"),
    ),
    (
        "promises without end",
        "function f() { Promise.resolve().then(f); } function decodeUplink() { f(); return {data: 1}; }",
        Answers(r#"{"data":1}"#),
    ),
    (
        "a look for the way out",
        "function decodeUplink() { return {data: [typeof require, typeof process, typeof std,
            typeof os, typeof fetch, typeof setTimeout, typeof Deno, typeof WebAssembly, typeof print,
            typeof load, typeof scriptArgs]}; }",
        Answers(
            r#"{"data":["undefined","undefined","undefined","undefined","undefined","undefined","undefined","undefined","undefined","undefined","undefined"]}"#,
        ),
    ),
    (
        "imports",
        "function decodeUplink() { import('std').then(() => { for (;;); }); import('/etc/passwd'); return {data: 1}; }",
        Answers(r#"{"data":1}"#),
    ),
    (
        "flood of the console",
        "function decodeUplink() { for (let i = 0; i < 5000; i++) console.log('x'.repeat(100)); return {data: 1}; }",
        Answers(r#"{"data":1}"#),
    ),
    ("code of code", "function decodeUplink() { for (;;) Function('return ' + '['.repeat(20) + ']'.repeat(20))(); }", Told(TIME)),
    (
        "code in the depth",
        "function decodeUplink() { return {data: eval('['.repeat(1e5) + ']'.repeat(1e5))}; }",
        Told("line"),
    ),
    ("nothing", "", Told("no function decodeUplink")),
    ("no object", "function decodeUplink() { return 42; }", Told("returned a number")),
    ("a NUL", "function decodeUplink() { return {data: 1}; } \0 (", Told("line 1: a NUL")),
];

#[test]
fn each_is_answered_and_the_next_payload_is_decoded() {
    let mut serve = Serve::start();
    for (name, source, end) in CASES {
        let answer = serve.decode(source);
        match end {
            Told(words) => {
                let told = answer["err"].as_str().unwrap_or_else(|| panic!("{name}: {answer}"));
                assert!(told.contains(words), "{name}: {told}");
            }
            Stopped => {
                let told = answer["err"].as_str().unwrap_or_else(|| panic!("{name}: {answer}"));
                println!("{name}: {told}");
            }
            Answers(out) => assert_eq!(answer["out"].to_string(), *out, "{name}: {answer}"),
        }
        let good = json!({"data": {"sum": 3, "port": 7, "when": "1970-01-01T00:00:00.000Z"}});
        assert_eq!(serve.out(GOOD), good, "after {name}");
    }
}

#[test]
fn a_script_that_is_too_long_is_not_run() {
    let mut serve = Serve::start();
    let long = format!("{GOOD} // {}", "x".repeat(256 * 1024));
    assert!(serve.err(long).contains("longer than 256 KiB"));
    let just = format!("{GOOD} // {}", "x".repeat(255 * 1024));
    assert_eq!(serve.out(&just)["data"]["sum"], 3);
}

const KILLER: &str =
    "function decodeUplink(i) { return {data: i.bytes.length || new Array(2**32 - 1).join()}; }";

#[test]
fn what_kills_three_workers_is_not_run_again_until_it_changes() {
    let mut serve = Serve::start();
    let empty = json!({"bytes": [], "fPort": 1});
    let mut killed = 0;
    let told = loop {
        let told = serve.call(KILLER, "decodeUplink", &empty)["err"].to_string();
        if told.contains("not tried") {
            break told;
        }
        assert!(told.contains("was killed"), "{told}");
        killed += 1;
        assert!(killed <= 3, "{told}");
    };
    assert_eq!(killed, 3);
    assert!(told.contains("not tried: it had to be stopped 3 times"), "{told}");
    // even with a payload that did no harm
    assert!(serve.err(KILLER).contains("not tried"));
    assert_eq!(serve.out(&format!("{KILLER} // mended")), json!({"data": 2}));
}
