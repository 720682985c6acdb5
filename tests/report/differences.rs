//! `diff`: closures, why they differ, and how their files do.

use deployvm::model::text::{TextChange, Texts};
use deployvm::model::why::{Cause, Change, What, Why};
use deployvm::report::{self, Difference, json};

use crate::NARROW;
use crate::fixtures::{diff, runner, vm};

#[test]
fn closures() {
    let (from, to) = (Some(runner("0123abcd", "vm1")), runner("4567wxyz", "vm1"));
    let some = Difference { diff: diff(), ..Difference::between(vm("vm1"), from.clone(), to) };
    let none = Difference::between(vm("vm2"), from.clone(), from.unwrap());
    insta::assert_snapshot!(report::difference::text(&[some, none], NARROW), @"
    vm1  microvm-qemu-vm1 0123abcd → 4567wxyz
      ~ linux: 6.6.1 → 6.6.2
      ~ openssl: 1.1.1w, 3.0.20 → 3.0.21, -12.0 KiB
      ~ python3.11-a-package-with-a-very-long-name: 1.0, 2.0 → 3.0, 4.0, 5.0, +40 B
      + jq 1.7.1, +1.2 MiB
      - sqlite 3.45, -900.0 KiB
        rebuilt: etc, nixos-system-vm1, system-units and 2 more, +40 B
      closure 500.0 MiB → 501.0 MiB (+1.0 MiB)

    vm2  0123abcd-microvm-qemu-vm1
      no difference
    ");
}

fn change(what: What, name: &str, before: Option<&str>, after: Option<&str>) -> Change {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Change { what, name: name.to_owned(), before: own(before), after: own(after) }
}

fn cause(way: &[&str], changes: &[Change]) -> Cause {
    let way: Vec<String> = way.iter().map(ToString::to_string).collect();
    let (before, after) = (runner("0123abcd", "old.drv"), runner("4567wxyz", "new.drv"));
    Cause { way, before, after, changes: changes.to_vec() }
}

fn why() -> Why {
    let way = ["microvm-qemu-vm1", "nixos-system-vm1-24.11", "etc", "system-units", "unit-app.service"];
    let long: Vec<&str> = way[..3].iter().chain(&["a"; 6]).chain(&["libfoo-2.2"]).copied().collect();
    let foreign = "\u{1b}[31mred\nline";
    let causes = vec![
        cause(&way[..1], &[change(What::Argument, "2", Some("…-m 96…"), Some("…-m 128…"))]),
        cause(
            &way,
            &[
                change(What::Variable, "text", Some(foreign), Some("…--loud…")),
                change(What::Variable, "PATH", None, Some("/bin")),
                change(What::Input, "jq-1.7", None, Some("/nix/store/x")),
                change(What::Source, "guest-init", Some("/nix/store/x"), Some("/nix/store/y")),
                change(What::System, "system", Some("a"), Some("b")),
            ],
        ),
        cause(&long, &[change(What::Name, "name", Some("libfoo-2.1"), Some("libfoo-2.2"))]),
    ];
    Why { causes, more: true, unknown: None }
}

fn told(why: Option<Why>, files: Option<Texts>) -> Difference {
    let between = Difference::between(vm("vm1"), Some(runner("0123abcd", "vm1")), runner("4567wxyz", "vm1"));
    Difference { why, files, ..between }
}

fn text(why: Option<Why>, files: Option<Texts>) -> String {
    report::difference::text(&[told(why, files)], NARROW)
}

#[test]
fn why_they_differ() {
    insta::assert_snapshot!(text(Some(why()), None), @"
    vm1  microvm-qemu-vm1 0123abcd → 4567wxyz
      no difference
      why:
        microvm-qemu-vm1
          ~ argument 2: …-m 96… → …-m 128…
        unit-app.service
          ~ variable text: red line → …--loud…
          + variable PATH: /bin
          + input jq-1.7
          ~ source guest-init has another content
          and 1 more in it
          needed by microvm-qemu-vm1 › nixos-system-vm1-24.11 › etc › system-units
        libfoo-2.1 → libfoo-2.2
          needed by microvm-qemu-vm1 › nixos-system-vm1-24.11 › etc › a › … › a › a
            › a › a
        and more that were not looked for
    ");
    insta::assert_snapshot!(text(Some(Why::unknown("no store says it\u{7}")), None), @"
    vm1  microvm-qemu-vm1 0123abcd → 4567wxyz
      no difference
      why: cannot be told: no store says it
    ");
    insta::assert_snapshot!(text(Some(Why::default()), None), @"
    vm1  microvm-qemu-vm1 0123abcd → 4567wxyz
      no difference
      why: the derivations do not differ in anything of their own
    ");
    let many = Why { causes: vec![why().causes[0].clone(); 100], ..Why::default() };
    let text = text(Some(many), None);
    assert!(text.lines().count() < 50 && text.ends_with("and 81 more: --json has them all"), "{text}");
}

fn files() -> Texts {
    let change = |file: &str, before: Option<&str>, after: Option<&str>| TextChange {
        package: "etc".to_owned(),
        file: file.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let changes = vec![
        change("/etc/motd", Some("one\ntwo\nthree\n"), Some("one\n\u{1b}[2Jzwei\nthree\n")),
        change("/etc/new", None, Some("new")),
        change("/etc/old", Some("old\n"), None),
    ];
    Texts { changes, rehashed: 2, left_out: vec!["3 larger packages".to_owned()], unknown: None }
}

#[test]
fn how_files_differ() {
    insta::assert_snapshot!(text(None, Some(files())), @r#"
    vm1  microvm-qemu-vm1 0123abcd → 4567wxyz
      no difference
      files:
        ~ etc/etc/motd
          @@ -1,3 +1,3 @@
           one
          -two
          +zwei
           three
        + etc/etc/new
          @@ -0,0 +1 @@
          +new
          \ No newline at end of file
        - etc/etc/old
          @@ -1 +0,0 @@
          -old
        2 files differ only in the hashes of store paths
        not compared: 3 larger packages
    "#);
    insta::assert_snapshot!(text(None, Some(Texts { rehashed: 1, ..Texts::default() })), @"
    vm1  microvm-qemu-vm1 0123abcd → 4567wxyz
      no difference
      files: no small text file differs
        1 file differs only in the hashes of store paths
    ");
    let long: String = (0..1000).map(|i| format!("{i}\n")).collect();
    let mut many = files();
    many.changes[1].after = Some(long);
    let text = text(None, Some(many));
    assert!(text.lines().count() < 320 && text.contains("more lines: --json has them all"), "{text}");
}

#[test]
fn everything_for_machines() {
    let all = json::differences(&[told(Some(why()), Some(files()))]);
    let value: serde_json::Value = serde_json::from_str(&all).unwrap();
    let vm = &value["vms"][0];
    insta::assert_snapshot!(vm["why"]["causes"][1], @r#"
    {"after":"/nix/store/4567wxyz4567wxyz4567wxyz4567wxyz-microvm-qemu-new.drv","before":"/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-old.drv","changes":[{"after":"…--loud…","before":"red line","name":"text","what":"variable"},{"after":"/bin","before":null,"name":"PATH","what":"variable"},{"after":"/nix/store/x","before":null,"name":"jq-1.7","what":"input"},{"after":"/nix/store/y","before":"/nix/store/x","name":"guest-init","what":"source"},{"after":"b","before":"a","name":"system","what":"system"}],"name":"unit-app.service","way":["microvm-qemu-vm1","nixos-system-vm1-24.11","etc","system-units","unit-app.service"]}
    "#);
    insta::assert_snapshot!(vm["files"], @r#"
    {"changed":[{"change":"changed","diff":"@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three","file":"/etc/motd","package":"etc"},{"change":"added","diff":"@@ -0,0 +1 @@\n+new\n\\ No newline at end of file","file":"/etc/new","package":"etc"},{"change":"removed","diff":"@@ -1 +0,0 @@\n-old","file":"/etc/old","package":"etc"}],"left_out":["3 larger packages"],"reason":null,"rehashed":2}
    "#);
    assert!((vm["why"]["more"] == true) && vm["why"]["reason"].is_null());
    let unasked: serde_json::Value = serde_json::from_str(&json::differences(&[told(None, None)])).unwrap();
    let unasked = unasked["vms"][0].as_object().unwrap();
    assert!(unasked["why"].is_null() && unasked["files"].is_null() && unasked.contains_key("files"));
}
