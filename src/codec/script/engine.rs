//! One payload, one interpreter: QuickJS, made anew each time, for some published codecs keep
//! state and decode wrongly the second time.
//!
//! Scripts are evaluated as sloppy global code, as the servers did for which they were written:
//! in strict mode one in eight of the published ones gives another answer or none.

use super::wire::{Case, Outcome, Reply};
use super::{MAX_DEPTH, MAX_RESULT, MAX_SOURCE, Routine};
use crate::sys;
use rquickjs::context::EvalOptions;
use rquickjs::{
    CatchResultExt, CaughtError, Context, Ctx, Exception, Function, Object, Runtime, Type, Value,
};
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How long a script may compute, loading included. In CPU time of its thread: by the wall, a
/// busy machine would stop good ones. They take 1 ms, the slowest published one 8.
pub(super) const MAX_TIME: Duration = Duration::from_millis(250);

/// Of all that a script makes, and of what it is compiled to. 512 KiB are enough for all
/// published ones.
const MAX_MEMORY: usize = 8 * 1024 * 1024;

/// 32 KiB are enough for all published ones.
const MAX_STACK: usize = 256 * 1024;

/// What is kept of the console: lines, and bytes of each.
const MAX_CONSOLE: (usize, usize) = (50, 500);

/// How much of an exception is told, in bytes.
const MAX_ERROR: usize = 500;

/// The name of a script's file in the engine's own messages.
const SCRIPT: &str = "script";

const PRELUDE: &str = include_str!("prelude.js");

/// Twice as long as the median codec, and so only there for those that speak of it.
const BUFFER: &str = include_str!("buffer.js");

/// Runs a case to its end. Returns also when the script would not, but for native loops that
/// the interpreter cannot leave: the worker is killed then.
pub(super) fn run(case: &Case<'_>) -> Reply {
    let console = Rc::new(RefCell::new(Vec::new()));
    let late = Arc::new(AtomicBool::new(false));
    let out = match attempt(case, &console, &late) {
        Ok(object) => Outcome::Object(object),
        Err(error) if late.load(Relaxed) => Outcome::Late(shortened(error, MAX_ERROR)),
        Err(error) => Outcome::Error(shortened(error, MAX_ERROR)),
    };
    Reply { out, console: console.take() }
}

fn attempt(
    case: &Case<'_>,
    console: &Rc<RefCell<Vec<String>>>,
    late: &Arc<AtomicBool>,
) -> Result<Box<RawValue>, String> {
    if case.source.len() > MAX_SOURCE {
        return Err(format!("the script is longer than {} KiB", MAX_SOURCE / 1024));
    }
    if let Some(at) = case.source.find('\0') {
        let line = 1 + case.source[..at].matches('\n').count();
        return Err(format!("line {line}: a NUL character: the file is no text"));
    }
    let begin = || -> rquickjs::Result<(Runtime, Context)> {
        let runtime = Runtime::new()?;
        runtime.set_memory_limit(MAX_MEMORY);
        runtime.set_max_stack_size(MAX_STACK);
        let (until, late) = (sys::thread_cpu_time() + MAX_TIME, Arc::clone(late));
        runtime.set_interrupt_handler(Some(Box::new(move || {
            let is_late = sys::thread_cpu_time() > until;
            late.fetch_or(is_late, Relaxed);
            is_late
        })));
        let context = Context::full(&runtime)?;
        Ok((runtime, context))
    };
    let (_runtime, context) = begin().map_err(|error| format!("the engine: {error}"))?;
    context.with(|ctx| {
        evaluate(&ctx, case, console)
            .catch(&ctx)
            .map_err(|error| explain(error, late.load(Relaxed)))
    })?
}

/// The inner result is an answer that is none, in our own words.
fn evaluate(
    ctx: &Ctx<'_>,
    case: &Case<'_>,
    console: &Rc<RefCell<Vec<String>>>,
) -> rquickjs::Result<Result<Box<RawValue>, String>> {
    let lines = Rc::clone(console);
    let write = Function::new(ctx.clone(), move |line: rquickjs::String<'_>| {
        let mut lines = lines.borrow_mut();
        if lines.len() < MAX_CONSOLE.0 {
            let line = line.to_string().unwrap_or_else(|_| "?".to_owned());
            lines.push(shortened(line, MAX_CONSOLE.1));
        }
    })?;
    let prelude: Function<'_> = eval(ctx, PRELUDE, "prelude")?;
    let call: Function<'_> = prelude.call((write,))?;
    if speaks_of(&case.source, "Buffer") {
        let () = eval(ctx, BUFFER, "buffer")?;
    }
    let () = eval(ctx, &case.source, SCRIPT)?;
    let Some((shape, function)) = entry(ctx, case.routine)? else {
        return Ok(Err(missing(case.routine)));
    };
    let input = ctx.json_parse(case.input.get())?;
    if !input.is_object() {
        return Ok(Err("the input is no object".to_owned()));
    }
    let result: Value<'_> = call.call((shape, function, input))?;
    if !result.is_object() || result.is_array() || result.is_function() {
        let what = match result.type_of() {
            Type::Int | Type::Float => "a number".to_owned(),
            other => other.to_string(),
        };
        return Ok(Err(format!(
            "{} returned {what}; it has to return an object such as {{data: {{…}}}}",
            case.routine.name()
        )));
    }
    let Some(json) = ctx.json_stringify(result)? else {
        return Ok(Err("the returned object has no JSON".to_owned()));
    };
    Ok(checked(json.to_string()?))
}

fn eval<'js, V: rquickjs::FromJs<'js>>(
    ctx: &Ctx<'js>,
    source: &str,
    name: &str,
) -> rquickjs::Result<V> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options)
}

/// Whether a word is in a text, and not as a part of another.
fn speaks_of(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// The function that a script has for this, and how it wants to be called.
fn entry<'js>(
    ctx: &Ctx<'js>,
    routine: Routine,
) -> rquickjs::Result<Option<(&'static str, Value<'js>)>> {
    let older: &[&'static str] = match routine {
        Routine::DecodeUplink => &["Decoder", "Decode"],
        Routine::EncodeDownlink => &["Encoder", "Encode"],
        Routine::DecodeDownlink | Routine::NormalizeUplink => &[],
    };
    let names =
        [(routine.name(), "plain")].into_iter().chain(older.iter().map(|name| (*name, *name)));
    for (name, shape) in names {
        // asked of the code, not of the global object, which has no `let` and `const`
        let found: Value<'_> =
            eval(ctx, &format!("typeof {name} === 'function' ? {name} : undefined"), "prelude")?;
        if found.is_function() {
            return Ok(Some((shape, found)));
        }
    }
    Ok(None)
}

fn missing(routine: Routine) -> String {
    match routine {
        Routine::DecodeUplink => {
            "the script has no function decodeUplink, nor the older Decoder or Decode".to_owned()
        }
        Routine::EncodeDownlink => {
            "the script has no function encodeDownlink, nor the older Encoder or Encode".to_owned()
        }
        other => format!("the script has no function {}", other.name()),
    }
}

/// An exception in the words that the script's author needs.
fn explain(error: CaughtError<'_>, is_late: bool) -> String {
    let place = |exception: &Exception<'_>| {
        let line = exception.stack().as_deref().and_then(line);
        line.map_or_else(String::new, |line| format!("line {line}: "))
    };
    if is_late {
        // of where it was the stack knows no more than the function
        let stack = match &error {
            CaughtError::Exception(exception) => exception.stack().unwrap_or_default(),
            CaughtError::Value(_) | CaughtError::Error(_) => String::new(),
        };
        let function = function(&stack).map_or_else(String::new, |name| format!("{name}: "));
        let most = MAX_TIME.as_millis();
        return format!("{function}still computing after {most} ms, and was stopped");
    }
    match error {
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            let name = name(&exception);
            let said = match (name.as_str(), message.as_str()) {
                ("InternalError", "out of memory") => out_of_memory(),
                (name, "") => name.to_owned(),
                (name, message) => format!("{name}: {message}"),
            };
            format!("{}{said}", place(&exception))
        }
        // what the interpreter throws when not even an error has room any more
        CaughtError::Value(value) if value.is_null() => {
            format!("threw null, or was {}", out_of_memory())
        }
        CaughtError::Value(value) => match value.as_string().map(rquickjs::String::to_string) {
            Some(Ok(text)) => format!("threw {text:?}"),
            _ => format!("threw {}", described(&value)),
        },
        CaughtError::Error(error) => error.to_string(),
    }
}

fn out_of_memory() -> String {
    format!("out of memory: a script may use {} MiB", MAX_MEMORY / 1024 / 1024)
}

fn name(exception: &Exception<'_>) -> String {
    let object: &Object<'_> = exception.as_object();
    object.get::<_, String>("name").unwrap_or_else(|_| "Error".to_owned())
}

fn described(value: &Value<'_>) -> String {
    let json = value.ctx().json_stringify(value).ok().flatten();
    json.and_then(|json| json.to_string().ok()).unwrap_or_else(|| value.type_of().to_string())
}

/// The first line of the script itself in a stack such as `at f (script:12:5)`.
fn line(stack: &str) -> Option<u32> {
    let mut frames = stack.lines().filter_map(|frame| frame.split_once("script:"));
    let (_, place) = frames.next()?;
    place.split(':').next()?.trim_end_matches(')').parse().ok()
}

/// The name of the script's innermost function in a stack.
fn function(stack: &str) -> Option<&str> {
    let frame = stack.lines().find(|frame| frame.contains("(script:"))?;
    let (name, _) = frame.trim().strip_prefix("at ")?.split_once(" (script:")?;
    Some(if name == "<eval>" { "while loading" } else { name })
}

fn checked(json: String) -> Result<Box<RawValue>, String> {
    // its toJSON may have made something else of it
    if !json.starts_with('{') {
        return Err("the JSON of the returned object is no object".to_owned());
    }
    if json.len() > MAX_RESULT {
        return Err(format!(
            "the returned object has {} KiB as JSON; {} are allowed",
            json.len().div_ceil(1024),
            MAX_RESULT / 1024
        ));
    }
    if depth(&json) > MAX_DEPTH {
        return Err(format!("the returned object is nested deeper than {MAX_DEPTH}"));
    }
    RawValue::from_string(json).map_err(|error| format!("the returned object: {error}"))
}

/// How deep a JSON text is nested.
fn depth(json: &str) -> usize {
    let (mut deepest, mut now, mut in_text, mut escaped) = (0, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}
