//! What is promised of messages, in `config/schemas/`, against those that come.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The AsyncAPI document and the schemas, read once.
static PROMISES: LazyLock<Promises> = LazyLock::new(Promises::read);

pub struct Promises {
    channels: Vec<Channel>,
}

/// A kind of message.
pub struct Channel {
    /// Its name in the AsyncAPI document, and of the file of its schema.
    pub name: String,
    /// Its topic, in words; parameters stand in braces.
    address: Vec<String>,
    /// Whether it comes in.
    pub command: bool,
    schema: jsonschema::Validator,
}

impl Promises {
    /// Those of this source tree.
    pub fn get() -> &'static Self {
        &PROMISES
    }

    fn read() -> Self {
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/schemas"));
        let read = |path: PathBuf| -> Value {
            let text = std::fs::read_to_string(&path).unwrap();
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let document = read(directory.join("asyncapi.json"));
        let channel = |(name, channel): (&String, &Value)| {
            let file = &channel["messages"][name]["payload"]["schema"]["$ref"];
            let schema = read(directory.join(file.as_str().unwrap()));
            let options = jsonschema::options().should_validate_formats(true);
            let address = channel["address"].as_str().unwrap();
            Channel {
                name: name.clone(),
                address: address.split('/').map(str::to_owned).collect(),
                command: document["operations"][name]["action"] == "receive",
                schema: options.build(&schema).unwrap_or_else(|e| panic!("{name}: {e}")),
            }
        };
        let mut channels: Vec<_> =
            document["channels"].as_object().unwrap().iter().map(channel).collect();
        // a word that is given comes before one that is not
        channels.sort_by_key(|channel| channel.address.iter().filter(|w| is_parameter(w)).count());
        Self { channels }
    }

    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// What is promised on this topic.
    pub fn on(&self, topic: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.is(topic))
    }

    /// What is wrong with a message that lykta has sent. Commands are the test's own.
    pub fn broken_by(&self, topic: &str, body: &Value) -> Option<String> {
        match self.on(topic) {
            Some(channel) if channel.command => None,
            Some(channel) => channel.broken_by(body),
            None if is_command(topic) => None,
            None => Some("no such topic is promised".into()),
        }
    }
}

impl Channel {
    fn is(&self, topic: &str) -> bool {
        // the first parameter, the prefix, may be several words
        let (words, given) = (topic.rsplit('/'), self.address.iter().rev());
        let more = topic.split('/').count() >= self.address.len();
        more && words.zip(given).all(|(word, given)| is_parameter(given) || word == given)
    }

    /// What is wrong with a body: everything, with the places.
    pub fn broken_by(&self, body: &Value) -> Option<String> {
        if self.schema.is_valid(body) {
            return None;
        }
        let errors = self.schema.iter_errors(body);
        let errors = errors.map(|e| format!("  at {:?}: {e}", e.instance_path().as_str()));
        let errors: Vec<_> = errors.collect();
        Some(format!("config/schemas/{}.schema.json:\n{}", self.name, errors.join("\n")))
    }
}

fn is_parameter(word: &str) -> bool {
    word.starts_with('{')
}

fn is_command(topic: &str) -> bool {
    topic.rsplit('/').nth(1) == Some("command")
}

/// Fails the test if one of these messages, topic and body, is not as promised. While it fails
/// anyway nothing more is said.
pub fn assert_kept<'a>(messages: impl IntoIterator<Item = (&'a str, &'a Value)>) {
    if std::thread::panicking() {
        return;
    }
    for (topic, body) in messages {
        if let Some(broken) = Promises::get().broken_by(topic, body) {
            panic!("not as promised: {topic}\n{broken}\n{body:#}");
        }
    }
}
