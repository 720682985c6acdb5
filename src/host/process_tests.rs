//! Programs that answer too much, too late, or do not want to end.

use super::*;
use crate::host::clock;

const LIMITS: Limits =
    Limits { bytes: 1 << 20, whole: Some(Duration::from_secs(60)), silence: Duration::from_secs(60) };

async fn sh(script: &str, limits: Limits) -> std::result::Result<Output, Stopped> {
    answer(&Argv::new("sh").args(["-c", script]), limits, |line| line != "beat").await
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    for endless in ["while :; do echo y; done", "cat /dev/zero", "yes | tr -d '\\n'"] {
        let Err(Stopped::TooLong(began)) = sh(endless, LIMITS).await else { panic!("{endless}") };
        assert!(!began.is_empty() && began.len() <= MOST_SHOWN, "{endless}");
    }
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let brief = Duration::from_millis(50);
    let silent = Limits { silence: brief, ..LIMITS };
    assert_eq!(sh("sleep 60", silent).await, Err(Stopped::TooLate));
    assert_eq!(sh("printf x; sleep 60", silent).await, Err(Stopped::TooLate), "no end of a line");
    assert_eq!(sh("exec >&-; sleep 60", silent).await, Err(Stopped::TooLate), "nothing more to say");
    let slow = Limits { whole: Some(brief), ..LIMITS };
    assert_eq!(sh("while :; do echo; sleep 0.01; done", slow).await, Err(Stopped::TooLate));
    let endless = Limits { silence: brief, whole: None, ..LIMITS };
    assert_eq!(sh("exec >&-; yes >&2", endless).await, Err(Stopped::TooLate), "errors without end");
}

#[tokio::test]
async fn what_is_not_kept_does_not_count() {
    let output =
        sh("i=0; while [ $i -lt 300000 ]; do echo beat; i=$((i + 1)); done; echo end; exit 3", LIMITS);
    let output = output.await.unwrap();
    assert_eq!((output.code, output.stdout.as_slice()), (Some(3), b"end\n".as_slice()));
}

#[tokio::test]
async fn who_listens_gets_a_turn() {
    let (lines, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let (mut most, argv) = (0, Argv::new("seq").arg("200000"));
    let listen = async {
        let mut count = 0;
        while heard.recv().await.is_some() {
            most = most.max(heard.len());
            count += 1;
        }
        count
    };
    let speak = async {
        watch(&argv, |line| drop(lines.send(line.to_owned())), |_| ()).await.unwrap();
        drop(lines);
    };
    let (count, ()) = tokio::join!(listen, speak);
    assert_eq!(count, 200_000);
    assert!(most < 1000, "{most} lines waited to be heard");
}

#[test]
fn what_was_started_ends_even_if_it_does_not_want_to_and_we_are_gone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let stubborn = "trap '' TERM; echo $$ >$1; while :; do sleep 0.1; done";
    let argv = Argv::new("sh").args(["-c", stubborn, "sh", file.path().to_str().unwrap()]);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pid = runtime().block_on(async {
        let written = async {
            loop {
                let pid = std::fs::read_to_string(file.path()).unwrap();
                if let Some(pid) = pid.strip_suffix('\n') {
                    return pid.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            output = run(&argv) => panic!("{output:?}"),
            pid = written => pid,
        }
    });
    // The runtime, and with it all that was to come, is gone.
    // Any state but a zombie's: who starts another program waits for it in state D.
    let goes_on = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
    };
    let began = clock::moment();
    while goes_on() {
        assert!(began.elapsed() < Duration::from_secs(30), "{pid} goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn lines_are_added_to_what_a_variable_holds() {
    let argv = Argv::new("nix").line("NIX_CONFIG", "a = 1").line("NIX_CONFIG", "b = 2");
    let variables = lengthened(&argv, |name| format!("{name} = old"));
    assert_eq!(variables["NIX_CONFIG"], "NIX_CONFIG = old\na = 1\nb = 2");
}
