//! Kinds of operations that an operator defined, which agentperf watches for itself.

/// A kind of operation that is told of what processes do.
#[derive(Clone, Debug, PartialEq)]
pub struct Defined {
    /// What sort of work it is.
    pub kind: String,
    /// What each of them is labelled with; sorted by key.
    pub labels: Vec<(String, String)>,
    /// The share that is kept, above 0 and at most 1.
    pub sample: f64,
}

impl Defined {
    /// Whether the operation of this id is one of those that are kept. Ids are spread evenly.
    #[must_use]
    pub fn keeps(&self, id: u64) -> bool {
        self.sample >= 1.0 || (id as f64) < self.sample * u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Defined;
    use crate::model::hash;

    #[test]
    fn the_share_is_kept_that_is_asked_for() {
        let ids = || (0..10_000_u64).map(|n| hash::spread(hash::fnv1a(hash::FNV_START, n.to_le_bytes())));
        for (sample, least, most) in [(1.0, 10_000, 10_000), (0.1, 900, 1100), (1e-9, 0, 1)] {
            let defined = Defined { kind: "build".to_owned(), labels: Vec::new(), sample };
            let kept = ids().filter(|id| defined.keeps(*id)).count();
            assert!((least..=most).contains(&kept), "{sample}: {kept}");
        }
    }
}
