//! The annotated configuration says what the settings say.

use crate::site::Site;
use lykta::config::template;

#[test]
fn the_file_is_what_the_settings_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/lykta.toml");
    if std::env::var_os("UPDATE_TEMPLATE").is_some() {
        std::fs::write(path, template()).unwrap();
    }
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        file == template(),
        "config/lykta.toml is not what the settings say; write it anew with UPDATE_TEMPLATE=1"
    );
}

/// The template with a state directory that exists here.
fn here(text: &str) -> String {
    text.replace("\n#state_dir = \"/var/lib/lykta\"", "\nstate_dir = \"state\"")
}

#[test]
fn it_loads_as_it_is() {
    let site = Site::new(&here(&template()));
    assert_eq!(site.told(), "ok");
}

#[test]
fn the_defaults_in_it_are_the_defaults() {
    let plain = Site::new(&here(&template()));
    let (head, devices) =
        template().split_once("\n#[[device]]").map(|(h, d)| (h.to_owned(), d.to_owned())).unwrap();
    assert!(devices.contains("dev_eui"));
    // nobody has the example's radio or modem
    let without = |head: String, table: &str, next: &str| {
        let (before, rest) = head.split_once(table).unwrap();
        before.to_owned() + &rest[rest.find(next).unwrap()..]
    };
    let head = without(head, "\n#[[radio]]", "\n[lorawan]");
    let head = without(head, "\n#[modem]", "\n[[tenant]]");
    let uncommented: String = here(&head)
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') && !setting.is_empty() => setting,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(uncommented, head, "there is nothing to uncomment");
    let uncommented = Site::new(&uncommented);
    let settings = |site: &Site| site.neutral(&format!("{:#?}", site.load().unwrap().settings));
    assert_eq!(settings(&uncommented), settings(&plain));
}
