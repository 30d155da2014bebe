//! Whatever the file holds, the answer is a configuration or what is wrong with it.

use crate::site::{LEAST, Site};
use proptest::prelude::*;

fn answers(text: &[u8]) {
    let site = Site::new("");
    site.write("lykta.toml", text);
    match site.load() {
        Ok(_) => {}
        Err(problems) => {
            assert!(!problems.errors.is_empty(), "refused without a reason");
            let told = problems.to_string();
            assert!(told.contains("error: "), "{told}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bytes(text: Vec<u8>) {
        answers(&text);
    }

    #[test]
    fn toml_like(text in r#"([a-z\[\]{}="'.,#0-9 é\n]|device|tenant|activation|\n\[\[|\]\]\n| = ){0,60}"#) {
        answers(text.as_bytes());
    }

    #[test]
    fn a_changed_configuration(at in 0..LEAST.len(), cut in 0usize..40, insert in r#"[ -~é\n]{0,6}"#) {
        let mut text = LEAST.as_bytes().to_vec();
        text.splice(at..(at + cut).min(LEAST.len()), insert.into_bytes());
        answers(&text);
    }

    #[test]
    fn variables(name in "[A-Z_]{0,20}", value in ".{0,40}") {
        let _ = Site::new(LEAST).load_with(&[(&format!("LYKTA_{name}"), &value)]);
        let _ = Site::new(LEAST).load_with(&[("LYKTA_TENANT", &value)]);
    }
}
