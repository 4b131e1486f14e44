//! A metric carried over to another realm: its kind, its series, and what came within each minute and hour.
//!
//! Two histories cannot be made one: a metric that the other realm knows stays as it is. Its head comes last, so that a
//! copy that breaks off leaves no metric, and is begun anew.

use super::keys::{self, MetricRow, Place};
use super::large::damaged;
use super::{StoreError, Tx};

/// How far a copy has come.
#[derive(Debug, Default)]
pub struct Copying {
    after: Option<Vec<u8>>,
    points: bool,
}

/// Whether the realm of `tx` has a metric called `name`.
pub fn is_known(tx: &mut Tx<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(tx.get(&keys::metric(tx.realm, name, &MetricRow::Head))?.is_some())
}

/// Copies up to `most` rows of the metric `name` from the realm of `from` to that of `to`, in which it must not be known;
/// returns whether all are copied.
pub fn copy_some(
    from: &mut Tx<'_>,
    to: &mut Tx<'_>,
    name: &str,
    most: usize,
    copying: &mut Copying,
) -> Result<bool, StoreError> {
    let (low, high) = match copying.points {
        false => keys::metric_series(from.realm, name),
        true => keys::metric_all_points(from.realm, name),
    };
    let low = copying.after.take().map_or(low, std::ops::Bound::Excluded);
    let rows = from.scan((low, high), most, false)?;
    for (key, row) in &rows {
        let Some(Place::Metric { row: what, .. }) = keys::parse(key) else {
            return Err(damaged(keys::describe(key), "its key is unknown"));
        };
        to.batch.put(keys::metric(to.realm, name, &what), row.value.clone());
    }
    copying.after = rows.last().map(|(key, _)| key.clone());
    if rows.len() == most {
        return Ok(false);
    }
    copying.after = None;
    if !copying.points {
        copying.points = true;
        return Ok(false);
    }
    if let Some(head) = from.get(&keys::metric(from.realm, name, &MetricRow::Head))? {
        let target = keys::metric(to.realm, name, &MetricRow::Head);
        to.unchanged(&target, None);
        to.batch.put(target, head.value);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::metrics::{Kind, Labels, Note, Ring, note, points, read_all};
    use crate::store::test_ground::ground;
    use crate::store::{Durability, Realm};

    #[test]
    fn a_metric_is_there_with_its_series_and_its_history_and_only_once_all_of_it_is() {
        let ground = ground(&[]);
        let labels = |platform: &str| Labels::from([("platform".to_owned(), platform.to_owned())]);
        for (at_ms, platform, value) in [(0, "tiktok", 0.2), (60_000, "tiktok", 7.0), (60_000, "x", 1.0)] {
            let mut tx = Tx::new(&ground, Realm::Dry, at_ms);
            note(&mut tx, "seconds", &labels(platform), &Note::Observe(value, None)).expect("noted");
            ground.store.commit(tx.batch, Durability::Soon).expect("committed");
        }
        let now = |realm| Tx::new(&ground, realm, 60_000);
        for most in [1, 3, 1000] {
            let mut copying = Copying::default();
            loop {
                let mut to = now(Realm::Live);
                let is_done = copy_some(&mut now(Realm::Dry), &mut to, "seconds", most, &mut copying).expect("copied");
                assert!(!is_known(&mut now(Realm::Live), "seconds").expect("looked at"));
                if is_done && most < 1000 {
                    // Its last batch is lost: the next copy begins anew.
                    break;
                }
                ground.store.commit(to.batch, Durability::Soon).expect("committed");
                if is_done {
                    break;
                }
            }
        }
        let of = |realm| {
            read_all(&mut now(realm), "seconds")
                .expect("read")
                .expect("it is there")
        };
        assert_eq!(of(Realm::Live), of(Realm::Dry));
        assert_eq!(
            (of(Realm::Live).kind, of(Realm::Live).series.len()),
            (Kind::Histogram, 2)
        );
        for ring in Ring::ALL {
            let of = |realm| points(&mut now(realm), "seconds", &labels("tiktok"), ring, 0).expect("read");
            assert_eq!(of(Realm::Live), of(Realm::Dry));
            assert!(!of(Realm::Live).is_empty());
        }
    }
}
