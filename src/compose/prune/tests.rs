use super::*;
use crate::compose::release::Release;
use crate::compose::testing::{program, project, run, with_path};
use proptest::prelude::*;

/// Release number `n` of a pool, with an image of its own and one that is shared by tens.
fn release(pool: Pool, n: u32) -> Release {
    let image = |name: &str, digest: String| PinnedImage {
        service: name.into(),
        reference: format!("r/{name}:v{n}"),
        digest,
        size: 0,
    };
    Release {
        id: format!("v{n}-x"),
        tag: format!("v{n}"),
        pool,
        images: vec![
            image("app", format!("sha256:{n}")),
            image("web", format!("sha256:{}", n / 10)),
        ],
        compose_sha256: String::new(),
        env_sha256: None,
        env_keys: Vec::new(),
        created_at: jiff::Timestamp::from_second(i64::from(n)).expect("in range"),
        run: "r".into(),
        who: "w".into(),
    }
}

fn kept(pool: Pool, newest_first: &[u32], current: Option<u32>) -> Kept {
    Kept {
        pool,
        current: current.map(|n| format!("v{n}-x")),
        releases: newest_first.iter().map(|&n| release(pool, n)).collect(),
        unfinished: Vec::new(),
    }
}

#[test]
fn keeps_the_newest_the_current_and_the_protected() {
    let mut blue = kept(Pool::Blue, &[19, 18, 17, 16, 15, 4], Some(15));
    blue.unfinished = vec!["half".into(), "mine".into()];
    let protected = BTreeSet::from(["v16-x".to_owned(), "mine".to_owned()]);
    assert_eq!(
        prunable(&[blue, kept(Pool::Green, &[9], None)], Pool::Blue, 2, &protected),
        Prunable {
            releases: vec!["v17-x".into(), "v4-x".into(), "half".into()],
            // Not web@0: green's v9 runs that, on this same host.
            images: vec!["r/app@sha256:17".into(), "r/app@sha256:4".into()],
        }
    );
}

#[test]
fn an_image_goes_with_its_last_release() {
    let what = prunable(
        &[kept(Pool::Blue, &[19, 4], Some(19))],
        Pool::Blue,
        0,
        &BTreeSet::new(),
    );
    assert_eq!(what.images, ["r/app@sha256:4", "r/web@sha256:0"]);
}

#[test]
fn removes_that_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    for id in ["old", "new", "other thing"] {
        let folder = dir.path().join("blue/releases").join(id);
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("release.json"), "{}").expect("written");
    }
    // It became current after the decision.
    std::fs::write(dir.path().join("blue/current"), "new\n").expect("written");
    let docker = r#"case "$2 $*" in inspect*gone*) exit 1 ;; rm*used*) exit 1 ;; esac"#;
    program(&dir.path().join("bin"), "docker", docker);
    let what = Prunable {
        releases: vec!["old".into(), "new".into(), "never-there".into()],
        images: vec!["r/a@used".into(), "r/b@gone".into(), "r/c@free".into()],
    };
    let output = run(&with_path(
        prune(&project(dir.path()), &what),
        &dir.path().join("bin"),
    ));
    assert_eq!(
        pruned(&output).expect("readable"),
        Prunable {
            releases: vec!["old".into()],
            images: vec!["r/c@free".into()],
        }
    );
    let mut left: Vec<_> = std::fs::read_dir(dir.path().join("blue/releases"))
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["new", "other thing"]);
}

proptest! {
    #[test]
    fn nothing_that_is_needed_is_ever_removed(
        mut blue in proptest::collection::btree_set(0u32..60, 0..12),
        green in proptest::collection::btree_set(0u32..60, 0..12),
        keep in 0usize..5,
        at in 0usize..12,
    ) {
        let current = blue.iter().nth(at).copied();
        let newest: Vec<u32> = std::mem::take(&mut blue).into_iter().rev().collect();
        let other: Vec<u32> = green.into_iter().rev().collect();
        let host = [kept(Pool::Blue, &newest, current), kept(Pool::Green, &other, None)];
        let what = prunable(&host, Pool::Blue, keep, &BTreeSet::new());
        let stays: Vec<u32> = newest.iter().copied().filter(|n| !what.releases.contains(&format!("v{n}-x"))).collect();
        prop_assert!(current.is_none_or(|n| stays.contains(&n)));
        prop_assert!(stays.len() >= newest.len().min(keep));
        for n in stays.iter().chain(&other) {
            for image in release(Pool::Blue, *n).images {
                prop_assert!(!what.images.contains(&image.pinned()));
            }
        }
    }
}
