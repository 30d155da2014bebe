//! Other programs that are asked, none of them for longer than somebody waits for an answer.

use std::io::{self, ErrorKind, Read};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// None that is asked takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// So much is read of what it prints.
const MOST: u64 = 8 << 20;

/// What a program prints, without anything to read. One that takes too long is ended, and what it
/// printed until then comes with the status of that.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    output_within(command, PATIENCE)
}

/// Whether a program was ended because it took too long.
pub(crate) fn is_late(output: &Output) -> bool {
    output.status.code().is_none()
}

fn output_within(command: &mut Command, patience: Duration) -> io::Result<Output> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
    let deadline = Instant::now() + patience;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() < deadline => std::thread::sleep(LOOK),
            None => break end(&mut child)?,
        }
    };
    let text = |reading: Option<JoinHandle<_>>| reading.and_then(|reading| reading.join().ok());
    let (stdout, stderr) = (text(stdout).unwrap_or_default(), text(stderr).unwrap_or_default());
    Ok(Output { status, stdout, stderr })
}

/// Ends it; it may have ended meanwhile.
fn end(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    match child.kill() {
        Err(error) if error.kind() != ErrorKind::InvalidInput => return Err(error),
        _ => {}
    }
    child.wait()
}

fn read(pipe: Option<impl Read + Send + 'static>) -> Option<JoinHandle<Vec<u8>>> {
    let pipe = pipe?;
    Some(std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.take(MOST).read_to_end(&mut bytes);
        bytes
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_prints_and_how_it_ends() {
        let said = output(Command::new("sh").args(["-c", "echo a; echo b >&2; exit 3"]));
        let said = said.expect("starts");
        assert_eq!((said.stdout, said.stderr), (b"a\n".to_vec(), b"b\n".to_vec()));
        assert_eq!(said.status.code(), Some(3));
        assert!(output(&mut Command::new("/nonexistent")).is_err());
    }

    #[test]
    fn one_that_takes_too_long_is_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo a; exec sleep 600"]);
        let said = output_within(&mut command, Duration::from_millis(50)).expect("starts");
        assert!(is_late(&said), "{said:?}");
    }
}
