//! What the tests of faults share: an environment with some of its settings changed, waiting, and the judgement of a
//! load.
#![allow(clippy::print_stdout, reason = "figures are part of the test's output")]

use std::path::Path;
use std::time::{Duration, Instant};

use super::load::Shot;
use super::{Pointsman, lab, lab_command, lost};

/// The environment `two-pools`, with parts of its files replaced: `(file, what stands there, what is to stand there)`.
/// Its files lie beside the lab's own ones, so that what they name is found.
pub fn changed(name: &str, edits: &[(&str, &str, &str)]) -> Pointsman {
    let original = Path::new(&lab()["INVENTORY_DIR"]);
    let folder = original.with_file_name(format!("inventory-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(original).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    for (file, from, to) in edits {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }
    Pointsman::with(folder.join("two-pools.toml"))
}

/// Waits until this holds.
pub fn until(what: &str, longest: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + longest;
    while !holds() {
        assert!(Instant::now() < end, "waited {longest:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(50)); // the pause between two looks
    }
}

/// A command of the lab's root on a host.
pub fn root(host: &str, command: &str) -> String {
    lab_command(&["root", host, "sh", "-c", command])
}

/// How many packets a fault's filter took.
pub fn hits(fault: &str, host: &str) -> u64 {
    lab_command(&["fault", "hits", fault, host])
        .trim()
        .parse()
        .unwrap()
}

/// Asserts that no request failed, and prints how many there were.
pub fn none_lost(what: &str, shots: &[Shot]) {
    let lost = lost(shots);
    println!("{what}: {} requests, {} lost", shots.len(), lost.len());
    assert!(!shots.is_empty());
    assert!(
        lost.is_empty(),
        "{what}: {} of {} lost: {:?}",
        lost.len(),
        shots.len(),
        &lost[..lost.len().min(10)]
    );
}

/// Names of the containers on a host, in any state.
pub fn containers(host: &str) -> String {
    lab_command(&[
        "ssh",
        host,
        "docker ps -a --format '{{.Names}} {{.State}} {{.Image}}'",
    ])
}
