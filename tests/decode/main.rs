//! The promise to whoever has a vendor's codec: `lykta decode` runs it unmodified, answers line
//! for line whatever it does, and says what is wrong with it in words that its author understands.
#![allow(clippy::unwrap_used, missing_docs)]

mod anything;
mod command;
mod daemon;
mod hostile;
mod install;
mod profiles;
mod serve;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod worker;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use support::PATIENCE;

/// A running `lykta decode --serve`, with a directory for scripts. Killed with its owner.
struct Serve {
    process: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
    scripts: tempfile::TempDir,
}

impl Serve {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lykta"))
            .args(["decode", "--serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (send, answers) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let input = process.stdin.take();
        Self { process, input, answers, scripts: tempfile::tempdir().unwrap() }
    }

    fn script(&self, name: &str, source: impl AsRef<[u8]>) -> PathBuf {
        let path = self.scripts.path().join(name);
        std::fs::write(&path, source).unwrap();
        path
    }

    fn send(&mut self, line: impl AsRef<[u8]>) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_ref()).unwrap();
        input.write_all(b"\n").unwrap();
    }

    /// The next line, as text.
    fn line(&self) -> String {
        self.answers.recv_timeout(PATIENCE).expect("an answer for each line")
    }

    fn answer(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    fn call(&mut self, source: impl AsRef<[u8]>, routine: &str, input: &Value) -> Value {
        let script = self.script("script.js", source);
        let case = json!({"script": script, "routine": routine, "input": input}).to_string();
        for _ in 0..20 {
            self.send(&case);
            let answer = self.answer();
            // where others compute, too, it may be that the worker was given no time in two
            // seconds; that is said as such, and counts for nothing
            if !answer["err"].as_str().is_some_and(|told| told.contains("machine is too busy")) {
                return answer;
            }
        }
        panic!("the machine had no time for it in twenty attempts");
    }

    /// Decodes the bytes 1 and 2 of port 7.
    fn decode(&mut self, source: impl AsRef<[u8]>) -> Value {
        self.call(source, "decodeUplink", &json!({"bytes": [1, 2], "fPort": 7}))
    }

    /// What the script returned; panics when it did not.
    fn out(&mut self, source: &str) -> Value {
        let mut answer = self.decode(source);
        assert!(answer.get("err").is_none(), "{source}\n{answer}");
        answer["out"].take()
    }

    fn err(&mut self, source: impl AsRef<[u8]>) -> String {
        let answer = self.decode(source);
        answer["err"]
            .as_str()
            .unwrap_or_else(|| panic!("an error is expected: {answer}"))
            .to_owned()
    }

    /// The worker's process, by the kernel's books.
    fn worker(&self) -> Option<u32> {
        let id = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        children.split_whitespace().next().map(|child| child.parse().unwrap())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
