//! Long values, cut down to where they differ.

/// Characters on each side of a difference, at most: up to the next blank.
const AROUND: usize = 24;
/// Characters of a difference.
const MOST: usize = 72;

/// Both values from where they begin to differ, and a little around that.
pub fn shorten(before: &str, after: &str) -> (String, String) {
    let (old, new): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let behind = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let behind = behind.min(old.len().min(new.len()) - same);
    let start = word_before(&old, same);
    let cut = |text: &[char], trim| window(text, start, text.len() - behind, trim);
    let (plain, bare) = ((cut(&old, false), cut(&new, false)), (cut(&old, true), cut(&new, true)));
    // Only blanks may differ.
    if bare.0 == bare.1 { plain } else { bare }
}

/// Where to begin: at the first of the words before the difference that fit, of the same
/// line, or in the middle of one that is too long.
fn word_before(text: &[char], at: usize) -> usize {
    let head = text.get(..at).unwrap_or_default();
    let near: Vec<char> = head.iter().rev().take(AROUND).take_while(|c| **c != '\n').copied().collect();
    let first = at - near.len();
    let begins = |at: usize| at == 0 || text.get(at - 1).is_some_and(|c| c.is_whitespace());
    (first..=at).find(|at| begins(*at)).unwrap_or(first)
}

/// From `start` to the end of the word in which the difference ends; empty when nothing
/// but blanks is there.
fn window(text: &[char], start: usize, end: usize, trim: bool) -> String {
    let tail = text.get(end..).unwrap_or_default();
    let word = tail.iter().take(AROUND).take_while(|c| !c.is_whitespace()).count();
    let inside = end > start && text.get(end - 1).is_some_and(|c| !c.is_whitespace());
    let end = (end + if inside { word } else { 0 }).max(start);
    let shown = (end - start).min(MOST);
    let middle: String = text.get(start..start + shown).unwrap_or_default().iter().collect();
    let middle = if trim { middle.trim() } else { &middle };
    if trim && middle.is_empty() {
        return String::new();
    }
    let before = if start > 0 { "…" } else { "" };
    let after = if start + shown < text.len() { "…" } else { "" };
    format!("{before}{middle}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_the_words_that_differ() {
        let both = |a: &str, b: &str| {
            let (a, b) = shorten(a, b);
            format!("{a} | {b}")
        };
        assert_eq!(both("2.1", "2.2"), "2.1 | 2.2");
        assert_eq!(
            both("exec qemu -m 96 -smp 1\nrest", "exec qemu -m 128 -smp 1\nrest"),
            "exec qemu -m 96… | exec qemu -m 128…"
        );
        assert_eq!(both("a b c", "a c"), "a b… | a…");
        assert_eq!(both("first\na=1\nb", "first\na=2\nb"), "…a=1… | …a=2…");
        assert_eq!(both("a", "a b"), "a | a b");
        assert_eq!(both("exec qemu \\\n  -m 96 -x", "exec qemu \\\n  -m 1 -x"), "…-m 96… | …-m 1…");
        assert_eq!(both("a\nb\n", "a\nx y\nb\n"), " | …x y…");
        assert_eq!(both("a b", "a  b"), "a … | a  …");
        let long = "x".repeat(500);
        assert_eq!(both(&format!("a {long}"), "a y"), format!("a {}… | a y", "x".repeat(70)));
    }

    proptest! {
        #[test]
        fn what_differs_is_shown_as_different(a in "[ab ]{0,90}", b in "[ab ]{0,90}") {
            let (x, y) = shorten(&a, &b);
            prop_assert!(x.chars().count() <= MOST + 2 && y.chars().count() <= MOST + 2);
            prop_assert!(a == b || x != y, "{:?} {:?}", x, y);
        }
    }
}
