use super::*;
use crate::simulate::Protection;

fn inventory() -> Inventory {
    let file = camino::Utf8PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cmd/inventory/good.toml"
    ));
    Inventory::load(&file, &|_| Some("x".to_owned())).expect("valid")
}

fn seeds() -> u64 {
    let set = std::env::var("POINTSMAN_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    set.unwrap_or(2_000)
}

#[test]
fn no_seed_breaks_an_invariant() {
    let inventory = inventory();
    let (mut events, mut kills) = (0, 0);
    for seed in 0..seeds() {
        let outcome = simulate(&inventory, seed, None, false);
        events += outcome.events;
        kills += outcome.kills;
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {}",
            outcome.violations[0]
        );
    }
    assert!(
        events > seeds() * 20 && u64::from(kills) > seeds() / 2,
        "{events} events, {kills} kills"
    );
}

#[test]
fn a_seed_is_played_the_same_each_time() {
    let inventory = inventory();
    for seed in 0..20 {
        let (one, other) = (
            simulate(&inventory, seed, None, false),
            simulate(&inventory, seed, None, false),
        );
        assert_eq!((one.events, one.kills), (other.events, other.kills));
    }
}

/// With a protection taken out, a violation is found within 1,000 seeds.
#[test]
fn each_protection_is_needed() {
    let inventory = inventory();
    for protection in [
        Protection::Epoch,
        Protection::Claims,
        Protection::ReadBack,
        Protection::UndoInDoubt,
    ] {
        let found = (0..1_000).find(|seed| {
            !simulate(&inventory, *seed, Some(protection), false)
                .violations
                .is_empty()
        });
        assert!(
            found.is_some(),
            "{protection:?} was taken out, and nothing was seen"
        );
    }
}
#[test]
fn dbg_seed() {
    let Ok(seed) = std::env::var("SEED") else { return };
    let outcome = simulate(&inventory(), seed.parse().unwrap(), None, true);
    for l in &outcome.story {
        eprintln!("{l}");
    }
    for v in &outcome.violations {
        eprintln!("{v}");
    }
}
