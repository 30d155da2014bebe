//! Keeps keys and passwords out of the source lines that are shown.

/// The sign that stands for one character of a secret.
pub(super) const MASK: char = '…';

/// Digits from which a run of hexadecimal is taken for a key. A DevEUI has 16, an AES key 32.
const KEY_DIGITS: usize = 20;

/// The line with each character of a secret replaced by [`MASK`], so that columns stay.
///
/// It must also hold for lines that are no TOML (yet), so it looks at the text alone. Masked
/// are: the value of a key whose name speaks of a key, password or secret; every long
/// run of hexadecimal digits; user and password in a URL.
pub(crate) fn line(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    mask_named(&mut chars);
    mask_hexadecimal(&mut chars);
    mask_url_user(&mut chars);
    chars.into_iter().collect()
}

/// Whether a setting of this name holds a secret itself (and not the name of a file).
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let speaks = ["key", "pass", "secret", "token"].iter().any(|word| name.contains(word));
    speaks && name != "key" && !name.ends_with("_file")
}

fn mask_named(chars: &mut [char]) {
    let mut at = 0;
    while let Some(equals) = (at..chars.len()).find(|&i| chars[i] == '=') {
        at = equals + 1;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let before =
            chars[..equals].iter().rev().skip_while(|c| matches!(c, ' ' | '\t' | '"' | '\''));
        let name: String = before.take_while(|c| is_name(**c)).collect();
        let name: String = name.chars().rev().collect();
        if !is_secret_name(&name) {
            continue;
        }
        while chars.get(at).is_some_and(|c| c.is_whitespace()) {
            at += 1;
        }
        let quote = chars.get(at).copied().filter(|c| matches!(c, '"' | '\''));
        while quote.is_some() && chars.get(at) == quote.as_ref() {
            at += 1;
        }
        let ends = |c: char| match quote {
            Some(quote) => c == quote,
            None => matches!(c, ',' | '}' | '#'),
        };
        while let Some(c) = chars.get_mut(at).filter(|c| !ends(**c)) {
            *c = MASK;
            at += 1;
        }
    }
}

fn mask_hexadecimal(chars: &mut [char]) {
    let mut from = 0;
    while from < chars.len() {
        let run = chars[from..]
            .iter()
            .take_while(|c| c.is_ascii_hexdigit() || matches!(c, '-' | ':' | ' '))
            .count();
        let digits = chars[from..from + run].iter().filter(|c| c.is_ascii_hexdigit()).count();
        if digits >= KEY_DIGITS {
            for c in chars[from..from + run].iter_mut().filter(|c| c.is_ascii_hexdigit()) {
                *c = MASK;
            }
        }
        from += run.max(1);
    }
}

fn mask_url_user(chars: &mut [char]) {
    for i in 0..chars.len() {
        if !chars[i..].starts_with(&[':', '/', '/']) {
            continue;
        }
        let host = i + 3;
        let end = chars[host..].iter().take_while(|c| !matches!(c, '"' | '\'' | ' ' | ',')).count();
        if let Some(at) = chars[host..host + end].iter().rposition(|c| *c == '@') {
            chars[host..host + at].fill(MASK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::line;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_masked_in_place() {
        for (text, shown) in [
            (r#"app_s_key = "abc""#, r#"app_s_key = "………""#),
            (r#"{ nwk_s_key = 'ab', name = "x" }"#, r#"{ nwk_s_key = '……', name = "x" }"#),
            ("password = open", "password = …………"),
            (r#""app-key"= "ab"#, r#""app-key"= "……"#),
            (r#"["mqtt://me:x@host:1883"]"#, r#"["mqtt://…………@host:1883"]"#),
        ] {
            assert_eq!(line(text), shown);
        }
        let lost = line(r#"name = "2B7E1516 28AED2A6 ABF71588 09CF4F3C""#);
        assert!(!lost.contains("2B7E"), "{lost}");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            r#"key = "/etc/lykta/client.pem""#,
            r#"nwk_s_key_file = "waste.nwk""#,
            r#"dev_eui = "70b3d50700001739""#,
        ] {
            assert_eq!(line(text), text);
        }
    }

    proptest! {
        #[test]
        fn columns_stay(text in r#"[a-z_="' ,{}0-9@:/é-]{0,80}"#) {
            prop_assert_eq!(line(&text).chars().count(), text.chars().count());
        }
    }
}
