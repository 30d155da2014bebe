//! Wrong configurations, each with the whole message that a field engineer reads.

use crate::site::{LEAST, Site};

#[test]
fn least_is_fine() {
    assert_eq!(Site::new(LEAST).told(), "ok");
}

#[test]
fn peek() {
    for (from, to) in [
        ("gateway =", "gatway ="),
        ("\"gw-1\"", "gw-1"),
        ("[concentrator]", "[concentrator"),
        ("260b1739", "260b17"),
        ("c9e07a", "c9e07g"),
        ("activation = { abp", "activation = { otaa"),
        ("[concentrator]", "[[radio]]"),
        ("urls", "url"),
        ("profile = \"sensoneo-single\"", "profile = \"sensoneo-singel\""),
        ("tenant = \"waste\"", "tenant = \"wast\""),
        ("nwk_s_key =", "nwk_key ="),
        ("[concentrator]", "[concentrator]\nlisten = \"0.0.0.0:1700\"\ndedup_window = 3"),
        ("urls = [\"mqtt", "protocol = 4\nprefix = \"/a\"\nurls = [\"http"),
    ] {
        println!("=== {from} -> {to}\n{}", Site::new(&LEAST.replacen(from, to, 1)).told());
    }
    panic!()
}
