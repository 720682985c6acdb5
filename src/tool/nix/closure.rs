//! Closures with sizes, from `nix path-info -r -s` in its plain form: the one
//! listing that is byte for byte the same in Nix 2.8, 2.26 and 2.34.

use super::PassThrough;
use crate::model::argv::Argv;
use crate::model::closure::Closure;
use crate::model::store_path::StorePath;

/// Asks for the closure of a path in the local store.
pub fn path_info(path: &StorePath, pass: &PassThrough) -> Argv {
    super::options(super::nix(["path-info", "--recursive", "--size"]), pass).arg(path.as_str())
}

/// `/nix/store/…-name<blanks>\t<blanks>100448`, one path a line. Lines that are
/// something else are left out.
pub fn parse_listing(text: &str) -> Closure {
    let paths = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let path: StorePath = words.next()?.parse().ok()?;
        let bytes: u64 = words.next()?.parse().ok()?;
        Some((path, bytes))
    });
    Closure { paths: paths.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LISTING: &str = "\
/nix/store/9rw7imqcwrk9jczgpamcwhy9qazxbag3-dep             \t     100448
/nix/store/7v3yb45zwbvv0dpfjmr67y31ldlyz4l7-microvm-qemu-vm1\t        136
";

    #[test]
    fn reads_paths_and_sizes() {
        let closure = parse_listing(LISTING);
        assert_eq!(closure.paths.len(), 2);
        assert_eq!(closure.bytes(), 100_584);
    }

    #[test]
    fn impossible_sizes_add_up_to_the_most_there_is() {
        let most = LISTING.replace("100448", &u64::MAX.to_string());
        assert_eq!(parse_listing(&most).bytes(), u64::MAX);
    }

    /// What all three versions print, warnings left on stderr.
    #[test]
    fn the_plain_form_is_the_one_that_all_share() {
        let listing = "/nix/store/9171q905m16s1822003315jp32jdrbsk-lib-1.0\t        120\n\
                       /nix/store/mr1kl6crdd7238zfgq3s641zifrkzfv7-top-1.0\t        168\n";
        assert_eq!(parse_listing(listing).bytes(), 288);
        // JSON comes in three shapes, and none of them is read: 2.8, 2.26, 2.34.
        for json in [
            r#"[{"path":"/nix/store/mr1kl6crdd7238zfgq3s641zifrkzfv7-top-1.0","narSize":168,"ultimate":true}]"#,
            r#"{"/nix/store/mr1kl6crdd7238zfgq3s641zifrkzfv7-top-1.0":{"ca":null,"narSize":168,"signatures":[]}}"#,
            r#"{"info":{"mr1kl6crdd7238zfgq3s641zifrkzfv7-top-1.0":{"narSize":168}},"storeDir":"/nix/store","version":2}"#,
        ] {
            assert!(parse_listing(json).paths.is_empty());
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(/nix/store/|[a-z0-9\\t\n -]|(?s:.)){0,80}") {
            parse_listing(&text).bytes();
        }
    }
}
