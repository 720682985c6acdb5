//! `ip route get`, which asks the kernel where a packet would go and sends none.

use std::net::IpAddr;

use crate::model::argv::{Argv, Output};
use crate::model::exam::Route;

/// Nobody's addresses (RFC 5737, RFC 3849): what goes to them takes the default route.
pub const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Asks about one address.
pub fn ask(address: IpAddr) -> Argv {
    Argv::new("ip").args(["-o", "route", "get"]).arg(address.to_string())
}

/// Reads `10.1.0.2 via 10.99.0.2 dev lap0 src 10.99.0.1 uid 0 \    cache`.
pub fn parse(output: &Output) -> Option<Route> {
    if !output.ok() {
        let said = output.errors();
        let line = said.lines().find(|line| !line.trim().is_empty())?;
        return Some(Route::Nowhere(line.trim().trim_start_matches("RTNETLINK answers: ").to_owned()));
    }
    let text = output.text();
    let words: Vec<&str> = text.split_whitespace().collect();
    if let Some(first @ ("unreachable" | "prohibit" | "blackhole" | "throw")) = words.first().copied() {
        return Some(Route::Nowhere(first.to_owned()));
    }
    let after = |word: &str| {
        let at = words.iter().position(|w| *w == word)?;
        words.get(at + 1).map(|w| (*w).to_owned())
    };
    Some(Route::Way { gateway: after("via"), device: after("dev")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(code: i32, stdout: &str, stderr: &str) -> Option<Route> {
        parse(&Output { code: Some(code), stdout: stdout.into(), stderr: stderr.into() })
    }

    #[test]
    fn reads_what_ip_says() {
        let way = |gateway: Option<&str>, device: &str| {
            Some(Route::Way { gateway: gateway.map(str::to_owned), device: device.to_owned() })
        };
        let line = "10.1.0.2 via 10.99.0.2 dev lap0 src 10.99.0.1 uid 0 \\    cache \n";
        assert_eq!(read(0, line, ""), way(Some("10.99.0.2"), "lap0"));
        assert_eq!(read(0, "10.99.0.2 dev lap0 src 10.99.0.1 uid 0 \n", ""), way(None, "lap0"));
        let tailscale = "10.1.0.2 dev tailscale0 table 52 src 100.64.0.1 uid 1000 \\    cache\n";
        assert_eq!(read(0, tailscale, ""), way(None, "tailscale0"));
        let nowhere = |text: &str| Some(Route::Nowhere(text.to_owned()));
        let said = "RTNETLINK answers: Network is unreachable\n";
        assert_eq!(read(2, "", said), nowhere("Network is unreachable"));
        assert_eq!(read(0, "prohibit 10.1.0.2 from 10.2.0.2 \n", ""), nowhere("prohibit"));
    }

    proptest! {
        #[test]
        fn never_panics(code in 0_i32..3, out in "(?s:.){0,60}", err in "(?s:.){0,60}") {
            let _ = read(code, &out, &err);
        }
    }
}
