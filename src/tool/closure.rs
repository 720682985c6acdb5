//! The plain listing of `nix path-info -r -s`, the same in every Nix version: a store
//! path, padding and the NAR size in bytes on each line.

use crate::model::closure::Closure;

/// Parses a listing; `None` when a line is not a path and a size, or there is none.
pub fn parse_listing(text: &str) -> Option<Closure> {
    let mut closure = Closure::default();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let path = words.next()?.parse().ok()?;
        let size = words.next()?.parse().ok()?;
        closure.paths.insert(path, size);
    }
    (!closure.paths.is_empty()).then_some(closure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nix_prints() {
        let text = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a-1.0   \t     100448\n\
                    /nix/store/1123456789abcdfghijklmnpqrsvwxyz-b\t 12\n";
        let closure = parse_listing(text).unwrap();
        assert_eq!((closure.paths.len(), closure.bytes()), (2, 100_460));
        assert_eq!(parse_listing("error: path is not valid"), None);
        assert_eq!(parse_listing(""), None);
    }
}
