//! The longest sequence that two lists have in common, in order: lines of two texts, calls of two runs.

/// The most comparisons that are made; beyond them the middle of two lists counts as all different.
const COMPARISONS_MAX: usize = 4_000_000;

/// The pairs of places in `a` and `b` that hold the same, both rising, as many as there can be.
pub(super) fn common<T: PartialEq>(a: &[T], b: &[T]) -> Vec<(usize, usize)> {
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (&a[head..], &b[head..]);
    let tail = rest_a
        .iter()
        .rev()
        .zip(rest_b.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (middle_a, middle_b) = (&rest_a[..rest_a.len() - tail], &rest_b[..rest_b.len() - tail]);
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|at| (at, at)).collect();
    if middle_a.len().saturating_mul(middle_b.len()) <= COMPARISONS_MAX {
        pairs.extend(
            by_table(middle_a, middle_b)
                .into_iter()
                .map(|(x, y)| (x + head, y + head)),
        );
    }
    pairs.extend((0..tail).map(|at| (a.len() - tail + at, b.len() - tail + at)));
    pairs
}

fn by_table<T: PartialEq>(a: &[T], b: &[T]) -> Vec<(usize, usize)> {
    let width = b.len() + 1;
    // The length of the longest sequence of what begins at (x, y).
    let mut longest = vec![0u32; (a.len() + 1) * width];
    for x in (0..a.len()).rev() {
        for y in (0..b.len()).rev() {
            longest[x * width + y] = if a[x] == b[y] {
                longest[(x + 1) * width + y + 1] + 1
            } else {
                longest[(x + 1) * width + y].max(longest[x * width + y + 1])
            };
        }
    }
    let (mut x, mut y) = (0, 0);
    let mut pairs = Vec::new();
    while x < a.len() && y < b.len() {
        if a[x] == b[y] {
            pairs.push((x, y));
            (x, y) = (x + 1, y + 1);
        } else if longest[(x + 1) * width + y] >= longest[x * width + y + 1] {
            x += 1;
        } else {
            y += 1;
        }
    }
    pairs
}

/// The places of as many of `numbers` as rise from one to the next.
pub(super) fn rising(numbers: &[u32]) -> Vec<usize> {
    // By length of a sequence, the place where the one with the least end so far ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut places: Vec<usize> = std::iter::successors(ends.last().copied(), |at| before[*at]).collect();
    places.reverse();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_lists_have_in_common_is_found_in_order() {
        let pairs = |a: &str, b: &str| {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            common(&a, &b).into_iter().map(|(x, _)| a[x]).collect::<String>()
        };
        assert_eq!(pairs("abcd", "abcd"), "abcd");
        assert_eq!(pairs("abcd", "axcd"), "acd");
        assert_eq!(pairs("abcbdab", "bdcaba").len(), 4);
        assert_eq!(pairs("", "abc"), "");
        assert_eq!(pairs("abc", "xyz"), "");
    }

    #[test]
    fn too_much_to_compare_keeps_the_ends() {
        let a: Vec<u32> = (0..5000).collect();
        let b: Vec<u32> = std::iter::once(0).chain(10_000..14_998).chain([4999]).collect();
        assert_eq!(common(&a, &b), [(0, 0), (4999, 4999)]);
    }

    #[test]
    fn the_longest_rising_part_is_found() {
        assert_eq!(rising(&[1, 2, 3]), [0, 1, 2]);
        assert_eq!(rising(&[3, 1, 2]), [1, 2]);
        assert_eq!(rising(&[2, 5, 3, 4, 1]), [0, 2, 3]);
        assert_eq!(rising(&[]), [0usize; 0]);
    }
}
