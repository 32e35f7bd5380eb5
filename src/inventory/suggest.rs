//! What was probably meant by a word that is not known.

use super::diagnostic::Mistake;

/// The words as people list them.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [one] => one.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}

/// Below this likeness (0 to 1, Jaro-Winkler) a suggestion confuses more than it helps.
const LIKE_ENOUGH: f64 = 0.75;

/// The word that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |word: &&str| strsim::jaro_winkler(name, word);
    let nearest = known
        .iter()
        .copied()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    nearest.filter(|word| likeness(word) >= LIKE_ENOUGH)
}

/// Adds the word that was probably meant.
pub(super) fn with_nearest(mistake: Mistake, name: &str, known: &[&str]) -> Mistake {
    match nearest(name, known) {
        Some(word) => mistake.help(format!("did you mean `{word}`?")),
        None => mistake,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_alike_is_suggested() {
        let known = ["name", "address", "port", "user", "env"];
        assert_eq!(nearest("naem", &known), Some("name"));
        assert_eq!(nearest("adress", &known), Some("address"));
        assert_eq!(nearest("prot", &known), Some("port"));
        assert_eq!(nearest("weight", &known), None);
        assert_eq!(nearest("", &known), None);
    }

    #[test]
    fn one_word_is_no_list() {
        assert_eq!(one_of(&["a"]), "`a`");
        assert_eq!(one_of(&["a", "b"]), "one of `a`, `b`");
    }
}
