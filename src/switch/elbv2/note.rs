//! The note as tags: pieces under the number of their generation, and one tag, `pointsman:note`, that names the
//! generation that counts, how many pieces it has and their checksum.
//!
//! The pieces of a new generation stand beside those of the old one until the one tag is switched, so a write that ends
//! half way changes nothing. Two writers have generations of their own, as chance is part of each one's name.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

/// The tag that names the generation, and what the keys of the pieces begin with.
pub(super) const KEY: &str = "pointsman:note";

/// Longest value of a tag, in characters. base64url has only characters that tags may have.
const LONGEST: usize = 256;

/// Most tags that a listener or rule may have, those of others included.
pub(super) const MOST: usize = 50;

/// Tags of one listener or rule.
pub(super) type Tags = BTreeMap<String, String>;

/// A note as tags.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Put there first.
    pub(super) pieces: Tags,
    /// The value of [`KEY`] that makes them count.
    pub(super) head: String,
    /// What can go afterwards: pieces of generations before this one.
    pub(super) old: Vec<String>,
}

/// A piece's key, taken apart: generation, and its number.
fn generation(key: &str) -> Option<u64> {
    let name = key.strip_prefix(KEY)?.strip_prefix('.')?;
    name.split(['-', '.']).next()?.parse().ok()
}

/// The note, as the tags have it; none where there is none.
///
/// # Errors
/// In words, where the one tag names pieces that are not there or are others.
pub(super) fn read(tags: &Tags) -> Result<Option<String>, String> {
    let Some(head) = tags.get(KEY) else {
        return Ok(None);
    };
    let torn = |what: &str| format!("the note is torn: {KEY} is {head:?}, but {what}");
    let fields: Vec<&str> = head.split(':').collect();
    let [name, count, sum] = fields[..] else {
        return Err(torn("expected a generation, a number of pieces and a checksum"));
    };
    let count: usize = count.parse().map_err(|_| torn("expected a number of pieces"))?;
    if count > MOST {
        return Err(torn("expected fewer pieces"));
    }
    let mut text = String::new();
    for number in 1..=count {
        match tags.get(&format!("{KEY}.{name}.{number}")) {
            Some(piece) => text.push_str(piece),
            None => return Err(torn(&format!("piece {number} of {count} is not there"))),
        }
    }
    let note = BASE64
        .decode(&text)
        .map_err(|_| torn("its pieces are no base64"))?;
    if checksum(&note) != sum {
        return Err(torn("its pieces have another checksum"));
    }
    let note = String::from_utf8(note).map_err(|_| torn("its pieces are no text"))?;
    Ok(Some(note))
}

/// The tags of a new note beside those that are there.
///
/// # Errors
/// In words, where AWS allows no such number of tags.
pub(super) fn write(tags: &Tags, note: &str) -> Result<Written, String> {
    let generations = tags.keys().filter_map(|key| generation(key));
    let next = generations.max().unwrap_or_default().saturating_add(1);
    let name = format!("{next}-{:06x}", rand::rng().random_range(0..0x0100_0000));
    let text = BASE64.encode(note);
    // base64 is ASCII, so each chunk is text.
    let chunks = text.as_bytes().chunks(LONGEST).map(String::from_utf8_lossy);
    let pieces: Tags = chunks
        .enumerate()
        .map(|(number, piece)| (format!("{KEY}.{name}.{}", number + 1), piece.into_owned()))
        .collect();
    let kept = tags.keys().filter(|key| *key != KEY).count();
    let needed = kept + pieces.len() + 1;
    if needed > MOST {
        return Err(format!(
            "expected room for {} tags more, found {kept} of {MOST} taken",
            pieces.len() + 1
        ));
    }
    Ok(Written {
        head: format!("{name}:{}:{}", pieces.len(), checksum(note.as_bytes())),
        pieces,
        old: tags
            .keys()
            .filter(|key| generation(key).is_some_and(|generation| generation < next))
            .cloned()
            .collect(),
    })
}

/// Pieces of no generation that counts and of none that may still come to count: what a killed writer left behind.
pub(super) fn garbage(tags: &Tags) -> Vec<String> {
    let head = tags.get(KEY).map_or("", String::as_str);
    let counts = generation(&format!("{KEY}.{head}")).unwrap_or_default();
    let keys = tags.keys();
    keys.filter(|key| generation(key).is_some_and(|generation| generation < counts))
        .cloned()
        .collect()
}

fn checksum(note: &[u8]) -> String {
    BASE64.encode(Sha256::digest(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands there after a write that was not cut.
    fn put(tags: &mut Tags, note: &str) {
        let written = write(tags, note).unwrap();
        tags.extend(written.pieces);
        tags.insert(KEY.to_owned(), written.head);
        tags.retain(|key, _| !written.old.contains(key));
    }

    #[test]
    fn notes_survive_and_old_pieces_go() {
        let mut tags = Tags::from([("team".to_owned(), "web".to_owned())]);
        assert_eq!(read(&tags).unwrap(), None);
        for length in [0, 1, 191, 192, 193, 3_000, 4_000, 3] {
            let note = "ü{\"a\"}".repeat(length).chars().take(length).collect::<String>();
            put(&mut tags, &note);
            assert_eq!(read(&tags).unwrap().as_deref(), Some(note.as_str()));
            assert!(tags.values().all(|value| value.len() <= LONGEST));
            let fits = |char: char| char.is_ascii_alphanumeric() || " +-=._:/@".contains(char);
            assert!(
                tags.iter()
                    .all(|(key, value)| key.chars().all(fits) && value.chars().all(fits))
            );
        }
        assert_eq!(tags.len(), 3, "{tags:?}");
        assert_eq!(tags["team"], "web");
        let long = "x".repeat(10_000);
        insta::assert_snapshot!(write(&tags, &long).unwrap_err(), @"expected room for 54 tags more, found 2 of 50 taken");
    }

    #[test]
    fn a_write_that_ends_anywhere_leaves_the_old_note_or_the_new_one() {
        let (old, new) = ("old".repeat(300), "new".repeat(400));
        let mut tags = Tags::new();
        put(&mut tags, &old);
        let written = write(&tags, &new).unwrap();
        let mut now = tags.clone();
        for (key, value) in &written.pieces {
            now.insert(key.clone(), value.clone());
            assert_eq!(read(&now).unwrap().as_ref(), Some(&old));
        }
        now.insert(KEY.to_owned(), written.head.clone());
        assert_eq!(read(&now).unwrap().as_ref(), Some(&new));
        let left: Vec<String> = garbage(&now);
        assert_eq!(left, written.old);
        for key in &written.old {
            now.remove(key);
            assert_eq!(read(&now).unwrap().as_ref(), Some(&new));
        }
        assert_eq!(garbage(&now), [""; 0]);
        // Anything else is noticed.
        for key in written.pieces.keys() {
            let mut torn = now.clone();
            torn.remove(key);
            assert!(read(&torn).unwrap_err().contains("torn"));
            torn.insert(key.clone(), "bm90IGl0".to_owned());
            assert!(read(&torn).unwrap_err().contains("torn"));
        }
        for head in ["", "1", "1:2:3:4", "1:-1:x", "1:999999:x", "1:x:y"] {
            now.insert(KEY.to_owned(), head.to_owned());
            assert!(read(&now).is_err(), "{head:?}");
        }
    }

    #[test]
    fn two_writers_do_not_mix() {
        let mut tags = Tags::new();
        put(&mut tags, "start");
        let (one, two) = (write(&tags, "one").unwrap(), write(&tags, "two").unwrap());
        for written in [&one, &two] {
            tags.extend(written.pieces.clone());
        }
        for (written, note) in [(&one, "one"), (&two, "two"), (&one, "one")] {
            tags.insert(KEY.to_owned(), written.head.clone());
            tags.retain(|key, _| !written.old.contains(key));
            assert_eq!(read(&tags).unwrap().as_deref(), Some(note));
        }
    }
}
