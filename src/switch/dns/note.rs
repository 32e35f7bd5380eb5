//! The note as TXT records: one text, or several that say which part of how many each is.

/// What each part begins with: which one, of how many.
fn head(number: usize, of: usize) -> String {
    format!("pointsman {number}/{of} ")
}

/// The longest head: ten thousand parts are more than any zone takes.
const HEAD: usize = "pointsman 9999/9999 ".len();

/// The note's records, each at most `longest` bytes.
pub(super) fn split(note: &str, longest: usize) -> Vec<String> {
    let room = longest.saturating_sub(HEAD).max(1);
    let mut parts = vec![String::new()];
    for letter in note.chars() {
        if parts
            .last()
            .is_some_and(|part| part.len() + letter.len_utf8() > room)
        {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    let of = parts.len();
    let mut texts: Vec<String> = parts
        .into_iter()
        .enumerate()
        .map(|(number, part)| head(number + 1, of) + &part)
        .collect();
    texts.sort_unstable();
    texts
}

/// The note that these records are.
///
/// # Errors
/// In words, when they are something else, or a part of them is missing.
pub(super) fn join(texts: &[String]) -> Result<String, String> {
    let mut parts = std::collections::BTreeMap::new();
    let mut all = 0;
    for text in texts {
        let shown: String = text.chars().take(60).collect();
        let strange = || format!("expected the parts of pointsman's note, found {shown:?}");
        let rest = text.strip_prefix("pointsman ").ok_or_else(strange)?;
        let (place, part) = rest.split_once(' ').ok_or_else(strange)?;
        let (number, of) = place.split_once('/').ok_or_else(strange)?;
        let (number, of) = (number.parse::<usize>(), of.parse::<usize>());
        let (Ok(number), Ok(of)) = (number, of) else {
            return Err(strange());
        };
        all = all.max(of);
        parts.insert(number, part);
    }
    if parts.len() != all || parts.keys().copied().ne(1..=all) {
        return Err(format!(
            "expected {all} parts of pointsman's note, found {}",
            parts.len()
        ));
    }
    Ok(parts.into_values().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_note_is_said() {
        let wrong = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            join(&texts).expect_err("no note")
        };
        insta::assert_snapshot!(wrong(&["v=spf1 -all"]), @r#"expected the parts of pointsman's note, found "v=spf1 -all""#);
        insta::assert_snapshot!(wrong(&["pointsman 1/3 a", "pointsman 3/3 c"]), @"expected 3 parts of pointsman's note, found 2");
        insta::assert_snapshot!(wrong(&["pointsman x/3 a"]), @r#"expected the parts of pointsman's note, found "pointsman x/3 a""#);
    }

    proptest! {
        #[test]
        fn a_note_survives_its_parts(note in "\\PC{0,3000}", longest in 30_usize..600) {
            let texts = split(&note, longest);
            prop_assert!(texts.iter().all(|text| text.len() <= longest));
            prop_assert_eq!(join(&texts), Ok(note));
        }
    }
}
