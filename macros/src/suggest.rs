//! "Did you mean": the known name that is nearest to a mistyped one.

/// How many letters have to be inserted, deleted, replaced or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    for i in 0..=from.len() {
        for j in 0..=to.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = usize::from(from[i - 1] != to[j - 1]);
                let best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
                let swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[from.len()][to.len()]
}

/// The nearest of the known names, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let ranked = known.iter().map(|known| (distance(name, known), *known));
    ranked
        .min_by_key(|(far, _)| *far)
        .filter(|(far, known)| *far <= known.len() / 3 + 1 && *far < known.len())
        .map(|(_, known)| known)
}

/// A help line: the nearest name if there is one, else all of them.
pub fn help(name: &str, known: &[&str], quote: impl Fn(&str) -> String) -> String {
    nearest(name, known).map_or_else(
        || format!("use one of {}", known.iter().map(|known| quote(known)).collect::<Vec<_>>().join(", ")),
        |known| format!("did you mean {}?", quote(known)),
    )
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_mistyped_name_is_recognised_and_another_word_is_not() {
        let known = ["state", "output", "key", "event_time"];
        assert_eq!(nearest("stat", &known), Some("state"));
        assert_eq!(nearest("otuput", &known), Some("output"));
        assert_eq!(nearest("eventtime", &known), Some("event_time"));
        assert_eq!(nearest("partition", &known), None);
    }
}
