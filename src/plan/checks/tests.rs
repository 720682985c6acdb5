//! Declarations in, checks or refusals out.

use super::super::conflicts::tests::vm;
use super::*;

/// The checks as lines, or the error.
fn planned(vm: &Wanted, settings: serde_json::Value) -> String {
    let settings = serde_json::from_value(settings).unwrap();
    let line = |c: &Check| {
        let probe = serde_json::to_string(&c.probe).unwrap();
        format!(
            "{} {} {probe} {:?} {}s strict={} derived={}",
            c.name, c.from, c.expect, c.within, c.strict, c.derived
        )
    };
    match checks(vm, &settings) {
        Ok(checks) => checks.iter().map(line).collect::<Vec<_>>().join("\n"),
        Err(failure) => {
            assert_eq!(failure.aftermath.code(), 2);
            format!("{} | {}", failure.message, failure.help.unwrap_or_default())
        }
    }
}

fn guest() -> Wanted {
    let addresses = ["127.0.0.1", "10.0.0.2", "fe80::2", "2001:db8::2"].map(|a| a.parse().unwrap());
    Wanted { addresses: addresses.to_vec(), sshd: true, ..vm("vm1") }
}

#[test]
fn what_follows_from_the_configuration() {
    insta::assert_snapshot!(planned(&guest(), serde_json::json!({})), @r#"
    ping hypervisor {"ping":{"host":"10.0.0.2"}} Ok 30s strict=false derived=true
    ssh hypervisor {"tcp":{"host":"10.0.0.2","port":22}} Ok 30s strict=false derived=true
    "#);
    let said = serde_json::json!({ "address": "vm1.lan", "guest": { "port": 2222 }, "within": 5 });
    insta::assert_snapshot!(planned(&guest(), said), @r#"
    ping hypervisor {"ping":{"host":"vm1.lan"}} Ok 5s strict=false derived=true
    ssh hypervisor {"tcp":{"host":"vm1.lan","port":2222}} Ok 5s strict=false derived=true
    "#);
    assert_eq!(planned(&Wanted { sshd: true, ..vm("vm1") }, serde_json::json!({})), "");
}

#[test]
fn what_is_declared() {
    let checks = serde_json::json!({ "within": 9, "checks": {
        "a-jail": { "tcp": "[2001:db8::1]:22", "from": ["vm"], "expect": "refused", "strict": true },
        "app": { "exec": ["systemctl", "is-active", "app"], "from": ["vm"], "within": 60 },
        "dns": { "dns": "example.org" },
        "out": { "ping": "1.1.1.1", "from": ["vm", "laptop", "vm"] },
        "web": { "http": "https://[::1]:8443/x?y#z", "status": 204, "body": "^(a|b[*?])+\\(?$" },
    } });
    insta::assert_snapshot!(planned(&Wanted { sshd: false, ..guest() }, checks), @r#"
    ping hypervisor {"ping":{"host":"10.0.0.2"}} Ok 9s strict=false derived=true
    app vm {"exec":{"argv":["systemctl","is-active","app"]}} Ok 60s strict=false derived=false
    dns hypervisor {"dns":{"name":"example.org"}} Ok 9s strict=false derived=false
    out laptop {"ping":{"host":"1.1.1.1"}} Ok 9s strict=false derived=false
    out vm {"ping":{"host":"1.1.1.1"}} Ok 9s strict=false derived=false
    web hypervisor {"http":{"url":"https://[::1]:8443/x?y#z","status":204,"body":"^(a|b[*?])+\\(?$"}} Ok 9s strict=false derived=false
    a-jail vm {"tcp":{"host":"2001:db8::1","port":22}} Refused 9s strict=true derived=false
    "#);
}

#[test]
fn what_is_refused() {
    let one =
        |check: serde_json::Value| planned(&vm("vm1"), serde_json::json!({ "checks": { "web": check } }));
    let mut all: Vec<String> = [
        serde_json::json!({}),
        serde_json::json!({ "tcp": "a:1", "http": "http://a" }),
        serde_json::json!({ "tcp": "a:1", "status": 200 }),
        serde_json::json!({ "ping": "a", "body": "x" }),
        serde_json::json!({ "http": "ftp://a" }),
        serde_json::json!({ "http": "http:///x" }),
        serde_json::json!({ "http": "http://u:p@a/" }),
        serde_json::json!({ "http": "http://token@a" }),
        serde_json::json!({ "http": "http://a:x/" }),
        serde_json::json!({ "http": "http://a b/" }),
        serde_json::json!({ "http": "http://a/", "status": 99 }),
        serde_json::json!({ "http": "http://a/", "body": "(" }),
        serde_json::json!({ "http": "http://a/", "body": "a\nb" }),
        serde_json::json!({ "http": "http://a/", "body": "\\d+" }),
        serde_json::json!({ "http": "http://a/", "body": "(?i)x" }),
        serde_json::json!({ "http": "http://a/", "body": "[\\d]" }),
        serde_json::json!({ "http": "http://a/", "body": "x", "expect": "refused" }),
        serde_json::json!({ "tcp": "a" }),
        serde_json::json!({ "tcp": "::1:22" }),
        serde_json::json!({ "tcp": "a:+22" }),
        serde_json::json!({ "tcp": "-a:22" }),
        serde_json::json!({ "ping": "-f" }),
        serde_json::json!({ "dns": "a;b" }),
        serde_json::json!({ "exec": [] }),
        serde_json::json!({ "exec": ["a", "b\nc"] }),
        serde_json::json!({ "exec": ["a"], "expect": "refused" }),
        serde_json::json!({ "ping": "a", "within": 0 }),
        serde_json::json!({ "ping": "a", "from": [] }),
        serde_json::json!({ "ping": "a", "from": ["vm"] }),
    ]
    .into_iter()
    .map(one)
    .collect();
    let with = |settings| planned(&vm("vm1"), settings);
    all.push(with(serde_json::json!({ "checks": { "ssh": { "ping": "a" } } })));
    all.push(with(serde_json::json!({ "checks": { "a b": { "ping": "a" } } })));
    let vsock = serde_json::json!({ "guest": { "via": "vsock" }, "checks": { "x": { "ping": "a", "from": ["vm"] } } });
    all.push(with(vsock.clone()));
    let cloud = Wanted { cid: Some(3), hypervisor: Some("cloud-hypervisor".into()), ..vm("vm1") };
    all.push(planned(&cloud, vsock.clone()));
    insta::assert_snapshot!(all.join("\n"), @r#"
    check "web" of vm1: it has no probe | give it one of http, tcp, ping, dns, exec
    check "web" of vm1: it has more than one probe: http, tcp | make each one a check of its own
    check "web" of vm1: status is only for http | leave out status
    check "web" of vm1: body is only for http | leave out body
    check "web" of vm1: http = "ftp://a" starts with neither http:// nor https:// | write it as http://10.0.0.2/ or https://name/path
    check "web" of vm1: http = "http:///x" has no valid host and port | write it as http://10.0.0.2/ or https://name/path
    check "web" of vm1: http = "…" has a user or a password in its URL, where others can read it | ask for a page that needs none, or use exec with a program that has its own password
    check "web" of vm1: http = "…" has a user or a password in its URL, where others can read it | ask for a page that needs none, or use exec with a program that has its own password
    check "web" of vm1: http = "http://a:x/" has no valid host and port | write it as http://10.0.0.2/ or https://name/path
    check "web" of vm1: http = "http://a b/" has spaces, control or non-ASCII characters | write it as http://10.0.0.2/ or https://name/path
    check "web" of vm1: status is 99 | it must be from 100 to 599
    check "web" of vm1: body = "(" is not a regular expression: unclosed group | write a POSIX extended regular expression that one line of the body matches
    check "web" of vm1: body = "a\nb" is empty or has a newline or NUL | write a POSIX extended regular expression that one line of the body matches
    check "web" of vm1: body = "\\d+" has \d, which grep -E reads differently | write a POSIX extended regular expression that one line of the body matches
    check "web" of vm1: body = "(?i)x" has (?, which grep -E reads differently | write a POSIX extended regular expression that one line of the body matches
    check "web" of vm1: body = "[\\d]" has a backslash inside [ ], which grep -E reads differently | write a POSIX extended regular expression that one line of the body matches
    check "web" of vm1: a refused request has no status and no body | leave out `status` and `body`, or expect = "refused"
    check "web" of vm1: tcp = "a" is not a host and a port | write HOST:PORT or [IPV6]:PORT, such as 10.0.0.2:5432
    check "web" of vm1: tcp = "::1:22" is not a host and a port | write HOST:PORT or [IPV6]:PORT, such as 10.0.0.2:5432
    check "web" of vm1: tcp = "a:+22" is not a host and a port | write HOST:PORT or [IPV6]:PORT, such as 10.0.0.2:5432
    check "web" of vm1: tcp = "-a" is not a host name or IP address | use letters, digits, '.', ':', '-' and '_', and no '-' at the start
    check "web" of vm1: ping = "-f" is not a host name or IP address | use letters, digits, '.', ':', '-' and '_', and no '-' at the start
    check "web" of vm1: dns = "a;b" is not a host name or IP address | use letters, digits, '.', ':', '-' and '_', and no '-' at the start
    check "web" of vm1: exec names no program | write exec = [ "program" "argument" ]
    check "web" of vm1: exec has an argument with a newline or NUL | put the script into the guest's configuration and run it by name
    check "web" of vm1: a program cannot be expected to be refused | expect = "refused" is for http, tcp, ping and dns
    check "web" of vm1: within is 0 | it must be from 1 to 3600 seconds
    check "web" of vm1: from is empty | it must name "laptop", "hypervisor" or "vm"
    check "web" of vm1: it is to run inside the VM, but no address of the VM is known | set vms.vm1.address, or vms.vm1.guest.via = "vsock"
    check "ssh" of vm1: deployvm derives a check of that name itself | choose another name; `ping` and `ssh` are taken
    check "a b" of vm1: "a b" is not a valid name: only ASCII letters, digits, '-', '_' and '.' are allowed | choose another name
    check "x" of vm1: it is to run inside the VM, but it has no vsock CID, and vsock is the way in | set microvm.vsock.cid in the configuration of vm1
    check "x" of vm1: it is to run inside the VM, but cloud-hypervisor gives the hypervisor no vsock device to reach it through | set vms.vm1.guest.via to "hypervisor" or "laptop"
    "#);
    assert!(planned(&Wanted { cid: Some(3), ..vm("vm1") }, vsock).starts_with("x vm "));
}
