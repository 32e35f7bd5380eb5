//! The condition of each write, as pure functions: what stands in the store decides, nothing else.
//! PostgreSQL asks them under the row's lock; etcd asks them of a revision, and writes only if that
//! revision is still the last. The guard on the servers has the same rules in its own language.

use super::{Done, Right, StoreError, Take};

/// What a store keeps of the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// The highest epoch that any run took.
    pub(super) epoch: u64,
    /// Who holds the lock, at that epoch.
    pub(super) run: Option<String>,
    /// What the holder wrote about itself.
    pub(super) owner: String,
}

/// Whether the lock may be taken ([`Done::Applied`]) or was, by this very call repeated.
pub(super) fn acquire(kept: &Kept, take: &Take) -> Result<Done, StoreError> {
    if take.epoch <= take.expect_epoch {
        return Err(StoreError::Refused {
            problem: format!(
                "expected an epoch above {}, found {}",
                take.expect_epoch, take.epoch
            ),
            hint: "this is a mistake in pointsman: please report it".to_owned(),
        });
    }
    if let Some(holder) = &kept.run {
        if *holder == take.run && kept.epoch == take.epoch {
            return Ok(Done::AlreadyDone);
        }
        if take.steal.as_ref() != Some(holder) {
            return Err(StoreError::Locked {
                holder: holder.clone(),
                owner: kept.owner.clone(),
            });
        }
    }
    if kept.epoch == take.expect_epoch {
        Ok(Done::Applied)
    } else {
        Err(StoreError::Raced { seen: kept.epoch })
    }
}

/// Whether the run holds the lock at its epoch.
pub(super) fn holds(kept: &Kept, right: &Right) -> Result<(), StoreError> {
    if kept.epoch == right.epoch && kept.run.as_ref() == Some(&right.run) {
        Ok(())
    } else {
        Err(fenced(kept, right))
    }
}

/// Whether the lock may be given back, or was already, with nobody there since.
pub(super) fn release(kept: &Kept, right: &Right) -> Result<Done, StoreError> {
    if kept.epoch == right.epoch && kept.run.is_none() {
        return Ok(Done::AlreadyDone);
    }
    holds(kept, right).map(|()| Done::Applied)
}

/// How many of `lines` are there already. `there` are the run's lines from `first_seq` on; `count` is
/// how many it has in all.
pub(super) fn append(
    first_seq: u64,
    lines: &[String],
    there: &[String],
    count: u64,
) -> Result<usize, StoreError> {
    let refused = |problem: String| StoreError::Refused {
        problem,
        hint: "the journal on this machine and the store's differ: compare them before anything else"
            .to_owned(),
    };
    if count < first_seq {
        return Err(refused(format!(
            "expected line {count} of the journal next, found line {first_seq}"
        )));
    }
    for (number, (ours, theirs)) in lines.iter().zip(there).enumerate() {
        if ours != theirs {
            return Err(refused(format!(
                "line {} of the journal says something else there",
                first_seq + number as u64
            )));
        }
    }
    Ok(there.len().min(lines.len()))
}

fn fenced(kept: &Kept, right: &Right) -> StoreError {
    StoreError::Fenced {
        seen: kept.epoch,
        ours: right.epoch,
        holder: kept.run.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(epoch: u64, run: Option<&str>) -> Kept {
        Kept {
            epoch,
            run: run.map(str::to_owned),
            owner: "{}".to_owned(),
        }
    }

    fn take(expect_epoch: u64, epoch: u64, steal: Option<&str>) -> Take {
        Take {
            expect_epoch,
            epoch,
            run: "a".to_owned(),
            owner: "{}".to_owned(),
            steal: steal.map(str::to_owned),
        }
    }

    fn right(epoch: u64) -> Right {
        Right {
            run: "a".to_owned(),
            epoch,
        }
    }

    #[test]
    fn a_lock_is_taken_only_where_it_is_free_or_may_be_robbed_and_the_epoch_has_not_moved() {
        use StoreError::{Locked, Raced, Refused};
        assert_eq!(acquire(&kept(4, None), &take(4, 5, None)), Ok(Done::Applied));
        assert_eq!(acquire(&kept(4, None), &take(4, 9, None)), Ok(Done::Applied));
        assert_eq!(acquire(&kept(5, None), &take(4, 6, None)), Err(Raced { seen: 5 }));
        assert_eq!(acquire(&kept(3, None), &take(4, 5, None)), Err(Raced { seen: 3 }));
        assert!(matches!(
            acquire(&kept(4, None), &take(4, 4, None)),
            Err(Refused { .. })
        ));
        assert!(matches!(
            acquire(&kept(4, Some("b")), &take(4, 5, None)),
            Err(Locked { .. })
        ));
        assert!(matches!(
            acquire(&kept(4, Some("b")), &take(4, 5, Some("c"))),
            Err(Locked { .. })
        ));
        assert_eq!(
            acquire(&kept(4, Some("b")), &take(4, 5, Some("b"))),
            Ok(Done::Applied)
        );
        assert_eq!(
            acquire(&kept(5, Some("b")), &take(4, 6, Some("b"))),
            Err(Raced { seen: 5 })
        );
        // The answer was lost, and it is asked again; after it was robbed or gave the lock back it is not.
        assert_eq!(
            acquire(&kept(5, Some("a")), &take(4, 5, None)),
            Ok(Done::AlreadyDone)
        );
        assert_eq!(acquire(&kept(5, None), &take(4, 5, None)), Err(Raced { seen: 5 }));
        assert!(matches!(
            acquire(&kept(6, Some("a")), &take(4, 5, None)),
            Err(Locked { .. })
        ));
    }

    #[test]
    fn only_the_holder_at_its_epoch_writes() {
        assert_eq!(holds(&kept(5, Some("a")), &right(5)), Ok(()));
        for (epoch, holder) in [
            (6, Some("b")),
            (6, Some("a")),
            (5, None),
            (4, Some("a")),
            (6, None),
        ] {
            let kept = kept(epoch, holder);
            assert!(matches!(
                holds(&kept, &right(5)),
                Err(StoreError::Fenced { ours: 5, .. })
            ));
        }
        assert_eq!(release(&kept(5, Some("a")), &right(5)), Ok(Done::Applied));
        assert_eq!(release(&kept(5, None), &right(5)), Ok(Done::AlreadyDone));
        assert!(release(&kept(6, None), &right(5)).is_err());
        assert!(release(&kept(6, Some("b")), &right(5)).is_err());
    }

    #[test]
    fn lines_follow_each_other_and_never_change() {
        let text = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let lines = text(&["x", "y"]);
        assert_eq!(append(0, &lines, &[], 0), Ok(0));
        assert_eq!(append(3, &lines, &[], 3), Ok(0));
        assert_eq!(append(3, &lines, &text(&["x"]), 4), Ok(1));
        assert_eq!(append(3, &lines, &text(&["x", "y", "z"]), 6), Ok(2));
        assert!(append(3, &lines, &text(&["x", "Y"]), 5).is_err());
        assert!(append(3, &lines, &[], 2).is_err());
    }

    #[test]
    fn what_it_says() {
        let words = holds(&kept(6, Some("b")), &right(5)).unwrap_err().to_string();
        assert_eq!(words, "epoch 5 does not hold the lock (epoch 6 there, held by b)");
    }
}
