//! `.drv` files. Their text is the same in Nix 2.8, 2.26 and 2.34, whereas the JSON of
//! `nix derivation show` has three shapes. It comes from the store, perhaps from that of
//! another machine: what is not exactly of that form is nothing at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::derivation::{Derivation, Made};
use crate::model::store_path::StorePath;

/// Most bytes of one file; units and scripts that are written in Nix stand in them whole.
pub const MOST_BYTES: usize = 1 << 20;

/// Reads a `.drv` file; `None` when it is none that we know, such as one with inputs that
/// are themselves made by derivations.
pub fn parse(text: &str) -> Option<Derivation> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let mut rest = Rest(text);
    rest.skip("Derive(")?;
    let outputs = rest.list(output)?;
    rest.skip(",")?;
    let inputs = rest.list(input)?;
    rest.skip(",")?;
    let sources = rest.list(Rest::path)?;
    rest.skip(",")?;
    let system = rest.text()?;
    rest.skip(",")?;
    let builder = rest.text()?;
    rest.skip(",")?;
    let args = rest.list(Rest::text)?;
    rest.skip(",")?;
    let env = rest.list(pair)?;
    rest.skip(")")?;
    let whole = rest.0.is_empty() && !outputs.is_empty();
    whole.then(|| Derivation {
        outputs: outputs.into_iter().collect(),
        inputs: inputs.into_iter().collect(),
        sources: sources.into_iter().collect(),
        system,
        builder,
        args,
        env: env.into_iter().collect::<BTreeMap<_, _>>(),
    })
}

/// `("out","/nix/store/…","sha256","…")`
fn output(rest: &mut Rest<'_>) -> Option<(String, Made)> {
    rest.skip("(")?;
    let name = rest.text()?;
    rest.skip(",")?;
    let path = match rest.text()? {
        // Only the content will decide.
        text if text.is_empty() => None,
        text => Some(text.parse().ok()?),
    };
    rest.skip(",")?;
    let method = rest.text()?;
    rest.skip(",")?;
    let hash = rest.text()?;
    rest.skip(")")?;
    // `impure` stands there for a hash, too, but only what has one knows its path.
    let known = path.is_some() && !hash.is_empty();
    let hash = if known { format!("{method}:{hash}") } else { String::new() };
    Some((name, Made { path, hash }))
}

/// `("/nix/store/….drv",["out"])`
fn input(rest: &mut Rest<'_>) -> Option<(StorePath, BTreeSet<String>)> {
    rest.skip("(")?;
    let path = rest.path().filter(StorePath::is_derivation)?;
    rest.skip(",")?;
    let outputs = rest.list(Rest::text)?;
    rest.skip(")")?;
    Some((path, outputs.into_iter().collect()))
}

/// `("name","value")`
fn pair(rest: &mut Rest<'_>) -> Option<(String, String)> {
    rest.skip("(")?;
    let name = rest.text()?;
    rest.skip(",")?;
    let value = rest.text()?;
    rest.skip(")")?;
    Some((name, value))
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// `[one,two]`. Nothing here nests deeper than its grammar.
    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.skip("[")?;
        let mut all = Vec::new();
        if self.skip("]").is_some() {
            return Some(all);
        }
        loop {
            all.push(one(self)?);
            if self.skip("]").is_some() {
                return Some(all);
            }
            self.skip(",")?;
        }
    }

    fn path(&mut self) -> Option<StorePath> {
        self.text()?.parse().ok()
    }

    /// A text in quotes. Nix writes five escapes, and reads any other as the character.
    fn text(&mut self) -> Option<String> {
        self.skip("\"")?;
        let mut text = String::new();
        loop {
            let plain = self.0.find(['"', '\\'])?;
            text.push_str(self.0.get(..plain)?);
            let mut chars = self.0.get(plain..)?.chars();
            if chars.next()? == '"' {
                self.0 = chars.as_str();
                return Some(text);
            }
            text.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            });
            self.0 = chars.as_str();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Nix wrote, byte for byte.
    const REAL: &str = concat!(
        r#"Derive([("dev","/nix/store/3whmcqzdq41mqa8c6hm2qrjjf08xazpx-libfoo-1-dev","",""),"#,
        r#"("out","/nix/store/3v6pzd4crqg6svybgznh5ppna9qnbhgg-libfoo-1","","")],[],[],"x86_64-linux","/bin/sh","#,
        r#"["-c","echo \"1\" >$out\n\t\\"],[("builder","/bin/sh"),"#,
        r#"("dev","/nix/store/3whmcqzdq41mqa8c6hm2qrjjf08xazpx-libfoo-1-dev"),("name","libfoo-1"),"#,
        r#"("out","/nix/store/3v6pzd4crqg6svybgznh5ppna9qnbhgg-libfoo-1"),("outputs","out dev"),"#,
        r#"("system","x86_64-linux")])"#,
    );

    /// The same form with inputs and a file.
    const UNIT: &str = concat!(
        r#"Derive([("out","/nix/store/0123456789abcdfghijklmnpqrsvwxyz-system-units","","")],"#,
        r#"[("/nix/store/1123456789abcdfghijklmnpqrsvwxyz-app-1.drv",["out"]),"#,
        r#"("/nix/store/2123456789abcdfghijklmnpqrsvwxyz-busybox-1.35.0.drv",["bin","out"])],"#,
        r#"["/nix/store/3123456789abcdfghijklmnpqrsvwxyz-guest-init"],"x86_64-linux","#,
        r#""/nix/store/4123456789abcdfghijklmnpqrsvwxyz-busybox-1.35.0/bin/sh",["-euc","mkdir $out\n\t\"x\" \\\n"],"#,
        r#"[("builder","sh"),("name","system-units"),("out","/nix/store/0123456789abcdfghijklmnpqrsvwxyz-system-units")])"#,
    );

    /// As Nix writes one.
    fn written(derivation: &Derivation) -> String {
        let quoted = |text: &str| {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
        };
        let list = |all: Vec<String>| format!("[{}]", all.join(","));
        let names = |all: &BTreeSet<String>| list(all.iter().map(|n| quoted(n)).collect());
        let output = |(name, made): (&String, &Made)| {
            let path = made.path.as_ref().map(ToString::to_string).unwrap_or_default();
            let (method, hash) = made.hash.split_once(':').unwrap_or_default();
            format!("({},{},{},{})", quoted(name), quoted(&path), quoted(method), quoted(hash))
        };
        let d = derivation;
        let parts = [
            list(d.outputs.iter().map(output).collect()),
            list(d.inputs.iter().map(|(p, o)| format!("({},{})", quoted(p.as_str()), names(o))).collect()),
            list(d.sources.iter().map(|p| quoted(p.as_str())).collect()),
            quoted(&d.system),
            quoted(&d.builder),
            list(d.args.iter().map(|a| quoted(a)).collect()),
            list(d.env.iter().map(|(k, v)| format!("({},{})", quoted(k), quoted(v))).collect()),
        ];
        format!("Derive({})", parts.join(","))
    }

    #[test]
    fn reads_what_nix_writes() {
        let derivation = parse(UNIT).unwrap();
        assert_eq!(derivation.args, ["-euc", "mkdir $out\n\t\"x\" \\\n"]);
        assert_eq!(derivation.inputs.len(), 2);
        assert_eq!(derivation.sources.first().unwrap().name(), "guest-init");
        assert_eq!(written(&derivation), UNIT);
        let real = parse(REAL).unwrap();
        assert_eq!((real.args[1].as_str(), real.outputs.len()), ("echo \"1\" >$out\n\t\\", 2));
        assert_eq!(written(&real), REAL);
    }

    #[test]
    fn what_is_torn_or_of_another_form_is_nothing() {
        for cut in (0..UNIT.len()).filter(|cut| UNIT.is_char_boundary(*cut)) {
            assert_eq!(parse(&UNIT[..cut]), None, "cut at {cut}");
        }
        for other in [
            format!("{UNIT}\n"),
            UNIT.replace("Derive(", "DrvWithVersion(\"xp-dyn-drv\","),
            UNIT.replace("app-1.drv", "app-1"),
            UNIT.replace("/nix/store/2", "/tmp/2"),
            r#"Derive([],[],[],"","",[],[])"#.to_owned(),
            format!("Derive({}", "[".repeat(100_000)),
            UNIT.replace("mkdir", &"x".repeat(MOST_BYTES)),
        ] {
            assert_eq!(parse(&other), None, "{}", &other[..60.min(other.len())]);
        }
    }

    #[test]
    fn what_is_fixed_has_a_hash() {
        let text = concat!(
            r#"Derive([("out","/nix/store/0123456789abcdfghijklmnpqrsvwxyz-src","r:sha256","abc")],[],[],"#,
            r#""x86_64-linux","builtin:fetchurl",[],[])"#
        );
        assert_eq!(parse(text).unwrap().outputs["out"].hash, "r:sha256:abc");
        let floating = text.replace("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-src", "");
        assert_eq!(parse(&floating).unwrap().outputs["out"], Made::default());
    }

    proptest! {
        #[test]
        fn never_panics(text in "(Derive\\(|[\\[\\](),\"\\\\]|out|/nix/store/|(?s:.)){0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn every_text_survives(texts in proptest::collection::vec("(?s:.){0,20}", 1..6)) {
            let mut derivation = parse(UNIT).unwrap();
            derivation.env = texts.iter().map(|t| (t.clone(), t.repeat(2))).collect();
            derivation.args = texts;
            prop_assert_eq!(parse(&written(&derivation)), Some(derivation));
        }
    }
}
