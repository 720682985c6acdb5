//! `probe.sh` against real sockets of this machine.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::host::clock;
use crate::model::check::Expect;

fn asked(probe: Probe) -> String {
    asked_for(probe, Expect::Ok)
}

fn asked_for(probe: Probe, expect: Expect) -> String {
    let check = Check {
        name: "x".into(),
        from: From::Laptop,
        probe,
        expect,
        within: 1,
        strict: false,
        derived: false,
        excusable: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ask(&check, &Way::default()))
}

/// A server that answers every connection with these bytes; its port.
fn server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
        }
    });
    port
}

/// A server that accepts connections and says nothing; its port.
fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let _all: Vec<_> = listener.incoming().collect();
    });
    port
}

/// A port at which nobody listens, and that no other test's server is given.
fn nobody() -> u16 {
    1
}

fn http(port: u16, scheme: &str, status: Option<u16>, body: Option<&str>) -> String {
    let body = body.map(str::to_owned);
    asked(Probe::Http { url: format!("{scheme}://127.0.0.1:{port}/"), status, body })
}

#[test]
fn http_in_all_its_ways() {
    let good = server(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nvm1 version 2\n");
    assert_eq!(http(good, "http", None, None), "ok");
    assert_eq!(http(good, "http", Some(200), Some("version [0-9]$")), "ok");
    assert_eq!(http(good, "http", Some(204), None), "wrong-status-200");
    assert_eq!(http(good, "http", None, Some("version 3")), "wrong-body");
    let bad = server(b"HTTP/1.0 500 No\r\nConnection: close\r\n\r\nbroken\n");
    assert_eq!(http(bad, "http", None, None), "wrong-status-500");
    assert_eq!(http(bad, "http", Some(500), None), "ok");
    assert_eq!(http(nobody(), "http", None, None), "refused");
    // Who accepts a connection has not refused it.
    assert_eq!(http(server(b""), "http", None, None), "no-reply");
    let cut = b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nvm1";
    assert_eq!(http(server(cut), "http", None, None), "bad-reply");
    assert_eq!(http(server(cut), "http", Some(204), None), "wrong-status-200");
    assert_eq!(http(good, "https", None, None), "bad-reply");
    assert_eq!(http(silent(), "https", None, None), "no-reply");
    assert_eq!(http(server(b"SSH-2.0-x\r\n"), "http", None, None), "bad-reply");
}

#[test]
fn tcp_in_all_its_ways() {
    let tcp = |host: &str, port| asked(Probe::Tcp { host: host.into(), port });
    assert_eq!(tcp("127.0.0.1", server(b"")), "ok");
    assert_eq!(tcp("127.0.0.1", nobody()), "refused");
}

#[test]
fn what_must_be_refused_is_asked_thrice() {
    let tcp = |port| asked_for(Probe::Tcp { host: "127.0.0.1".into(), port }, Expect::Refused);
    assert_eq!(tcp(server(b"")), "ok");
    let began = clock::moment();
    assert_eq!(tcp(nobody()), "refused");
    assert!(began.elapsed().as_secs() >= 3);
}

#[test]
fn the_others_in_all_their_ways() {
    let exec = |argv: &[&str]| asked(Probe::Exec { argv: argv.iter().map(|s| (*s).to_owned()).collect() });
    assert_eq!(exec(&["true"]), "ok");
    assert_eq!(exec(&["false"]), "nonzero-1");
    assert_eq!(exec(&["sh", "-c", "exit 203"]), "nonzero-203");
    assert_eq!(exec(&["no-such-program"]), "no-program");
    // Every argument arrives, empty ones too, and none is expanded.
    assert_eq!(exec(&["sh", "-c", "[ $# = 4 ] && [ -z \"$1$3\" ]", "sh", "", "a b", "", ""]), "ok");
    assert_eq!(exec(&["sh", "-c", "[ $# = 3 ] && [ \"$1\" = '$HOME *' ]", "sh", "$HOME *", "", ""]), "ok");
    assert_eq!(asked(Probe::Dns { name: "localhost".into() }), "ok");
}

#[test]
fn only_a_whole_answer_counts() {
    let output = |code, stdout: &str| Output {
        code: Some(code),
        stdout: stdout.as_bytes().to_vec(),
        stderr: Vec::new(),
    };
    assert_eq!(answer(From::Vm, &output(0, "Welcome!\nrefused\n")), "refused");
    assert_eq!(answer(From::Vm, &output(0, "no-curl\n")), "no-curl");
    assert_eq!(answer(From::Vm, &output(0, "nonzero-3\n")), "nonzero-3");
    for odd in ["nonzero-", "nonzero-x", "nonzero-1234", "wrong-status-\u{1b}[2J", "no-CURL"] {
        assert_eq!(answer(From::Hypervisor, &output(0, odd)), "broken", "{odd:?}");
    }
    // A banner is no answer, and neither is what was said before ssh broke off.
    assert_eq!(answer(From::Vm, &output(0, "all connections are refused")), "broken");
    assert_eq!(answer(From::Vm, &output(255, "refused\n")), "ssh-failed");
    assert_eq!(answer(From::Vm, &output(127, "timeout\n")), "broken");
    assert_eq!(answer(From::Laptop, &output(0, "")), "broken");
}

#[test]
fn what_says_that_nobody_asked() {
    let tcp = Probe::Tcp { host: "x".to_owned(), port: 1 };
    for word in
        ["broken", "unresolved", "no-way-in", "no-curl", "no-program", "ssh-failed", "host-key-unknown"]
    {
        assert!(!was_asked(&tcp, word), "{word}");
    }
    for word in
        ["ok", "refused", "timeout", "unreachable", "wrong-body", "no-reply", "bad-reply", "nonzero-3"]
    {
        assert!(was_asked(&tcp, word), "{word}");
    }
    let dns = Probe::Dns { name: "x".to_owned() };
    assert!(was_asked(&dns, "unresolved") && !was_asked(&dns, "no-getent"));
}
